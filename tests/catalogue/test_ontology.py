"""The ontology at the hub: at its address in every format, in the view beside the data, with every term they use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import export, ontology_view
from fairbank.catalogue.context import Hub
from fairbank.catalogue.projector import Projector
from fairbank.database import reading
from fairbank.ontology import terms
from fairbank.ontology.model.triples import ONTOLOGY, VERSION, triples
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.web.hub_app import create_app

Make = Callable[..., Any]
BASE = "http://hub.test"
FORMATS = ("text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml")


@pytest.fixture(scope="module")
def web(two_datasets: Hub) -> TestClient:
    return TestClient(create_app(two_datasets), base_url=BASE, raise_server_exceptions=False)


def parsed(content: bytes, media_type: str) -> set[str]:
    form = ox.RdfFormat.from_media_type(media_type.partition(";")[0])
    return {str(quad.triple) for quad in ox.parse(content, format=form)}


def rows(web: TestClient, query: str) -> list[dict[str, str]]:
    answer = web.get(
        "/sparql", params={"query": query}, headers={"Accept": "application/sparql-results+json"}
    )
    assert answer.status_code == 200, answer.text
    return [
        {name: value["value"] for name, value in row.items()} for row in answer.json()["results"]["bindings"]
    ]


# -- at its address ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/ontology", f"/ontology/{VERSION}"])
@pytest.mark.parametrize("media_type", FORMATS)
def test_the_ontology_comes_in_every_format(web: TestClient, path: str, media_type: str) -> None:
    answer = web.get(path, headers={"Accept": media_type})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert len(parsed(answer.content, media_type)) == len(triples())


@pytest.mark.parametrize("accept", [None, "*/*", "text/turtle;q=0.9, application/json"])
def test_turtle_is_what_comes_by_default(web: TestClient, accept: str | None) -> None:
    headers = {"Accept": accept} if accept else {}
    assert web.get("/ontology", headers=headers).headers["content-type"] == "text/turtle"


def test_xml_means_rdf_xml(web: TestClient) -> None:
    answer = web.get("/ontology", headers={"Accept": "application/xml"})
    assert answer.headers["content-type"] == "application/rdf+xml"


def test_a_browser_gets_a_page_with_an_anchor_for_every_term(web: TestClient) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    answer = web.get("/ontology", headers={"Accept": accept})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    ours = {subject.partition("#")[2] for subject, _, _ in triples() if "#" in subject}
    assert [name for name in sorted(ours) if f'id="{name}"' not in answer.text] == []
    assert "<script" not in answer.text and "Lungenkrebs" in answer.text


def test_what_is_not_offered_is_refused(web: TestClient) -> None:
    answer = web.get("/ontology", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer.json()["code"]) == (406, "FB-CAT-042")


def test_a_version_that_is_not_here_is_not_found(web: TestClient) -> None:
    answer = web.get("/ontology/0.0.1")
    assert (answer.status_code, answer.json()["code"]) == (404, "FB-ONT-010")
    assert VERSION in answer.json()["detail"] or VERSION in answer.text


def test_who_has_it_already_is_told_so(web: TestClient) -> None:
    first = web.get("/ontology", headers={"Accept": "text/turtle"})
    again = web.get("/ontology", headers={"Accept": "text/turtle", "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert f'<{ONTOLOGY}>; rel="canonical"' in first.headers["link"]
    assert "Accept" in first.headers["vary"]


def test_a_page_of_any_origin_may_read_it(web: TestClient) -> None:
    answer = web.get("/ontology", headers={"Origin": "https://elsewhere.test"})
    assert answer.headers["access-control-allow-origin"] == "*"


def test_head_says_what_get_would(web: TestClient) -> None:
    head = web.head("/ontology")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == web.get("/ontology").headers["etag"]


# -- in the view ---------------------------------------------------------------------------------------------------


def test_names_of_words_can_be_joined_in_a_query(web: TestClient) -> None:
    found = rows(
        web,
        """SELECT DISTINCT ?word ?label WHERE {
          ?cell fb:ofDataset ?dataset ; fb:modality ?word .
          fb:modality fb:valuesFrom ?scheme .
          ?concept skos:inScheme ?scheme ; skos:notation ?word ; skos:prefLabel ?label .
          FILTER(lang(?label) = "de")
        } ORDER BY ?word""",
    )
    assert found == [
        {"word": "CT", "label": "Computertomographie"},
        {"word": "MR", "label": "Magnetresonanz"},
    ]


def test_codes_can_be_joined_and_their_broader_concepts_walked(web: TestClient) -> None:
    found = rows(
        web,
        """SELECT DISTINCT ?notation WHERE {
          ?part skos:exactMatch <http://purl.obolibrary.org/obo/UBERON_0001621> ; skos:broader+ ?whole .
          ?whole skos:notation ?notation
        } ORDER BY ?notation""",
    )
    assert [row["notation"] for row in found] == ["CHEST", "HEART"]


def test_no_triple_of_the_view_is_counted_twice(web: TestClient) -> None:
    (count,) = rows(web, "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }")
    (once,) = rows(web, "SELECT (COUNT(*) AS ?n) WHERE { SELECT DISTINCT ?s ?p ?o WHERE { ?s ?p ?o } }")
    assert count == once
    in_graphs = rows(
        web, "SELECT ?s WHERE { GRAPH ?a { ?s ?p ?o } GRAPH ?b { ?s ?p ?o } FILTER(?a != ?b) } LIMIT 1"
    )
    assert in_graphs == []


def test_the_graph_of_the_ontology_is_the_document(web: TestClient) -> None:
    query = f"SELECT (COUNT(*) AS ?n) WHERE {{ GRAPH <{ontology_view.ontology_graph(BASE)}> {{ ?s ?p ?o }} }}"
    assert rows(web, query) == [{"n": str(len(triples()))}]


def test_an_export_of_what_is_published_leaves_the_ontology_out(two_datasets: Hub) -> None:
    with reading(two_datasets.engine) as session:
        graphs = {quad.graph_name.value for quad in export.published_quads(session, two_datasets.base_iri)}
    assert graphs and ontology_view.ontology_graph(BASE) not in graphs


def test_a_view_that_was_written_with_another_ontology_is_brought_up_to_date(
    hub: Hub, published: Make, projector: Projector
) -> None:
    published("lungs")
    graph = ox.NamedNode(ontology_view.ontology_graph(BASE))
    old = ox.Quad(ox.NamedNode(terms.FB + "gone"), ox.NamedNode(terms.LABEL), ox.Literal("gone"), graph)
    store = projector._writer()
    store.remove_graph(graph)
    store.add(old)
    del store
    projector.close()
    newer = Projector(hub)
    assert newer.open()
    try:
        assert set(newer._writer().quads_for_pattern(None, None, None, graph)) == set(
            ontology_view.ontology_quads(BASE)
        )
        snapshot = ox.Store.read_only(str((hub.rdf / "current").resolve()))
        assert old not in snapshot
        assert next(snapshot.quads_for_pattern(None, None, ox.NamedNode(terms.DCAT + "Dataset"), None), None)
    finally:
        newer.close()


def test_a_view_whose_folder_was_emptied_is_made_anew(
    hub: Hub, published: Make, projector: Projector
) -> None:
    published("lungs")
    projector._writer().clear()
    projector.close()
    again = Projector(hub)
    assert again.open()
    try:
        kind = ox.NamedNode(terms.DCAT + "Dataset")
        assert next(again._writer().quads_for_pattern(None, None, kind, None), None)
    finally:
        again.close()


# -- whole ---------------------------------------------------------------------------------------------------------

DOCUMENTS = [
    "/",
    "/expanded",
    "/catalog",
    "/catalog/alpha",
    "/catalog/alpha/expanded",
    "/datasets",
    "/datasets/alpha/lungs",
    "/datasets/alpha/lungs/expanded",
    "/datasets/alpha/lungs/distributions",
    "/datasets/alpha/lungs/distributions/in-situ",
    "/spec",
    "/catalog/alpha/spec",
    "/datasets/alpha/lungs/spec",
    "/sparql",
    *(f"/profiles/{name}" for name in PROFILES),
    *(f"/datasets/alpha/lungs?profile={name}" for name in PROFILES),
]


def ours(statements: set[str]) -> set[str]:
    text = " ".join(statements)
    return {piece.partition(">")[0] for piece in text.split("<" + terms.FB)[1:]}


@pytest.fixture(scope="module")
def defined() -> set[str]:
    return {subject.partition("#")[2] for subject, _, _ in triples()}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_term_of_ours_in_a_document_is_defined(web: TestClient, defined: set[str], path: str) -> None:
    answer = web.get(path, headers={"Accept": "text/turtle"})
    assert answer.status_code == 200, answer.text
    assert ours(parsed(answer.content, "text/turtle")) - defined == set()


def test_every_term_of_ours_in_the_view_is_defined(web: TestClient, defined: set[str]) -> None:
    answer = web.get(
        "/sparql",
        params={
            "query": "CONSTRUCT { ?s ?p ?o } WHERE { GRAPH ?g { ?s ?p ?o } "
            f"FILTER(?g != <{ontology_view.ontology_graph(BASE)}>) }}"
        },
        headers={"Accept": "application/n-triples"},
    )
    used = ours(parsed(answer.content, "application/n-triples"))
    # So many are used by datasets, a node and a model that nothing found would be a fault of this test.
    assert len(used) > 40
    assert used - defined == set()
