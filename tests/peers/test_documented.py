"""What the page about foreign clients says is run as it stands, but for the address of the hub."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.peers
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "use-fdp-clients.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[-1][:40])
def test_each_block_of_the_page_runs(live: Any, peers: Path, block: str, tmp_path: Path) -> None:
    script = block.replace("https://hub.example.org", live.url)
    ran = subprocess.run(
        [peers / "python", "-c", script],
        capture_output=True, text=True, timeout=120, cwd=tmp_path, env={"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert live.url in ran.stdout


def test_the_page_names_the_versions_that_are_run() -> None:
    pinned = set((ROOT / "constraints-peers.txt").read_text(encoding="utf-8").split())
    named = set(re.findall(r"[a-z0-9-]+==[0-9.]+", PAGE))
    assert named and named <= pinned
