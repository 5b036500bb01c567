"""XNAT's REST tables as they have to be read: nothing in them is ordered, whole or named as asked until it is proven.

Traps, each of which has lost somebody's rows:
- a column that the archive does not know is left out without a word, and one that names a more special type than
  was asked for hides the rows of all other types;
- a page is cut out of rows in no order, and what the user may not read is taken out of it afterwards: a short or an
  empty page is not the end, and the pages of one listing may overlap and leave rows out;
- a paged answer does not say how many rows there are.

Source: XNAT's server code (NrgXnat/xnat: SecureResource, QueryOrganizerResource, ExperimentListResource).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from fairbank.harvest.errors import ColumnsLeftOut, QueryRefused
from fairbank.harvest.sources.polite import Answer

PAGE_ROWS = 1000
# A row that no pass has shown, in any listing that is asked for, must be less likely than this.
_CHANCE_OF_A_LOST_ROW = 1e-6
_MOST_PASSES = 40

Row = dict[str, str]
Ask = Callable[[str, dict[str, str], Callable[[Answer], "_Result"]], "_Result"]


@dataclass(frozen=True, slots=True)
class Query:
    """A table to ask for.

    Attributes:
        columns: what to ask for, as XNAT spells it.
        needed: those without which the rows say nothing; as they come back, in lower case.
        key: columns whose values tell one row from another, in lower case.
        filters: what the rows are chosen by.
    """

    path: str
    columns: tuple[str, ...]
    needed: tuple[str, ...] = ("id",)
    key: tuple[str, ...] = ("id",)
    filters: tuple[tuple[str, str], ...] = ()

    def parameters(self, **page: str) -> dict[str, str]:
        """Return the query's parameters, with those of a page."""
        return {"columns": ",".join(self.columns), "format": "json", **dict(self.filters), **page}


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table, keys in lower case, and whether it is known that all came."""

    rows: list[Row]
    whole: bool


@dataclass(frozen=True, slots=True)
class _Result:
    rows: list[Row]
    total: int | None


def read_table(ask: Ask, query: Query, *, archive: str) -> Table:
    """Return a whole table: in one answer where the archive gives one, else put together from pages.

    Args:
        ask: sends a GET of a path with parameters, and reads the answer.
        query: what to ask for.
        archive: what messages call the archive.

    Raises:
        ColumnsLeftOut: if a needed column does not come back.
        SourceFailed: if an answer is no table.
    """
    for page in ({"limit": "*"}, {}):
        try:
            result = ask(query.path, query.parameters(**page), _result)
        except QueryRefused:
            # `limit` is understood since XNAT 1.8.9, and `*` not by everything that stands in front of one.
            continue
        if result.total is not None:
            _check(result.rows, query, archive)
            return Table(_once(result.rows, query), result.total == len(result.rows))
    return _Paged(ask, query, archive).read()


class _Paged:
    """Puts a table together from pages that are in no order."""

    def __init__(self, ask: Ask, query: Query, archive: str) -> None:
        self._ask = ask
        self._query = query
        self._archive = archive
        self._seen: dict[tuple[str, ...], Row] = {}
        self._first: list[tuple[str, ...]] | None = None
        self._steady = True

    def read(self) -> Table:
        """Return all rows; they are whole when enough passes have shown nothing that was not there before.

        In a steady order two passes agree. In none, a pass leaves each row out with a chance of at most 1/e, so the
        number of passes grows with the logarithm of the number of rows.
        """
        quiet = 0
        for number in range(1, _MOST_PASSES + 1):
            before = len(self._seen)
            self._pass()
            quiet = quiet + 1 if len(self._seen) == before and number > 1 else 0
            wanted = (
                2 if self._steady else math.ceil(math.log(max(len(self._seen), 1) / _CHANCE_OF_A_LOST_ROW))
            )
            if quiet and number >= wanted:
                return Table(list(self._seen.values()), whole=True)
        return Table(list(self._seen.values()), whole=False)

    def _pass(self) -> None:
        offset, empty = 0, 0
        # An archive that ignores `offset` gives its first page for ever.
        while empty < 2 and offset <= 2 * len(self._seen) + 4 * PAGE_ROWS:
            page = {"limit": str(PAGE_ROWS), "offset": str(offset)}
            rows = self._ask(self._query.path, self._query.parameters(**page), _result).rows
            _check(rows, self._query, self._archive)
            keys = [_key(row, self._query) for row in rows]
            if offset == 0:
                self._steady = self._steady and self._first in (None, keys)
                self._first = keys
            self._seen.update(zip(keys, rows, strict=True))
            empty = 0 if rows else empty + 1
            # By what came, not by what was asked: a cap may be lower than the page.
            offset += len(rows) or PAGE_ROWS


def _result(answer: Answer) -> _Result:
    """Read a table; a ValueError, KeyError or TypeError says that it is none."""
    result = json.loads(answer.content)["ResultSet"]
    rows = [
        {str(name).lower(): str(value or "") for name, value in dict(row).items()} for row in result["Result"]
    ]
    total = result.get("totalRecords")
    return _Result(rows, None if total is None else int(total))


def _check(rows: list[Row], query: Query, archive: str) -> None:
    if not rows or set(query.needed) <= set(rows[0]):
        return
    missing = len(set(query.needed) - set(rows[0]))
    raise ColumnsLeftOut(
        f"The archive {archive} left out {missing} of the columns that were asked for.",
        why="An XNAT leaves out what it does not know without a word, and rows without their ids say nothing.",
        todo="Look at the archive's version and log; nothing of this listing was used.",
    )


def _once(rows: list[Row], query: Query) -> list[Row]:
    return list({_key(row, query): row for row in rows}.values())


def _key(row: Row, query: Query) -> tuple[str, ...]:
    return tuple(row.get(name, "") for name in query.key)
