"""Who may give a job another priority: its requester may step back, an administrator decides."""

from __future__ import annotations

from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.federated_jobs.errors import PriorityRefused, StateRefused
from fairbank.federated_jobs.hub.dispatch import not_found
from fairbank.federated_jobs.hub.progress import ended
from fairbank.federated_jobs.hub.store import JobRow
from fairbank.federated_jobs.protocol import Priority

_ORDER = (Priority.LOW, Priority.NORMAL, Priority.HIGH)


def set_priority(hub: Hub, session: Session, job_id: str, priority: Priority, *, who: Account) -> JobRow:
    """Give a job another priority; the rounds that wait for a node are chosen by it from now on.

    Raises:
        JobNotFound: if it is neither the account's own nor the account an administrator's.
        StateRefused: if the job is over.
        PriorityRefused: if its requester would raise it.
    """
    job = session.get(JobRow, job_id)
    if job is None or (job.account != who.name and not who.has(Role.ADMIN)):
        raise not_found()
    if ended(job):
        raise StateRefused(f"This job is {job.state} already.", why="Nothing of it waits any more.", todo="")
    before = Priority(job.priority)
    if _ORDER.index(priority) > _ORDER.index(before) and not who.has(Role.ADMIN):
        raise PriorityRefused(
            f"This job cannot be raised from {before.value} to {priority.value} by its requester.",
            why="Whoever raises a job lets the jobs of others wait.",
            todo="Ask an administrator of the hub; you may lower it yourself.",
        )
    if priority is not before:
        job.priority = priority.value
        job.changes += 1
        audit.record(
            session,
            audit.HubAudit,
            clock=hub.clock,
            actor=who.name,
            act="job.priority",
            target=job.id,
            detail={"from": before.value, "to": priority.value},
        )
    return job
