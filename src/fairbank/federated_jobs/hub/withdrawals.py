"""A site tells that a subject of a job was withdrawn: job, results and models are marked, for as long as they are kept.

Nothing is taken away: what was learned from a subject cannot be taken out of a model, so whoever uses one is told.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import notices
from fairbank.catalogue.governance.store import RequestRow
from fairbank.events import HubEvent
from fairbank.federated_jobs.hub.dispatch import not_found
from fairbank.federated_jobs.hub.store import JobRow, ModelRow, OutputRow, SiteRow, WithdrawalRow

MARKED = {"model.registered": "model.marked", "result.registered": "result.marked"}
FIELD = "subject_withdrawn"
TOLD = "job.subject-withdrawn"


def mark(hub: Hub, session: Session, job_id: str, *, node: str) -> None:
    """Mark a job and what came of it; told again by the same site, it changes nothing.

    Raises:
        JobNotFound: if this node has no part in the job.
    """
    job = session.get(JobRow, job_id)
    if job is None or session.get(SiteRow, (job_id, node)) is None:
        raise not_found()
    if session.get(WithdrawalRow, (job_id, node)) is not None:
        return
    session.add(WithdrawalRow(job=job_id, node=node, day=hub.clock.now().date()))
    session.flush()
    job.changes += 1
    for model in session.scalars(select(ModelRow).where(ModelRow.job == job_id)):
        model.provenance = with_day(session, job_id, model.provenance)
    for made in _made_of(session, job_id):
        events.append(
            session,
            HubEvent,
            clock=hub.clock,
            kind=MARKED[made.kind],
            subject=made.subject,
            detail=with_day(session, job_id, made.detail),
        )
    events.append(
        session,
        HubEvent,
        clock=hub.clock,
        kind=TOLD,
        subject=job_id,
        detail={"account": job.account, "title": job.title, "request": job.request_id},
    )
    notices.write(
        session,
        hub,
        key=f"withdrawn:{job_id}",
        account=job.account,
        subject=f"A person whose images were used has withdrawn: {job.title}",
        text=f"One of the people whose images the job “{job.title}” used has withdrawn since.\n"
        "What came of it is marked. Do not use it for anything new where you can do without; train anew without "
        f"that person where you cannot.\n\nfairbank job show {job_id}\n",
        request=job.request_id if session.get(RequestRow, job.request_id) is not None else None,
    )
    # By whom is in the audit log alone: where a subject withdrew is nobody else's business.
    audit.record(session, audit.HubAudit, clock=hub.clock, actor=node, act=TOLD, target=job_id)


def day_of(session: Session, job_id: str) -> str | None:
    """Return the day on which the hub first learned that a subject of a job was withdrawn; None if it did not."""
    return days_of(session, [job_id]).get(job_id)


def days_of(session: Session, jobs: Collection[str]) -> dict[str, str]:
    """Return those days of many jobs; a job without one is left out."""
    found = session.execute(
        select(WithdrawalRow.job, func.min(WithdrawalRow.day))
        .where(WithdrawalRow.job.in_(list(jobs)))
        .group_by(WithdrawalRow.job)
    )
    return {job: day.isoformat() for job, day in found}


def with_day(session: Session, job_id: str, provenance: dict[str, Any]) -> dict[str, Any]:
    """Return provenance with the day, where there is one; a model made after it was told carries it from the start."""
    day = day_of(session, job_id)
    return provenance if day is None else {**provenance, FIELD: day}


def _made_of(session: Session, job_id: str) -> list[HubEvent]:
    digests = select(OutputRow.digest).where(OutputRow.job == job_id)
    rows = session.scalars(
        select(HubEvent)
        .where(HubEvent.kind.in_(list(MARKED)), HubEvent.subject.in_(digests))
        .order_by(HubEvent.seq)
    )
    return [row for row in rows if row.detail.get("job") == job_id]
