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
# An archive that ignores `offset` gives its first page for ever.
_PAGES_OF_THE_SAME = 6

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
        self._largest = 0
        self._furthest = 0

    def read(self) -> Table:
        """Return all rows; they are whole when enough passes have shown nothing that was not there before.

        In a steady order three passes are the same. In none, a pass leaves each row out with a chance of about 1/e, so
        the number of passes grows with the logarithm of the number of rows.
        """
        passes: set[tuple[tuple[str, ...], ...]] = set()
        for number in range(1, _MOST_PASSES + 1):
            before = len(self._seen)
            passes.add(tuple(self._pass()))
            steady = len(passes) == 1 and self._seen
            wanted = 3 if steady else math.ceil(math.log(max(len(self._seen), 1) / _CHANCE_OF_A_LOST_ROW))
            if len(self._seen) == before and number >= wanted:
                return Table(list(self._seen.values()), whole=True)
        return Table(list(self._seen.values()), whole=False)

    def _pass(self) -> list[tuple[str, ...]]:
        """Read page after page, until so many in a row are empty that this is no gap made by rights.

        Returns the keys of all rows, as they came.
        """
        came: list[tuple[str, ...]] = []
        offset, gap, empty, same = 0, 0, 0, 0
        before: list[tuple[str, ...]] = []
        while not self._is_over(offset, gap, empty) and same < _PAGES_OF_THE_SAME:
            keys = self._page(offset)
            same = same + 1 if keys and keys == before else 0
            before = keys
            came += keys
            # By what came, not by what was asked: a cap may be lower than the page.
            step = len(keys) or self._largest or PAGE_ROWS
            offset += step
            if keys:
                gap, empty = 0, 0
                self._furthest = max(self._furthest, offset)
            else:
                gap, empty = gap + step, empty + 1
        return came

    def _is_over(self, offset: int, gap: int, empty: int) -> bool:
        """Tell whether a pass is at its end: beyond every row seen, after two empty pages at the least.

        Where pages are small, two may be empty by chance: then the gap has to be as long as what was seen.
        """
        return empty >= 2 and offset >= self._furthest and gap >= min(len(self._seen), 2 * PAGE_ROWS)

    def _page(self, offset: int) -> list[tuple[str, ...]]:
        """Read one page and return the keys of its rows."""
        page = {"limit": str(PAGE_ROWS), "offset": str(offset)}
        rows = self._ask(self._query.path, self._query.parameters(**page), _result).rows
        _check(rows, self._query, self._archive)
        keys = [_key(row, self._query) for row in rows]
        self._seen.update(zip(keys, rows, strict=True))
        self._largest = max(self._largest, len(rows))
        return keys


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
