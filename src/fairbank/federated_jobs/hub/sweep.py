"""What happens to jobs by itself: lapsed leases, passed deadlines, grants that end or are withdrawn."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank import events
from fairbank.catalogue.context import Hub
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub.leases import requeue_lapsed
from fairbank.federated_jobs.hub.progress import advance, end_job
from fairbank.federated_jobs.hub.store import JobRow, LeaseRow, RoundRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import ENDED_JOBS, JobEvent, RoundState

REVOKED = "grant.revoked"
_CONSUMER = "federated_jobs"
_STEP = 200
_ENDED = [state.value for state in ENDED_JOBS]


def sweep(hub: Hub) -> bool:
    """Do all that is due; return whether anything changed."""
    changed = _take_events(hub)
    with reading(hub.engine) as session:
        due = _due(session, hub.clock.now())
    if not due:
        return changed
    with writing(hub.engine) as session:
        now = hub.clock.now()
        requeue_lapsed(hub, session)
        for job in _going_on(session, JobRow.expires <= now):
            end_job(hub, session, job, JobEvent.FAIL, reason=Reason.VISA_EXPIRED)
        for job in _going_on(session, JobRow.round == 0, JobRow.approval_deadline <= now):
            advance(hub, session, job)
    return True


def next_due(session: Session) -> datetime | None:
    """Return when the next lease lapses or the next deadline passes; None if nothing waits."""
    moments = [
        session.scalar(select(func.min(LeaseRow.expires)).where(LeaseRow.open)),
        session.scalar(select(func.min(RoundRow.deadline)).where(RoundRow.state == RoundState.OPEN.value)),
        session.scalar(select(func.min(JobRow.expires)).where(JobRow.state.not_in(_ENDED))),
        session.scalar(
            select(func.min(JobRow.approval_deadline)).where(JobRow.state.not_in(_ENDED), JobRow.round == 0)
        ),
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def _due(session: Session, now: datetime) -> bool:
    waiting = (
        select(LeaseRow.id).where(LeaseRow.open, LeaseRow.expires <= now),
        select(JobRow.id).where(JobRow.state.not_in(_ENDED), JobRow.expires <= now),
        select(JobRow.id).where(
            JobRow.state.not_in(_ENDED), JobRow.round == 0, JobRow.approval_deadline <= now
        ),
    )
    return any(session.scalars(query.limit(1)).first() is not None for query in waiting)


def _take_events(hub: Hub) -> bool:
    with reading(hub.engine) as session:
        waiting = events.pending(session, events.HubEvent, _CONSUMER)
    # Most events are not for this room; moving on past each at once would cost a write for every change at the hub.
    if len(waiting) < _STEP and not any(event.kind == REVOKED for event in waiting):
        return False
    changed = False
    with writing(hub.engine) as session:
        waiting = events.pending(session, events.HubEvent, _CONSUMER)
        for event in waiting:
            if event.kind == REVOKED:
                changed |= _stop_jobs_of(hub, session, event.subject)
        events.taken(session, events.HubEvent, _CONSUMER, waiting[-1].seq)
    return changed


def _stop_jobs_of(hub: Hub, session: Session, visa_id: str) -> bool:
    jobs = _going_on(session, JobRow.visa_id == visa_id)
    for job in jobs:
        end_job(hub, session, job, JobEvent.FAIL, reason=Reason.GRANT_REVOKED)
    return bool(jobs)


def _going_on(session: Session, *conditions: object) -> list[JobRow]:
    query = select(JobRow).where(JobRow.state.not_in(_ENDED), *conditions)  # type: ignore[arg-type]  # SQL conditions
    return list(session.scalars(query.order_by(JobRow.id)))
