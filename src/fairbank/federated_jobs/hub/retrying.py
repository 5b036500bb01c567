"""Try again what has failed at a site: of which failures, by whom, how often, and how soon.

What people at a site, its gate or a committee decided is never tried again: that needs another job. What is computed
again is the same round of the same sealed job, under the same approval; the site looks for itself whether it may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.withdrawal import withdrawn_among
from fairbank.federated_jobs.errors import RetryRefused
from fairbank.federated_jobs.hub.dispatch import not_found
from fairbank.federated_jobs.hub.progress import (
    active,
    ended,
    manifest_of,
    move_job,
    move_site,
    rest,
    sites_of,
)
from fairbank.federated_jobs.hub.standing import check_still_granted
from fairbank.federated_jobs.hub.steps import step_of, takes
from fairbank.federated_jobs.hub.store import BootRow, JobDatasetRow, JobRow, RoundRow, SiteRow, UpdateRow
from fairbank.federated_jobs.hub.tool_registry import check_not_revoked
from fairbank.federated_jobs.reasons import MOST_RETRIES, Reason
from fairbank.federated_jobs.states import JobEvent, JobState, RoundState, SiteEvent, SiteState

FIRST_PAUSE = timedelta(seconds=30)
_LONGER_EACH_TIME = 4


class Who(StrEnum):
    """Who has a failed part of a job tried again."""

    HUB = "hub"
    REQUESTER = "requester"
    ADMINISTRATOR = "administrator"


_PEOPLE = frozenset({Who.REQUESTER, Who.ADMINISTRATOR})
_ALL = frozenset(Who)

# Why a site failed, and who may have that tried again. What is not in here nobody may.
MAY_RETRY: Mapping[Reason, frozenset[Who]] = {
    # May pass by itself.
    Reason.NODE_FAULT: _ALL,
    Reason.SANDBOX_UNAVAILABLE: _ALL,
    Reason.WORKER_CRASHED: _ALL,
    # Comes again unless somebody has changed something.
    Reason.OUT_OF_MEMORY: _PEOPLE,
    Reason.OUT_OF_DISK: _PEOPLE,
    Reason.TIMED_OUT: _PEOPLE,
    Reason.CODE_FAILED: _PEOPLE,
    Reason.ROUND_DEADLINE: _PEOPLE,
    # Stopped because others had failed.
    Reason.QUORUM_NOT_MET: _PEOPLE,
}
# Which jobs: those that go on, and those that ended for want of sites.
_JOBS = frozenset({JobState.RUNNING, JobState.DEGRADED, JobState.FAILED})
_USED = select(JobDatasetRow.dataset).where(JobDatasetRow.job == bindparam("job"))


def retry(
    hub: Hub, session: Session, job_id: str, *, who: Account, node: str | None = None
) -> tuple[JobRow, list[str]]:
    """Have a job tried again at one site, or at every site at which that may help; return those sites.

    A job that failed for want of sites goes on, with all that the others have delivered already.

    Raises:
        JobNotFound: if it is neither the account's own nor the account an administrator's.
        RetryRefused: if there is nothing that may be tried again.
        ToolRevoked: if the code of a job that had ended was revoked since.
        GrantEnded: if the grant has ended that it rests on there; GrantPaused while it is paused.
    """
    job = session.get(JobRow, job_id)
    if job is None or (job.account != who.name and not who.has(Role.ADMIN)):
        raise not_found()
    role = Who.REQUESTER if job.account == who.name else Who.ADMINISTRATOR
    revived = JobState(job.state) is JobState.FAILED
    if JobState(job.state) not in _JOBS or (revived and job.reason != Reason.QUORUM_NOT_MET.value):
        raise _refused(f"This job is {job.state} ({job.reason}).")
    if job.round == 0 or job.expires <= hub.clock.now():
        raise _refused("No round of this job has begun, or its grant is over.")
    if revived and session.get_one(RoundRow, (job.id, job.round)).state == RoundState.CLOSED.value:
        raise _refused("The plan of this job has come to its end.")
    sites = sites_of(session, job_id)
    able = _able(session, job, sites, role, node)
    if not able:
        raise _refused("At no site of this job there is a failure that may be tried again.")
    if revived and len(active(sites)) + len(able) < job.quorum:
        raise _refused("Too few sites of this job would take part again.")
    # While a job is over it does not hear of grants that end: what the others delivered is looked at again, too.
    for site in [*able, *(active(sites) if revived else ())]:
        check_still_granted(hub, session, job, site)
    if revived:
        check_not_revoked(session, manifest_of(job).code)
    if revived and withdrawn_among(session, set(session.scalars(_USED, {"job": job.id}))):
        raise _refused("A dataset of this job was withdrawn.")
    if revived:
        _revive(hub, session, job, sites)
    for site in able:
        begin_anew(hub, session, job, site)
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=who.name,
        act="job.retry",
        target=job.id,
        detail={"round": job.round, "nodes": [site.node for site in able]},
    )
    return job, [site.node for site in able]


def retryable(hub: Hub, session: Session, job: JobRow, *, who: Account) -> tuple[str, ...]:
    """Return the nodes at which somebody may have a job tried again now; `retry` looks at its grants besides."""
    if job.account != who.name and not who.has(Role.ADMIN):
        return ()
    role = Who.REQUESTER if job.account == who.name else Who.ADMINISTRATOR
    over = JobState(job.state) is JobState.FAILED and job.reason != Reason.QUORUM_NOT_MET.value
    if JobState(job.state) not in _JOBS or over or job.round == 0 or job.expires <= hub.clock.now():
        return ()
    return tuple(site.node for site in _able(session, job, sites_of(session, job.id), role, None))


def may_pass(hub: Hub, session: Session, job: JobRow, site: SiteRow, reason: Reason) -> bool:
    """Tell whether the hub itself has a failure tried again, after a pause that fits into the round."""
    allowed = Who.HUB in MAY_RETRY.get(reason, frozenset()) and site.retries < hub.settings.jobs_retries
    if not allowed or job.round == 0 or ended(job) or not _can(session, job, site):
        return False
    current = session.get(RoundRow, (job.id, job.round))
    return current is not None and hub.clock.now() + pause(site) < current.deadline


def pause(site: SiteRow) -> timedelta:
    """Return how long the hub waits before it gives out again what has failed: longer each time."""
    longer: int = _LONGER_EACH_TIME**site.retries
    return FIRST_PAUSE * longer


def begin_anew(
    hub: Hub,
    session: Session,
    job: JobRow,
    site: SiteRow,
    *,
    later: bool = False,
    reason: Reason = Reason.NONE,
) -> None:
    """Queue a failed site for the round that is open; it waits for a later one where the plan does not ask it now.

    Args:
        later: after the pause.
        reason: why it had failed, which stays to be seen until it is given out again.
    """
    site.not_before = hub.clock.now() + pause(site) if later else None
    site.retries += 1
    site.round = job.round
    move_site(hub, job, site, SiteEvent.RETRY, reason=reason)
    current = session.get(RoundRow, (job.id, job.round))
    if current is not None and not takes(step_of(session, job, current), site.node):
        rest(hub, job, site)


def _able(session: Session, job: JobRow, sites: list[SiteRow], role: Who, node: str | None) -> list[SiteRow]:
    chosen = [site for site in sites if node in (None, site.node) and _may(site, role)]
    return [site for site in chosen if _can(session, job, site)]


def _may(site: SiteRow, role: Who) -> bool:
    allowed = MAY_RETRY.get(Reason(site.reason), frozenset())
    return site.state == SiteState.FAILED.value and role in allowed and site.retries < MOST_RETRIES


def _can(session: Session, job: JobRow, site: SiteRow) -> bool:
    """Tell whether a site could take its part up again: what earlier rounds left there is gone after a failure."""
    if session.scalar(select(BootRow.boot).where(BootRow.node == site.node).limit(1)) is None:
        # An agent of the version before would not know what to do.
        return False
    if job.round == 1:
        return True
    earlier = select(UpdateRow.round).where(UpdateRow.job == job.id, UpdateRow.node == site.node)
    return session.scalar(earlier.limit(1)) is None


def _revive(hub: Hub, session: Session, job: JobRow, sites: list[SiteRow]) -> None:
    move_job(hub, job, JobEvent.RETRY)
    job.ended = None
    current = session.get_one(RoundRow, (job.id, job.round))
    deadline = hub.clock.now() + timedelta(seconds=manifest_of(job).plan.round_deadline_s)
    current.state, current.deadline = RoundState.OPEN.value, min(deadline, job.expires)
    for site in sites:
        # The others were told to stop; by this number they know that it goes on.
        if site.state == SiteState.RELEASED.value:
            site.retries += 1
    events.append(
        session,
        events.HubEvent,
        clock=hub.clock,
        kind="job.retried",
        subject=job.id,
        detail={"round": job.round},
    )


def _refused(what: str) -> RetryRefused:
    return RetryRefused(
        what,
        why="Crashes, limits, faults and deadlines may be tried again, a few times; what people, gates or committees "
        "decided may not, nor what rests on earlier rounds that are gone.",
        todo="See the reasons with 'fairbank job show'; otherwise submit a new job.",
    )
