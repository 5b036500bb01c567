"""What a node gets next: what it must stop, then reviews, then the round whose turn it is and for which it has room.

Among rounds that wait for one node the higher priority comes first, and waiting lifts it, so that nothing waits for
ever; among equals comes the requester who had no turn at this node for longest. Who sends a hundred jobs therefore
does not stand in the way of who sends one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from fairbank.federated_jobs.hub.store import JobRow, LeaseRow, SiteRow, TurnRow
from fairbank.federated_jobs.protocol import Claim, LeaseKind, Priority, Room
from fairbank.federated_jobs.states import ACTIVE_SITES, SiteState

STILL_OF_THE_JOB = ACTIVE_SITES | {SiteState.PENDING_REVIEW}
# Waiting so long is worth one step of priority.
LIFTED_EVERY = timedelta(hours=1)
_STEPS = {Priority.LOW.value: -1, Priority.NORMAL.value: 0, Priority.HIGH.value: 1}
_LEASED = (SiteState.LEASED.value, SiteState.RUNNING.value)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NextWork:
    """One piece of work for a node."""

    kind: LeaseKind
    job: str


def next_for(session: Session, node: str, claim: Claim, *, now: datetime) -> NextWork | None:
    """Return what a node gets next, None if nothing waits for it that it has room for."""
    # Every node that waits asks this after every change at the hub, so it is one query.
    rows = session.execute(_JOBS_OF_NODE, {"node": node, "busy": list(claim.busy)}).all()
    going_on = {row.job for row in rows if row.ended is None and SiteState(row.state) in STILL_OF_THE_JOB}
    for job in claim.busy:
        if job not in going_on:
            return NextWork(LeaseKind.STOP, job)
    open_rows = [row for row in rows if row.ended is None and row.paused is None]
    for row in open_rows:
        fresh = row.state == SiteState.PENDING_REVIEW.value and not row.delivered
        if fresh and _free(session, row.job, node, 0, claim):
            return NextWork(LeaseKind.REVIEW, row.job)
    for row in open_rows:
        # What the node was given and does not hold comes before anything new.
        if row.state in _LEASED and fits(claim.room, row) and _free(session, row.job, node, row.round, claim):
            return NextWork(LeaseKind.ROUND, row.job)
    queued = [
        row
        for row in open_rows
        if row.state == SiteState.QUEUED.value
        and (row.not_before is None or row.not_before <= now)
        and fits(claim.room, row)
    ]
    chosen = min(queued, key=lambda row: _turn(row, now), default=None)
    return None if chosen is None else NextWork(LeaseKind.ROUND, chosen.job)


def fits(room: Room | None, asked: Any) -> bool:
    """Tell whether a node has room for a job.

    Args:
        room: as the node stated it; None of a node of the version before, which takes one job at a time.
        asked: has the job's `memory_bytes` and `gpus`, None where they are not known.
    """
    if room is None:
        return True
    memory = min(asked.memory_bytes or 0, room.worker_bytes)
    return room.jobs > 0 and memory <= room.memory_bytes and (asked.gpus or 0) <= room.gpus


def note_turn(session: Session, node: str, account: str, *, at: datetime) -> None:
    """Note, in the caller's transaction, that a requester has her turn at a node now."""
    connection = session.connection()
    if connection.execute(_TURN, {"of_node": node, "of_account": account, "at": at}).rowcount == 0:
        connection.execute(_FIRST_TURN, {"node": node, "account": account, "at": at})


def _turn(row: Any, now: datetime) -> tuple[int, datetime, str]:
    lifted = _STEPS[row.priority] + (now - row.since) // LIFTED_EVERY
    return -lifted, row.turn or _NEVER, row.job


def _free(session: Session, job: str, node: str, number: int, claim: Claim) -> bool:
    # A node that claims has nothing in hand but what it lists; a lease that it does not list was lost on its way,
    # or the node was killed.
    place = {"job": job, "node": node, "round": number}
    lease = session.connection().execute(_LEASE, place).first()
    return lease is None or not lease.open or lease.id not in claim.holding


# Put together once: a statement costs more to write down than to run.
_LEASE = select(LeaseRow.id, LeaseRow.open).where(
    LeaseRow.job == bindparam("job"), LeaseRow.node == bindparam("node"), LeaseRow.round == bindparam("round")
)
_TURNS = TurnRow.metadata.tables[TurnRow.__tablename__]
_FIRST_TURN = insert(_TURNS)
_TURN = update(_TURNS).where(
    _TURNS.c.node == bindparam("of_node"), _TURNS.c.account == bindparam("of_account")
)
_JOBS_OF_NODE = (
    select(
        SiteRow.job,
        SiteRow.state,
        SiteRow.delivered,
        SiteRow.round,
        SiteRow.since,
        SiteRow.not_before,
        JobRow.ended,
        JobRow.paused,
        JobRow.priority,
        JobRow.memory_bytes,
        JobRow.gpus,
        TurnRow.at.label("turn"),
    )
    .join(JobRow, JobRow.id == SiteRow.job)
    .outerjoin(TurnRow, and_(TurnRow.node == SiteRow.node, TurnRow.account == JobRow.account))
    .where(
        SiteRow.node == bindparam("node"),
        or_(JobRow.ended.is_(None), SiteRow.job.in_(bindparam("busy", expanding=True))),
    )
    .order_by(SiteRow.job)
)
