"""Tell the hub where a job stands at this site: closed words, ids and digests, through the outbox."""

from __future__ import annotations

import logging

from sqlalchemy import select

from fairbank.database import reading, writing
from fairbank.errors import RemoteError
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow
from fairbank.federated_jobs.protocol import SiteStateReport
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import SiteState
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox

log = logging.getLogger(__name__)

# The hub knows the job no longer, or it has gone on without this site: saying it again would change nothing.
_SETTLED = frozenset({404, 409, 410})

# Asked before every claim, so it is put together once.
_UNTOLD = select(ReviewRow).where(ReviewRow.reported.is_(False)).order_by(ReviewRow.received, ReviewRow.job)


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


def report_decisions(node: Node, outbox: Outbox) -> int:
    """Tell the hub every decision that it does not know yet; return how many there were.

    Raises:
        HubUnreachable: if the hub does not answer; what was not told is told later.
    """
    with reading(node.engine) as session:
        rows = list(session.scalars(_UNTOLD))
        approvals = {row.job: session.get(ApprovalRow, row.job) for row in rows}
    for row in rows:
        tell(node, outbox, row.job, _message(row, approvals[row.job]))
        with writing(node.engine) as session:
            fresh = session.get_one(ReviewRow, row.job)
            # Somebody may have decided otherwise while this was on its way; that is told next.
            if (fresh.state, fresh.reason) == (row.state, row.reason):
                fresh.reported = True
    return len(rows)


def _message(row: ReviewRow, approval: ApprovalRow | None) -> SiteStateReport:
    state = SiteState(row.state)
    digest = approval.digest if approval is not None and state is SiteState.APPROVED else None
    return SiteStateReport(state=state, reason=Reason(row.reason), approval_digest=digest, error=row.error)
