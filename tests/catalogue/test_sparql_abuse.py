"""Queries that mean harm: what costs without end is stopped in time, and no text makes the endpoint reach out.

The rest of what the endpoint refuses is in test_sparql.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import rdf_files
from fairbank.catalogue.errors import CatalogueError, QueryBusy
from fairbank.catalogue.query_pool import QueryPool, Question
from fairbank.catalogue.rdf_files import RdfFile
from fairbank.settings import Settings
from fairbank.web.sparql_app import create_sparql_app

LIMIT_S, GRACE_S = 1, 1.5
MEBIBYTE = 2**20
POINT = {"query": "SELECT ?o { <urn:s7> <urn:p> ?o }"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of 3,000 triples."""
    folder = tmp_path_factory.mktemp("abuse")
    lines = (f'<urn:s{number}> <urn:p> "value {number} {"x" * 100}" .\n' for number in range(3_000))
    (folder / "many.nt").write_text("".join(lines), encoding="utf-8")
    rdf_files.load([RdfFile(folder / "many.nt")], folder / "rdf")
    return folder / "rdf"


@pytest.fixture(scope="module", params=[2_048, 128], ids=["much-memory", "little-memory"])
def memory_mib(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def client(memory_mib: int, folder: Path) -> Iterator[TestClient]:
    """An endpoint with one worker only: whoever comes after a killed query waits for a new one."""
    settings = replace(
        Settings(),
        sparql_workers=1,
        sparql_timeout_s=LIMIT_S,
        sparql_maximum_rows=1_000,
        sparql_memory_bytes=memory_mib * MEBIBYTE,
    )
    pool = QueryPool(settings, folder)
    opened = TestClient(create_sparql_app(pool, graphs=(), port=8471), base_url="http://127.0.0.1:8471")
    yield opened
    pool.close()


PRODUCT = "?a ?b ?c . ?d ?e ?f . ?g ?h ?i"
COSTLY = {
    "cartesian product": f"SELECT (COUNT(*) AS ?n) {{ {PRODUCT} }}",
    "product of optionals": "ASK { ?a ?b ?c OPTIONAL { ?d ?e ?f } OPTIONAL { ?g ?h ?i } FILTER (CONCAT(?c, ?i) = ?f) }",
    "order over a product": f"SELECT * {{ {PRODUCT} }} ORDER BY ?f ?i ?c LIMIT 1",
    "distinct over a product": f"SELECT (COUNT(*) AS ?n) {{ SELECT DISTINCT ?c ?f ?i {{ {PRODUCT} }} }}",
    "group_concat over a product": f"SELECT (GROUP_CONCAT(?f) AS ?all) {{ {PRODUCT} }}",
    "groups of a product": f"SELECT ?c ?f (COUNT(*) AS ?n) {{ {PRODUCT} }} GROUP BY ?c ?f ORDER BY ?n LIMIT 1",
    "subqueries": "SELECT (COUNT(*) AS ?n) { { SELECT ?a { ?a ?b ?c } } { SELECT ?d { ?d ?e ?f } } ?g ?h ?i }",
    "construct of a product": f"CONSTRUCT {{ ?a ?e ?i }} {{ {PRODUCT} FILTER (CONCAT(?c, ?i) = ?f) }}",
    "filter of a product": f"ASK {{ {PRODUCT} FILTER (CONCAT(?c, ?f, ?i) = 'no') }}",
}  # fmt: skip


@pytest.mark.parametrize("query", COSTLY.values(), ids=list(COSTLY))
def test_a_costly_query_ends_in_time_and_the_next_is_answered(
    client: TestClient, memory_mib: int, query: str
) -> None:
    # What starting a worker takes is not the query's.
    assert client.get("/sparql", params=POINT).status_code == 200
    began = time.monotonic()
    answer = client.post("/sparql", data={"query": query})
    took_s = time.monotonic() - began
    assert took_s < LIMIT_S + GRACE_S
    # With little memory the query may come to that limit first.
    expected = {"FB-CAT-052"} if memory_mib > 1_024 else {"FB-CAT-052", "FB-CAT-055"}
    assert answer.json()["code"] in expected, answer.text[:500]
    assert answer.status_code in {503, 504}
    assert int(answer.headers["retry-after"]) > 0
    began = time.monotonic()
    after = client.get("/sparql", params=POINT)
    assert time.monotonic() - began < GRACE_S
    assert after.json()["results"]["bindings"][0]["o"]["value"].startswith("value 7 ")


def test_a_string_that_doubles_ends_alone(client: TestClient) -> None:
    doubled = " ".join(f"BIND (CONCAT(?x{number}, ?x{number}) AS ?x{number + 1})" for number in range(40))
    began = time.monotonic()
    answer = client.post(
        "/sparql", data={"query": f"SELECT (STRLEN(?x40) AS ?n) {{ BIND ('x' AS ?x0) {doubled} }}"}
    )
    assert time.monotonic() - began < LIMIT_S + GRACE_S
    assert answer.status_code in {503, 504}
    assert client.get("/sparql", params=POINT).status_code == 200


# -- reaching out --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trap() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine that answers everything, and remembers that it was asked."""
    heard: list[str] = []

    class Trap(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            heard.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.send_header("Content-Type", "application/sparql-results+json")
            self.end_headers()
            self.wfile.write(b'{"head":{"vars":[]},"results":{"bindings":[]}}')

        do_GET = do_POST = do_HEAD = do_PUT = _answer  # the names that the library calls

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Trap)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/trap", heard
    server.shutdown()
    thread.join()
    server.server_close()


SPELLINGS = (
    "SERVICE", "service", "SeRvIcE", "SERVICE SILENT", "service silent", "\\u0053ERVICE", "SER\\u0056ICE",
    "servic\\u0065", "\\U00000053ervice", "".join(f"\\u{ord(letter):04x}" for letter in "SERVICE"),
    "S\\u0045RV\\U00000049CE SILENT", "SERVICE\t", "SERVICE\n", "SERVICE # <urn:not>\n", "SERVICE #\r",
)  # fmt: skip
PLACES = (
    "SELECT * { %s <TRAP> { ?s ?p ?o } }",
    "SELECT*{%s<TRAP>{?s ?p ?o}}",
    "SELECT * { ?s ?p ?o . %s <TRAP> { ?s ?p ?o } }",
    "SELECT * { { SELECT * { { SELECT * { %s <TRAP> { ?s ?p ?o } } } } } }",
    "SELECT * { OPTIONAL { %s <TRAP> { ?s ?p ?o } } }",
    "SELECT * { { } UNION { %s <TRAP> { ?s ?p ?o } } }",
    "SELECT * { ?s ?p ?o MINUS { %s <TRAP> { ?s ?p ?o } } }",
    "SELECT * { GRAPH ?g { %s <TRAP> { ?s ?p ?o } } }",
    "ASK { FILTER EXISTS { %s <TRAP> { ?s ?p ?o } } }",
    "ASK { ?s ?p ?o FILTER NOT EXISTS { %s <TRAP> { ?s ?p ?o } } }",
    "SELECT (EXISTS { %s <TRAP> { ?s ?p ?o } } AS ?x) {}",
    "SELECT * { ?s ?p ?o } ORDER BY (EXISTS { %s <TRAP> { ?s ?p ?o } }) LIMIT 1",
    "CONSTRUCT { ?s ?p ?o } { %s <TRAP> { ?s ?p ?o } }",
    "DESCRIBE ?s { %s <TRAP> { ?s ?p ?o } }",
    "SELECT * { BIND (<TRAP> AS ?u) %s ?u { ?s ?p ?o } }",
    "SELECT * { VALUES ?u { <TRAP> } %s ?u { ?s ?p ?o } }",
    "PREFIX t: <TRAP> SELECT * { %s t: { ?s ?p ?o } }",
    "BASE <TRAP> SELECT * { %s <> { ?s ?p ?o } }",
    "# a comment\nSELECT * { # another: {\n %s <TRAP> { ?s ?p ?o } # and ' one more\n }",
    "SELECT * { ?s ?p '#' . %s <TRAP> { ?s ?p ?o } }",
    "SELECT * { ?s ?p \"it's\" . %s <TRAP> { ?s ?p ?o } } #'",
    'SELECT * { ?s ?p """a"b # """ . %s <TRAP> { ?s ?p ?o } }',
    "SELECT * { ?s <urn:a#b> '\\\\' . %s <TRAP> { ?s ?p ?o } } # '",
    "SELECT * { ?s <urn:a'b> ?o . %s <TRAP> { ?s ?p ?o } } #'",
)
LOADS = (
    "LOAD <TRAP>", "load <TRAP>", "LoAd SILENT <TRAP>", "LOAD <TRAP> INTO GRAPH <urn:g>", "\\u004cOAD <TRAP>",
    "# a comment\nLOAD <TRAP>", "PREFIX t: <TRAP> LOAD t:", "BASE <TRAP> LOAD <>", "CLEAR ALL ; LOAD <TRAP>",
    "INSERT DATA { <urn:a> <urn:b> <urn:c> } ; LOAD <TRAP>", "SELECT * {} ; LOAD <TRAP>",
)  # fmt: skip
REACHING_OUT = [place % spelling for place in PLACES for spelling in SPELLINGS] + list(LOADS)
# These name an address as a graph or a thing, which is permitted and never looked up.
HARMLESS = (
    "SELECT * FROM <TRAP> { ?s ?p ?o }",
    "SELECT * FROM NAMED <TRAP> { GRAPH ?g { ?s ?p ?o } }",
    "SELECT * { GRAPH <TRAP> { ?s ?p ?o } }",
    "DESCRIBE <TRAP>",
    "BASE <TRAP> ASK { <x> ?p ?o }",
)


def test_no_text_makes_the_endpoint_ask_another_server(
    client: TestClient, trap: tuple[str, list[str]]
) -> None:
    address, heard = trap
    for text in REACHING_OUT:
        query = text.replace("TRAP", address)
        answer = client.post("/sparql", data={"query": query})
        assert (answer.status_code, answer.json()["code"]) == (403, "FB-CAT-051"), query
    for query in (text.replace("TRAP", address) for text in LOADS):
        assert client.post("/sparql", data={"update": query}).status_code == 403
    for query in (text.replace("TRAP", address) for text in HARMLESS):
        answer = client.get("/sparql", params={"query": query})
        assert answer.status_code == 200, answer.text
    graphs = {"query": "ASK { ?s ?p ?o }", "default-graph-uri": address, "named-graph-uri": address}
    assert client.get("/sparql", params=graphs).json()["boolean"] is False
    assert heard == []


def test_no_text_gets_out_of_a_worker_even_past_the_check(
    folder: Path, trap: tuple[str, list[str]], change_worker: Callable[[str, str], None]
) -> None:
    change_worker('query_text.check(question["query"])', "query_text.Asked(None, None)")
    address, heard = trap
    pool = QueryPool(replace(Settings(), sparql_workers=1, sparql_timeout_s=5), folder)
    parsed = 0
    for text in REACHING_OUT:
        try:
            pool.ask(Question(text.replace("TRAP", address), visible=(), default_is_union=False))
            parsed += 1
        except CatalogueError as error:
            # Understood, and failed for want of a network.
            parsed += isinstance(error, QueryBusy)
    pool.close()
    assert heard == []
    # The corpus is no heap of malformed texts: the engine understood many of them.
    assert parsed > len(REACHING_OUT) / 3
