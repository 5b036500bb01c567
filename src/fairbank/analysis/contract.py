"""The output contract of a tool: which columns a result has, of what type and in which unit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from fairbank.analysis.errors import RowsRefused

ROW_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")

Value = str | int | float | None
Row = Mapping[str, Value]


class RowStatus(Enum):
    """How the measuring of one series ended."""

    OK = "ok"
    IMPOSSIBLE = "impossible"
    ERROR = "error"


# Why the frame around a tool has no measurements of an item; among the words of every tool.
UNREADABLE, CRASHED = "unreadable", "crashed"
FRAME_REASONS = (UNREADABLE, CRASHED)


class ColumnType(Enum):
    """What kind of value a column holds."""

    NUMBER = "number"
    INTEGER = "integer"
    WORD = "word"
    ROW_ID = "row_id"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result.

    Args:
        name: the column's name.
        type: what it holds; words come from `words` only.
        unit: UCUM code, empty for a number without unit, None where a unit makes no sense.
        meaning: one sentence for readers.
        words: every word that may occur.
        biomarker: its code (`SCHEME:code`), where a terminology has one; schemes are those of DICOM PS3.16, section 8.
    """

    name: str
    type: ColumnType
    unit: str | None
    meaning: str
    words: tuple[str, ...] = ()
    biomarker: str | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """The columns of a tool's result, in order.

    Args:
        key: the columns that tell the rows of one site apart.
    """

    columns: tuple[Column, ...]
    key: tuple[str, ...] = ("row",)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the column names in order."""
        return tuple(column.name for column in self.columns)

    def check(self, rows: Sequence[Row]) -> None:
        """Refuse rows with a missing, foreign or ill-typed value.

        Raises:
            RowsRefused: naming the first column and row number at fault, never a value.
        """
        names = set(self.names)
        for number, row in enumerate(rows, start=1):
            if set(row) != names:
                raise _refused(number, "columns", "They are not those of the contract.")
            for column in self.columns:
                fault = _fault(column, row[column.name])
                if fault:
                    raise _refused(number, f"column {column.name!r}", fault)


def identity_columns(reasons: tuple[str, ...]) -> tuple[Column, ...]:
    """Return the columns that every contract begins with.

    Args:
        reasons: every word by which the tool or the frame around it says why an item was not measured.
    """
    statuses = tuple(status.value for status in RowStatus)
    return (
        Column("row", ColumnType.ROW_ID, None, "Pseudonym of the series, of this job only."),
        Column("status", ColumnType.WORD, None, "How the measuring ended.", statuses),
        Column("reason", ColumnType.WORD, None, "Why a series could not be measured in full.", reasons),
    )


def number_column(name: str, unit: str | None, meaning: str, *, biomarker: str | None = None) -> Column:
    """Return a column of numbers."""
    return Column(name, ColumnType.NUMBER, unit, meaning, biomarker=biomarker)


def rounded(value: float | None, digits: int) -> float | None:
    """Return a value with so many significant digits.

    >>> rounded(1234.5, 2)
    1200.0
    """
    return None if value is None else float(f"{value:.{digits - 1}e}")


def _fault(column: Column, value: Value) -> str:
    if value is None:
        return "It may not be empty." if column.type is ColumnType.ROW_ID or column.name == "status" else ""
    if isinstance(value, bool):
        return "It holds a truth value."
    match column.type:
        case ColumnType.NUMBER:
            sound = isinstance(value, int | float) and math.isfinite(value)
        case ColumnType.INTEGER:
            sound = isinstance(value, int)
        case ColumnType.WORD:
            sound = value in column.words
        case ColumnType.ROW_ID:
            sound = isinstance(value, str) and ROW_ID.fullmatch(value) is not None
    return "" if sound else f"It holds no {column.type.value} of the contract."


def _refused(number: int, place: str, why: str) -> RowsRefused:
    return RowsRefused(
        f"Result row {number} breaks the output contract in its {place}.",
        why=why,
        todo="The tool at this site and the approved contract must be the same version.",
    )
