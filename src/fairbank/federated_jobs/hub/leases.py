"""Hand work to nodes: what a node should do next, for how long it may, and what happens when it does not come back.

Every function works inside the caller's transaction; `waiting` only reads, so that a node that waits costs no write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit_alarms import AlarmKind
from fairbank.catalogue import blobs
from fairbank.catalogue.context import Hub
from fairbank.catalogue.nodes import countries_of
from fairbank.clock import iso
from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import LeaseGone
from fairbank.federated_jobs.hub import mailbox, masking, node_logs, usage
from fairbank.federated_jobs.hub.changing import concerns
from fairbank.federated_jobs.hub.choosing import STILL_OF_THE_JOB, next_for, note_turn
from fairbank.federated_jobs.hub.progress import ended, manifest_of, move_site
from fairbank.federated_jobs.hub.store import AnchorRow, JobRow, LeaseRow, RoundRow, SiteRow
from fairbank.federated_jobs.hub.tool_registry import standing_of
from fairbank.federated_jobs.hub.tool_store import ToolVersionRow
from fairbank.federated_jobs.masking_protocol import MaskingStep
from fairbank.federated_jobs.protocol import (
    Claim,
    Lease,
    LeaseKind,
    LeaseWork,
    Renew,
    Renewed,
    SitePlace,
)
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import ACTIVE_SITES, SiteEvent, SiteState


def waiting(hub: Hub, session: Session, node: str, claim: Claim) -> bool:
    """Tell whether there is anything to hand to a node now."""
    return next_for(session, node, claim, now=hub.clock.now()) is not None


def lease_next(hub: Hub, session: Session, node: str, claim: Claim) -> Lease | None:
    """Hand the next piece of work to a node: first what it must stop, then reviews, then rounds."""
    found = next_for(session, node, claim, now=hub.clock.now())
    if found is None:
        return None
    if found.kind is LeaseKind.STOP:
        return _stop_lease(hub, session, found.job, node)
    job, site, current = session.execute(_PLACE, {"job": found.job, "node": node}).one()
    # What is read is read before anything changes: one flush then writes it all.
    head = audit.head(session, audit.HubAudit)
    _anchor(hub, session, node, claim)
    if found.kind is LeaseKind.REVIEW:
        places = _places(session, session.scalars(_ASKED, {"job": job.id}).all())
        tool = _tool_of(session, job)
        brought = _review_lease(hub, job, _grant(hub, session, site, found.kind), head, places)
        if tool is None:
            return brought
        told = {"tool_manifest": tool.manifest.decode(), "tool_state": tool.state}
        return brought.model_copy(update=told)
    participants = tuple(session.scalars(_PARTICIPANTS, {"job": job.id}))
    mail = mailbox.order_for(session, job, current, node)
    steps = masking.order_for(session, job, current)
    # A site has the model since it was asked for its keys.
    model = current.global_digest if steps is None or steps.step is MaskingStep.KEYS else None
    lease = _grant(hub, session, site, found.kind)
    site.not_before = None
    if model is not None:
        size_bytes = blobs.path_of(hub, model).stat().st_size
        usage.note_down(session, job.id, node, lease.round, size_bytes)
    if mail is not None and mail.parcels:
        parcels = sum(one.size_bytes for one in mail.parcels if one.sender != node)
        usage.note_down(session, job.id, node, lease.round, parcels)
    note_turn(session, node, job.account, at=lease.granted)
    if site.state == SiteState.QUEUED.value:
        move_site(hub, job, site, SiteEvent.LEASE)
    return Lease(
        id=lease.id,
        kind=LeaseKind.ROUND,
        job=job.id,
        round=lease.round,
        expires=iso(lease.expires),
        lease_s=hub.settings.jobs_lease_s,
        global_digest=model,
        round_deadline=iso(current.deadline),
        participants=participants,
        hub_country=hub.settings.hub_country or None,
        places=_places(session, participants),
        retries=site.retries or None,
        mail=mail,
        masking=steps,
        hub_audit_seq=head.seq,
        hub_audit_hash=head.hash,
    )


def renew(hub: Hub, session: Session, lease_id: str, *, node: str, message: Renew) -> Renewed:
    """Keep a lease alive; the answer says whether the node should stop.

    Raises:
        LeaseGone: if the lease ran out and was handed on, or is not this node's.
    """
    lease = session.scalars(select(LeaseRow).where(LeaseRow.id == lease_id, LeaseRow.node == node)).first()
    if lease is None:
        raise _gone()
    job = session.get_one(JobRow, lease.job)
    site = session.get_one(SiteRow, (job.id, node))
    if ended(job):
        return _stop(hub, job.reason)
    if SiteState(site.state) not in STILL_OF_THE_JOB:
        return _stop(hub, site.reason)
    if job.paused is not None:
        return _stop(hub, Reason.GRANT_PAUSED.value)
    if not lease.open:
        raise _gone()
    lease.expires = hub.clock.now() + timedelta(seconds=hub.settings.jobs_lease_s)
    if site.state == SiteState.LEASED.value and lease.kind == LeaseKind.ROUND.value:
        move_site(hub, job, site, SiteEvent.START)
    if site.state == SiteState.RUNNING.value and message.state is LeaseWork.HOLDING:
        move_site(hub, job, site, SiteEvent.HOLD)
    if site.state == SiteState.RUNNING.value and lease.round == site.round:
        _note_progress(job, site, message)
    return Renewed(expires=iso(lease.expires), stop=False)


def _note_progress(job: JobRow, site: SiteRow, message: Renew) -> None:
    """Keep what a site tells of its round: it only grows, so a renewal that came late takes nothing back."""
    if message.percent is not None and (site.percent is None or message.percent > site.percent):
        site.percent = message.percent
        job.changes += 1


def requeue_lapsed(hub: Hub, session: Session) -> int:
    """Take back the leases that nobody renewed; return how many there were."""
    now = hub.clock.now()
    lapsed = list(session.scalars(select(LeaseRow).where(LeaseRow.open, LeaseRow.expires <= now)))
    # A review that is open again is a change of its lease alone.
    concerns(session, {lease.node for lease in lapsed})
    for lease in lapsed:
        lease.open = False
        site = session.get_one(SiteRow, (lease.job, lease.node))
        if site.state in (SiteState.LEASED.value, SiteState.RUNNING.value):
            move_site(hub, session.get_one(JobRow, lease.job), site, SiteEvent.REQUEUE)
    return len(lapsed)


def _stop(hub: Hub, reason: str) -> Renewed:
    return Renewed(expires=iso(hub.clock.now()), stop=True, reason=Reason(reason))


# Put together once: a statement costs more to write down than to run.
_PLACE = (
    select(JobRow, SiteRow, RoundRow)
    .join(SiteRow, and_(SiteRow.job == JobRow.id, SiteRow.node == bindparam("node")))
    .outerjoin(RoundRow, and_(RoundRow.job == SiteRow.job, RoundRow.round == SiteRow.round))
    .where(JobRow.id == bindparam("job"))
)
_PARTICIPANTS = (
    select(SiteRow.node)
    .where(SiteRow.job == bindparam("job"), SiteRow.state.in_([state.value for state in ACTIVE_SITES]))
    .order_by(SiteRow.node)
)
_LEASES = LeaseRow.metadata.tables[LeaseRow.__tablename__]
_FIRST = insert(_LEASES)
_AGAIN = (
    update(_LEASES)
    .where(
        _LEASES.c.job == bindparam("of_job"),
        _LEASES.c.node == bindparam("of_node"),
        _LEASES.c.round == bindparam("of_round"),
    )
    .values(
        id=bindparam("id"),
        kind=bindparam("kind"),
        granted=bindparam("granted"),
        expires=bindparam("expires"),
        open=bindparam("open"),
        attempt=_LEASES.c.attempt + 1,
    )
)
_ANCHORS = AnchorRow.metadata.tables[AnchorRow.__tablename__]
_AT = and_(_ANCHORS.c.node == bindparam("of_node"), _ANCHORS.c.seq == bindparam("of_seq"))
_ANCHORED, _UNANCHOR, _ANCHOR = (
    select(_ANCHORS.c.hash).where(_AT),
    delete(_ANCHORS).where(_AT),
    insert(_ANCHORS),
)
_ASKED = select(SiteRow.node).where(SiteRow.job == bindparam("job")).order_by(SiteRow.node)


@dataclass(frozen=True, slots=True)
class _Term:
    """The id of a lease that was just given, for which round, and from when until when."""

    id: str
    round: int
    granted: datetime
    expires: datetime


def _grant(hub: Hub, session: Session, site: SiteRow, kind: LeaseKind) -> _Term:
    now = hub.clock.now()
    expires = now + timedelta(seconds=hub.settings.jobs_lease_s)
    term = _Term(hub.clock.new_id(), site.round if kind is LeaseKind.ROUND else 0, now, expires)
    given = {"id": term.id, "kind": kind.value, "granted": now, "expires": expires, "open": True}
    place = {"of_job": site.job, "of_node": site.node, "of_round": term.round}
    connection = session.connection()
    if connection.execute(_AGAIN, {**place, **given}).rowcount == 0:
        row = {"job": site.job, "node": site.node, "round": term.round, "attempt": 1}
        connection.execute(_FIRST, {**row, **given})
    return term


def _places(session: Session, nodes: Sequence[str]) -> tuple[SitePlace, ...]:
    known = countries_of(session, nodes)
    return tuple(SitePlace(node=node, country=known.get(node)) for node in nodes)


def _tool_of(session: Session, job: JobRow) -> ToolVersionRow | None:
    """Return what the registry has of a job's tool; of a manifest that cannot be read the site says what it is."""
    try:
        return standing_of(session, manifest_of(job).code)
    except FairbankError:
        return None


def _review_lease(
    hub: Hub, job: JobRow, lease: _Term, head: audit.Head, places: tuple[SitePlace, ...]
) -> Lease:
    return Lease(
        id=lease.id,
        kind=LeaseKind.REVIEW,
        job=job.id,
        expires=iso(lease.expires),
        lease_s=hub.settings.jobs_lease_s,
        request=job.request.decode(),
        visa=job.visa.decode(),
        manifest=job.manifest.decode(),
        hub_country=hub.settings.hub_country or None,
        places=places,
        hub_audit_seq=head.seq,
        hub_audit_hash=head.hash,
    )


def _stop_lease(hub: Hub, session: Session, job_id: str, node: str) -> Lease:
    head = audit.head(session, audit.HubAudit)
    job, site = session.get(JobRow, job_id), session.get(SiteRow, (job_id, node))
    # A job that goes on without this site stops here for the site's own reason.
    told = Reason.JOB_CANCELLED
    if job is not None:
        told = Reason(job.reason if ended(job) or site is None else site.reason)
    return Lease(
        id=hub.clock.new_id(),
        kind=LeaseKind.STOP,
        job=job_id,
        reason=told,
        expires=iso(hub.clock.now()),
        hub_audit_seq=head.seq,
        hub_audit_hash=head.hash,
    )


def _anchor(hub: Hub, session: Session, node: str, claim: Claim) -> None:
    connection = session.connection()
    place = {"of_node": node, "of_seq": claim.audit_seq}
    known = connection.execute(_ANCHORED, place).scalar()
    if known == claim.audit_hash:
        return
    if known is not None:
        detail = {"seen": claim.audit_seq, "seen_head": known, "told_head": claim.audit_hash}
        node_logs.sound(hub, session, node, AlarmKind.REWRITTEN, detail)
        # Both are kept: what was seen stands in the alarm.
        connection.execute(_UNANCHOR, place)
    row = {
        "node": node,
        "seq": claim.audit_seq,
        "hash": claim.audit_hash,
        "at": hub.clock.now(),
        "hub_seq": claim.hub_audit_seq,
        "hub_hash": claim.hub_audit_hash,
    }
    connection.execute(_ANCHOR, row)


def _gone() -> LeaseGone:
    return LeaseGone(
        "This lease is over.",
        why="It was not renewed in time, or its work was taken back.",
        todo="The node claims again; what it has already released counts.",
    )
