"""The node withdraws a dataset from the catalogue: a control message with a word of a closed list."""

from __future__ import annotations

from typing import Any

from fairbank import audit
from fairbank.database import reading, writing
from fairbank.harvest.datasets import dataset_of
from fairbank.ontology.withdrawal import WithdrawalReason
from fairbank.release.control import ControlMessage
from fairbank.release.hub_client import HubClient
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox


class Withdrawal(ControlMessage):
    """Why a dataset is withdrawn; which one is in the address, who says so in the signature."""

    schema_name = "withdrawal/1"

    reason: WithdrawalReason


def withdraw_dataset(
    node: Node, dataset: str, reason: WithdrawalReason, *, client: HubClient | None = None
) -> dict[str, Any]:
    """Withdraw a dataset at the hub for good, and return what the hub says of it.

    Args:
        client: the connection to the hub; the node's own by default.

    Raises:
        UnknownDataset: if this node has not defined it.
        NotEnrolled: if the node has not enrolled.
        HubUnreachable: if the hub does not answer; nothing is withdrawn then.
        RemoteError: if the hub refuses.
    """
    with reading(node.engine) as session:
        slug = dataset_of(session, dataset).slug
    outbox = Outbox(node, client or HubClient.of(node))
    answer = outbox.control("PUT", f"/v1/datasets/{slug}/withdrawal", Withdrawal(reason=reason))
    with writing(node.engine) as session:
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=node.key.key_id,
            act="dataset.withdraw",
            target=slug,
            detail={"reason": reason.value},
        )
    return answer
