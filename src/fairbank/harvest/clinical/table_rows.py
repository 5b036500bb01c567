"""Rows of a table file, by the columns that a mapping names."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from fairbank.errors import Sensitive
from fairbank.harvest.clinical.identifying import is_birth_date, name_identifies
from fairbank.harvest.clinical.mapping import Mapping, VariableRule
from fairbank.harvest.clinical.rows import Cell, Problem, SubjectRow
from fairbank.harvest.clinical.values import Fault
from fairbank.harvest.errors import BadMapping, IdentifyingColumn
from fairbank.harvest.table_files import Table, TableRow, read_table
from fairbank.ontology.variables import VariableKind


class TableRows:
    """The rows of one file; columns are checked before the first row is read.

    Raises:
        BadTable: if it is no table.
        BadMapping: if a column is not there.
        IdentifyingColumn: if a variable is mapped to a column that looks identifying.
    """

    kind = "table"
    version = "-"
    complete = True
    cursor = ""

    def __init__(self, path: Path, mapping: Mapping) -> None:
        table = read_table(path, mapping.table.form())
        self._table = table
        self._mapping = mapping
        self._subject = _place(table, mapping.subject.column, "subject")
        self._columns = {name: _place(table, rule.column, name) for name, rule in mapping.variables.items()}
        self._references = {
            name: _place(table, rule.reference, name)
            for name, rule in mapping.variables.items()
            if rule.reference is not None
        }
        for name, rule in mapping.variables.items():
            check_column(table.columns[self._columns[name]], rule, name, number=self._columns[name] + 1)
            if self._columns[name] == self._subject:
                raise refused(name, self._subject + 1)
        used = {self._subject, *self._columns.values(), *self._references.values()}
        self.ignored: Collection[int] = [at + 1 for at in range(len(table.columns)) if at not in used]

    def rows(self) -> Iterator[SubjectRow]:
        """Yield the rows in the order of the file."""
        missing = {word.casefold() for word in self._mapping.missing} | {""}
        for row in self._table.rows:
            if row.ragged:
                yield SubjectRow(row.number, None, problems=(Problem(row.number, 1, Fault.RAGGED),))
                continue
            subject, fault = self._subject_of(row)
            if fault is not None:
                problem = Problem(row.number, self._subject + 1, fault)
                yield SubjectRow(row.number, None, problems=(problem,))
                continue
            problems = tuple(
                Problem(row.number, at + 1, Fault.BROKEN)
                for at in sorted({*self._columns.values()} & row.broken)
            )
            cells = {
                name: self._cell(row, name, at)
                for name, at in self._columns.items()
                if row.cells[at].strip().casefold() not in missing
            }
            yield SubjectRow(row.number, Sensitive(subject, reference="a subject"), cells, problems)

    def _cell(self, row: TableRow, name: str, at: int) -> Cell:
        reference = self._references.get(name)
        return Cell(
            row.cells[at].strip(),
            at + 1,
            reference=row.cells[reference].strip() if reference is not None else "",
            typed=at in row.numbers,
        )

    def _subject_of(self, row: TableRow) -> tuple[str, Fault | None]:
        text = row.cells[self._subject].strip()
        if self._subject in row.broken:
            return "", Fault.BROKEN
        if text.casefold() in {"", *(word.casefold() for word in self._mapping.missing)}:
            return "", Fault.NO_SUBJECT
        if self._subject in row.numbers:
            if self._mapping.subject.width is None or not text.isdecimal():
                return "", Fault.LOST_ZEROS
            text = text.zfill(self._mapping.subject.width)
        return text, None


def check_column(column: str, rule: VariableRule, name: str, *, number: int) -> None:
    """Refuse a column that is called like something identifying; an age may be made from a date of birth.

    Raises:
        IdentifyingColumn: if it is.
    """
    if rule.kind is VariableKind.AGE_BAND and is_birth_date(column):
        return
    if name_identifies(column):
        raise refused(name, number)


def refused(name: str, number: int) -> IdentifyingColumn:
    """Return the error for a variable whose column looks identifying."""
    return IdentifyingColumn(
        f"The variable {name} is mapped to column {number}, which looks identifying.",
        why="Names, birth dates, addresses, numbers of people and free text are no clinical variables.",
        todo="Map another column, or rename this one if its name misleads.",
    )


def _place(table: Table, column: str, name: str) -> int:
    at = table.place(column)
    if at is None:
        raise BadMapping(
            f"The table has no column for {name!r} under the name that the mapping gives.",
            why=f"It has {len(table.columns)} columns; capitals and blanks around a name do not matter.",
            todo="Correct 'column' in the mapping, or 'header_row' if the names stand further down.",
        )
    return at
