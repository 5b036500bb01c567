"""The public index of the NCI Imaging Data Commons as an archive that has a history, for harvest to be judged by.

Each release of the IDC added series, revised some (same SeriesInstanceUID, new `crdc_series_uuid`) and took some away.
A series is visible in a release when its current row was revised by then, or when a row of the prior versions spans it.
The rows are first put into an SQLite file, so that the memory of a harvest is its own and not that of a table of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from fairbank.clock import SystemClock
from fairbank.deid.annotations import Annotations
from fairbank.deid.dates import age_years
from fairbank.deid.facts import Contrast, FactSheet, HowKnown, KernelClass, RespiratoryPhase, age_band
from fairbank.deid.pseudonyms import subject_value
from fairbank.errors import Sensitive
from fairbank.harvest.described import DeidMark, SeriesDescription
from fairbank.harvest.errors import NotInSource
from fairbank.harvest.headers import InstanceHeader
from fairbank.harvest.series import SeriesFacts, describe
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
from fairbank.ontology.sex_and_side import sex

LAST_RELEASE = 25
_COLUMNS = (
    "collection_id", "SeriesInstanceUID", "crdc_series_uuid", "PatientID", "StudyInstanceUID", "Modality",
    "BodyPartExamined", "Manufacturer", "ManufacturerModelName", "PatientSex", "PatientAge", "instanceCount",
    "series_revised_idc_version",
)  # fmt: skip
_PRIOR = (
    "collection_id", "SeriesInstanceUID", "crdc_series_uuid", "PatientID", "StudyInstanceUID", "Modality",
    "min_idc_version", "max_idc_version",
)  # fmt: skip
_TABLE = """
CREATE TABLE series (collection TEXT, uid TEXT, uuid TEXT, patient TEXT, study TEXT, modality TEXT, body_part TEXT,
  manufacturer TEXT, model TEXT, sex TEXT, age TEXT, instances INTEGER, first INTEGER, last INTEGER)
"""
_VISIBLE = "collection = :collection AND first <= :release AND last >= :release"
_MARK = DeidMark(identity_removed="YES", methods=("CTP",), burned_in="NO")


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from one release to a later one, in series."""

    added: int
    revised: int
    removed: int


def prepare(path: Path, collections: Sequence[str] | None = None) -> None:
    """Write the rows of all releases, or of some collections, into a new SQLite file."""
    import idc_index_data
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    def wanted(batch: Any) -> Any:
        if collections is None:
            return batch
        return batch.filter(pc.is_in(batch.column("collection_id"), value_set=pa.array(collections)))

    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("BEGIN")
    connection.execute(_TABLE)
    current = pq.ParquetFile(idc_index_data.IDC_INDEX_PARQUET_FILEPATH)
    for batch in current.iter_batches(50_000, columns=list(_COLUMNS)):
        kept = wanted(batch)
        columns = [kept.column(name).to_pylist() for name in _COLUMNS]
        _insert(connection, ((*row, LAST_RELEASE) for row in zip(*columns, strict=True)))
    prior = pq.ParquetFile(idc_index_data.PRIOR_VERSIONS_INDEX_PARQUET_FILEPATH)
    for batch in prior.iter_batches(50_000, columns=list(_PRIOR)):
        kept = wanted(batch)
        columns = [kept.column(name).to_pylist() for name in _PRIOR]
        rows = zip(*columns, strict=True)
        _insert(connection, ((*row[:6], None, None, None, None, None, 1, *row[6:]) for row in rows))
    connection.execute("COMMIT")
    connection.execute("CREATE INDEX of_collection ON series (collection, uid)")
    connection.execute("CREATE TABLE span AS SELECT DISTINCT collection, first, last FROM series")
    connection.close()


def _insert(connection: sqlite3.Connection, rows: Iterator[tuple[Any, ...]]) -> None:
    connection.executemany(f"INSERT INTO series VALUES ({','.join('?' * 14)})", rows)


def difference(path: Path, before: int, after: int, collection: str | None = None) -> Difference:
    """Return what changed between two releases, by SQL over the rows alone: the truth that a harvest must meet."""
    connection = sqlite3.connect(path)
    where = "AND collection = :collection" if collection else ""
    at = f"(SELECT uid, uuid FROM series WHERE first <= {{0}} AND last >= {{0}} {where})"
    old, new = at.format(before), at.format(after)

    def count(query: str) -> int:
        return int(connection.execute(query, {"collection": collection}).fetchone()[0])

    found = Difference(
        added=count(f"SELECT count(*) FROM {new} WHERE uid NOT IN (SELECT uid FROM {old})"),
        revised=count(f"SELECT count(*) FROM {new} n JOIN {old} o ON n.uid = o.uid WHERE n.uuid <> o.uuid"),
        removed=count(f"SELECT count(*) FROM {old} WHERE uid NOT IN (SELECT uid FROM {new})"),
    )
    connection.close()
    return found


class IdcReplay:
    """The IDC as it was at a release; each collection is a container."""

    kind = SourceKind.TABLE
    capabilities = frozenset({Capability.DESCRIBES, Capability.STABLE_ORDER, Capability.TOTAL_COUNT})

    def __init__(self, path: Path, release: int) -> None:
        self._connection = sqlite3.connect(path)
        self._release = release
        self._now = SystemClock().now()

    def check(self) -> Checked:
        return Checked(f"v{self._release}", len(self.list_containers()))

    def list_containers(self) -> list[Container]:
        rows = self._connection.execute(
            "SELECT DISTINCT collection FROM span WHERE first <= ? AND last >= ? ORDER BY collection",
            (self._release, self._release),
        )
        return [Container(name, name) for (name,) in rows]

    def snapshot(self, container: str) -> Snapshot:
        rows = self._connection.execute(
            f"SELECT uid, uuid, instances FROM series WHERE {_VISIBLE} ORDER BY uid",
            {"collection": container, "release": self._release},
        )
        items = tuple(Item(uid, uuid, instances) for uid, uuid, instances in rows)
        if not items:
            raise NotInSource("The index has no such collection.", todo="List its collections.")
        return Snapshot(container, items, complete=True)

    def describe(self, container: str, items: Sequence[Item]) -> Iterator[Described]:
        rows = {}
        for start in range(0, len(items), 500):
            page = items[start : start + 500]
            marks = ",".join("?" * len(page))
            query = f"SELECT * FROM series WHERE collection = ? AND uid IN ({marks})"
            for row in self._connection.execute(query, (container, *(item.local_id for item in page))):
                rows[row[2]] = row
        for item in items:
            row = rows.get(item.version)
            if row is None:
                yield Described(item, None, NotInSource("A series has gone.", todo="Harvest again."))
                continue
            yield Described(item, self._description(row))

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        raise NotInSource("The index holds no files.", todo="Describe its series.")

    def close(self) -> None:
        self._connection.close()

    def _description(self, row: tuple[Any, ...]) -> SeriesDescription:
        _, uid, _, patient, study, kind, part, maker, model, gender, age, instances, _, _ = row
        facts = _facts(kind or "", part or "", maker or "", model or "")
        return SeriesDescription(
            subject=Sensitive(subject_value(patient), reference="a subject"),
            study_uid=Sensitive(study, reference="a study"),
            series_uid=Sensitive(uid, reference="a series"),
            facts=replace(facts, instances=instances, frames=instances),
            sheet=replace(_sheet(kind or "", gender or "", age or ""), recorded_at=self._now),
            mark=_MARK,
            expected_instances=instances,
        )


@lru_cache(maxsize=20_000)
def _facts(kind: str, part: str, maker: str, model: str) -> SeriesFacts:
    """Return what the columns say, as headers with these words would: harvest's own words, not ours."""
    header = InstanceHeader(
        path=None, sop_uid="1", sop_class="", series_uid="", study_uid="", subject="", modality=kind,
        body_part=part, manufacturer=maker, slice_thickness=None, spacing_between=None, pixel_spacing=(),
        rows=None, columns=None, frames=1, orientation=(), position=(), variant="", instance_number=None,
        burned_in="NO", lossy="", model=model, field_strength=None, kernel="", laterality="", study_day=None,
        annotations=Annotations(),
    )  # fmt: skip
    return describe([header])


@lru_cache(maxsize=20_000)
def _sheet(kind: str, gender: str, age: str) -> FactSheet:
    years = age_years(age)
    return FactSheet(
        series_uid="", subject="", modality=kind or "unknown", sex=sex(gender),
        age_band=age_band(years) if years else "unknown", body_region_code=None, body_region=None,
        body_region_known=HowKnown.NOT_KNOWN, contrast=Contrast.UNKNOWN,
        respiratory_phase=RespiratoryPhase.UNKNOWN, kernel_class=KernelClass.UNKNOWN, acquisition_year=None,
        study_day=None, annotations=Annotations(), deidentified_before=True, recorded_by="bench",
        recorded_at=SystemClock().now(), tool="bench",
    )  # fmt: skip
