"""The endpoint's description of itself: well-formed, whole, and true."""

from __future__ import annotations

from typing import Any

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import negotiation, service_description
from fairbank.catalogue.context import Hub
from fairbank.web.hub_app import create_app

SD, FORMATS = service_description.SD, service_description.FORMATS
RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
ENDPOINT = "http://hub.test/sparql"


@pytest.fixture(scope="module")
def client(two_datasets: Hub) -> TestClient:
    return TestClient(create_app(two_datasets), base_url="http://hub.test", raise_server_exceptions=False)


def described(answer: Any) -> set[tuple[str, str, str]]:
    assert answer.status_code == 200, answer.text
    form = ox.RdfFormat.from_media_type(answer.headers["content-type"].partition(";")[0])
    return {
        (triple.subject.value, triple.predicate.value, triple.object.value)
        for triple in ox.parse(answer.content, format=form)
    }


def of(triples: set[tuple[str, str, str]], name: str) -> set[str]:
    return {value for _, predicate, value in triples if predicate == SD + name}


def test_a_request_without_a_query_gets_the_description_in_turtle(client: TestClient) -> None:
    answer = client.get("/sparql")
    assert answer.headers["content-type"] == "text/turtle; charset=utf-8"
    triples = described(answer)
    assert of(triples, "endpoint") == {ENDPOINT}
    assert of(triples, "supportedLanguage") == {SD + "SPARQL11Query"}
    services = {
        subject for subject, predicate, value in triples if (predicate, value) == (RDF_TYPE, SD + "Service")
    }
    assert len(services) == 1
    (dataset,) = of(triples, "defaultDataset")
    assert (dataset, RDF_TYPE, SD + "Dataset") in triples
    (graph,) = of(triples, "defaultGraph")
    assert (graph, RDF_TYPE, SD + "Graph") in triples


@pytest.mark.parametrize("media_type", negotiation.GRAPH_FORMATS)
def test_the_description_is_negotiated(client: TestClient, media_type: str) -> None:
    answer = client.get("/sparql", headers={"Accept": f"{media_type}, text/html;q=0.5"})
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert "Accept" in answer.headers["vary"]
    assert described(answer) == described(client.get("/sparql"))


def test_a_browser_gets_the_page_and_who_takes_anything_a_description(client: TestClient) -> None:
    accept = "text/html,application/xhtml+xml,*/*;q=0.8"
    assert client.get("/sparql", headers={"Accept": accept}).headers["content-type"].startswith("text/html")
    assert client.get("/sparql", headers={"Accept": "*/*"}).headers["content-type"].startswith("text/turtle")


def test_no_description_in_rows(client: TestClient) -> None:
    answer = client.get("/sparql", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer.json()["code"]) == (406, "FB-CAT-042")


def test_head_says_what_the_description_would(client: TestClient) -> None:
    head = client.head("/sparql")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(client.get("/sparql").content))


def test_each_format_that_is_named_is_given_and_each_that_is_given_is_named(client: TestClient) -> None:
    media_types = {FORMATS + name: media_type for media_type, name in negotiation.W3C_NAMES.items()}
    named = of(described(client.get("/sparql")), "resultFormat")
    given = set()
    for format_iri, media_type in media_types.items():
        for query in ("ASK {}", "CONSTRUCT { <urn:a> <urn:b> 1 } {}"):
            answer = client.get("/sparql", params={"query": query}, headers={"Accept": media_type})
            if answer.status_code == 200:
                assert answer.headers["content-type"].partition(";")[0] == media_type
                given.add(format_iri)
    assert named == given
    assert len(named) == len(negotiation.ROW_FORMATS) + len(negotiation.GRAPH_FORMATS)


def test_only_true_features_are_claimed(client: TestClient) -> None:
    assert of(described(client.get("/sparql")), "feature") == {SD + "UnionDefaultGraph"}
    counts = []
    for query in (
        "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }",
        "SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }",
    ):
        rows = client.get("/sparql", params={"query": query}).json()["results"]["bindings"]
        counts.append(int(rows[0]["n"]["value"]))
    assert counts[0] == counts[1] > 0
    federated = client.get(
        "/sparql", params={"query": "SELECT * { SERVICE <http://other.test/> { ?s ?p ?o } }"}
    )
    assert federated.status_code == 403
