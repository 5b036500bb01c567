"""How a site stands: whether it takes part, what it approves by itself, and what waits for its people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from fairbank.database import reading
from fairbank.federated_jobs.node.pausing import paused_jobs
from fairbank.federated_jobs.node.policy_file import Standing, standing
from fairbank.federated_jobs.node.rules import pinned_rules
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.federated_jobs.states import SiteState
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.releases import ReleaseState
from fairbank.release.suspension import suspended_since


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """Numbers of this site's own people; none of them leaves.

    Attributes:
        paused: since when the whole node stands still.
        rules: how many pinned rules count.
    """

    paused: datetime | None
    policy: Standing
    rules: int
    jobs_waiting: int
    jobs_going_on: int
    jobs_paused: int
    outputs_held: int
    outputs_ready: int


def site_status(node: Node) -> SiteStatus:
    """Return how a site stands now."""
    outbox = Outbox(node)
    with reading(node.engine) as session:
        counted = session.execute(
            select(ReviewRow.state, func.count()).where(ReviewRow.ended.is_(False)).group_by(ReviewRow.state)
        )
        open_jobs = {row.state: int(row[1]) for row in counted}
        return SiteStatus(
            paused=suspended_since(session),
            policy=standing(session, node),
            rules=sum(one.counts is None for one in pinned_rules(node)),
            jobs_waiting=open_jobs.get(SiteState.PENDING_REVIEW.value, 0),
            jobs_going_on=open_jobs.get(SiteState.APPROVED.value, 0),
            jobs_paused=len(paused_jobs(session)),
            outputs_held=len(outbox.pending(state=ReleaseState.HELD)),
            outputs_ready=len(outbox.pending()),
        )
