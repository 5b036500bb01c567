"""A revoked tool stops the jobs that run it: the sites hear of it with their next renewal or claim."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.errors import FairbankError
from fairbank.federated_jobs.hub.progress import end_job, manifest_of
from fairbank.federated_jobs.hub.store import JobRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import JobEvent


def stop_jobs(hub: Hub, session: Session, code: str, *, actor: str) -> list[str]:
    """End every job of a code that goes on or waits, in the caller's transaction; return their ids.

    Args:
        code: digest of the code, as the manifests of jobs name it.
        actor: who revoked it.
    """
    stopped = []
    for job in session.scalars(select(JobRow).where(JobRow.ended.is_(None)).order_by(JobRow.created)).all():
        if _runs(job, code):
            end_job(hub, session, job, JobEvent.FAIL, reason=Reason.TOOL_REVOKED, actor=actor)
            stopped.append(job.id)
    return stopped


def _runs(job: JobRow, code: str) -> bool:
    try:
        return manifest_of(job).code.digest == code
    except FairbankError:
        # What no site can read no site runs.
        return False
