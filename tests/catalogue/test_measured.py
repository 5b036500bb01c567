"""A dataset says which biomarkers jobs have measured in it: in JSON, in RDF, on its page, and to who comes again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rdflib import Graph, URIRef
from rdflib.namespace import DCTERMS, SKOS
from starlette.testclient import TestClient

from fairbank.catalogue.context import Hub
from fairbank.catalogue.measured import MeasuredBiomarker

Make = Callable[..., Any]
BASE = "http://hub.test"
PATH = "/datasets/alpha/lungs"
JSON, TURTLE, PAGE = ({"Accept": f} for f in ("application/json", "text/turtle", "text/html"))
DENSITY = MeasuredBiomarker("DCM:112181", "Mean density of both lungs.", "lung-densitometry", 2)
TEXTURE = MeasuredBiomarker("IBSI:LFYI", "Texture.", "radiomics", 1)


@pytest.fixture
def web(hub: Hub, app_of: Make, released: Make) -> TestClient:
    released("lungs")
    return TestClient(app_of(hub), base_url=BASE)


def test_a_dataset_in_which_nothing_was_measured_says_so(web: TestClient) -> None:
    assert web.get(PATH, headers=JSON).json()["measured"] == []


def test_json_tells_code_tool_and_how_many_jobs(hub: Hub, web: TestClient) -> None:
    hub.measured.ask = lambda session, iri: [DENSITY, TEXTURE] if iri == BASE + PATH else []
    first, second = web.get(PATH, headers=JSON).json()["measured"]
    assert first == {
        "code": "DCM:112181",
        "iri": "http://dicom.nema.org/resources/ontology/DCM/112181",
        "label": "Mean density of both lungs: lung-densitometry, 2 jobs",
        "tool": "lung-densitometry",
        "jobs": 2,
    }
    assert (second["iri"], second["label"]) == (None, "Texture: radiomics, 1 job")


def test_rdf_and_page_tell_it_too(hub: Hub, web: TestClient) -> None:
    hub.measured.ask = lambda session, iri: [DENSITY]
    graph = Graph().parse(data=web.get(PATH, headers=TURTLE).text, format="turtle")
    about = [str(one) for one in graph.objects(URIRef(BASE + PATH), DCTERMS.subject)]
    codes = [str(code) for one in about for code in graph.objects(URIRef(one), SKOS.notation)]
    assert "DCM:112181" in codes
    assert "lung-densitometry, 2 jobs" in web.get(PATH, headers=PAGE).text


def test_who_holds_the_answer_of_before_gets_the_new_one(hub: Hub, web: TestClient) -> None:
    before = web.get(PATH, headers=JSON).headers["etag"]
    assert web.get(PATH, headers={**JSON, "If-None-Match": before}).status_code == 304
    hub.measured.ask = lambda session, iri: [DENSITY]
    after = web.get(PATH, headers={**JSON, "If-None-Match": before})
    assert (after.status_code, after.json()["measured"][0]["jobs"]) == (200, 2)
    again = {**JSON, "If-None-Match": after.headers["etag"]}
    assert web.get(PATH, headers=again).status_code == 304


def test_an_older_version_says_nothing_of_it(hub: Hub, web: TestClient) -> None:
    hub.measured.ask = lambda session, iri: [DENSITY]
    assert web.get(f"{PATH}?version=1", headers=JSON).json()["measured"] == []
