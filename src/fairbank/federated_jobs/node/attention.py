"""What a person of the site should look at, put together for `fairbank node status`; nothing here decides."""

from __future__ import annotations

from sqlalchemy.orm import Session

from fairbank import audit_alarms
from fairbank.audit import NodeAudit
from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import HubLogForked
from fairbank.federated_jobs.node import hub_seals
from fairbank.federated_jobs.node.policy_file import standing
from fairbank.federated_jobs.node.reporting import refused_reports
from fairbank.release.errors import NodeSuspendedHere
from fairbank.release.node import Node
from fairbank.release.suspension import check_not_suspended


def needed(node: Node) -> list[FairbankError]:
    """Return what needs somebody, as the errors that say what happened, why, and what to do; none are raised.

    What stops the node comes first: its suspension, alarms about the hub's log; then a policy file that cannot be used,
    a hub that seals nothing, and reports that the hub refuses.
    """
    with reading(node.engine) as session:
        unsealed = hub_seals.overdue(session, node)
        return [
            *_suspended(session),
            *_alarms(session),
            *_policy(session, node),
            *([unsealed.words()] if unsealed is not None else []),
            *refused_reports(session),
        ]


def _suspended(session: Session) -> list[FairbankError]:
    try:
        check_not_suspended(session)
    except NodeSuspendedHere as err:
        return [err]
    return []


def _policy(session: Session, node: Node) -> list[FairbankError]:
    problem = standing(session, node).problem
    return [] if problem is None else [problem]


def _alarms(session: Session) -> list[FairbankError]:
    return [
        HubLogForked(
            f"The hub's audit log is {alarm.kind.value}: this node does no work for it.",
            why=f"It is alarm {alarm.id}.",
            todo="See 'fairbank audit alarms'; ask the hub's people; then 'fairbank audit clear'.",
        )
        for alarm in audit_alarms.alarms(session, NodeAudit, standing=True)
    ]
