"""An archive in memory that every kind of trouble can be made with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from pydicom.dataset import Dataset
from tests.deid.conftest import as_file, ct_dataset

from fairbank.deid.facts import Recorder
from fairbank.deid.pseudonyms import subject_value
from fairbank.errors import Sensitive
from fairbank.harvest.described import DeidMark, SeriesDescription, describe_datasets
from fairbank.harvest.errors import HarvestError, NotInSource, SourceForbidden
from fairbank.harvest.sources.protocol import (
    Capability,
    Changes,
    Checked,
    Container,
    Described,
    Instance,
    Item,
    Modified,
    Snapshot,
    SourceKind,
)

DESCRIBES = frozenset({Capability.DESCRIBES})
FEED = DESCRIBES | {Capability.CHANGE_FEED}
WHOLE_FEED = FEED | {Capability.TOMBSTONES}
SINCE = DESCRIBES | {Capability.MODIFIED_SINCE, Capability.TOMBSTONES}
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class FakeSeries:
    """One series as the archive has it."""

    subject: str
    study: str
    uid: str
    modality: str = "CT"
    body_part: str = "CHEST"
    instances: int = 1
    version: int = 1
    modified: datetime = EPOCH

    @property
    def item_version(self) -> str:
        return f"v{self.version}"


@dataclass
class FakeArchive:
    """What the archive holds, what it hides, and how it misbehaves; shared by the sources that read it.

    Attributes:
        private: containers that are answered by 403.
        hidden: containers that are answered by 404, and not listed.
        truncated: containers whose listings are cut off half-way.
        broken: errors that `describe` gives for an item, by local id.
        stops: errors that `describe` itself raises when it comes to an item, by local id.
        feed_from: changes before this one are forgotten by the feed.
        asked: how often each thing was asked for.
    """

    containers: dict[str, dict[str, FakeSeries]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    truncated: set[str] = field(default_factory=set)
    broken: dict[str, HarvestError] = field(default_factory=dict)
    stops: dict[str, Exception] = field(default_factory=dict)
    changes: list[tuple[str, str, bool]] = field(default_factory=list)
    feed_from: int = 0
    asked: dict[str, int] = field(default_factory=dict)

    def put(self, container: str, local_id: str, series: FakeSeries) -> None:
        self.containers.setdefault(container, {})[local_id] = series
        self.changes.append((container, local_id, False))

    def change(self, container: str, local_id: str, **values: object) -> None:
        """Change a series so that its version tells."""
        old = self.containers[container][local_id]
        self.put(container, local_id, replace(old, version=old.version + 1, **values))  # type: ignore[arg-type]

    def change_silently(self, container: str, local_id: str, **values: object) -> None:
        """Change a series as archives sometimes do: nothing in a listing or a feed tells."""
        self.containers[container][local_id] = replace(
            self.containers[container][local_id],
            **values,  # type: ignore[arg-type]
        )

    def remove(self, container: str, local_id: str) -> FakeSeries:
        self.changes.append((container, local_id, True))
        return self.containers[container].pop(local_id)

    def count(self, what: str, by: int = 1) -> None:
        self.asked[what] = self.asked.get(what, 0) + by


@dataclass
class FakeSource:
    """Reads a `FakeArchive`."""

    archive: FakeArchive
    capabilities: frozenset[Capability] = DESCRIBES
    clock_offset_s: float | None = None
    kind: SourceKind = SourceKind.XNAT

    def check(self) -> Checked:
        return Checked("1.0", len(self.list_containers()), self.clock_offset_s)

    def list_containers(self) -> list[Container]:
        hidden = self.archive.hidden | self.archive.private
        return [Container(name, name) for name in sorted(set(self.archive.containers) - hidden)]

    def snapshot(self, container: str) -> Snapshot:
        self.archive.count("snapshot")
        held = self._held(container)
        items = tuple(Item(key, held[key].item_version, held[key].instances) for key in sorted(held))
        newest = max((series.modified for series in held.values()), default=None)
        if container in self.archive.truncated:
            return Snapshot(container, items[: len(items) // 2], complete=False)
        return Snapshot(container, items, complete=True, newest=newest)

    def describe(self, container: str, items: Sequence[Item]) -> Iterator[Described]:
        for item in items:
            self.archive.count("describe")
            if item.local_id in self.archive.stops:
                raise self.archive.stops[item.local_id]
            held = self._held(container)
            if item.local_id in self.archive.broken:
                yield Described(item, None, self.archive.broken[item.local_id])
            elif item.local_id not in held:
                yield Described(item, None, NotInSource("A series has gone."))
            else:
                yield Described(item, described(held[item.local_id]))

    def changes(self, container: str, cursor: str) -> Changes:
        self.archive.count("changes")
        self._held(container)
        now = str(len(self.archive.changes))
        if not cursor:
            return Changes((), (), now, complete=True)
        told = self.archive.changes[int(cursor) :]
        held = self.archive.containers.get(container, {})
        named = {local_id for of, local_id, _ in told if of == container}
        items = tuple(Item(key, held[key].item_version) for key in sorted(named & set(held)))
        gone: tuple[str, ...] = ()
        if Capability.TOMBSTONES in self.capabilities:
            gone = tuple(sorted(named - set(held)))
        return Changes(items, gone, now, complete=int(cursor) >= self.archive.feed_from)

    def modified_since(self, container: str, moment: datetime) -> Modified:
        self.archive.count("modified_since")
        held = {key: one for key, one in self._held(container).items() if one.modified >= moment}
        items = tuple(Item(key, held[key].item_version) for key in sorted(held))
        return Modified(items, max((one.modified for one in held.values()), default=None), complete=True)

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        self.archive.count("fetch")
        held = self._held(container)
        if item.local_id not in held:
            raise NotInSource("A series has gone.")
        for number in range(held[item.local_id].instances):
            path = into / f"{number}.dcm"
            dataset = header(held[item.local_id])
            dataset.SOPInstanceUID = f"{dataset.SeriesInstanceUID}.{number}"
            path.write_bytes(as_file(dataset))
            yield Instance(path, Sensitive(path.name, reference="a file"))

    def close(self) -> None:
        self.archive.count("close")

    def _held(self, container: str) -> dict[str, FakeSeries]:
        if container in self.archive.private:
            raise SourceForbidden("The archive does not let its user read this.")
        if container in self.archive.hidden or container not in self.archive.containers:
            raise NotInSource("The archive has no such project.")
        return self.archive.containers[container]


def header(series: FakeSeries) -> Dataset:
    """Return a header that says what the fake series is."""
    dataset = ct_dataset()
    dataset.PatientID = series.subject
    dataset.StudyInstanceUID = series.study
    dataset.SeriesInstanceUID = series.uid
    dataset.SOPInstanceUID = f"{series.uid}.1"
    dataset.Modality = series.modality
    dataset.BodyPartExamined = series.body_part
    dataset.Manufacturer = "SIEMENS"
    dataset.StudyDate = "20200310"
    dataset.PatientAge = "061Y"
    dataset.SliceThickness = "1.25"
    return dataset


def series_of(number: int, **values: object) -> FakeSeries:
    """Return the series with a number: three series a study, two studies a subject."""
    made = FakeSeries(f"PAT{number // 6}", f"1.2.{number // 3}", f"1.2.3.{number}")
    return replace(made, **values)  # type: ignore[arg-type]


def filled(container: str, count: int) -> FakeArchive:
    """Return an archive with so many series in one container, under the ids `s000`, `s001` …"""
    archive = FakeArchive()
    for number in range(count):
        archive.put(container, f"s{number:03}", series_of(number))
    return archive


def described(series: FakeSeries) -> SeriesDescription:
    """Return the description of a series; the slow part, reading a header, is done once for each kind."""
    plain = _described(series.modality, series.body_part)
    return replace(
        plain,
        subject=Sensitive(subject_value(series.subject), reference="a subject"),
        study_uid=Sensitive(series.study, reference="a study"),
        series_uid=Sensitive(series.uid, reference="a series"),
        facts=replace(plain.facts, instances=series.instances, frames=series.instances),
        expected_instances=series.instances,
    )


@lru_cache
def _described(modality: str, body_part: str) -> SeriesDescription:
    plain = FakeSeries("P", "1", "1.1", modality=modality, body_part=body_part)
    recorder = Recorder("curator", EPOCH, "fairbank test")
    description = describe_datasets([header(plain)], recorder=recorder, expected_instances=1)
    # What such archives hold is de-identified; tests of verification say otherwise where they want to.
    return replace(description, mark=DeidMark("YES", ("made up",)))


def later(days: float) -> datetime:
    """Return a moment so many days after the first."""
    return EPOCH + timedelta(days=days)
