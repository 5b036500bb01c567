"""Tell the hub where a job stands at this site: closed words, ids and digests, through the outbox.

A report that the hub refuses is kept and told again, less and less often; it holds up no other, and no claim.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, RemoteError
from fairbank.federated_jobs.errors import ReportRefused
from fairbank.federated_jobs.node.peers import tell_key
from fairbank.federated_jobs.node.progress import progress_of
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow, UntoldRow
from fairbank.federated_jobs.node.training_rules import told_rules
from fairbank.federated_jobs.protocol import (
    LeaseWork,
    PlaceReport,
    Renew,
    Renewed,
    SiteStateReport,
    TrainingRulesReport,
)
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import SiteState
from fairbank.ontology.errors import MalformedObject
from fairbank.release.control import ControlMessage
from fairbank.release.errors import BadAnswer, GateRefused, HubUnreachable
from fairbank.release.node import Node, place_of
from fairbank.release.outbox import Outbox

log = logging.getLogger(__name__)

NO_SUCH_ROUTE = 404

# The hub's word that it takes nothing from this node for now; a node imports nothing of the hub.
NODE_SUSPENDED = "FB-REL-036"
FIRST_PUT_OFF = timedelta(seconds=30)
LONGEST_PUT_OFF = timedelta(hours=1)
# What the hub says is kept and shown only if it is a code, not whatever it likes.
_CODE = re.compile(r"FB-[A-Z]{2,8}-[0-9]{3}")
# The hub knows the job no longer, or it has gone on without this site: saying it again would change nothing.
_SETTLED = frozenset({404, 409, 410})

# Asked before every claim, so it is put together once.
_UNTOLD = select(ReviewRow).where(ReviewRow.reported.is_(False)).order_by(ReviewRow.received, ReviewRow.job)


@dataclass(frozen=True, slots=True)
class Reported:
    """How many decisions the hub was told just now, and how many it refused to take or refused so lately."""

    told: int
    refused: int


def renew(node: Node, outbox: Outbox, job: str, lease: str, *, timeout_s: float) -> Renewed:
    """Keep a lease alive, and tell how far its round is where this site tells that; return the hub's answer.

    Raises:
        HubUnreachable: if the hub does not answer.
        RemoteError: if it refuses, as it does where the lease is gone.
    """
    known = progress_of(node, job)
    plain = Renew(state=LeaseWork.WORKING)
    message = plain if known is None else plain.model_copy(update={"percent": known.told})
    try:
        answer = outbox.control("PUT", f"/v1/leases/{lease}", message, timeout_s=timeout_s)
    except RemoteError as err:
        # A hub of the version before knows of no progress, and a lease must not lapse for that.
        if message.percent is None or err.remote_code != MalformedObject.code:
            raise
        answer = outbox.control("PUT", f"/v1/leases/{lease}", plain, timeout_s=timeout_s)
    return Renewed.parse(answer)


def tell_place(node: Node, outbox: Outbox) -> None:
    """Tell the hub in which country this node is, and what its site asks of trainings."""
    _tell_of_itself(node, outbox, "place", PlaceReport(place=place_of(node.settings)))
    _tell_of_itself(node, outbox, "training-rules", TrainingRulesReport(rules=told_rules(node)))


def _tell_of_itself(node: Node, outbox: Outbox, what: str, message: ControlMessage) -> None:
    try:
        outbox.control("PUT", f"/v1/nodes/{node.name}/{what}", message)
    except (RemoteError, BadAnswer) as err:
        # A hub of the version before does not know what is told. Where it refuses it, what is unfinished is taken up
        # all the same; it is told again when the agent starts anew.
        if not isinstance(err, RemoteError) or err.status != NO_SUCH_ROUTE:
            log.warning(
                "the hub does not take this node's %s: %s", what, getattr(err, "remote_code", err.code)
            )


def tell(node: Node, outbox: Outbox, job: str, message: SiteStateReport) -> None:
    """Send one report.

    Raises:
        HubUnreachable: if the hub does not answer.
        RemoteError: if it refuses for another reason than that the job has gone on.
    """
    try:
        outbox.control("POST", f"/v1/jobs/{job}/sites/{node.name}/state", message)
    except RemoteError as err:
        if err.status not in _SETTLED:
            raise
        log.warning("the hub does not take the state of job %s: %s", job, err.remote_code)


def report_decisions(node: Node, outbox: Outbox) -> Reported:
    """Tell the hub every decision that it does not know yet; one that it refuses is kept and told again later.

    Raises:
        HubUnreachable: if nothing answers at all; what was not told is told later.
        KeyNotEnrolled, NodeClockOff, RemoteError: if the hub takes nothing from this node.
    """
    with reading(node.engine) as session:
        rows = list(session.scalars(_UNTOLD))
        approvals = {row.job: session.get(ApprovalRow, row.job) for row in rows}
        refused = {row.job: session.get(UntoldRow, row.job) for row in rows}
    told = left = 0
    for row in rows:
        if _is_put_off(node, row, refused[row.job]):
            left += 1
            continue
        approval = approvals[row.job]
        try:
            if approval is not None and row.state == SiteState.APPROVED.value:
                tell_key(node, outbox, row, approval)
            tell(node, outbox, row.job, _message(row, approval))
        except FairbankError as err:
            if not refuses_this(err):
                raise
            _put_off(node, row, err)
            left += 1
            if isinstance(err, HubUnreachable):
                # A hub in trouble is not asked for all the others as well, but goes on being asked for work.
                break
            continue
        _note_told(node, row, refused[row.job])
        told += 1
    return Reported(told, left)


def refuses_this(err: FairbankError) -> bool:
    """Tell whether an error is about one message, so that the next may fare better; not about the hub, or this node."""
    if isinstance(err, RemoteError):
        return err.remote_code != NODE_SUSPENDED
    if isinstance(err, HubUnreachable):
        return err.answered
    return isinstance(err, (BadAnswer, GateRefused))


def refused_reports(session: Session) -> list[ReportRefused]:
    """Return what a person of the site should know of each report that the hub still refuses, oldest first."""
    kept = session.scalars(
        select(UntoldRow)
        .join(ReviewRow, ReviewRow.job == UntoldRow.job)
        .where(
            ReviewRow.reported.is_(False),
            ReviewRow.state == UntoldRow.state,
            ReviewRow.reason == UntoldRow.reason,
        )
        .order_by(UntoldRow.since, UntoldRow.job)
    )
    return [
        ReportRefused(
            f"The hub refuses to take that job {row.job} is {row.state} here.",
            why=f"It answered {row.refused_with}, {row.tries} times since {iso(row.since)}.",
            todo=f"It is told again after {iso(row.due)}; if that goes on, ask the hub's administrator.",
        )
        for row in kept
    ]


def _is_put_off(node: Node, row: ReviewRow, refused: UntoldRow | None) -> bool:
    return refused is not None and _still(refused, row) and node.clock.now() < refused.due


def _still(refused: UntoldRow, row: ReviewRow) -> bool:
    return (refused.state, refused.reason) == (row.state, row.reason)


def _put_off(node: Node, row: ReviewRow, err: FairbankError) -> None:
    """Write down that the hub refused a report, and when it is told again."""
    said = err.remote_code if isinstance(err, RemoteError) and _CODE.fullmatch(err.remote_code) else err.code
    log.warning("the hub refuses the state of job %s: %s", row.job, said)
    now = node.clock.now()
    with writing(node.engine) as session:
        before = session.get(UntoldRow, row.job)
        again = before if before is not None and _still(before, row) else None
        tries = again.tries + 1 if again is not None else 1
        session.merge(
            UntoldRow(
                job=row.job,
                state=row.state,
                reason=row.reason,
                refused_with=said,
                tries=tries,
                since=again.since if again is not None else now,
                due=now + min(FIRST_PUT_OFF * 2 ** min(tries - 1, 20), LONGEST_PUT_OFF),
            )
        )


def _note_told(node: Node, row: ReviewRow, refused: UntoldRow | None) -> None:
    with writing(node.engine) as session:
        fresh = session.get_one(ReviewRow, row.job)
        # Somebody may have decided otherwise while this was on its way; that is told next.
        if (fresh.state, fresh.reason) == (row.state, row.reason):
            fresh.reported = True
        if refused is not None and (kept := session.get(UntoldRow, row.job)) is not None:
            session.delete(kept)


def _message(row: ReviewRow, approval: ApprovalRow | None) -> SiteStateReport:
    state = SiteState(row.state)
    digest = approval.digest if approval is not None and state is SiteState.APPROVED else None
    return SiteStateReport(state=state, reason=Reason(row.reason), approval_digest=digest, error=row.error)
