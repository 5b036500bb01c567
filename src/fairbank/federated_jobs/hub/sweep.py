"""What happens to jobs by itself: lapsed leases, passed deadlines, grants that end or are withdrawn."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, select, update
from sqlalchemy.orm import Session

from fairbank import events
from fairbank.catalogue.context import Hub
from fairbank.database import reading
from fairbank.federated_jobs.hub.changing import changing, concerns
from fairbank.federated_jobs.hub.grants import granted
from fairbank.federated_jobs.hub.leases import requeue_lapsed
from fairbank.federated_jobs.hub.progress import advance, end_job
from fairbank.federated_jobs.hub.standing import expire, lose, lose_visa, narrow, pause, resume
from fairbank.federated_jobs.hub.store import JobDatasetRow, JobRow, LeaseRow, RoundRow, SiteRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import ACTIVE_SITES, ENDED_JOBS, UNDECIDED_SITES, JobEvent, RoundState
from fairbank.ontology.signed_objects import Visa

ENDINGS = {"grant.revoked": Reason.GRANT_REVOKED, "grant.expired": Reason.VISA_EXPIRED}
MADE, PAUSED, RESUMED = "grant.made", "grant.paused", "grant.resumed"
_HEARD = frozenset({*ENDINGS, MADE, PAUSED, RESUMED})
_CONSUMER = "federated_jobs"
_STEP = 200
_ENDED = [state.value for state in ENDED_JOBS]
_AT_WORK = [state.value for state in ACTIVE_SITES | UNDECIDED_SITES]


def sweep(hub: Hub) -> bool:
    """Do all that is due; return whether anything changed."""
    changed = _take_events(hub)
    with reading(hub.engine) as session:
        due = _due(session, hub.clock.now())
    if not due:
        return changed
    with changing(hub) as session:
        now = hub.clock.now()
        requeue_lapsed(hub, session)
        # Who waits for work is woken, now that their pause is over.
        concerns(session, session.scalars(select(SiteRow.node).where(SiteRow.not_before <= now)))
        session.execute(update(SiteRow).where(SiteRow.not_before <= now).values(not_before=None))
        expire(hub, session)
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
        session.scalar(select(func.min(SiteRow.not_before))),
        session.scalar(_ends().order_by(JobDatasetRow.expires).limit(1)),
        session.scalar(
            select(func.min(JobRow.approval_deadline)).where(JobRow.state.not_in(_ENDED), JobRow.round == 0)
        ),
    ]
    return min((moment for moment in moments if moment is not None), default=None)


def _due(session: Session, now: datetime) -> bool:
    waiting = (
        select(LeaseRow.id).where(LeaseRow.open, LeaseRow.expires <= now),
        select(JobRow.id).where(JobRow.state.not_in(_ENDED), JobRow.expires <= now),
        _ends().where(JobDatasetRow.expires <= now),
        select(SiteRow.job).where(SiteRow.not_before <= now),
        select(JobRow.id).where(
            JobRow.state.not_in(_ENDED), JobRow.round == 0, JobRow.approval_deadline <= now
        ),
    )
    return any(session.scalars(query.limit(1)).first() is not None for query in waiting)


def _ends() -> Select[Any]:
    """Return the query of when datasets that sites still work on are granted until."""
    return (
        select(JobDatasetRow.expires)
        .join(JobRow, JobRow.id == JobDatasetRow.job)
        .join(SiteRow, and_(SiteRow.job == JobDatasetRow.job, SiteRow.node == JobDatasetRow.node))
        .where(JobRow.state.not_in(_ENDED), SiteRow.state.in_(_AT_WORK))
    )


def _take_events(hub: Hub) -> bool:
    with reading(hub.engine) as session:
        waiting = events.pending(session, events.HubEvent, _CONSUMER)
    # Most events are not for this room; moving on past each at once would cost a write for every change at the hub.
    if len(waiting) < _STEP and not any(event.kind in _HEARD for event in waiting):
        return False
    changed = False
    with changing(hub) as session:
        waiting = events.pending(session, events.HubEvent, _CONSUMER)
        if not waiting:
            # Another process of this hub has just taken them.
            return False
        for event in waiting:
            if event.kind in _HEARD:
                changed |= _take(hub, session, event)
        events.taken(session, events.HubEvent, _CONSUMER, waiting[-1].seq)
    return changed


def _take(hub: Hub, session: Session, event: events.HubEvent | events.NodeEvent) -> bool:
    request, datasets = event.detail.get("request"), event.detail.get("datasets")
    if event.kind == MADE:
        return _replaced(hub, session, request, event.detail.get("visa"))
    if request is None or datasets is None:
        reason = ENDINGS.get(event.kind)
        return reason is not None and lose_visa(hub, session, event.subject, reason=reason)
    if event.kind == PAUSED:
        return pause(hub, session, request, datasets)
    if event.kind == RESUMED:
        return resume(hub, session, request, datasets)
    return lose(hub, session, request, datasets, reason=ENDINGS[event.kind])


def _replaced(hub: Hub, session: Session, request: str | None, visa_digest: str | None) -> bool:
    found = granted(hub)(session, visa_digest) if request and visa_digest else None
    if request is None or found is None:
        return False
    return narrow(hub, session, request, Visa.open(found.visa, trusted=None)[0])


def _going_on(session: Session, *conditions: object) -> list[JobRow]:
    query = select(JobRow).where(JobRow.state.not_in(_ENDED), *conditions)  # type: ignore[arg-type]  # SQL conditions
    return list(session.scalars(query.order_by(JobRow.id)))
