"""The SPARQL 1.1 Protocol (https://www.w3.org/TR/sparql11-protocol/), section by section, against the hub.

The section numbers in this file are those of the Recommendation. Updates are an operation of it that a read-only
service refuses; all else has to be there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import negotiation, rdf_files
from fairbank.catalogue.context import Hub
from fairbank.catalogue.query_pool import QueryPool
from fairbank.web.hub_app import create_app
from fairbank.web.sparql_app import create_sparql_app

Make = Callable[..., Any]
FORM, QUERY = "application/x-www-form-urlencoded", "application/sparql-query"
UPDATE = "application/sparql-update"
LUNGS, BRAINS = "http://hub.test/datasets/alpha/lungs", "http://hub.test/datasets/alpha/brains"
LUNG_GRAPH, BRAIN_GRAPH = (f"http://hub.test/graphs/datasets/alpha/{name}" for name in ("lungs", "brains"))
NOWHERE = "http://hub.test/graphs/of/nothing"
DATASETS = "SELECT ?d WHERE { ?d a dcat:Dataset } ORDER BY DESC(?d)"
NAMED = "SELECT ?d WHERE { GRAPH ?g { ?d a dcat:Dataset } } ORDER BY DESC(?d)"
ASK = "ASK { ?d a dcat:Dataset }"
CONSTRUCT = f"CONSTRUCT {{ <{LUNGS}> dct:title ?t }} WHERE {{ <{LUNGS}> dct:title ?t }}"
DESCRIBE = f"DESCRIBE <{LUNGS}>"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
JSON, XML, CSV, TSV = negotiation.ROW_FORMATS
TURTLE, N_TRIPLES, JSON_LD, RDF_XML = negotiation.GRAPH_FORMATS


@pytest.fixture(scope="module", params=["hub", "files"])
def endpoint(
    request: pytest.FixtureRequest, two_datasets: Hub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """The hub's application over two published datasets, and the same graphs served from files."""
    hub = TestClient(create_app(two_datasets), base_url="http://hub.test", raise_server_exceptions=False)
    if request.param == "hub":
        yield hub
        return
    folder = tmp_path_factory.mktemp("files")
    files = []
    for name, graph in (("lungs", LUNG_GRAPH), ("brains", BRAIN_GRAPH)):
        whole = {"query": "CONSTRUCT WHERE { ?s ?p ?o }", "default-graph-uri": graph}
        answer = hub.get("/sparql", params=whole, headers={"Accept": N_TRIPLES})
        (folder / f"{name}.nt").write_bytes(answer.content)
        files += [rdf_files.RdfFile(folder / f"{name}.nt"), rdf_files.RdfFile(folder / f"{name}.nt", graph)]
    loaded = rdf_files.load(files, folder / "rdf")
    pool = QueryPool(two_datasets.settings, folder / "rdf")
    app = create_sparql_app(pool, graphs=loaded.graphs, port=8471)
    yield TestClient(app, base_url="http://127.0.0.1:8471", raise_server_exceptions=False)
    pool.close()


def by_get(client: TestClient, query: str, graphs: list[tuple[str, str]] = [], **headers: str) -> Any:  # noqa: B006
    return client.get("/sparql", params=[("query", query), *graphs], headers=headers)


def by_form(client: TestClient, query: str, graphs: list[tuple[str, str]] = [], **headers: str) -> Any:  # noqa: B006
    content = urlencode([("query", query), *graphs])
    return client.post("/sparql", content=content, headers={"Content-Type": FORM, **headers})


def directly(client: TestClient, query: str, graphs: list[tuple[str, str]] = [], **headers: str) -> Any:  # noqa: B006
    return client.post(
        "/sparql", params=graphs, content=query.encode(), headers={"Content-Type": QUERY, **headers}
    )


EVERY_WAY = pytest.mark.parametrize("send", [by_get, by_form, directly])


def found(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["d"]["value"] for row in answer.json()["results"]["bindings"]]


def problem(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["title"] and body["todo"]
    return answer.status_code, body["code"]


# -- 2.1 query operation -------------------------------------------------------------------------------------------


@EVERY_WAY
def test_a_query_is_answered_however_it_is_sent(endpoint: TestClient, send: Make) -> None:
    assert found(send(endpoint, DATASETS)) == [LUNGS, BRAINS]


@EVERY_WAY
@pytest.mark.parametrize(
    "query", [DATASETS, ASK, CONSTRUCT, DESCRIBE], ids=["select", "ask", "construct", "describe"]
)
def test_every_form_of_query_is_answered(endpoint: TestClient, send: Make, query: str) -> None:
    answer = send(endpoint, query)
    assert answer.status_code == 200
    assert int(answer.headers["fairbank-rows"]) >= 1


@EVERY_WAY
def test_characters_beyond_ascii_arrive_as_they_were_sent(endpoint: TestClient, send: Make) -> None:
    answer = send(endpoint, 'SELECT ?d { BIND("Zürich + 東京 & 100 % 🫁" AS ?d) }')
    assert found(answer) == ["Zürich + 東京 & 100 % 🫁"]


def test_a_plus_sign_in_a_query_string_is_a_space(endpoint: TestClient) -> None:
    assert endpoint.get("/sparql?query=" + quote(ASK).replace("%20", "+")).json()["boolean"] is True


@pytest.mark.parametrize(
    "content_type",
    [
        "application/sparql-query; charset=UTF-8",
        'Application/SPARQL-Query;charset="utf-8"',
        "application/sparql-query; charset=us-ascii",
    ],
)
def test_a_media_type_may_have_the_parameter_for_utf8(endpoint: TestClient, content_type: str) -> None:
    answer = endpoint.post("/sparql", content=ASK.encode(), headers={"Content-Type": content_type})
    assert answer.json()["boolean"] is True


def test_a_form_may_say_that_it_is_utf8(endpoint: TestClient) -> None:
    headers = {"Content-Type": f"{FORM}; charset=utf-8"}
    answer = endpoint.post("/sparql", content=urlencode({"query": ASK}), headers=headers)
    assert answer.json()["boolean"] is True


def test_parameters_that_the_protocol_does_not_know_do_no_harm(endpoint: TestClient) -> None:
    assert found(endpoint.get("/sparql", params={"query": DATASETS, "format": "json"})) == [LUNGS, BRAINS]


def test_a_relative_iri_needs_no_base_of_the_request(endpoint: TestClient) -> None:
    query = "BASE <http://hub.test/datasets/alpha/> SELECT ?d { BIND(<lungs> AS ?d) ?d a dcat:Dataset }"
    assert found(by_get(endpoint, query)) == [LUNGS]


# -- 2.1.4 the RDF dataset -----------------------------------------------------------------------------------------


@EVERY_WAY
@pytest.mark.parametrize(
    ("graphs", "query", "expected"),
    [
        ([("default-graph-uri", LUNG_GRAPH)], DATASETS, [LUNGS]),
        ([("default-graph-uri", LUNG_GRAPH), ("default-graph-uri", BRAIN_GRAPH)], DATASETS, [LUNGS, BRAINS]),
        ([("default-graph-uri", LUNG_GRAPH)], NAMED, []),
        ([("named-graph-uri", LUNG_GRAPH)], NAMED, [LUNGS]),
        ([("named-graph-uri", LUNG_GRAPH), ("named-graph-uri", BRAIN_GRAPH)], NAMED, [LUNGS, BRAINS]),
        ([("named-graph-uri", LUNG_GRAPH)], DATASETS, []),
        ([("default-graph-uri", LUNG_GRAPH), ("named-graph-uri", BRAIN_GRAPH)], DATASETS, [LUNGS]),
        ([("default-graph-uri", LUNG_GRAPH), ("named-graph-uri", BRAIN_GRAPH)], NAMED, [BRAINS]),
        ([("default-graph-uri", NOWHERE)], DATASETS, []),
        ([("default-graph-uri", "not an IRI")], DATASETS, []),
        ([("default-graph-uri", NOWHERE), ("default-graph-uri", BRAIN_GRAPH)], DATASETS, [BRAINS]),
    ],
)
def test_the_graphs_of_the_protocol_are_the_dataset(
    endpoint: TestClient, send: Make, graphs: list[tuple[str, str]], query: str, expected: list[str]
) -> None:
    assert found(send(endpoint, query, graphs)) == expected


@EVERY_WAY
def test_a_graph_named_twice_counts_its_triples_once(endpoint: TestClient, send: Make) -> None:
    query = "SELECT (COUNT(*) AS ?d) { ?s a dcat:Dataset }"
    assert found(send(endpoint, query, [("default-graph-uri", LUNG_GRAPH)] * 2)) == ["1"]


@EVERY_WAY
def test_graphs_of_the_protocol_win_over_those_in_the_text(endpoint: TestClient, send: Make) -> None:
    by_default = DATASETS.replace("WHERE", f"FROM <{LUNG_GRAPH}> WHERE")
    assert found(send(endpoint, by_default)) == [LUNGS]
    assert found(send(endpoint, by_default, [("default-graph-uri", BRAIN_GRAPH)])) == [BRAINS]
    # Even where the protocol names graphs of the other sort only.
    assert found(send(endpoint, by_default, [("named-graph-uri", BRAIN_GRAPH)])) == []
    by_name = NAMED.replace("WHERE", f"FROM NAMED <{LUNG_GRAPH}> WHERE", 1)
    assert found(send(endpoint, by_name)) == [LUNGS]
    assert found(send(endpoint, by_name, [("named-graph-uri", BRAIN_GRAPH)])) == [BRAINS]


def test_graphs_in_a_form_s_address_join_those_in_its_body(endpoint: TestClient) -> None:
    content = urlencode({"query": DATASETS, "default-graph-uri": LUNG_GRAPH})
    answer = endpoint.post(
        "/sparql",
        params={"default-graph-uri": BRAIN_GRAPH},
        content=content,
        headers={"Content-Type": FORM},
    )
    assert found(answer) == [LUNGS, BRAINS]


# -- 2.1.6 and 2.1.7 what is refused -------------------------------------------------------------------------------

MALFORMED = (400, "FB-CAT-050")
FORBIDDEN = (403, "FB-CAT-051")


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("GET", {"params": {"query": ""}}),
        ("GET", {"params": {"query": "   "}}),
        ("GET", {"params": {"default-graph-uri": LUNG_GRAPH}}),
        ("GET", {"params": {"Query": ASK}}),
        ("GET", {"params": [("query", ASK), ("query", DATASETS)]}),
        ("GET", {"params": [("query", ASK), ("query", ASK)]}),
        ("POST", {}),
        ("POST", {"content": "", "headers": {"Content-Type": FORM}}),
        ("POST", {"content": "", "headers": {"Content-Type": QUERY}}),
        ("POST", {"content": urlencode([("query", ASK)] * 2), "headers": {"Content-Type": FORM}}),
        (
            "POST",
            {"params": {"query": ASK}, "content": DATASETS, "headers": {"Content-Type": QUERY}},
        ),
        (
            "POST",
            {
                "params": {"query": ASK},
                "content": urlencode({"query": ASK}),
                "headers": {"Content-Type": FORM},
            },
        ),
        ("POST", {"content": ASK, "headers": {"Content-Type": "text/plain"}}),
        ("POST", {"content": urlencode({"query": ASK}), "headers": {"Content-Type": "text/plain"}}),
        ("POST", {"content": json.dumps({"query": ASK}), "headers": {"Content-Type": "application/json"}}),
        ("POST", {"content": urlencode({"query": ASK})}),
        ("POST", {"content": urlencode({"query": ASK}), "headers": {"Content-Type": QUERY}}),
        ("POST", {"content": ASK.encode("utf-16"), "headers": {"Content-Type": QUERY}}),
        (
            "POST",
            {"content": ASK.encode("utf-16"), "headers": {"Content-Type": f"{QUERY}; charset=UTF-16"}},
        ),
        ("POST", {"content": ASK.encode("utf-16-be"), "headers": {"Content-Type": QUERY}}),
        (
            "POST",
            {
                "content": 'ASK { ?s ?p "é" }'.encode("latin-1"),
                "headers": {"Content-Type": f"{QUERY}; charset=ISO-8859-1"},
            },
        ),
        ("POST", {"content": 'ASK { ?s ?p "é" }'.encode("latin-1"), "headers": {"Content-Type": QUERY}}),
        ("POST", {"content": b"query=ASK%20%7B%20%3Fs%20%3Fp%20%22%E9", "headers": {"Content-Type": FORM}}),
        ("GET", {"params": {"query": "SELECT ?x WHERE { ?x "}}),
        ("GET", {"params": {"query": "ASK { } ASK { }"}}),
        ("GET", {"params": {"query": "EXPLAIN { ?s ?p ?o }"}}),
        ("GET", {"params": {"query": "ASK { ?s nowhere:p ?o }"}}),
        (
            "POST",
            {
                "content": urlencode([("query", ASK), *[("default-graph-uri", LUNG_GRAPH)] * 2_001]),
                "headers": {"Content-Type": FORM},
            },
        ),
    ],
)
def test_a_request_that_asks_no_query_is_malformed(
    endpoint: TestClient, method: str, arguments: dict[str, Any]
) -> None:
    answer = endpoint.request(method, "/sparql", **arguments)
    assert problem(answer) == MALFORMED


def test_bytes_that_are_not_utf8_in_a_query_string_are_malformed(endpoint: TestClient) -> None:
    assert problem(endpoint.get("/sparql?query=ASK%20%7B%20%3Fs%20%3Fp%20%22%E9%22%20%7D")) == MALFORMED


def test_a_malformed_query_is_told_with_its_place(endpoint: TestClient) -> None:
    assert "2:8" in by_get(endpoint, "SELECT ?x WHERE {\n ?x ; }").json()["why"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"content": "CLEAR ALL", "headers": {"Content-Type": UPDATE}},
        {"content": "CLEAR ALL", "headers": {"Content-Type": f"{UPDATE}; charset=utf-8"}},
        {"content": urlencode({"update": "CLEAR ALL"}), "headers": {"Content-Type": FORM}},
        {
            "content": urlencode({"update": "CLEAR ALL", "using-graph-uri": LUNG_GRAPH}),
            "headers": {"Content-Type": FORM},
        },
        {"content": urlencode({"update": "CLEAR ALL", "query": ASK}), "headers": {"Content-Type": FORM}},
        {"params": {"update": "CLEAR ALL"}, "content": ASK, "headers": {"Content-Type": QUERY}},
        {"content": f"INSERT DATA {{ <{LUNGS}> <a> <b> }}", "headers": {"Content-Type": QUERY}},
        {"content": f"DROP GRAPH <{LUNG_GRAPH}>", "headers": {"Content-Type": QUERY}},
    ],
)
def test_an_update_is_forbidden_and_changes_nothing(endpoint: TestClient, arguments: dict[str, Any]) -> None:
    assert problem(endpoint.post("/sparql", **arguments)) == FORBIDDEN
    assert found(by_get(endpoint, DATASETS)) == [LUNGS, BRAINS]


def test_an_update_by_get_is_forbidden(endpoint: TestClient) -> None:
    assert problem(endpoint.get("/sparql", params={"update": "CLEAR ALL"})) == FORBIDDEN


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_another_method_is_refused_with_those_that_are_taken(endpoint: TestClient, method: str) -> None:
    answer = endpoint.request(method, "/sparql", params={"query": ASK})
    assert problem(answer)[0] == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


# -- 2.1.5 and 2.1.6 the formats of an answer ----------------------------------------------------------------------


@EVERY_WAY
@pytest.mark.parametrize("media_type", negotiation.ROW_FORMATS)
def test_rows_come_in_each_of_their_formats(endpoint: TestClient, send: Make, media_type: str) -> None:
    answer = send(endpoint, DATASETS, Accept=media_type)
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert "Accept" in answer.headers["vary"]
    assert rows_of(answer) == [LUNGS, BRAINS]


@pytest.mark.parametrize("media_type", negotiation.ROW_FORMATS)
@pytest.mark.parametrize(("query", "truth"), [(ASK, True), ("ASK { <urn:a> ?p ?o }", False)])
def test_truth_comes_in_each_format_of_rows(
    endpoint: TestClient, media_type: str, query: str, truth: bool
) -> None:
    answer = by_get(endpoint, query, Accept=media_type)
    assert answer.headers["content-type"].partition(";")[0] == media_type
    if media_type in (CSV, TSV):
        assert answer.text == str(truth).lower()
        return
    form = ox.QueryResultsFormat.from_media_type(media_type)
    assert bool(ox.parse_query_results(answer.content, format=form)) is truth


@EVERY_WAY
@pytest.mark.parametrize("media_type", negotiation.GRAPH_FORMATS)
@pytest.mark.parametrize("query", [CONSTRUCT, DESCRIBE], ids=["construct", "describe"])
def test_a_graph_comes_in_each_of_its_formats(
    endpoint: TestClient, send: Make, media_type: str, query: str
) -> None:
    answer = send(endpoint, query, Accept=media_type)
    assert answer.headers["content-type"].partition(";")[0] == media_type
    triples = triples_of(answer)
    assert len(triples) == int(answer.headers["fairbank-rows"])
    assert (LUNGS, "http://purl.org/dc/terms/title", "Lung screening CT") in triples


def test_a_graph_is_the_same_in_every_format(endpoint: TestClient) -> None:
    answers = [
        triples_of(by_get(endpoint, DESCRIBE, Accept=media_type)) for media_type in negotiation.GRAPH_FORMATS
    ]
    assert answers == [answers[0]] * len(answers)
    assert len(answers[0]) > 20


@pytest.mark.parametrize(
    ("accept", "rows", "graph"),
    [
        (None, JSON, TURTLE),
        ("", JSON, TURTLE),
        ("*/*", JSON, TURTLE),
        ("application/json", JSON, None),
        ("application/xml", XML, RDF_XML),
        ("text/*", CSV, TURTLE),
        ("application/*", JSON, N_TRIPLES),
        (f"{XML};q=0.5, {JSON};q=0.4", XML, None),
        (f"{XML};q=0.5, */*;q=0.1", XML, TURTLE),
        (f"{JSON};q=0, */*", XML, TURTLE),
        (f"{TURTLE};q=0.2, {RDF_XML};q=0.9", None, RDF_XML),
        (f"{CSV}, {TURTLE}", CSV, TURTLE),
        (f"{CSV} ; Q=0.1 , {TSV} ; q=0.2", TSV, None),
        (f"{TSV};charset=utf-8", TSV, None),
        ("TEXT/CSV", CSV, None),
        (BROWSER, XML, RDF_XML),
        ("text/html", None, None),
        ("image/*", None, None),
        ("*/*;q=0", None, None),
        (f"{JSON};q=0", None, None),
        (f"{JSON};q=high", None, None),
    ],
)
def test_the_accept_header_chooses(
    endpoint: TestClient, accept: str | None, rows: str | None, graph: str | None
) -> None:
    for query, expected in ((DATASETS, rows), (ASK, rows), (CONSTRUCT, graph)):
        request = endpoint.build_request("GET", "/sparql", params={"query": query})
        del request.headers["accept"]
        if accept is not None:
            request.headers["accept"] = accept
        answer = endpoint.send(request)
        if accept is not None and "text/html" in accept and endpoint.base_url.host == "hub.test":
            # The page with the question and its answer.
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        elif expected is None:
            assert answer.status_code == 406, (query, answer.headers)
        else:
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"].partition(";")[0] == expected, query


def test_what_is_not_acceptable_is_told_as_a_problem(endpoint: TestClient) -> None:
    assert problem(by_get(endpoint, DATASETS, Accept="image/png")) == (406, "FB-CAT-042")
    assert problem(by_get(endpoint, DATASETS, Accept=TURTLE)) == (406, "FB-CAT-042")
    assert problem(by_get(endpoint, CONSTRUCT, Accept=CSV)) == (406, "FB-CAT-042")


def test_several_accept_lines_are_one_list(endpoint: TestClient) -> None:
    lines = [("Accept", "image/png"), ("Accept", f"{XML};q=0.5"), ("Accept", TSV)]
    answer = endpoint.get("/sparql", params={"query": DATASETS}, headers=lines)
    assert answer.headers["content-type"].partition(";")[0] == TSV


@pytest.mark.parametrize(
    ("query", "accept"),
    [
        ("SELECT ?d { BIND('a\\u0001b' AS ?d) }", XML),
        ("CONSTRUCT { <urn:a> <urn:b> 'a\\u0001b' } {}", RDF_XML),
        ("CONSTRUCT { <urn:a> <urn:1> 'b' } {}", RDF_XML),
    ],
)
def test_what_xml_cannot_hold_is_not_sent_as_broken_xml(
    endpoint: TestClient, query: str, accept: str
) -> None:
    assert problem(by_get(endpoint, query, Accept=accept)) == (406, "FB-CAT-042")
    assert by_get(endpoint, query).status_code == 200


@pytest.mark.parametrize("media_type", [JSON, XML, TSV, TURTLE, N_TRIPLES, JSON_LD, RDF_XML])
def test_line_ends_and_marks_survive_every_format(endpoint: TestClient, media_type: str) -> None:
    text = "a\tb\r\nc\rd < & > \"quoted\" 'so' \\"
    literal = json.dumps(text)
    if media_type in negotiation.ROW_FORMATS:
        answer = by_get(endpoint, f"SELECT ?d {{ BIND({literal} AS ?d) }}", Accept=media_type)
        assert rows_of(answer) == [text]
    else:
        answer = by_get(endpoint, f"CONSTRUCT {{ <urn:a> <urn:b> {literal} }} {{}}", Accept=media_type)
        assert triples_of(answer) == {("urn:a", "urn:b", text)}


# -- HEAD (RFC 9110, section 9.3.2) --------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [DATASETS, CONSTRUCT])
@pytest.mark.parametrize("accept", ["*/*", XML + "," + RDF_XML])
def test_head_says_what_get_would(endpoint: TestClient, query: str, accept: str) -> None:
    got = by_get(endpoint, query, Accept=accept)
    head = endpoint.head("/sparql", params={"query": query}, headers={"Accept": accept})
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "vary", "cache-control", "fairbank-rows"):
        assert head.headers[name] == got.headers[name]


def test_head_of_a_malformed_query_is_400(endpoint: TestClient) -> None:
    answer = endpoint.head("/sparql", params={"query": "SELECT"})
    assert (answer.status_code, answer.content) == (400, b"")


# -- reading answers -----------------------------------------------------------------------------------------------


def rows_of(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    media_type = answer.headers["content-type"].partition(";")[0]
    if media_type == CSV:
        heading, *lines = answer.text.splitlines()
        assert heading == "d"
        return list(lines)
    form = ox.QueryResultsFormat.from_media_type(media_type)
    return [row["d"].value for row in ox.parse_query_results(answer.content, format=form)]


def triples_of(answer: Any) -> set[tuple[str, str, str]]:
    assert answer.status_code == 200, answer.text
    form = ox.RdfFormat.from_media_type(answer.headers["content-type"].partition(";")[0])
    return {
        (triple.subject.value, triple.predicate.value, triple.object.value)
        for triple in ox.parse(answer.content, format=form)
    }
