"""What people found who looked at series, taken from a table: checked row by row, kept apart from what is worked out.

A series is named by its pseudonym at the node, or by the archive's own UID, which is turned into the pseudonym here and
not kept. The name of a rater is kept as a keyed digest.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.deid.annotators import person_key
from fairbank.deid.identity import IdentityStore, checked_project
from fairbank.harvest.aspects import Aspect
from fairbank.harvest.consents import identity_of
from fairbank.harvest.errors import BadQualityFile
from fairbank.harvest.judging import Word
from fairbank.harvest.store import ItemRow, QualityWordRow, SeriesRow
from fairbank.release.node import Node

COLUMNS: Final = ("series", "aspect", "value", "rater", "date")
_LARGEST_BYTES: Final = 64 * 2**20
_LONGEST_UID: Final = 128


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row was not taken; the number counts lines as an editor does, the header being line 1."""

    row: int
    why: str


@dataclass(frozen=True, slots=True)
class QualityImport:
    """What came of a file.

    Attributes:
        taken: rows that were taken, or would be.
        series: series that they are about.
        faults: rows that were not taken.
    """

    taken: int
    series: int
    faults: tuple[Fault, ...]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    series: str
    aspect: Aspect
    value: Word
    rater: str
    rated: datetime


def import_quality(node: Node, project: str, file: Path, *, dry_run: bool = False) -> QualityImport:
    """Take what people found; what the same rater said of the same aspect before is replaced.

    A bad row stops no other.

    Args:
        node: the node.
        project: project of the research store.
        file: CSV with the columns `series`, `aspect`, `value`, `rater`, `date`, in any order.
        dry_run: look only.

    Raises:
        BadQualityFile: if the file cannot be read as such a table.
    """
    checked_project(project)
    read = list(_rows(file))
    faults = [row for row in read if isinstance(row, Fault)]
    rows = [row for row in read if isinstance(row, _Row)]
    now = node.clock.now()
    with identity_of(node) as identity:
        with reading(node.engine) as session:
            pseudonyms = _pseudonyms(session, identity, project, {row.series for row in rows})
        words = []
        for row in rows:
            if row.series not in pseudonyms:
                faults.append(Fault(row.number, "the project has no such series"))
                continue
            words.append(
                QualityWordRow(
                    project=project,
                    series_uid=pseudonyms[row.series],
                    aspect=row.aspect.value,
                    rater=identity.person(project, person_key(row.rater) or row.rater.casefold()),
                    value=row.value.value,
                    rated=row.rated,
                    imported=now,
                )
            )
    if words and not dry_run:
        with writing(node.engine) as session:
            for word in words:
                session.merge(word)
            audit.record(
                session,
                NodeAudit,
                clock=node.clock,
                actor=node.key.key_id,
                act="quality.import",
                target=project,
                detail={"rows": len(words)},
            )
    return QualityImport(
        taken=len(words),
        series=len({word.series_uid for word in words}),
        faults=tuple(sorted(faults, key=lambda fault: fault.row)),
        dry_run=dry_run,
    )


def _rows(file: Path) -> Iterator[_Row | Fault]:
    """Yield each row, read or with what is wrong with it; what a cell holds is never repeated."""
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            raise _bad("it is larger than such a table should be")
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise _bad("it cannot be read as UTF-8 text") from err
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",")
    names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    if lacking := [column for column in COLUMNS if column not in names]:
        raise _bad(f"it has no column {', '.join(lacking)}")
    try:
        for cells in reader:
            given = {column: (cells.get(names[column]) or "").strip() for column in COLUMNS}
            if any(given.values()):
                yield _row(reader.line_num, given)
    except csv.Error as err:
        raise _bad(f"its line {reader.line_num} is not CSV") from err


def _row(number: int, given: Mapping[str, str]) -> _Row | Fault:
    try:
        aspect = Aspect(given["aspect"].lower())
    except ValueError:
        return Fault(number, "column aspect: no aspect of quality")
    try:
        value = Word(given["value"].lower())
    except ValueError:
        return Fault(number, "column value: neither yes, no nor not-assessed")
    try:
        rated = datetime.strptime(given["date"], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return Fault(number, "column date: no date of the form YYYY-MM-DD")
    if not given["rater"]:
        return Fault(number, "column rater: empty")
    if not 0 < len(given["series"]) <= _LONGEST_UID:
        return Fault(number, "column series: no UID")
    return _Row(number, given["series"], aspect, value, given["rater"], rated)


def _pseudonyms(session: Session, identity: IdentityStore, project: str, named: set[str]) -> dict[str, str]:
    """Return the pseudonym of each series that is named: it may be one, or the archive's own id."""
    known = frozenset(session.scalars(select(SeriesRow.series_uid).where(SeriesRow.project == project)))
    found = {name: name for name in named & known}
    items = select(ItemRow.local_id, ItemRow.series_uid).where(
        ItemRow.project == project, ItemRow.series_uid.is_not(None)
    )
    for local_id, series_uid in session.execute(items):
        if local_id in named and series_uid in known:
            found.setdefault(local_id, series_uid)
    left = named - found.keys()
    return found | identity.uids_among(project, left, known) if left else found


def _bad(reason: str) -> BadQualityFile:
    return BadQualityFile(
        f"The file of quality words cannot be taken: {reason}.",
        why=f"It is a CSV table with the columns {', '.join(COLUMNS)}.",
        todo="Correct it and import it again.",
    )
