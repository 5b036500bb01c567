"""img2catalog, as it comes, describes the projects of an archive (the stand-in for XNAT) to a live hub."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from rdflib import DCAT, DCTERMS, FOAF, RDF, Graph
from tests.peers.conftest import listening, served

from fairbank.harvest.xnat_standin.about import NAME
from fairbank.harvest.xnat_standin.app import create_app

pytestmark = pytest.mark.peers
LIVER = """
title = "Foie, phase portale – Hôpital"
description = "CT of the abdomen"
keywords = "liver ct"
accessibility = "protected"
pi = { firstname = "Ada", lastname = "Pi" }
investigators = [{ title = "Dr", firstname = "Bo", lastname = "Vine" }]
"""
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    """The archive's folder: a project that all may know of, and one that is private."""
    root = tmp_path / "archive"
    for project, file in (("LIVER", "CT_small.dcm"), ("SECRET", "MR_small.dcm")):
        (root / project).mkdir(parents=True)
        shutil.copyfile(get_testdata_file(file, download=False), root / project / file)
    (root / "LIVER" / NAME).write_text(LIVER, encoding="utf-8")
    (root / "SECRET" / NAME).write_text('description = "canary"\npi = { lastname = "Canary" }\n')
    return root


@pytest.fixture
def archive(projects: Path) -> Iterator[str]:
    listener, url = listening()
    with served(create_app(projects, recheck_s=0), listener):
        yield url


@pytest.fixture
def img2catalog(peers: Path, archive: str, tmp_path: Path) -> Command:
    """Run img2catalog on the archive, with its own example configuration, as far as the last step."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        of_archive = ("xnat", "--server", archive, "--username", "reader", "--password", "reader")
        return subprocess.run(
            [peers / "img2catalog", *of_archive, "map-xnat-hriv2", *words],
            capture_output=True, text=True, timeout=120, cwd=tmp_path,
            env={"PYTHONUTF8": "1", "HOME": str(tmp_path)},
        )  # fmt: skip

    return run


def test_it_describes_what_a_project_says_of_itself_and_no_private_one(
    img2catalog: Command, archive: str
) -> None:
    ran = img2catalog("rdf")
    graph = Graph().parse(data=ran.stdout, format="turtle")
    (dataset,) = graph.subjects(RDF.type, DCAT.Dataset)
    assert str(dataset) == f"{archive}/data/archive/projects/LIVER"
    assert str(graph.value(dataset, DCTERMS.title)) == "Foie, phase portale – Hôpital"
    assert {str(word) for word in graph.objects(dataset, DCAT.keyword)} == {"liver", "ct"}
    creators = {str(graph.value(each, FOAF.name)) for each in graph.objects(dataset, DCTERMS.creator)}
    assert creators == {"Ada Pi", "Dr Bo Vine"}
    assert "anary" not in ran.stdout
