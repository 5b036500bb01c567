"""What sites say about themselves: approvals, refusals, failures; and how the job goes on from there."""

from __future__ import annotations

from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.federated_jobs.errors import StateRefused
from fairbank.federated_jobs.hub.dispatch import not_found
from fairbank.federated_jobs.hub.progress import advance, after_loss, ended, move_site
from fairbank.federated_jobs.hub.retrying import begin_anew, may_pass
from fairbank.federated_jobs.hub.store import JobRow, LeaseRow, SiteRow
from fairbank.federated_jobs.protocol import SiteStateReport
from fairbank.federated_jobs.states import (
    ACTIVE_SITES,
    REPORTED,
    WORKING_SITES,
    SiteEvent,
    SiteState,
)

_WAITING = frozenset({SiteState.APPROVED, SiteState.RELEASED})
_LOSSES = frozenset({SiteEvent.REJECT, SiteEvent.LAPSE, SiteEvent.WITHHOLD, SiteEvent.FAIL})


def report(hub: Hub, session: Session, job_id: str, *, node: str, message: SiteStateReport) -> SiteState:
    """Take in where a job stands at a site; saying the same again changes nothing.

    Raises:
        JobNotFound: if this node has no part in the job.
        StateRefused: if the site's state, or the job's, does not allow it.
    """
    job, site = session.get(JobRow, job_id), session.get(SiteRow, (job_id, node))
    if job is None or site is None:
        raise not_found()
    state = SiteState(site.state)
    if message.state is SiteState.PENDING_REVIEW:
        if state is SiteState.PENDING_REVIEW:
            site.delivered = True
            _end_lease(session, job_id, node, 0)
        return state
    if message.state is state and site.reason == message.reason.value:
        return state
    # An approval told twice finds the job further on: that is no contradiction.
    if message.state is SiteState.APPROVED and message.approval_digest == site.approval_digest is not None:
        return state
    # A failure told twice finds the site waiting to be tried again.
    if (
        message.state is SiteState.FAILED
        and site.not_before is not None
        and site.reason == message.reason.value
    ):
        return state
    event = REPORTED.get(message.state)
    if ended(job) or event is None:
        raise StateRefused(
            f"This job is {job.state}; its site cannot become {message.state.value}.",
            why="A job that is over does not change, and some states follow only from what a site releases.",
            todo="The node drops the job when it claims again.",
        )
    if message.round and message.round != site.round and state in WORKING_SITES:
        return state
    # What a site does for a round that has closed without it is nobody's concern any more.
    if message.round and event in (SiteEvent.START, SiteEvent.HOLD) and state in _WAITING:
        return state
    if event is SiteEvent.FAIL and state is SiteState.PENDING_REVIEW:
        event = SiteEvent.REJECT
    # An approval that is taken back, or ends, in the middle of the work is a loss like any other.
    if event in (SiteEvent.REJECT, SiteEvent.LAPSE) and state in WORKING_SITES | {SiteState.RELEASED}:
        event = SiteEvent.FAIL
    was_active = state in ACTIVE_SITES
    again = event is SiteEvent.FAIL and may_pass(hub, session, job, site, message.reason)
    move_site(hub, job, site, event, reason=message.reason)
    site.delivered = True
    if message.state is SiteState.APPROVED:
        site.approval_digest = message.approval_digest
    _end_lease(session, job_id, node, 0)
    if event in _LOSSES or event is SiteEvent.HOLD:
        _end_lease(session, job_id, node, site.round)
    _log(hub, session, site, message)
    if again:
        begin_anew(hub, session, job, site, later=True, reason=message.reason)
    elif event in _LOSSES and was_active:
        after_loss(hub, session, job)
    else:
        advance(hub, session, job)
    return SiteState(site.state)


def _end_lease(session: Session, job: str, node: str, number: int) -> None:
    lease = session.get(LeaseRow, (job, node, number))
    if lease is not None:
        lease.open = False


def _log(hub: Hub, session: Session, site: SiteRow, message: SiteStateReport) -> None:
    detail: dict[str, object] = {"job": site.job, "reason": message.reason.value}
    if message.approval_digest:
        detail["approval"] = message.approval_digest
    if message.error:
        detail["error"] = message.error
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=site.node,
        act=f"site.{message.state.value}",
        target=site.job,
        detail=detail,
    )
