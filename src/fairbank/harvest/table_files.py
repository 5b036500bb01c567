"""Tables that a curator has: CSV in the encodings and with the delimiters that occur, and Excel, without guessing.

Cells come as text. What a spreadsheet has done to a value (a lost zero, a date as a number, a merged cell) cannot be
undone, so it is refused where it matters and said by row and column number, never by the value.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final, NoReturn

from fairbank.errors import MissingExtra
from fairbank.harvest.errors import BadTable

ENCODINGS: Final = ("utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1")
DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t"}
EXCEL: Final = frozenset({".xlsx", ".xlsm"})
PARQUET: Final = ".parquet"
_SAMPLE_BYTES: Final = 1 << 16
_LARGEST_CELL: Final = 1 << 17


@dataclass(frozen=True, slots=True)
class TableForm:
    """How a table file is to be read; what is not said is found out, or refused if it cannot be.

    Attributes:
        encoding: one of `ENCODINGS`, for CSV.
        delimiter: one of the words of `DELIMITERS`, for CSV.
        sheet: name of the sheet, for Excel.
        header_row: in which row the columns are named, from 1.
    """

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header_row: int = 1


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: its number as a spreadsheet shows it, and its cells in the order of the columns.

    Attributes:
        numbers: places of cells that the file keeps as numbers, so that leading zeros are lost.
        broken: places of cells that hold an error of the spreadsheet.
        ragged: whether the row has not as many cells as there are columns; then it has none.
    """

    number: int
    cells: tuple[str, ...]
    numbers: frozenset[int] = frozenset()
    broken: frozenset[int] = frozenset()
    ragged: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a table, and its rows to be read once; rows without any value are left out."""

    columns: tuple[str, ...]
    rows: Iterator[TableRow]

    def place(self, column: str) -> int | None:
        """Return where a column is, by its name without regard to case and blanks around it."""
        wanted = column.strip().casefold()
        return next((at for at, name in enumerate(self.columns) if name.casefold() == wanted), None)


def read_table(path: Path, form: TableForm | None = None) -> Table:
    """Open a table; rows are read as they are asked for.

    Raises:
        BadTable: if it is no table that can be read without guessing.
        MissingExtra: if it is Excel or Parquet and the library for it is not installed.
    """
    form = form or TableForm()
    if not path.is_file():
        _refuse("The table cannot be read.", "There is no such file.", "Check its name.")
    suffix = path.suffix.lower()
    if suffix == ".xls":
        _refuse("The table is an Excel file of the old form.", "Only .xlsx is read.", "Save it as .xlsx.")
    if suffix in EXCEL:
        rows = _excel(path, form)
    elif suffix == PARQUET:
        rows = _parquet(path)
    else:
        rows = _csv(path, form)
    columns = _header(rows, form.header_row)
    return Table(columns, _body(rows, len(columns)))


def _header(rows: Iterator[TableRow], at: int) -> tuple[str, ...]:
    cells = next((row.cells for row in rows if row.number >= at), ())
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    names = tuple(cell.strip() for cell in cells)
    if not names or not all(names):
        gap = names.index("") + 1 if "" in names else 1
        _refuse(
            f"The table has no name for its column {gap}.",
            f"Columns are found by the names in row {at}.",
            "Name every column, or say in which row the names are (header_row).",
        )
    folded = [name.casefold() for name in names]
    if twin := next((at for at, name in enumerate(folded) if name in folded[:at]), None):
        _refuse(
            f"The columns {folded.index(folded[twin]) + 1} and {twin + 1} of the table have the same name.",
            "It would not be known which of them is meant.",
            "Rename one of them.",
        )
    return names


def _body(rows: Iterator[TableRow], width: int) -> Iterator[TableRow]:
    for row in rows:
        cells = row.cells
        while len(cells) > width and not cells[-1].strip():
            cells = cells[:-1]
        if not any(cell.strip() for cell in cells) and not row.broken:
            continue
        if len(cells) != width:
            yield TableRow(row.number, (), ragged=True)
        else:
            yield TableRow(row.number, cells, row.numbers, row.broken)


# -- CSV -------------------------------------------------------------------------------------------------------------


def _csv(path: Path, form: TableForm) -> Iterator[TableRow]:
    encoding = form.encoding or _encoding(path)
    if encoding not in ENCODINGS:
        _refuse(
            "The table's encoding is none that is read.",
            f"Those are: {', '.join(ENCODINGS)}.",
            "Correct 'encoding', or save the table as UTF-8.",
        )
    if form.delimiter is not None and form.delimiter not in DELIMITERS:
        _refuse(
            "The table's delimiter is none that is read.",
            f"Those are: {', '.join(DELIMITERS)}.",
            "Correct 'delimiter'.",
        )
    if encoding == "utf-8":
        encoding = "utf-8-sig"  # the same, without the mark that Excel puts in front
    csv.field_size_limit(_LARGEST_CELL)
    delimiter = DELIMITERS[form.delimiter] if form.delimiter else _delimiter(path, encoding, form.header_row)
    return _csv_rows(path, encoding, delimiter)


def _csv_rows(path: Path, encoding: str, delimiter: str) -> Iterator[TableRow]:
    number = 0
    try:
        with path.open(encoding=encoding, newline="") as file:
            for number, cells in enumerate(csv.reader(file, delimiter=delimiter, strict=True), start=1):
                yield TableRow(number, tuple(cells))
    except UnicodeDecodeError:
        # Without its cause, which quotes the bytes.
        _refuse(
            f"The table is not {encoding} text, somewhere after row {number}.",
            "A letter in it is written in another encoding.",
            f"Save it as UTF-8, or say which encoding it has: {', '.join(ENCODINGS)}.",
        )
    except csv.Error:
        _refuse(
            f"The table's row {number + 1} cannot be read.",
            "A quotation mark is not closed, or a cell is very long.",
            "Look at this row in a text editor.",
        )


def _encoding(path: Path) -> str:
    """Return UTF-8 or UTF-16 where the file proves it, else cp1252, in which Excel of Western Europe writes."""
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if b"\0" in start:
            _refuse("The file is no table.", "It holds bytes that no text has.", "Save it as CSV or .xlsx.")
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while start:
                decoder.decode(start)
                start = file.read(_SAMPLE_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _delimiter(path: Path, encoding: str, header_row: int) -> str:
    """Return what separates the names of the columns; the decimal comma of a row below cannot mislead."""
    best, most = ",", 0
    for delimiter in DELIMITERS.values():
        rows = _csv_rows(path, encoding, delimiter)
        names = next((row.cells for row in rows if row.number >= header_row), ())
        if len(names) > most:
            best, most = delimiter, len(names)
    return best


# -- Excel and Parquet -----------------------------------------------------------------------------------------------


def _excel(path: Path, form: TableForm) -> Iterator[TableRow]:
    try:
        import openpyxl
    except ImportError as err:
        raise MissingExtra.named("tables", needed_for="An Excel table") from err
    try:
        book = openpyxl.load_workbook(path, data_only=True)
    except Exception:  # noqa: BLE001 - the library fails in many ways on a damaged file, some with its texts
        _refuse(
            "The Excel file cannot be read.", "It is damaged, or protected.", "Save it anew, unprotected."
        )
    names = book.sheetnames
    if form.sheet is None and len(names) > 1:
        _refuse(
            f"The Excel file has {len(names)} sheets.",
            "It is not known which of them is meant.",
            'Name one: sheet = "…".',
        )
    if form.sheet is not None and form.sheet not in names:
        _refuse(
            "The Excel file has no sheet of the name in 'sheet'.",
            f"It has {len(names)} others.",
            "Correct the name, with its capitals.",
        )
    sheet = book[form.sheet or names[0]]
    if merged := [cells for cells in sheet.merged_cells.ranges if cells.max_row >= form.header_row]:
        first = min(merged, key=lambda cells: (cells.min_row, cells.min_col))
        _refuse(
            f"The Excel sheet has merged cells, the first at row {first.min_row}, column {first.min_col}.",
            "Only the first of them holds the value; the others would be read as empty.",
            "Unmerge them, and write the value into each.",
        )
    return _excel_rows(sheet)


def _excel_rows(sheet: Any) -> Iterator[TableRow]:
    for number, row in enumerate(sheet.iter_rows(), start=1):
        numbers = frozenset(
            at for at, cell in enumerate(row) if isinstance(cell.value, int | float) and cell.data_type == "n"
        )
        broken = frozenset(at for at, cell in enumerate(row) if cell.data_type == "e")
        cells = tuple("" if at in broken else _text(cell.value) for at, cell in enumerate(row))
        yield TableRow(number, cells, numbers, broken)


def _parquet(path: Path) -> Iterator[TableRow]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as err:
        raise MissingExtra.named("parquet", needed_for="A Parquet table") from err
    try:
        file = parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException):
        _refuse("The Parquet file cannot be read.", "It is damaged, or no Parquet.", "Write it anew.")
    return _parquet_rows(file)


def _parquet_rows(file: Any) -> Iterator[TableRow]:
    columns: Sequence[str] = file.schema_arrow.names
    yield TableRow(1, tuple(map(str, columns)))
    number = 1
    for batch in file.iter_batches(batch_size=10_000):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            number += 1
            numbers = frozenset(
                at
                for at, value in enumerate(row)
                if isinstance(value, int | float) and not isinstance(value, bool)
            )
            yield TableRow(number, tuple(_text(value) for value in row), numbers)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def _refuse(what: str, why: str, todo: str) -> NoReturn:
    raise BadTable(what, why=why, todo=todo) from None
