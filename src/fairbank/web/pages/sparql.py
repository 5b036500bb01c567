"""Asking by SPARQL in a browser: examples, a check, a run, rows page by page; programs get the protocol here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from fairbank.catalogue import negotiation, query_examples, sparql
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import QueryForbidden, QueryMalformed
from fairbank.catalogue.query_pool import Answer
from fairbank.catalogue.query_turns import caller_of
from fairbank.catalogue.sparql_routes import PATH
from fairbank.catalogue.visibility import visible_graphs
from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.web.languages import mark
from fairbank.web.pages.page import Menu, Page
from fairbank.web.pages.visits import Visit

ROWS_PER_PAGE: Final = 100
_CHECK: Final = "check"
_ROWS, _GRAPH = negotiation.ROW_FORMATS[0], negotiation.GRAPH_FORMATS[0]
# The reader of queries says where it stopped as line and column.
_PLACE: Final = re.compile(r"\b(\d{1,6}):(\d{1,6})\b")


@dataclass(frozen=True, slots=True)
class Cell:
    """A term of a row, and where it leads within this hub."""

    text: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a query has no answer; line and column where it could not be read, from 1, and 0 where that is not known."""

    what: str
    why: str
    todo: str
    line: int = 0
    column: int = 0
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Sparql:
    """`sparql.html`.

    Attributes:
        checked: whether the query was read without being run, and can be run.
        total: rows of the whole answer; None where there is none.
        truth: the answer of an ASK.
        graph: the answer of a CONSTRUCT or DESCRIBE, as Turtle.
    """

    query: str
    examples: tuple[tuple[str, str, str], ...]
    wrong: Wrong | None
    checked: bool
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int | None
    first: int
    previous: str
    following: str
    truth: bool | None
    graph: str
    share: str
    command: str
    seconds: int


def show(hub: Hub, visit: Visit) -> Sparql:
    """Put the page together; a query that cannot be answered stays in its field, with what is wrong."""
    query = visit.asked.get("query", "")
    checks = visit.asked.get("do") == _CHECK
    said = visit.asked.get("from", "")
    first = int(said) if said.isdecimal() and len(said) < 8 else 0
    wrong, answer = None, None
    if query.strip():
        try:
            answer = _answer(hub, visit, query, checks=checks)
        except FairbankError as error:
            wrong = _wrong(query, error)
    columns, rows, truth, graph = (
        _read(hub, answer) if answer is not None and not checks else ((), [], None, "")
    )
    first = first if first < len(rows) else 0
    steps = (max(first - ROWS_PER_PAGE, 0) if first else None, first + ROWS_PER_PAGE)
    previous, following = (_address(query, at) if at is not None and at < len(rows) else "" for at in steps)
    return Sparql(
        query=query or query_examples.EXAMPLES[0].query,
        examples=tuple((each.name, each.question, _address(each.query)) for each in query_examples.EXAMPLES),
        wrong=wrong,
        checked=checks and answer is not None,
        columns=columns,
        rows=tuple(rows[first : first + ROWS_PER_PAGE]),
        total=len(rows) if answer is not None and columns else None,
        first=first + 1,
        previous=previous,
        following=following,
        truth=truth,
        graph=graph,
        share=hub.base_iri + _address(query) if query.strip() else "",
        command=f"curl -G {hub.base_iri}{PATH} -H 'Accept: text/csv' --data-urlencode query@question.rq",
        seconds=round(hub.settings.sparql_timeout_s),
    )


def _answer(hub: Hub, visit: Visit, query: str, *, checks: bool) -> Answer:
    """Return the answer; of a check that over no graph at all, which takes no time."""
    with reading(hub.engine) as session:
        visible = () if checks else tuple(visible_graphs(session, hub.base_iri, visit.who))
    return sparql.ask(
        hub.queries,
        sparql.Asking(query.replace("\r\n", "\n")),
        visible=visible,
        accept=f"{_ROWS}, {_GRAPH}",
        caller=caller_of(visit.who.name if visit.who else None, visit.host or None),
    )


def _read(hub: Hub, answer: Answer) -> tuple[tuple[str, ...], list[tuple[Cell, ...]], bool | None, str]:
    if answer.media_type != _ROWS:
        return (), [], None, answer.content.decode()
    told = json.loads(answer.content)
    if "boolean" in told:
        return (), [], bool(told["boolean"]), ""
    columns = tuple(told["head"]["vars"])
    rows = [tuple(_cell(hub, row.get(column)) for column in columns) for row in told["results"]["bindings"]]
    return columns, rows, None, ""


def _cell(hub: Hub, term: Mapping[str, Any] | None) -> Cell:
    if term is None:
        return Cell("")
    text, datasets = str(term["value"]), f"{hub.base_iri}/datasets/"
    if term["type"] != "uri" or not text.startswith(datasets):
        return Cell(text)
    name = text.removeprefix(datasets)
    plain = re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", name)
    return Cell(text, f"/collections/{name}" if plain else "")


def _wrong(query: str, error: FairbankError) -> Wrong:
    """Return what is wrong with a query, and where, if its reader said so."""
    text, lines = f"{error.what} {error.why}", query.replace("\r\n", "\n").split("\n")
    found = _PLACE.search(text) if isinstance(error, QueryMalformed) else None
    if found is None or isinstance(error, QueryForbidden):
        return Wrong(error.what, error.why, error.todo)
    line, column = int(found[1]), int(found[2])
    if not 1 <= line <= len(lines):
        return Wrong(error.what, error.why, error.todo)
    stood = lines[line - 1]
    return Wrong(error.what, error.why, error.todo, line, column, stood[: column - 1], stood[column - 1 :])


def _address(query: str, first: int = 0) -> str:
    pairs = [("query", query), *([("from", str(first))] if first else [])]
    return f"{PATH}?{urlencode(pairs)}"


PAGE = Page(
    name="sparql",
    path=PATH,
    context=Sparql,
    show=show,
    elsewhere=(negotiation.JSON, *negotiation.ROW_FORMATS, *negotiation.GRAPH_FORMATS),
    menu=Menu(mark("SPARQL"), 80),
)
