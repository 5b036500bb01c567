"""The next record of a dataset: when its counts may change, which changes they show, and what waits for the curator.

A withdrawal or a new scan acts at the node at once. Published counts change at the next publication that is due, and
show what `release.next_publication` lets them show. In between only what the curator says of the dataset changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.harvest.counting import Counted, count_series
from fairbank.harvest.datasets import dataset_of
from fairbank.harvest.errors import NotYetDue, RecordWaits
from fairbank.harvest.records import described, record_of_counts
from fairbank.harvest.store import DatasetRow, PublishedRow
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.record import DatasetRecord
from fairbank.release import differencing
from fairbank.release.candidates import Candidate
from fairbank.release.contributions import Contributions, Key
from fairbank.release.next_publication import Rules, first_publication, next_publication
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.releases import Release, ReleaseState
from fairbank.release.store import ReleaseRow
from fairbank.signing import sha256_digest

MEDIA_TYPE = "application/vnd.fairbank.record.v1+json"
# What the curator says of a dataset, and not its images.
SAID: Final = (
    *("title", "description", "keywords", "publisher", "contact", "licence", "access_rights"),
    *("collection_kind", "data_use", "stewardship"),
)


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing a dataset sends, or would send.

    Attributes:
        exact: the record with the counts that the node holds at present; None where they were not looked at.
        record: the record that may leave.
        envelope: the record sealed.
        release: what was staged; None for a preview.
        due: from when on other counts may be published than those of the last record; None if at any time.
        put_off: how many subjects have changes that the record does not show yet.
        waiting: the counts that would be others if it did.
        counts_stay: whether the counts are those of the last record.
        contributions: the state that the counts are of, where it is another than the last record's.
    """

    exact: DatasetRecord | None
    record: DatasetRecord
    envelope: bytes = b""
    release: Release | None = None
    due: datetime | None = None
    put_off: int = 0
    waiting: frozenset[Key] = frozenset()
    counts_stay: bool = False
    contributions: Contributions | None = None

    @property
    def rehearsed(self) -> bool:
        """Tell whether nothing was staged."""
        return self.release is None


def preview(node: Node, dataset: str) -> Publication:
    """Return what publishing would stage if it were due, without staging it.

    Raises:
        UnknownDataset: if there is no such dataset.
        NothingToPublish: if the index holds no series of it that may be published.
    """
    with reading(node.engine) as session:
        before = Outbox(node).published(session, output_of(dataset))
        made = _with_counts(session, node, dataset, before)
    return replace(made, envelope=made.record.seal(node.key))


def publish(node: Node, dataset: str) -> Publication:
    """Make the next record of a dataset, seal and stage it; sending is the outbox's own step, and needs enrolment.

    Raises:
        UnknownDataset: if there is no such dataset.
        NothingToPublish: if the index holds no series of it that may be published.
        RecordWaits: if a record of it waits for the curator.
        NotYetDue: if its counts may not change yet, and nothing else did.
        GateRefused: if the gate does not let the record leave.
    """
    with writing(node.engine) as session:
        made = _next(session, node, dataset)
        envelope = made.record.seal(node.key)
        candidate = Candidate(
            door_class=DoorClass.RECORD,
            output=output_of(dataset),
            content=envelope,
            media_type=MEDIA_TYPE,
            round=made.record.version,
        )
        release = Outbox(node).stage(session, candidate)
        if made.contributions is not None:
            _remember(session, node, dataset, made.record.version, made.contributions)
        row = dataset_of(session, dataset)
        row.version, row.published_digest = made.record.version, sha256_digest(envelope)
    return replace(made, envelope=envelope, release=release)


def keep_back_unsent(node: Node, session: Session, project: str, *, by: str) -> int:
    """Keep back, in the caller's transaction, records of a project that have not left; return how many.

    The next record is made from what is there then.
    """
    waiting = unsent(session, project)
    outbox = Outbox(node)
    for release in waiting:
        outbox.withhold(session, release, by=by)
    return len(waiting)


def unsent(session: Session, project: str) -> list[str]:
    """Return the records of a project that have not left; one that may have arrived, since it was tried, has."""
    slugs = session.scalars(select(DatasetRow.slug).where(DatasetRow.project == project)).all()
    waiting = select(ReleaseRow.id).where(
        ReleaseRow.door_class == DoorClass.RECORD.value,
        ReleaseRow.output.in_([output_of(slug) for slug in slugs]),
        ReleaseRow.state.in_((ReleaseState.HELD.value, ReleaseState.READY.value)),
        ReleaseRow.attempts == 0,
    )
    return list(session.scalars(waiting.order_by(ReleaseRow.id)))


def output_of(dataset: str) -> str:
    """Return the name under which records of a dataset are released."""
    return f"record-{dataset}"


def _next(session: Session, node: Node, dataset: str) -> Publication:
    said = described(session, node, dataset)
    before = Outbox(node).published(session, output_of(dataset))
    if any(release.state is ReleaseState.HELD for release, _ in before):
        raise RecordWaits(
            f"A record of the dataset {dataset!r} waits for the curator.",
            why="The next one is compared with what left before it, so this one must be decided first.",
            todo="Look at it with 'fairbank node outbox show', then approve it or keep it back.",
        )
    due = _due(node, before)
    if due is None or node.clock.now() >= due:
        return _with_counts(session, node, dataset, before)
    last = before[-1][1]
    if all(getattr(last, name) == said[name] for name in SAID):
        raise NotYetDue(
            f"The counts of the dataset {dataset!r} can be published again from {iso(due)} on.",
            why="They change on a schedule only, so that nobody sees when a single subject came or withdrew.",
            todo="Publish then. A changed title, text or other description can be published at once.",
        )
    return _with_the_counts_of(last, said, due=due)


def _with_counts(
    session: Session, node: Node, dataset: str, before: Sequence[tuple[Release, DatasetRecord]]
) -> Publication:
    settings = node.settings
    rules = Rules(settings.release_minimum_count, settings.release_rounding_base)
    project = dataset_of(session, dataset).project
    state = _state(session, dataset, [record.version for _, record in before])
    counted = count_series(session, project, at=node.clock.now(), keys=state.keys if state else None)

    def exact_of(counts: Mapping[Key, int]) -> DatasetRecord:
        return record_of_counts(session, node, dataset, counts, counted.facts)

    exact = exact_of(counted.contributions.totals())
    due = _due(node, before)
    records = [record for _, record in before]
    if not records:
        first = first_publication(counted.contributions, rules=rules, exact_of=exact_of)
        return Publication(exact, first.record, contributions=first.contributions)
    if state is None:
        return replace(_without_a_state(exact, counted, records, rules, said_of(exact)), due=due)
    made = next_publication(state, counted.contributions, records, rules=rules, exact_of=exact_of)
    if made is not None:
        return Publication(
            exact,
            made.record,
            due=due,
            put_off=made.put_off,
            waiting=made.waiting,
            contributions=made.contributions,
        )
    changes = dict(state.changes(counted.contributions))
    stays = _with_the_counts_of(records[-1], said_of(exact), due=due)
    waiting = frozenset(counted.contributions.keys[key] for moved in changes.values() for key in moved)
    return replace(stays, exact=exact, put_off=len(changes), waiting=waiting)


def said_of(record: DatasetRecord) -> dict[str, Any]:
    """Return what a record says that is no count: words of the curator, and the record's own version and time."""
    return {name: getattr(record, name) for name in (*SAID, "version", "created")}


def _without_a_state(
    exact: DatasetRecord,
    counted: Counted,
    records: Sequence[DatasetRecord],
    rules: Rules,
    said: Mapping[str, Any],
) -> Publication:
    """Return the next record after one of a fairbank that remembered no state: all that changed, or nothing."""
    record = rules.applied(exact)
    if differencing.faults(records, record, rules.smallest):
        return replace(_with_the_counts_of(records[-1], said, due=None), exact=exact)
    return Publication(exact, record, contributions=counted.contributions)


def _with_the_counts_of(last: DatasetRecord, said: Mapping[str, Any], *, due: datetime | None) -> Publication:
    return Publication(None, last.model_copy(update=dict(said)), due=due, counts_stay=True)


def _due(node: Node, before: Sequence[tuple[Release, DatasetRecord]]) -> datetime | None:
    days = node.settings.release_publication_interval_days
    return differencing.next_due([record for _, record in before], days=days)


def _state(session: Session, dataset: str, versions: Sequence[int]) -> Contributions | None:
    """Return the state that the newest of some versions told, None if it was not remembered."""
    row = session.scalar(
        select(PublishedRow)
        .where(PublishedRow.dataset == dataset, PublishedRow.version.in_(versions))
        .order_by(PublishedRow.version.desc())
        .limit(1)
    )
    return Contributions.from_bytes(row.contributions) if row else None


def _remember(session: Session, node: Node, dataset: str, version: int, state: Contributions) -> None:
    """Keep a state; the one before stays until the next, because the curator may keep the new record back."""
    kept = session.scalars(
        select(PublishedRow.version)
        .where(PublishedRow.dataset == dataset)
        .order_by(PublishedRow.version.desc())
    ).all()
    told = {record.version for _, record in Outbox(node).published(session, output_of(dataset))}
    newest = next((each for each in kept if each in told), None)
    session.execute(
        delete(PublishedRow).where(
            PublishedRow.dataset == dataset,
            PublishedRow.version.in_([each for each in kept if each != newest]),
        )
    )
    session.add(
        PublishedRow(
            dataset=dataset, version=version, contributions=state.to_bytes(), created=node.clock.now()
        )
    )
