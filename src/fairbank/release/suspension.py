"""The node steps back by its own will: it claims nothing, sends nothing, and stops what runs, until it is resumed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.database import writing
from fairbank.release.errors import NodeSuspendedHere
from fairbank.release.node import Node
from fairbank.release.people import Signer
from fairbank.release.person_decisions import Act, decide
from fairbank.release.store import NodeRow

# Asked several times in every round, so it is put together once.
_SUSPENDED = select(NodeRow.suspended)


def suspend(node: Node, *, by: str, signer: Signer | None = None) -> None:
    """Suspend this node; what runs is stopped within seconds, also where the hub cannot be reached.

    Raises:
        PersonNeeded: if persons are named here and none signs.
    """
    _set(node, Act.NODE_SUSPEND, by=by, signer=signer)


def resume(node: Node, *, by: str, signer: Signer | None = None) -> None:
    """Take part again; what waited in the outbox is sent, and rounds that are still open are computed.

    Raises:
        PersonNeeded: if persons are named here and none signs.
    """
    _set(node, Act.NODE_RESUME, by=by, signer=signer)


def is_suspended(session: Session) -> bool:
    """Tell whether this node is suspended by its own people."""
    return suspended_since(session) is not None


def suspended_since(session: Session) -> datetime | None:
    """Return since when this node is suspended, None if it takes part."""
    return session.connection().execute(_SUSPENDED).scalar()


def check_not_suspended(session: Session) -> None:
    """Do nothing if this node takes part.

    Raises:
        NodeSuspendedHere: if it does not.
    """
    if is_suspended(session):
        raise NodeSuspendedHere(
            "This node is paused: it claims nothing and sends nothing.",
            why="Its people paused it.",
            todo="Run 'fairbank node resume' when it shall take part again.",
        )


def _set(node: Node, act: Act, *, by: str, signer: Signer | None) -> None:
    with writing(node.engine) as session:
        row = session.get_one(NodeRow, 1)
        wanted = act is Act.NODE_SUSPEND
        if (row.suspended is not None) == wanted:
            return
        decision = decide(session, node, act, node.name, {}, signer=signer)
        row.suspended = node.clock.now() if wanted else None
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=signer.name if signer else by,
            act=act.value,
            target=node.name,
            detail={"decision": decision} if decision else {},
        )
