"""What waits at a site for its people, by queue: jobs, images, outputs, withdrawals; and the hub's last word.

All of it is read from the node's own database; the hub is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.deid.item_review import decided_one_by_one
from fairbank.deid.store import ItemRow, last_decisions
from fairbank.federated_jobs.node.store import AnchorRow, HubCheckpointRow, ReviewRow, WithdrawalNoticeRow
from fairbank.federated_jobs.states import SiteState
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.releases import ReleaseState
from fairbank.release.store import LedgerRow


@dataclass(frozen=True, slots=True)
class Queue:
    """How many things wait, and since when the oldest does."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that waits for this site's word.

    Attributes:
        deadline: until when it can be approved.
    """

    job: str
    title: str
    tool: str
    received: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True)
class WaitingOutput:
    """Something that waits to leave."""

    release: str
    name: str
    job: str | None
    staged: datetime


@dataclass(frozen=True, slots=True)
class WaitingGroup:
    """Held files of a project on which nobody has decided."""

    project: str
    group: str
    reason: str
    files: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Queues:
    """What waits, each list oldest first.

    Attributes:
        withdrawals: withdrawals of subjects of which the hub has still to be told.
    """

    jobs: tuple[WaitingJob, ...]
    groups: tuple[WaitingGroup, ...]
    outputs: tuple[WaitingOutput, ...]
    withdrawals: Queue

    @property
    def of_jobs(self) -> Queue:
        """Return how many jobs wait."""
        return Queue(len(self.jobs), min((one.received for one in self.jobs), default=None))

    @property
    def of_files(self) -> Queue:
        """Return how many held files wait."""
        return Queue(
            sum(one.files for one in self.groups), min((one.since for one in self.groups), default=None)
        )

    @property
    def of_outputs(self) -> Queue:
        """Return how many outputs wait."""
        return Queue(len(self.outputs), min((one.staged for one in self.outputs), default=None))


def queues(node: Node) -> Queues:
    """Return what waits for the people of a site."""
    outputs = tuple(
        WaitingOutput(one.id, one.output, one.job, one.staged)
        for one in Outbox(node).pending(state=ReleaseState.HELD)
    )
    with reading(node.engine) as session:
        return Queues(_jobs(session), waiting_groups(session), outputs, _withdrawals(session))


def last_word(node: Node) -> datetime | None:
    """Return when this node last had an answer of the hub that it wrote down; None if never."""
    with reading(node.engine) as session:
        asked = (func.max(AnchorRow.at), func.max(HubCheckpointRow.seen), func.max(LedgerRow.left))
        found = [session.scalar(select(each)) for each in asked]
    return max((at for at in found if at is not None), default=None)


def waiting_groups(session: Session) -> tuple[WaitingGroup, ...]:
    """Return the groups of held files of all projects on which nobody has decided, oldest first."""
    name = func.coalesce(ItemRow.grp, ItemRow.reason)
    since = func.min(ItemRow.finished_at)
    query = (
        select(ItemRow.project, name, func.min(ItemRow.reason), func.count(), since)
        .where(ItemRow.quarantine.is_not(None))
        .group_by(ItemRow.project, name)
        .order_by(since, ItemRow.project, name)
    )
    decided: dict[str, set[str]] = {}
    single: dict[str, Mapping[str, int]] = {}
    found = []
    for project, group, reason, files, at in session.execute(query):
        if project not in decided:
            decided[project] = set(last_decisions(session, project))
            single[project] = decided_one_by_one(session, project)
        left = files - single[project].get(str(group), 0)
        if group not in decided[project] and left > 0:
            found.append(WaitingGroup(project, str(group), str(reason), left, at))
    return tuple(found)


def _jobs(session: Session) -> tuple[WaitingJob, ...]:
    rows = session.scalars(
        select(ReviewRow)
        .where(ReviewRow.state == SiteState.PENDING_REVIEW.value, ReviewRow.ended.is_(False))
        .order_by(ReviewRow.received, ReviewRow.job)
    )
    return tuple(
        WaitingJob(row.job, row.title, row.tool, row.received, _deadline(row.manifest)) for row in rows
    )


def _deadline(manifest: bytes) -> datetime:
    # It was judged when it came; here only its date is wanted.
    return parse_iso(Manifest.open(manifest, trusted=None)[0].plan.approval_deadline)


def _withdrawals(session: Session) -> Queue:
    untold = select(func.count(), func.min(WithdrawalNoticeRow.due)).where(WithdrawalNoticeRow.told.is_(None))
    count, oldest = session.execute(untold).one()
    return Queue(int(count), oldest)
