"""Move jobs and sites through their states: the only module that writes a state at the hub.

Every function works inside the caller's writing transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue.context import Hub
from fairbank.federated_jobs.hub import masking_start
from fairbank.federated_jobs.hub.steps import behind, first_step, written
from fairbank.federated_jobs.hub.store import JobRow, LeaseRow, RoundRow, SiteRow
from fairbank.federated_jobs.plans.machine import Step
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.secagg.limits import is_masked
from fairbank.federated_jobs.states import (
    ACTIVE_SITES,
    ENDED_JOBS,
    JOB_MOVES,
    SITE_MOVES,
    UNDECIDED_SITES,
    WORKING_SITES,
    JobEvent,
    JobState,
    RoundState,
    SiteEvent,
    SiteState,
    move,
)
from fairbank.ontology.signed_objects import Manifest

HUB_ACTOR = "hub"


def manifest_of(job: JobRow) -> Manifest:
    """Return a job's manifest; its seal was checked when it was submitted."""
    return _opened(job.manifest, job.requester_key)


@lru_cache(maxsize=256)
def _opened(envelope: bytes, key_id: str) -> Manifest:
    return Manifest.open(envelope, trusted=[key_id])[0]


def sites_of(session: Session, job: str) -> list[SiteRow]:
    """Return a job's sites, sorted by name."""
    return list(session.scalars(_SITES, {"job": job}))


def active(sites: Sequence[SiteRow]) -> list[SiteRow]:
    """Return the sites that still count towards the quorum."""
    return [site for site in sites if SiteState(site.state) in ACTIVE_SITES]


def ended(job: JobRow) -> bool:
    """Tell whether a job is over."""
    return JobState(job.state) in ENDED_JOBS


def move_site(
    hub: Hub, job: JobRow, site: SiteRow, event: SiteEvent, *, reason: Reason = Reason.NONE
) -> None:
    """Move one site.

    Raises:
        StateRefused: if its state does not allow that.
    """
    site.state = move(SITE_MOVES, SiteState(site.state), event).value
    site.reason = reason.value
    site.since = hub.clock.now()
    site.percent = None
    job.changes += 1


def move_job(hub: Hub, job: JobRow, event: JobEvent, *, reason: Reason = Reason.NONE) -> None:
    """Move a job as a whole.

    Raises:
        StateRefused: if its state does not allow that.
    """
    job.state = move(JOB_MOVES, JobState(job.state), event).value
    job.reason = reason.value
    job.changes += 1
    if ended(job):
        job.ended = hub.clock.now()


def advance(hub: Hub, session: Session, job: JobRow) -> None:
    """Take the step that a job's sites allow now: wait, start the first round, or fail for want of a quorum."""
    if ended(job):
        return
    sites = sites_of(session, job.id)
    if job.round == 0:
        undecided = [site for site in sites if SiteState(site.state) in UNDECIDED_SITES]
        if undecided and hub.clock.now() < job.approval_deadline:
            return
        for site in undecided:
            move_site(hub, job, site, SiteEvent.LAPSE, reason=Reason.APPROVAL_DEADLINE)
    if len(active(sites)) < job.quorum:
        end_job(hub, session, job, JobEvent.FAIL, reason=Reason.QUORUM_NOT_MET)
        return
    if job.round == 0:
        job.started = hub.clock.now()
        open_round(hub, session, job, 1, step=first_step(manifest_of(job), active(sites)))


def open_round(hub: Hub, session: Session, job: JobRow, number: int, *, step: Step) -> None:
    """Open a round and queue the sites that the plan asks for it.

    A site still busy with an older round starts anew, or rests if it is not asked; where the plan waits for nobody it
    goes on, unless its base has become too old.
    """
    manifest = manifest_of(job)
    now = hub.clock.now()
    deadline = now + timedelta(seconds=manifest.plan.round_deadline_s)
    session.add(
        RoundRow(
            job=job.id,
            round=number,
            state=RoundState.OPEN.value,
            global_digest=step.base,
            opened=now,
            deadline=min(deadline, job.expires),
            step=written(step),
            enough=step.enough,
        )
    )
    job.round = number
    if is_masked(manifest):
        masking_start.begin(session, job, number, step.participants)
    if step.staleness is None:
        close_leases(session, job.id)
    for site in active(sites_of(session, job.id)):
        if not _goes_on(step, site, number):
            if step.staleness is not None:
                session.execute(_CLOSE_LEASES_AT, {"of": job.id, "at": site.node})
            _ask(hub, job, site, number, asked=site.node in step.participants)


def rest(hub: Hub, job: JobRow, site: SiteRow) -> None:
    """Let a site wait until its plan asks it again."""
    site.not_before = None
    move_site(hub, job, site, SiteEvent.REST)


def _goes_on(step: Step, site: SiteRow, number: int) -> bool:
    """Tell whether a site keeps what it is at work on: nobody waits for it, and what it brings can still be merged."""
    at_work = SiteState(site.state) in WORKING_SITES and site.state != SiteState.QUEUED.value
    if step.staleness is None or not at_work:
        return False
    return behind(step, version=number, computed_for=site.round) is not None


def _ask(hub: Hub, job: JobRow, site: SiteRow, number: int, *, asked: bool) -> None:
    at_work = SiteState(site.state) in WORKING_SITES
    if not asked:
        if at_work:
            rest(hub, job, site)
        return
    if site.state != SiteState.QUEUED.value:
        move_site(hub, job, site, SiteEvent.REQUEUE if at_work else SiteEvent.QUEUE)
    site.round = number


def fail_site(hub: Hub, session: Session, job: JobRow, site: SiteRow, *, reason: Reason) -> None:
    """Take a site out of a job that goes on without it while the quorum holds."""
    event = SiteEvent.FAIL
    if SiteState(site.state) in UNDECIDED_SITES:
        event = SiteEvent.REJECT
    move_site(hub, job, site, event, reason=reason)
    after_loss(hub, session, job)


def after_loss(hub: Hub, session: Session, job: JobRow) -> None:
    """Mark a running job as degraded after a site that had approved it dropped out, and fail it below the quorum."""
    if job.round > 0 and not ended(job):
        move_job(hub, job, JobEvent.DEGRADE)
    advance(hub, session, job)


def end_job(
    hub: Hub,
    session: Session,
    job: JobRow,
    event: JobEvent,
    *,
    reason: Reason = Reason.NONE,
    actor: str = HUB_ACTOR,
) -> None:
    """End a job: no lease stays open, no site stays at work, and everybody who waits learns of it."""
    move_job(hub, job, event, reason=reason)
    if event is not JobEvent.COMPLETE:
        _stop_sites(hub, session, job, reason=reason)
    close_leases(session, job.id)
    abandon = update(RoundRow).where(RoundRow.job == job.id, RoundRow.state == RoundState.OPEN.value)
    session.execute(abandon.values(state=RoundState.ABANDONED.value))
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act=f"job.{job.state}",
        target=job.id,
        detail={"manifest": job.manifest_digest, "reason": job.reason},
    )
    events.append(
        session,
        events.HubEvent,
        clock=hub.clock,
        kind="job.ended",
        subject=job.id,
        detail={"state": job.state, "reason": job.reason},
    )


def _stop_sites(hub: Hub, session: Session, job: JobRow, *, reason: Reason) -> None:
    for site in sites_of(session, job.id):
        state = SiteState(site.state)
        if state in UNDECIDED_SITES:
            move_site(hub, job, site, SiteEvent.LAPSE, reason=reason)
        elif state in ACTIVE_SITES and state is not SiteState.RELEASED:
            move_site(hub, job, site, SiteEvent.FAIL, reason=reason)


def close_leases(session: Session, job: str) -> None:
    """Take back all leases of a job."""
    session.execute(_CLOSE_LEASES, {"of": job})


# Asked in every round, so they are put together once.
_SITES = select(SiteRow).where(SiteRow.job == bindparam("job")).order_by(SiteRow.node)
_CLOSE_LEASES = update(LeaseRow).where(LeaseRow.job == bindparam("of"), LeaseRow.open).values(open=False)
_CLOSE_LEASES_AT = (
    update(LeaseRow)
    .where(LeaseRow.job == bindparam("of"), LeaseRow.node == bindparam("at"), LeaseRow.open)
    .values(open=False)
)
