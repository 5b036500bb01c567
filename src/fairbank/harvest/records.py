"""From the index to the record: exact counts at the node, suppressed and sealed before anything is staged to leave."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from fairbank import __version__
from fairbank.database import reading, writing
from fairbank.deid import _e1_1 as table
from fairbank.deid.profiles import Profile
from fairbank.harvest.clinical.store import variables
from fairbank.harvest.datasets import dataset_of, read_stewardship
from fairbank.harvest.distributions import distributions
from fairbank.harvest.errors import NothingToPublish
from fairbank.harvest.index import publishable_series, runs
from fairbank.harvest.judging import Judge, summarised
from fairbank.harvest.reports import RunKind, RunState
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.harvest.store import RunRow, SeriesRow
from fairbank.ontology.counts import Count
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.record import (
    AccessRights,
    Activity,
    ActivityKind,
    CollectionKind,
    DatasetRecord,
    Stratum,
    Totals,
)
from fairbank.ontology.wire import moment
from fairbank.release.candidates import Candidate
from fairbank.release.disclosure import suppress_record
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.releases import Release
from fairbank.signing import sha256_digest

MEDIA_TYPE = "application/vnd.fairbank.record.v1+json"


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing a dataset sends, or would send: the record before and after suppression, and its release."""

    exact: DatasetRecord
    record: DatasetRecord
    envelope: bytes
    release: Release | None

    @property
    def rehearsed(self) -> bool:
        """Tell whether nothing was staged."""
        return self.release is None


def build(session: Session, node: Node, dataset: str) -> DatasetRecord:
    """Return the record of a dataset with exact counts, which must not leave like this.

    Raises:
        UnknownDataset: if there is no such dataset.
        NothingToPublish: if the index holds no series of it.
    """
    row = dataset_of(session, dataset)
    series = publishable_series(session, dataset, at=node.clock.now())
    if not series:
        raise NothingToPublish(
            f"The dataset {dataset!r} has no series in the index that may be counted.",
            why="A record without images describes nothing. Subjects without consent are not counted unless another "
            "legal basis is recorded; nor are series whose de-identification is not verified.",
            todo="Look at 'fairbank node consent list' and 'fairbank harvest held'; pull the images and index the "
            "research store if that was not done.",
        )
    k = node.settings.release_minimum_count
    first_year, last_year = _years(series, k)
    return DatasetRecord(
        node=node.name,
        dataset=dataset,
        version=row.version + 1,
        title=row.title,
        description=row.description,
        keywords=tuple(row.keywords),
        publisher=row.publisher,
        contact=row.contact,
        licence=row.licence,
        access_rights=AccessRights(row.access_rights),
        collection_kind=CollectionKind(row.collection_kind),
        data_use=tuple(row.data_use),
        minimum_count=k,
        totals=_totals(series),
        cube=_cube(series),
        distributions=distributions(series),
        acquired_from=first_year,
        acquired_to=last_year,
        provenance=_provenance(runs(session, row.project), agent=row.publisher),
        quality=summarised(Judge(session, row.project), series, smallest=k),
        stewardship=read_stewardship(row.stewardship),
        variables=variables(session, row.project, {one.subject for one in series}),
        created=moment(node.clock.now()),
    )


def preview(node: Node, dataset: str) -> Publication:
    """Return what publishing would stage, without staging it."""
    with reading(node.engine) as session:
        exact = build(session, node, dataset)
    record = suppress_record(exact, exact.minimum_count)
    return Publication(exact, record, record.seal(node.key), None)


def publish(node: Node, dataset: str) -> Publication:
    """Suppress, seal and stage the record of a dataset; sending is the outbox's own step, and needs enrolment.

    Raises:
        UnknownDataset: if there is no such dataset.
        NothingToPublish: if the index holds no series of it.
        GateRefused: if the gate does not let the record leave.
    """
    with writing(node.engine) as session:
        exact = build(session, node, dataset)
        record = suppress_record(exact, exact.minimum_count)
        envelope = record.seal(node.key)
        candidate = Candidate(
            door_class=DoorClass.RECORD,
            output=f"record-{dataset}",
            content=envelope,
            media_type=MEDIA_TYPE,
            round=record.version,
        )
        release = Outbox(node).stage(session, candidate)
        row = dataset_of(session, dataset)
        row.version, row.published_digest = record.version, sha256_digest(envelope)
    return Publication(exact, record, envelope, release)


def _totals(series: Sequence[SeriesRow]) -> Totals:
    return Totals(
        subjects=_different(series, lambda row: row.subject),
        studies=_different(series, lambda row: row.study_uid),
        series=Count.exact(len(series)),
        instances=Count.exact(sum(row.instances for row in series)),
    )


def _cube(series: Sequence[SeriesRow]) -> tuple[Stratum, ...]:
    cells: dict[tuple[str, str, str, str], list[SeriesRow]] = defaultdict(list)
    for row in series:
        cells[row.modality, row.body_part, row.manufacturer, row.slice_thickness].append(row)
    return tuple(
        Stratum(
            modality=modality,
            body_part=body_part,
            manufacturer=manufacturer,
            slice_thickness=thickness,
            series=Count.exact(len(rows)),
            studies=_different(rows, lambda row: row.study_uid),
            subjects=_different(rows, lambda row: row.subject),
        )
        for (modality, body_part, manufacturer, thickness), rows in sorted(cells.items())
    )


def _years(series: Sequence[SeriesRow], k: int) -> tuple[int | None, int | None]:
    """Return the first and last year with at least k subjects: an outlying year would tell about few people."""
    subjects: dict[int, set[str]] = defaultdict(set)
    for row in series:
        if row.acquisition_year is not None:
            subjects[row.acquisition_year].add(row.subject)
    years = [year for year, of_year in subjects.items() if len(of_year) >= k]
    return (min(years), max(years)) if years else (None, None)


def _provenance(of_project: Sequence[RunRow], *, agent: str) -> tuple[Activity, ...]:
    pulls = [run for run in of_project if run.kind == RunKind.PULL.value and run.ended is not None]
    read = [run for run in of_project if run.kind != RunKind.INDEX.value and run.ended is not None]
    harvests = (RunKind.INDEX.value, RunKind.HARVEST.value)
    indexings = [run for run in of_project if run.kind in harvests and _finished(run)]
    activities = []
    for (kind, version), group in _grouped(read, lambda run: (run.source_kind, run.source_version)):
        words = SourceKind(kind).words
        activities.append(
            _activity(ActivityKind.ACQUISITION, group, agent, tool=words, version=version, source=words)
        )
    for (profile, software), group in _grouped(pulls, lambda run: (run.profile, run.software)):
        activities.append(
            _activity(
                ActivityKind.DEIDENTIFICATION,
                group,
                agent,
                tool="fairbank deid",
                version=software.removeprefix("fairbank "),
                profile=Profile(profile),
            )
        )
    if indexings:
        activities.append(
            _activity(
                ActivityKind.HARVEST, indexings[-1:], agent, tool="fairbank harvest", version=__version__
            )
        )
    return tuple(activities)


def _finished(run: RunRow) -> bool:
    return run.state == RunState.FINISHED.value


def _activity(
    kind: ActivityKind,
    group: Sequence[RunRow],
    agent: str,
    *,
    tool: str,
    version: str,
    source: str | None = None,
    profile: Profile | None = None,
) -> Activity:
    return Activity(
        kind=kind,
        tool=tool,
        tool_version=version,
        profile=f"DICOM PS3.15 {table.EDITION}, profile {profile.value}" if profile else None,
        profile_digest=profile_digest(profile) if profile else None,
        source_system=source,
        agent=agent,
        started=moment(min(run.started for run in group)),
        ended=moment(max(run.ended or run.started for run in group)),
    )


def profile_digest(profile: Profile) -> str:
    """Return the digest that names a profile exactly: its options and the table that they act on."""
    options = ",".join(sorted(option.value for option in profile.options))
    text = f"{profile.value}\n{options}\n{table.EDITION}\n{table.TABLE_SHA256}"
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _different(rows: Iterable[SeriesRow], value_of: Callable[[SeriesRow], str]) -> Count:
    return Count.exact(len({value_of(row) for row in rows}))


def _grouped(
    of_project: Sequence[RunRow], key: Callable[[RunRow], tuple[str, str]]
) -> list[tuple[tuple[str, str], list[RunRow]]]:
    groups: dict[tuple[str, str], list[RunRow]] = defaultdict(list)
    for run in of_project:
        groups[key(run)].append(run)
    return sorted(groups.items())
