"""The page about foreign clients is run as it stands, block by block, but for the addresses of hub and archive."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.data import get_testdata_file
from tests.peers.conftest import ADMIN, PASSWORD, listening, served, wait_for_endpoint

from fairbank.harvest.xnat_standin.app import create_app

pytestmark = pytest.mark.peers
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "use-fdp-clients.md").read_text(encoding="utf-8")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[str]:
    """An archive with one project that says enough of itself."""
    project = tmp_path / "archive" / "KNEE"
    project.mkdir(parents=True)
    shutil.copyfile(get_testdata_file("MR_small.dcm", download=False), project / "0.dcm")
    (project / "project.toml").write_text(
        'title = "Knees, from the archive"\ndescription = "MR"\nkeywords = "knee"\naccessibility = "public"\n'
        'pi = { lastname = "Pi" }\n'
    )
    listener, url = listening()
    with served(create_app(project.parent, password="archive word"), listener):
        yield url


def test_the_blocks_of_the_page_run_one_after_the_other(
    live: Any, peers: Path, archive: str, tmp_path: Path
) -> None:
    (tmp_path / "clients").symlink_to(peers.parent)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "archive-password").write_text("archive word\n")
    assert f'"{ADMIN}"' in PAGE
    page = PAGE.replace("https://hub.example.org", live.url).replace("https://xnat.example.org", archive)
    files = iter(("catalog.ttl", "dataset.ttl"))
    said = []
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", page, re.M | re.S):
        if language == "turtle":
            (tmp_path / next(files)).write_text(block, encoding="utf-8")
            continue
        interpreter = [peers / "python", "-c"] if language == "python" else ["bash", "-euc"]
        ran = subprocess.run(
            [*interpreter, block],
            capture_output=True, text=True, timeout=120, cwd=tmp_path,
            env={"PYTHONUTF8": "1", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert ran.returncode == 0, (block, ran.stderr)
        assert "Error pushing" not in ran.stderr
        said.append(ran.stdout)
        if "sparqlclient" not in block and "create_and_publish" in block:
            wait_for_endpoint(live.url, ran.stdout.strip())
    catalog = (tmp_path / "catalog.iri").read_text()
    shown = httpx.get(f"{catalog}/expanded", headers={"Accept": "text/turtle"}).text
    assert '"Knees, by two hands"' in shown and '"Knees, from the archive"' in shown
    assert '"Knees, by hand"' not in shown
    assert httpx.get(said[-1].strip()).status_code == 410
    assert len(said) == 6


def test_the_page_names_the_versions_that_are_run() -> None:
    pinned = set((ROOT / "constraints-peers.txt").read_text(encoding="utf-8").split())
    named = set(re.findall(r"[a-z0-9-]+==[0-9.]+", PAGE))
    assert len(named) == 4 and named <= pinned
