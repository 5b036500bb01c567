"""RDF files as a snapshot for the query workers: every format, graphs, blank nodes, and bad files in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import rdf_files, service_description
from fairbank.catalogue.errors import RdfFileRefused
from fairbank.catalogue.query_pool import QueryPool, Question
from fairbank.catalogue.rdf_files import Loaded, RdfFile
from fairbank.settings import Settings
from fairbank.web.sparql_app import create_sparql_app

Write = Callable[[str, str], Path]
TRIPLE = ox.Triple(ox.NamedNode("urn:a"), ox.NamedNode("urn:b#c"), ox.Literal("Zürich"))
XML = '<?xml version="1.0"?>\n<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return make


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Callable[..., list[dict[str, str]]]]:
    """Load files and ask a query, by a worker."""
    pools: list[QueryPool] = []

    def ask(query: str, *files: RdfFile, **dataset: Any) -> list[dict[str, str]]:
        folder = tmp_path / f"rdf-{len(pools)}"
        loaded = rdf_files.load(files, folder)
        pools.append(QueryPool(Settings(), folder))
        question = Question(query, visible=loaded.graphs, default_is_union=False, **dataset)
        found = json.loads(pools[-1].ask(question).content)["results"]["bindings"]
        return [{name: cell["value"] for name, cell in row.items()} for row in found]

    yield ask
    for pool in pools:
        pool.close()


@pytest.mark.parametrize(
    ("ending", "form"),
    [
        (".ttl", ox.RdfFormat.TURTLE),
        (".nt", ox.RdfFormat.N_TRIPLES),
        (".nq", ox.RdfFormat.N_QUADS),
        (".trig", ox.RdfFormat.TRIG),
        (".jsonld", ox.RdfFormat.JSON_LD),
        (".rdf", ox.RdfFormat.RDF_XML),
        (".owl", ox.RdfFormat.RDF_XML),
        (".XML", ox.RdfFormat.RDF_XML),
    ],
)
def test_every_format_is_read_by_its_ending(tmp_path: Path, ending: str, form: ox.RdfFormat) -> None:
    path = tmp_path / f"one{ending}"
    ox.serialize([TRIPLE], output=str(path), format=form)
    assert rdf_files.load([RdfFile(path)], tmp_path / "rdf") == Loaded(1, ())
    assert rdf_files.load([RdfFile(path, "urn:g")], tmp_path / "named") == Loaded(1, ("urn:g",))


def test_triples_go_to_the_default_graph_or_to_their_own(write: Write, rows: Any) -> None:
    plain, named = write("plain.ttl", "<urn:a> <urn:p> 1 ."), write("named.ttl", "<urn:b> <urn:p> 2 .")
    quads = write("quads.trig", "<urn:c> <urn:p> 3 . <urn:own> { <urn:d> <urn:p> 4 }")
    files = (RdfFile(plain), RdfFile(named, "urn:g"), RdfFile(quads))
    assert rows("SELECT ?s { ?s ?p ?o } ORDER BY ?s", *files) == [{"s": "urn:a"}, {"s": "urn:c"}]
    assert rows("SELECT ?g ?s { GRAPH ?g { ?s ?p ?o } } ORDER BY ?g", *files) == [
        {"g": "urn:g", "s": "urn:b"},
        {"g": "urn:own", "s": "urn:d"},
    ]
    chosen = rows("SELECT ?s { ?s ?p ?o }", *files, default_graphs=["urn:own"], named_graphs=[])
    assert chosen == [{"s": "urn:d"}]


def test_a_triple_in_the_default_graph_and_another_counts_once(write: Write, rows: Any) -> None:
    path = write("one.ttl", "<urn:a> <urn:p> 1 .")
    count = rows("SELECT (COUNT(*) AS ?n) { ?s ?p ?o }", RdfFile(path), RdfFile(path, "urn:g"))
    assert count == [{"n": "1"}]


def test_blank_nodes_of_two_files_are_not_the_same(write: Write, rows: Any) -> None:
    one, other = write("one.nt", '_:x <urn:p> "1" .'), write("other.nt", '_:x <urn:p> "2" .')
    count = rows("SELECT (COUNT(DISTINCT ?s) AS ?n) { ?s ?p ?o }", RdfFile(one), RdfFile(other))
    assert count == [{"n": "2"}]


def test_relative_iris_are_of_the_file(write: Write, rows: Any) -> None:
    path = write("here.ttl", "<#a> <urn:p> 1 .")
    assert rows("SELECT ?s { ?s ?p ?o }", RdfFile(path)) == [{"s": path.as_uri() + "#a"}]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("bad.ttl", "<urn:a> <urn:b> 1 .\n<urn:c> <urn:d> .", ["bad.ttl", "Turtle", "line 2 column 17"]),
        ("bad.nt", "<urn:a> <urn:b> <urn:c> .\nnonsense .", ["bad.nt", "N-Triples", "line 2"]),
        ("bad.trig", "<urn:g> {\n <urn:a> }", ["bad.trig", "TriG", "line 2"]),
        ("bad.jsonld", '{"@id": "urn:a",\n "urn:b": }', ["bad.jsonld", "JSON-LD", "line 2"]),
        ("bad.rdf", XML + "<rdf:Description>\n</rdf:RDF>", ["bad.rdf", "RDF/XML", "line 4"]),
        ("bad.rdf", XML + '<rdf:Description rdf:nodeID="1 2"/></rdf:RDF>', ["bad.rdf", "RDF/XML"]),
        ("away.jsonld", '{"@context": "http://127.0.0.1:9/x", "@id": "urn:a"}', ["away.jsonld", "nothing is fetched"]),
        ("table.csv", "a,b", ["table.csv", ".ttl .nt .nq .trig .jsonld .rdf"]),
        ("none", "", ["none", "ending"]),
    ],
)  # fmt: skip
def test_a_bad_file_is_told_in_words(
    write: Write, tmp_path: Path, name: str, text: str, words: list[str]
) -> None:
    with pytest.raises(RdfFileRefused) as refused:
        rdf_files.load([RdfFile(write(name, text))], tmp_path / "rdf")
    assert [word for word in words if word not in str(refused.value)] == []
    assert refused.value.why
    assert refused.value.todo


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder.ttl").mkdir()
    for number, name in enumerate(("none.ttl", "folder.ttl")):
        with pytest.raises(RdfFileRefused, match=name):
            rdf_files.load([RdfFile(tmp_path / name)], tmp_path / f"rdf-{number}")


@pytest.mark.parametrize("iri", ["", "lungs", "urn:a b", "<urn:a>"])
def test_a_graph_is_named_by_an_iri(write: Write, tmp_path: Path, iri: str) -> None:
    with pytest.raises(RdfFileRefused, match="cannot name a graph"):
        rdf_files.load([RdfFile(write("one.ttl", ""), iri)], tmp_path / "rdf")


# -- served --------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(write: Write, tmp_path: Path) -> Iterator[TestClient]:
    files = [
        RdfFile(write("a.ttl", "<urn:a> <urn:p> 1 .")),
        RdfFile(write("b.ttl", "<urn:b> <urn:p> 2 ."), "urn:g"),
    ]
    loaded = rdf_files.load(files, tmp_path / "rdf")
    pool = QueryPool(Settings(), tmp_path / "rdf")
    yield TestClient(
        create_sparql_app(pool, graphs=loaded.graphs, port=8471), base_url="http://127.0.0.1:8471"
    )
    pool.close()


def test_files_are_described_by_what_is_true_of_them(served: TestClient) -> None:
    answer = served.get("/sparql", headers={"Accept": "application/n-triples"})
    assert "http://127.0.0.1:8471/sparql>" in answer.text
    assert service_description.SD + "feature" not in answer.text


def test_no_page_of_another_origin_reads_files_of_this_machine(served: TestClient) -> None:
    answer = served.get("/sparql", params={"query": "ASK {}"}, headers={"Origin": "https://app.example.org"})
    assert [name for name in answer.headers if name.startswith("access-control-")] == []
    assert served.get("/sparql", headers={"Host": "rebound.example.org:8471"}).status_code == 400
    assert served.get("/sparql", headers={"Host": "localhost:8471"}).status_code == 200


def test_nothing_but_the_endpoint_is_served(served: TestClient) -> None:
    for path in ("/", "/datasets", "/v1/hub", "/search", "/healthz"):
        assert served.get(path).status_code == 404
    assert served.post("/sparql", data={"update": "CLEAR ALL"}).status_code == 403
