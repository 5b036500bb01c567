"""The situations that the W3C's protocol test suite describes, under its names, against an endpoint that only reads.

The requests are ours, written from the SPARQL 1.1 Protocol. What changes data is refused (403); what is wrong in any
service is refused as well (4xx). The suite itself is for others to run.
"""

from __future__ import annotations

import gzip
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import negotiation
from fairbank.catalogue.context import Hub
from fairbank.web.hub_app import create_app

BASE = "http://hub.test"
FORM, QUERY, UPDATE = (
    f"application/{name}" for name in ("x-www-form-urlencoded", "sparql-query", "sparql-update")
)
LUNGS, BRAINS = (f"{BASE}/graphs/datasets/alpha/{name}" for name in ("lungs", "brains"))
DATASETS = "SELECT ?d { ?d a dcat:Dataset }"
IN_DEFAULT = (
    f"ASK {{ <{BASE}/datasets/alpha/lungs> dct:title ?a . <{BASE}/datasets/alpha/brains> dct:title ?b }}"
)
IN_NAMED = f"ASK {{ GRAPH ?g {{ <{BASE}/datasets/alpha/lungs> dct:title ?a }} }}"
IN_BOTH = f"ASK {{ GRAPH <{BRAINS}> {{ ?b a dcat:Dataset }} <{BASE}/datasets/alpha/lungs> dct:title ?a }}"
INSERT = "INSERT DATA { GRAPH <urn:g> { <urn:s> <urn:p> <urn:o> } }"
DEFAULTS = [("default-graph-uri", LUNGS), ("default-graph-uri", BRAINS)]
NAMED = [("named-graph-uri", LUNGS), ("named-graph-uri", BRAINS)]
FULL = [("default-graph-uri", LUNGS), ("named-graph-uri", BRAINS)]


def get(query: str, graphs: list[tuple[str, str]] = [], **headers: str) -> dict[str, Any]:  # noqa: B006
    return {"method": "GET", "params": [("query", query), *graphs], "headers": headers}


def form(
    fields: list[tuple[str, str]], content_type: str | None = FORM, charset: str = "utf-8"
) -> dict[str, Any]:
    headers = {"Content-Type": content_type} if content_type else {}
    return {"method": "POST", "content": urlencode(fields).encode(charset), "headers": headers}


def direct(
    text: str,
    content_type: str | None,
    graphs: list[tuple[str, str]] = [],  # noqa: B006
    charset: str = "utf-8",
) -> dict[str, Any]:
    headers = {"Content-Type": content_type} if content_type else {}
    return {"method": "POST", "params": graphs, "content": text.encode(charset), "headers": headers}


TRUE, SELECTED, GRAPH = "true", "rows", "graph"
ANSWERED = {
    "query_get": (get(IN_DEFAULT), TRUE),
    "query_post_form": (form([("query", IN_DEFAULT)]), TRUE),
    "query_post_direct": (direct(IN_DEFAULT, QUERY), TRUE),
    "query_dataset_default_graphs_get": (get(IN_DEFAULT, DEFAULTS), TRUE),
    "query_dataset_default_graphs_post": (direct(IN_DEFAULT, QUERY, DEFAULTS), TRUE),
    "query_dataset_named_graphs_get": (get(IN_NAMED, NAMED), TRUE),
    "query_dataset_named_graphs_post": (direct(IN_NAMED, QUERY, NAMED), TRUE),
    "query_dataset_full": (direct(IN_BOTH, QUERY, FULL), TRUE),
    "query_multiple_dataset": (direct(f"ASK FROM <{BRAINS}> {{ <{BASE}/datasets/alpha/lungs> a dcat:Dataset }}",
                                      QUERY, DEFAULTS[:1]), TRUE),
    "query_content_type_select": (get(DATASETS), SELECTED),
    "query_content_type_ask": (get("ASK {}"), TRUE),
    "query_content_type_describe": (get(f"DESCRIBE <{BASE}/datasets/alpha/lungs>"), GRAPH),
    "query_content_type_construct": (get("CONSTRUCT { <urn:s> <urn:p> 1 } {}"), GRAPH),
}  # fmt: skip
REFUSED = {
    "bad_query_method": ({"method": "PUT", "params": {"query": "ASK {}"}}, {405}),
    "bad_multiple_queries": (form([("query", "ASK {}"), ("query", "SELECT * {}")]), {400}),
    "bad_query_wrong_media_type": (direct("ASK {}", "text/plain"), {400, 415}),
    "bad_query_missing_form_type": (form([("query", "ASK {}")], None), {400, 415}),
    "bad_query_missing_direct_type": (direct("ASK {}", None), {400, 415}),
    "bad_query_non_utf8": (direct("ASK {}", f"{QUERY}; charset=UTF-16", charset="utf-16"), {400, 415}),
    "bad_query_syntax": (get("ASK {"), {400}),
    "update_dataset_default_graph": (form([("using-graph-uri", LUNGS), ("update", INSERT)]), {403}),
    "update_dataset_default_graphs": (
        form([("using-graph-uri", LUNGS), ("using-graph-uri", BRAINS), ("update", INSERT)]), {403}),
    "update_dataset_named_graphs": (form([("using-named-graph-uri", LUNGS), ("update", INSERT)]), {403}),
    "update_dataset_full": (
        form([("using-graph-uri", LUNGS), ("using-named-graph-uri", BRAINS), ("update", INSERT)]), {403}),
    "update_post_form": (form([("update", "CLEAR ALL")]), {403}),
    "update_post_direct": (direct("CLEAR ALL", UPDATE), {403}),
    "update_base_uri": (direct("INSERT DATA { GRAPH <urn:g> { <> <urn:p> <#x> } }", UPDATE), {403}),
    "bad_update_get": ({"method": "GET", "params": {"update": "CLEAR ALL"}}, {400, 403}),
    "bad_multiple_updates": (form([("update", "CLEAR NAMED"), ("update", "CLEAR DEFAULT")]), {400, 403}),
    "bad_update_wrong_media_type": (direct("CLEAR NAMED", "text/plain"), {400, 403, 415}),
    "bad_update_missing_form_type": (form([("update", "CLEAR NAMED")], None), {400, 403, 415}),
    "bad_update_non_utf8": (direct("CLEAR NAMED", f"{UPDATE}; charset=UTF-16", charset="utf-16"), {400, 403, 415}),
    "bad_update_syntax": (form([("update", "CLEAR XYZ")]), {400, 403}),
    "bad_update_dataset_conflict": (
        form([("using-named-graph-uri", LUNGS), ("update", f"WITH <{BRAINS}> DELETE {{}} INSERT {{}} WHERE {{}}")]),
        {400, 403}),
}  # fmt: skip


@pytest.fixture(scope="module")
def endpoint(two_datasets: Hub) -> TestClient:
    return TestClient(create_app(two_datasets), base_url=BASE, raise_server_exceptions=False)


def send(endpoint: TestClient, given: dict[str, Any]) -> Any:
    rest = {name: value for name, value in given.items() if name != "method"}
    return endpoint.request(given["method"], "/sparql", **rest)


def test_every_case_is_here() -> None:
    assert len(ANSWERED) + len(REFUSED) == 34


@pytest.mark.parametrize("name", ANSWERED)
def test_a_query_is_answered(endpoint: TestClient, name: str) -> None:
    given, expected = ANSWERED[name]
    answer = send(endpoint, given)
    assert answer.status_code == 200, answer.text
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in (negotiation.GRAPH_FORMATS if expected == GRAPH else negotiation.ROW_FORMATS)
    if expected == TRUE:
        assert answer.json()["boolean"] is True
    if expected == SELECTED:
        assert len(answer.json()["results"]["bindings"]) == 2


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_or_would_change_something_is_refused(endpoint: TestClient, name: str) -> None:
    given, statuses = REFUSED[name]
    answer = send(endpoint, given)
    assert answer.status_code in statuses
    assert answer.headers["content-type"] == "application/problem+json"
    assert send(endpoint, get("SELECT (COUNT(*) AS ?n) { <urn:s> ?p ?o }")).json()["results"]["bindings"][0][
        "n"
    ]["value"] == "0"  # fmt: skip


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "gzip, identity", "x"])
def test_a_compressed_body_is_refused_in_words(endpoint: TestClient, encoding: str) -> None:
    headers = {"Content-Type": QUERY, "Content-Encoding": encoding}
    answer = endpoint.post("/sparql", content=gzip.compress(b"ASK {}"), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "FB-CAT-058")
    assert answer.headers["accept-encoding"] == "identity"


def test_a_body_that_says_it_is_as_it_is_is_taken(endpoint: TestClient) -> None:
    headers = {"Content-Type": QUERY, "Content-Encoding": "identity"}
    assert endpoint.post("/sparql", content=b"ASK {}", headers=headers).json()["boolean"] is True


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_told_which_there_are(endpoint: TestClient, method: str) -> None:
    answer = endpoint.request(method, "/sparql", params={"query": "ASK {}"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_the_endpoint_has_one_address(endpoint: TestClient) -> None:
    for address in ("/sparql/", "/SPARQL", "/sparql/query"):
        answer = endpoint.get(address, params={"query": "ASK {}"})
        assert (answer.status_code, answer.json()["code"]) == (404, "FB-WEB-002"), address


def test_a_person_with_a_browser_gets_a_page_in_words(endpoint: TestClient) -> None:
    answer = endpoint.get("/sparql", params={"query": "ASK {"}, headers={"Accept": "text/html"})
    # The hub has a page for questions, with what is wrong in this one.
    assert answer.status_code == (200 if endpoint.base_url.host == "hub.test" else 406)
    assert answer.headers["content-type"].startswith("text/html")
