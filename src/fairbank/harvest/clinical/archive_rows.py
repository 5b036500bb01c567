"""Rows of an archive that keeps variables beside its images, such as the custom variables and forms of an XNAT."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Protocol, runtime_checkable

from fairbank.errors import Sensitive
from fairbank.harvest.clinical.mapping import Mapping
from fairbank.harvest.clinical.rows import Cell, Problem, SubjectRow
from fairbank.harvest.clinical.table_rows import check_column
from fairbank.harvest.clinical.values import Fault
from fairbank.harvest.sources.protocol import Source


class Named(Protocol):
    """What an archive says of one subject: the hospital number, and its variables by name."""

    @property
    def subject(self) -> Sensitive[str]:
        """Return what names the subject, as Patient ID (0010,0020) of its images does."""
        ...

    @property
    def values(self) -> Sensitive[dict[str, str]]:
        """Return its variables by name."""
        ...


@runtime_checkable
class KeepsVariables(Protocol):
    """A source that keeps variables of its subjects."""

    def custom_variables(self, container: str) -> Iterator[Named]:
        """Yield what is said of each subject of a container."""
        ...


class ArchiveRows:
    """The subjects of one container of a source; its columns are the names of variables.

    Raises:
        IdentifyingColumn: if a variable is mapped to a name that looks identifying.
    """

    version = "-"
    complete = True
    cursor = ""
    ignored: Collection[int] = ()

    def __init__(self, source: Source, keeper: KeepsVariables, container: str, mapping: Mapping) -> None:
        self.kind = source.kind.value
        self._source = source
        self._keeper = keeper
        self._container = container
        self._mapping = mapping
        for number, (name, rule) in enumerate(mapping.variables.items(), start=1):
            check_column(rule.column, rule, name, number=number)

    def rows(self) -> Iterator[SubjectRow]:
        """Yield one row per subject; the column of a message is the place of the variable in the mapping."""
        missing = {word.casefold() for word in self._mapping.missing} | {""}
        with contextlib.closing(self._source):
            for number, named in enumerate(self._keeper.custom_variables(self._container), start=1):
                if not named.subject.reveal().strip():
                    yield SubjectRow(number, None, problems=(Problem(number, 1, Fault.NO_SUBJECT),))
                    continue
                said = {name.strip().casefold(): text.strip() for name, text in named.values.reveal().items()}
                cells = {}
                for place, (name, rule) in enumerate(self._mapping.variables.items(), start=1):
                    text = said.get(rule.column.strip().casefold(), "")
                    reference = said.get((rule.reference or "").strip().casefold(), "")
                    if text.casefold() not in missing:
                        cells[name] = Cell(text, place, reference=reference)
                yield SubjectRow(number, named.subject, cells)
