"""What is kept of one job for as long as it is: what arrived and when, what happened, and how long its rounds take.

The log is in closed words: of what the audit log holds about a job, what its requester may read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import HubAudit
from fairbank.catalogue.received import names_of_keys
from fairbank.federated_jobs.hub.progress import active, manifest_of, sites_of
from fairbank.federated_jobs.hub.store import JobRow, ModelRow, RoundRow, SiteRow, UpdateRow, WithdrawalRow
from fairbank.federated_jobs.states import ENDED_JOBS, JobState, RoundState, SiteState
from fairbank.ontology.outputs import OutputClass

MOST_LINES: Final = 200
_RECENT: Final = 5


class Happened(StrEnum):
    """What happened to a job."""

    SUBMITTED = "submitted"
    SETTINGS = "settings"
    ROUND_OPENED = "round-opened"
    ARRIVED = "arrived"
    ROUND_CLOSED = "round-closed"
    PRIORITY = "priority"
    PAUSED = "paused"
    RESUMED = "resumed"
    GRANT_LOST = "grant-lost"
    RETRIED = "retried"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"


# Of what the log of the hub says; submitting, rounds and outputs have moments of their own.
_OF_ACTS: Final[Mapping[str, Happened]] = {
    "site.settings": Happened.SETTINGS,
    "job.priority": Happened.PRIORITY,
    "job.pause": Happened.PAUSED,
    "job.resume": Happened.RESUMED,
    "site.grant-lost": Happened.GRANT_LOST,
    "job.retry": Happened.RETRIED,
    "job.completed": Happened.COMPLETED,
    "job.failed": Happened.FAILED,
    "job.cancelled": Happened.CANCELLED,
}
# In the order in which what bears one moment has happened.
_ORDER: Final = tuple(Happened)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One output of one site that the hub took."""

    node: str
    round: int
    output: str
    output_class: OutputClass
    size_bytes: int
    digest: str
    received: datetime


@dataclass(frozen=True, slots=True)
class LogLine:
    """Something that happened, at which node and in which round where it belongs to one (0: to none)."""

    at: datetime
    what: Happened
    node: str = ""
    round: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """When a job that goes on is likely to come further.

    Attributes:
        decided_by: until when sites may say yes, while no round has begun.
        round_about: when the open round closes if it takes as long as those before; None where there were none.
        round_by: when it is closed at the latest.
        all_about: when all rounds are done by the same measure.
    """

    decided_by: datetime | None = None
    round_about: datetime | None = None
    round_by: datetime | None = None
    all_about: datetime | None = None


@dataclass(frozen=True, slots=True)
class Quorum:
    """Whether a job goes on without some of its sites.

    Attributes:
        needed: how many sites must deliver.
        active: how many still take part.
        without: how many of these are left without the silent ones.
    """

    needed: int
    active: int
    without: int

    @property
    def holds_without(self) -> bool:
        """Tell whether enough are left without the silent ones."""
        return self.without >= self.needed


def arrivals(session: Session, job: JobRow) -> tuple[Arrival, ...]:
    """Return what each site sent, in round and site order."""
    classes = {output.name: output.output_class for output in manifest_of(job).outputs}
    rows = session.scalars(
        select(UpdateRow)
        .where(UpdateRow.job == job.id)
        .order_by(UpdateRow.round, UpdateRow.node, UpdateRow.output)
    )
    return tuple(
        Arrival(
            node=row.node,
            round=row.round,
            output=row.output,
            output_class=classes.get(row.output, OutputClass.MEASUREMENTS),
            size_bytes=row.size_bytes,
            digest=row.digest,
            received=row.received,
        )
        for row in rows
    )


def log(session: Session, job: JobRow, arrived: tuple[Arrival, ...]) -> tuple[LogLine, ...]:
    """Return what happened to a job, the newest first; of very much the newest.

    Args:
        arrived: as `arrivals` returns it.
    """
    names = names_of_keys(session)
    found = [LogLine(job.created, Happened.SUBMITTED)]
    found += [LogLine(each.received, Happened.ARRIVED, each.node, each.round) for each in arrived]
    for row in session.scalars(select(RoundRow).where(RoundRow.job == job.id)):
        found.append(LogLine(row.opened, Happened.ROUND_OPENED, round=row.round))
        if row.closed is not None:
            found.append(LogLine(row.closed, Happened.ROUND_CLOSED, round=row.round))
    entries = audit.entries(session, HubAudit, audit.Wanted(target=job.id), limit=MOST_LINES, newest=True)
    for entry in entries:
        what = _OF_ACTS.get(entry.act)
        if what is None:
            continue
        detail = entry.detail or {}
        node = str(detail.get("node") or names.get(entry.actor, ""))
        found.append(LogLine(entry.at, what, node))
    for told in session.scalars(select(WithdrawalRow).where(WithdrawalRow.job == job.id)):
        # The hub keeps the day only.
        at = datetime.combine(told.day, datetime.min.time(), job.created.tzinfo)
        found.append(LogLine(at, Happened.WITHDRAWN, told.node))
    found.sort(key=lambda line: (line.at, _ORDER.index(line.what), line.round, line.node), reverse=True)
    return tuple(found[:MOST_LINES])


def _ends(job: JobRow) -> bool:
    return JobState(job.state) in ENDED_JOBS


def timing(session: Session, job: JobRow) -> Timing:
    """Return when a job is likely to come further; nothing of one that is over."""
    if _ends(job):
        return Timing()
    if job.round == 0:
        return Timing(decided_by=job.approval_deadline)
    rows = session.scalars(
        select(RoundRow).where(RoundRow.job == job.id).order_by(RoundRow.round.desc()).limit(_RECENT + 1)
    ).all()
    current = next((row for row in rows if row.state == RoundState.OPEN.value), None)
    if current is None:
        return Timing()
    took = [row.closed - row.opened for row in rows if row.closed is not None]
    if not took:
        return Timing(round_by=current.deadline)
    mean = sum(took, timedelta()) / len(took)
    left = max(0, job.rounds - current.round)
    about = current.opened + mean
    return Timing(round_about=about, round_by=current.deadline, all_about=about + left * mean)


def quorum(session: Session, job: JobRow, silent: Mapping[str, datetime]) -> Quorum:
    """Return whether a job goes on without the nodes that are silent."""
    left = active(sites_of(session, job.id))
    without = [site for site in left if site.node not in silent or site.state == SiteState.RELEASED.value]
    return Quorum(job.quorum, len(left), len(without))


def sites(session: Session, job: JobRow) -> tuple[SiteRow, ...]:
    """Return the sites of a job, sorted by name."""
    return tuple(sites_of(session, job.id))


def models(session: Session, job: JobRow) -> tuple[str, ...]:
    """Return the digests of the models of the registry that came of a job."""
    rows = session.scalars(select(ModelRow.digest).where(ModelRow.job == job.id).order_by(ModelRow.digest))
    return tuple(rows)
