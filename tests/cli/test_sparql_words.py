"""`fairbank sparql`: where the query comes from, what is printed, and mistakes of the person who types."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairbank.catalogue.query_examples import EXAMPLES

Run = Callable[..., Any]
ROWS = {
    "head": {"vars": ["d", "n"]},
    "results": {
        "bindings": [{"d": {"type": "uri", "value": "urn:a,b"}, "n": {"type": "literal", "value": "3"}}, {}]
    },
}
GRAPH = "<urn:a> <urn:b> <urn:c> .\n"


class Asked:
    """Stands in for the hub: remembers what came, and answers rows, a graph or a truth."""

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.accepted: list[str] = []

    def answer(self, query: str, *, accept: str) -> Any:
        self.queries.append(query)
        self.accepted.append(accept)
        if query.startswith("CONSTRUCT"):
            media_type = next(one for one in ("text/turtle", "application/ld+json") if one in accept)
            return SimpleNamespace(content=GRAPH.encode(), media_type=media_type)
        found = {"head": {}, "boolean": False} if query.startswith("ASK") else ROWS
        return SimpleNamespace(
            content=json.dumps(found).encode(), media_type="application/sparql-results+json"
        )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    from fairbank.web.api_client import HubApi

    hub = Asked()
    monkeypatch.setattr(
        HubApi, "sparql_answer", lambda self, query, *, accept: hub.answer(query, accept=accept)
    )
    yield hub


@pytest.mark.parametrize("verb", [[], ["ask"]])
def test_the_query_may_stand_on_the_line(fairbank: Run, asked: Asked, verb: list[str]) -> None:
    fairbank("sparql", *verb, "SELECT ?d ?n {}").ok()
    assert asked.queries == ["SELECT ?d ?n {}"]


def test_the_query_may_be_in_a_file(fairbank: Run, asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "question.rq").write_text('SELECT ?d ?n { BIND("Zürich" AS ?d) }', encoding="utf-8")
    fairbank("sparql", "--file", tmp_path / "question.rq").ok()
    assert asked.queries == ['SELECT ?d ?n { BIND("Zürich" AS ?d) }']


@pytest.mark.parametrize("words", [["-"], ["--file", "-"], ["ask", "-"]])
def test_the_query_may_come_from_standard_input(
    fairbank: Run, asked: Asked, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("ASK {}"))
    fairbank("sparql", *words).ok()
    assert asked.queries == ["ASK {}"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.name)
def test_the_query_may_be_an_example(fairbank: Run, asked: Asked, example: Any) -> None:
    fairbank("sparql", "--example", example.name).ok()
    assert asked.queries == [example.query]


def test_rows_are_printed_in_three_formats(fairbank: Run, asked: Asked) -> None:
    table = fairbank("sparql", "SELECT ?d ?n {}").ok().out
    assert table.split() == ["d", "n", "urn:a,b", "3"]
    as_json = json.loads(fairbank("sparql", "SELECT ?d ?n {}", "--format", "json").ok().out)
    assert as_json == [{"d": "urn:a,b", "n": "3"}, {"d": None, "n": None}]
    as_csv = fairbank("sparql", "--format", "csv", "SELECT ?d ?n {}").ok().out
    assert list(csv.reader(io.StringIO(as_csv))) == [["d", "n"], ["urn:a,b", "3"], ["", ""]]
    assert fairbank("sparql", "ASK {}").ok().out.split() == ["answer", "no"]


def test_a_graph_is_printed_as_it_comes(fairbank: Run, asked: Asked) -> None:
    assert fairbank("sparql", "CONSTRUCT WHERE {}").ok().out == GRAPH
    fairbank("sparql", "CONSTRUCT WHERE {}", "--format", "json").ok()
    assert ["text/turtle" in one for one in asked.accepted] == [True, False]
    assert "application/ld+json" in asked.accepted[1]


def test_the_examples_are_listed(fairbank: Run) -> None:
    shown = fairbank("sparql", "examples").ok().out
    assert [one.name for one in EXAMPLES if one.name not in shown or one.question not in shown] == []
    listed = json.loads(fairbank("sparql", "examples", "--format", "json").ok().out)
    assert [(one["name"], one["query"]) for one in listed] == [(one.name, one.query) for one in EXAMPLES]
    assert fairbank("sparql", "examples", "vendors").ok().out.startswith("SELECT ?modality ?manufacturer")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["ask"],
        ["ASK {}", "--file", "x.rq"],
        ["ASK {}", "--example", "vendors"],
        ["--file", "-", "--example", "x"],
    ],
)
def test_no_query_or_two_are_refused(fairbank: Run, words: list[str]) -> None:
    fairbank("sparql", *words).refused("give either a query or --file or --example", code=2)


@pytest.mark.parametrize("words", [["--example", "vendor"], ["examples", "vendor"]])
def test_an_unknown_example_is_refused_with_those_that_there_are(fairbank: Run, words: list[str]) -> None:
    fairbank("sparql", *words).refused("no example 'vendor'", "vendors", "thin-chest-ct", code=2)


def test_a_file_that_is_not_there_is_refused(fairbank: Run, tmp_path: Path) -> None:
    fairbank("sparql", "--file", tmp_path / "none.rq").refused("FB-CLI-004", "none.rq", code=2)
