"""Take up again a job that failed at this site, when the hub says that somebody has it tried again.

The site's consent is what it was: approval, cohort and every check before a round stay. Only what failed by itself is
taken up: not what people here or the gate ended, not what has been staged, and not more often than a few times.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.federated_jobs.node import rounds
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow, WorkRow
from fairbank.federated_jobs.protocol import Lease
from fairbank.federated_jobs.reasons import MOST_RETRIES, Reason
from fairbank.federated_jobs.states import SiteState
from fairbank.release.node import Node

_FAILED_BY_ITSELF = frozenset(
    {
        Reason.NODE_FAULT.value,
        Reason.SANDBOX_UNAVAILABLE.value,
        Reason.WORKER_CRASHED.value,
        Reason.OUT_OF_MEMORY.value,
        Reason.OUT_OF_DISK.value,
        Reason.TIMED_OUT.value,
        Reason.CODE_FAILED.value,
        Reason.ROUND_DEADLINE.value,
        Reason.QUORUM_NOT_MET.value,
    }
)


def reopen(node: Node, session: Session, lease: Lease) -> bool:
    """Let a job that failed here go on, in the caller's transaction; return whether its round may be worked on now.

    Args:
        lease: of the round; its `retries` are more than were seen if somebody has the job tried again.
    """
    row = session.get(ReviewRow, lease.job)
    if row is None or lease.retries is None or lease.retries <= row.retries:
        return True
    row.retries = lease.retries
    if not row.ended:
        return True
    approval, work = session.get(ApprovalRow, lease.job), session.get(WorkRow, (lease.job, lease.round))
    lawful = approval is not None and approval.withdrawn is None and lease.retries <= MOST_RETRIES
    failed = row.state == SiteState.FAILED.value and row.reason in _FAILED_BY_ITSELF
    # What was staged and had not left is kept back for good; computing it again would ask the cohort twice.
    if not (lawful and failed) or (work is not None and work.state == rounds.STAGED):
        row.reported = False
        return False
    if work is not None:
        work.state, work.finished = rounds.TAKEN, None
    detail = {"round": lease.round, "reason": row.reason, "retries": lease.retries}
    row.state, row.reason = SiteState.APPROVED.value, Reason.NONE.value
    row.error, row.stopped_by = None, None
    row.ended, row.reported = False, True
    audit.record(
        session,
        audit.NodeAudit,
        clock=node.clock,
        actor="hub",
        act="job.reopen",
        target=lease.job,
        detail=detail,
    )
    return True
