"""A table of series as a source: CSV, Excel or Parquet, one row per series, with a mapping file of its columns.

For archives that a registry or an export describes. The table is read again for each look; nothing is fetched.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NoReturn

from pydantic import Field, ValidationError

from fairbank.harvest.clinical.mapping import TableSection
from fairbank.harvest.errors import BadMapping, BadRow, HarvestError, NotInSource
from fairbank.harvest.sources.protocol import (
    Capability,
    Checked,
    Container,
    Described,
    Instance,
    Item,
    Snapshot,
    SourceKind,
)
from fairbank.harvest.sources.stated import DATES, KEYWORDS, NUMBERS, Stated, described, no_images
from fairbank.harvest.table_files import Table, TableRow, read_table
from fairbank.ontology.wire import Part, ShortText

# The container of all rows where no column names one.
ALL: Final = "all"
_IDS: Final = ("subject", "study", "series")
_NO_SERIES: Final = "row:"
_REPEATED: Final = 20


class SeriesColumns(Part):
    """Which columns name a series, and what else is no DICOM attribute.

    Attributes:
        container: what is harvested as one, such as a collection; without it all rows are.
        version: changes when the row does; without it the row's own digest does.
        instances: how many images the series has.
        issuer: Issuer of Patient ID (0010,0021) of all rows.
    """

    subject: ShortText
    study: ShortText
    series: ShortText
    container: ShortText | None = None
    version: ShortText | None = None
    instances: ShortText | None = None
    issuer: str = ""


class TableMapping(Part):
    """A mapping file of a table of series.

    Attributes:
        columns: column by DICOM keyword.
        words: by keyword, what stands in cells and what DICOM says for it.
    """

    series: SeriesColumns
    columns: dict[str, ShortText] = {}
    words: dict[str, dict[str, ShortText]] = {}
    table: TableSection = TableSection()
    decimal: Literal[".", ","] = "."
    missing: tuple[str, ...] = Field(default=("NA", "N/A", "NaN", "null"))


def read_table_mapping(text: str) -> TableMapping:
    """Return what a mapping file of a table of series says.

    Raises:
        BadMapping: naming the fields at fault.
    """
    try:
        mapping = TableMapping.model_validate_json(json.dumps(tomllib.loads(text), default=str))
    except tomllib.TOMLDecodeError as err:
        _refuse_mapping("The mapping file of the table is not TOML", str(err).replace("\n", " "))
    except ValidationError as err:
        places = [f"{'.'.join(map(str, fault['loc'][:2]))}: {fault['msg']}" for fault in err.errors()[:3]]
        _refuse_mapping("The mapping file of the table says something that it cannot say", "; ".join(places))
    if unknown := sorted({*mapping.columns, *mapping.words} - KEYWORDS):
        _refuse_mapping(
            f"The mapping names {unknown[0][:40]!r}, which is not read",
            f"those are {', '.join(sorted(KEYWORDS))}",
        )
    return mapping


@dataclass(frozen=True, slots=True)
class _Row:
    """The cells of one row that the mapping names, and why it is no series, if it is none."""

    number: int
    cells: tuple[str, ...]
    version: str
    problem: str = ""


class TableSource:
    """A table file; containers are the values of a column, items its rows."""

    kind = SourceKind.TABLE
    capabilities = frozenset({Capability.DESCRIBES, Capability.STABLE_ORDER, Capability.TOTAL_COUNT})

    def __init__(self, path: Path, mapping: TableMapping, *, name: str = "table") -> None:
        self._path = path
        self._mapping = mapping
        self._name = name
        self._missing = {word.casefold() for word in mapping.missing}
        self._kept: tuple[str, dict[str, _Row]] = ("", {})

    def check(self) -> Checked:
        """Read the whole table once, and count its containers."""
        return Checked(version="-", containers=len(self.list_containers()))

    def list_containers(self) -> list[Container]:
        """Return the different values of the column of containers, or the one of all rows."""
        if self._mapping.series.container is None:
            self._open()
            return [Container(ALL, self._name)]
        table, places = self._open()
        at = places["container"]
        found = {row.cells[at].strip() for row in table.rows if row.cells and row.cells[at].strip()}
        return [Container(one, one) for one in sorted(found)]

    def snapshot(self, container: str) -> Snapshot:
        """Return the rows of a container; a row that names no series is an item of its own."""
        rows = self._read(container)
        if not rows and container not in [known.id for known in self.list_containers()]:
            raise NotInSource(
                f"The source {self._name} has no container of this name.",
                todo="List its containers, and check the spelling.",
            )
        items = [Item(local_id, row.version) for local_id, row in sorted(rows.items())]
        return Snapshot(container, tuple(items), complete=True)

    def describe(self, container: str, items: Sequence[Item]) -> Iterator[Described]:
        """Yield what the rows state; a row that is wrong is told by its number."""
        if self._kept[0] != container:
            self._read(container)
        rows = self._kept[1]
        for item in items:
            row = rows.get(item.local_id)
            try:
                if row is None:
                    raise NotInSource(
                        f"A row of the source {self._name} has gone.", todo="Run the harvest again."
                    )
                yield Described(item, described(self._stated(row)))
            except HarvestError as err:
                yield Described(item, None, err)

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        """Refuse: a table holds no image."""
        return no_images(self._name, container, item, into)

    def close(self) -> None:
        """Forget the rows."""
        self._kept = ("", {})

    def _open(self) -> tuple[Table, dict[str, int]]:
        table = read_table(self._path, self._mapping.table.form())
        names = {name: column for name, column in self._named() if column is not None}
        places = {}
        for name, column in names.items():
            at = table.place(column)
            if at is None:
                _refuse_mapping(
                    f"The table {self._name} has no column for {name} under the name that the mapping gives",
                    f"it has {len(table.columns)} columns",
                )
            places[name] = at
        return table, places

    def _named(self) -> Iterator[tuple[str, str | None]]:
        columns = self._mapping.series
        for name in (*_IDS, "container", "version", "instances"):
            yield name, getattr(columns, name)
        yield from self._mapping.columns.items()

    def _read(self, container: str) -> dict[str, _Row]:
        table, places = self._open()
        order = list(places.values())
        rows: dict[str, _Row] = {}
        for row in table.rows:
            if "container" in places and (row.ragged or row.cells[places["container"]].strip() != container):
                # A row of another length belongs to nobody knows which container; the first one tells of it.
                if not row.ragged:
                    continue
            elif "container" not in places and container != ALL:
                continue
            taken = self._row(row, places, order)
            series = "" if row.ragged else row.cells[places["series"]].strip()
            if not series:
                rows[f"{_NO_SERIES}{row.number}"] = taken
            elif (first := rows.get(series)) is not None:
                problem = f"it names the same series as row {first.number}"
                rows[f"{_NO_SERIES}{row.number}"] = _Row(row.number, taken.cells, taken.version, problem)
            else:
                rows[series] = taken
        self._kept = (container, rows)
        return rows

    def _row(self, row: TableRow, places: dict[str, int], order: list[int]) -> _Row:
        if row.ragged:
            return _Row(row.number, (), "", "it has another number of cells than there are columns")
        # Most short cells repeat themselves; one text for all of them keeps a million rows small.
        texts = (row.cells[at].strip() for at in order)
        cells = tuple(sys.intern(text) if len(text) <= _REPEATED else text for text in texts)
        problem = ""
        if any(at in row.broken for at in order):
            problem = "a cell of it holds an error of the spreadsheet"
        elif places["subject"] in row.numbers and self._path.suffix.lower() != ".parquet":
            problem = "its subject is kept as a number, so that leading zeros may be lost"
        if "version" in places and row.cells[places["version"]].strip():
            return _Row(row.number, cells, row.cells[places["version"]].strip(), problem)
        text = "\x1f".join(cells) + self._mapping.model_dump_json()
        return _Row(row.number, cells, hashlib.sha256(text.encode()).hexdigest(), problem)

    def _stated(self, row: _Row) -> Stated:
        where = f"Row {row.number} of the table {self._name}"
        if row.problem:
            raise BadRow(
                f"{where} describes no series: {row.problem}.",
                why="It is left out; the others are not affected.",
                todo="Correct it, and run again.",
            )
        named = [name for name, column in self._named() if column is not None]
        cells = {
            name: "" if cell.casefold() in self._missing else cell
            for name, cell in zip(named, row.cells, strict=True)
        }
        instances = cells.get("instances", "")
        if instances and not (instances.isascii() and instances.isdecimal()):
            raise BadRow(
                f"{where} describes no series: its number of images is no number.",
                why="It is left out; the others are not affected.",
                todo="Correct it, and run again.",
            )
        return Stated(
            where=where,
            subject=cells["subject"],
            study=cells["study"],
            series=cells["series"],
            values={keyword: self._value(keyword, cells[keyword]) for keyword in self._mapping.columns},
            instances=int(instances) if instances else None,
            issuer=self._mapping.series.issuer,
        )

    def _value(self, keyword: str, cell: str) -> str:
        words = self._mapping.words.get(keyword)
        if words is not None:
            return next((said for word, said in words.items() if word.casefold() == cell.casefold()), "")
        if keyword in NUMBERS and self._mapping.decimal == ",":
            return cell.replace(",", ".") if "." not in cell else f"{cell}?"
        if keyword in DATES and len(parts := cell.split(".")) == 3:
            return "".join(part.zfill(2) for part in reversed(parts))
        return cell


def _refuse_mapping(what: str, why: str) -> NoReturn:
    raise BadMapping(
        f"{what}: {why}.",
        why="Nothing is guessed.",
        todo="Correct it; the how-to on connecting an archive shows a whole file.",
    ) from None
