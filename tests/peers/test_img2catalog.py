"""img2catalog, as it comes, describes the projects of an archive (the stand-in for XNAT) to a live hub."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.data import get_testdata_file
from rdflib import DCAT, DCTERMS, FOAF, RDF, Graph, URIRef
from tests.peers.conftest import ADMIN, PASSWORD, listening, served, wait_for_endpoint

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


@pytest.fixture
def catalog(live: Any) -> str:
    """A published catalog of its own for each test."""
    with httpx.Client(base_url=live.url) as web:
        login = {"email": ADMIN, "password": PASSWORD}
        web.headers["Authorization"] = f"Bearer {web.post('/tokens', json=login).json()['token']}"
        body = """
            @prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
            @prefix foaf: <http://xmlns.com/foaf/0.1/> .
            <> a dcat:Catalog ; dct:title "The archive" ; dct:publisher [ a foaf:Agent ; foaf:name "The hospital" ] .
        """
        made = web.post("/catalog", content=body, headers={"Content-Type": "text/turtle"})
        location = made.raise_for_status().headers["Location"]
        web.put(f"{location}/meta/state", json={"current": "PUBLISHED"}).raise_for_status()
    return str(location)


def listed(catalog: str) -> list[Graph]:
    """Return the documents of a catalog's datasets, as strangers read them."""
    graph = Graph().parse(data=httpx.get(catalog).text, format="turtle")
    datasets = sorted(graph.objects(URIRef(catalog), DCAT.dataset))
    return [Graph(identifier=each).parse(data=httpx.get(each).text, format="turtle") for each in datasets]


def titles(catalog: str) -> list[str]:
    return [str(graph.value(graph.identifier, DCTERMS.title)) for graph in listed(catalog)]


def to_hub(live: Any, catalog: str) -> tuple[str, ...]:
    return ("fdp", "--fdp", live.url, "--username", ADMIN, "--password", PASSWORD, "--catalog", catalog)


def test_it_publishes_a_project_s_description(
    live: Any, img2catalog: Command, archive: str, catalog: str
) -> None:
    ran = img2catalog(*to_hub(live, catalog))
    assert ran.returncode == 0 and "Error pushing" not in ran.stderr, ran.stderr
    (dataset,) = listed(catalog)
    iri = dataset.identifier
    assert str(dataset.value(iri, DCTERMS.title)) == "Foie, phase portale – Hôpital"
    assert str(dataset.value(iri, DCTERMS.isPartOf)) == catalog
    assert f"{archive}/data/archive/projects/LIVER" in map(str, dataset.objects(iri, DCTERMS.identifier))
    creators = {str(dataset.value(each, FOAF.name)) for each in dataset.objects(iri, DCTERMS.creator)}
    assert creators == {"Ada Pi", "Dr Bo Vine"}
    assert "anary" not in httpx.get(f"{live.url}/expanded").text


def test_with_the_hub_s_endpoint_a_second_run_changes_what_the_first_published(
    live: Any, img2catalog: Command, projects: Path, catalog: str
) -> None:
    words = (*to_hub(live, catalog), "--sparql", f"{live.url}/sparql")
    assert "Error pushing" not in img2catalog(*words).stderr
    (first,) = listed(catalog)
    wait_for_endpoint(live.url, str(first.identifier))
    (projects / "LIVER" / NAME).write_text(LIVER.replace("portale", "tardive"), encoding="utf-8")
    assert "Error pushing" not in img2catalog(*words).stderr
    (second,) = listed(catalog)
    assert second.identifier == first.identifier
    assert titles(catalog) == ["Foie, phase tardive – Hôpital"]


def test_without_the_endpoint_a_second_run_publishes_a_second_dataset(
    live: Any, img2catalog: Command, catalog: str
) -> None:
    for _ in range(2):
        assert "Error pushing" not in img2catalog(*to_hub(live, catalog)).stderr
    assert titles(catalog) == ["Foie, phase portale – Hôpital"] * 2


def test_a_catalog_that_is_not_there_is_told(live: Any, img2catalog: Command) -> None:
    ran = img2catalog(*to_hub(live, f"{live.url}/catalog/alpha"))
    assert "Error pushing dataset to FDP: 403" in ran.stderr
