"""What the import takes from a table, a REDCap project or a FHIR server: one row of cells per subject and time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fairbank.errors import Sensitive
from fairbank.harvest.clinical.values import Fault


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one cell.

    Attributes:
        column: number of its column, from 1, for messages.
        reference: the cell of the date at which an age is counted.
        typed: whether its file keeps it as a number.
    """

    text: str
    column: int
    reference: str = ""
    typed: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row or cell is left out: where, and a word; never what stands there."""

    row: int
    column: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """One row: whose it is, by hospital number, and its cells by variable.

    Attributes:
        problems: what is already known to be wrong with it.
        whole: whether this is all that the source has of the subject, so that other values of it go.
    """

    number: int
    subject: Sensitive[str] | None
    cells: Mapping[str, Cell] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    whole: bool = False


class Rows(Protocol):
    """Where rows come from.

    Attributes:
        kind: what the run is said to have read: table, redcap, fhir.
        version: the version of the source, where it tells one; else `-`.
        complete: whether these are all rows, and not only those that changed.
        ignored: numbers of the columns that no variable uses.
        cursor: after the rows were read: from where to ask the next time, empty where that is not possible.
    """

    kind: str
    version: str
    complete: bool
    ignored: Collection[int]
    cursor: str

    def rows(self) -> Iterator[SubjectRow]:
        """Yield all rows, once."""
        ...
