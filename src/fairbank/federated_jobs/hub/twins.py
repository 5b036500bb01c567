"""Two agents that speak as one node: a copied home folder, or an old process that nobody ended.

Each agent draws an id when it starts and names it with every request. A new id takes the place of the one before: the
agent was started anew. If the one before speaks after that, there are two. Which is the right one the hub cannot know,
so it takes nothing from either until an administrator has looked, and says so to both.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from fairbank import audit, audit_alarms
from fairbank.audit_alarms import AlarmKind
from fairbank.catalogue import nodes
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NodeSuspended
from fairbank.database import reading
from fairbank.federated_jobs.errors import NodeDoubled
from fairbank.federated_jobs.hub.changing import changing
from fairbank.federated_jobs.hub.progress import HUB_ACTOR
from fairbank.federated_jobs.hub.store import BootRow

log = logging.getLogger(__name__)

HEADER = "fairbank-boot"
# Of a node that is started anew again and again the oldest starts are forgotten.
_MOST_REMEMBERED = 50
# Asked for every message of a node, so it is put together once.
_BOOT = select(BootRow.over).where(BootRow.node == bindparam("node"), BootRow.boot == bindparam("boot"))
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def boot_in(text: str | None) -> str | None:
    """Return the id of an agent's start from the header of a request, None for an agent of the version before."""
    return text if text and _UUID7.fullmatch(text) else None


def heed(hub: Hub, node: str, boot: str | None) -> None:
    """Note which agent speaks for a node now.

    Raises:
        NodeDoubled: if another agent of this node has been started since this one, and this one goes on all the same.
    """
    if boot is None:
        return
    with reading(hub.engine) as session:
        if speaks(session, node, boot):
            return
    with changing(hub) as session:
        doubled = _take_over(hub, session, node, boot)
    if doubled:
        hub.notifier.notify()
        raise _doubled(node)


def speaks(session: Session, node: str, boot: str | None) -> bool:
    """Tell whether an agent is the one that speaks for its node now."""
    if boot is None:
        return True
    row = _boot(session, node, boot)
    return row is not None and row.over is None


def check_speaks(session: Session, node: str, boot: str | None) -> None:
    """Refuse what comes from an agent in whose place another has been started.

    One that has just been started sends what was left in its outbox before it asks for work.

    Raises:
        NodeDoubled: if that is so.
    """
    row = None if boot is None else _boot(session, node, boot)
    if row is not None and row.over is not None:
        raise _doubled(node)


def _boot(session: Session, node: str, boot: str) -> Any:
    return session.connection().execute(_BOOT, {"node": node, "boot": boot}).first()


def explained(hub: Hub, node: str, refused: NodeSuspended) -> NodeDoubled | NodeSuspended:
    """Return why a node is suspended: as one of two, if that alarm stands, or as the administrators' decision."""
    with reading(hub.engine) as session:
        standing = audit_alarms.alarms(session, audit.HubAudit, standing=True)
    if any(one.log == node and one.kind is AlarmKind.DOUBLED for one in standing):
        return _doubled(node)
    return refused


def _take_over(hub: Hub, session: Session, node: str, boot: str) -> bool:
    rows = list(session.scalars(select(BootRow).where(BootRow.node == node).order_by(BootRow.since)))
    mine = next((row for row in rows if row.boot == boot), None)
    if mine is None:
        for row in rows:
            row.over = row.over or hub.clock.now()
        for row in rows[: max(0, len(rows) - _MOST_REMEMBERED)]:
            session.delete(row)
        session.add(BootRow(node=node, boot=boot, since=hub.clock.now()))
        return False
    if mine.over is None:
        return False
    newest = rows[-1]
    detail = {"started": mine.boot, "started_since": newest.boot}
    audit_alarms.sound(
        session, audit.HubAudit, clock=hub.clock, log=node, kind=AlarmKind.DOUBLED, detail=detail
    )
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=HUB_ACTOR,
        act="node.doubled",
        target=node,
        detail=detail,
    )
    nodes.suspend(session, hub, node=node, actor=HUB_ACTOR)
    # After an administrator has resumed the node, the first to speak is the one again.
    session.execute(delete(BootRow).where(BootRow.node == node))
    log.error("two agents speak as the node %s; it is suspended", node)
    return True


def _doubled(node: str) -> NodeDoubled:
    return NodeDoubled(
        f"Two agents speak as the node {node!r}; the hub takes nothing from either.",
        why="An agent went on after another of the same node had been started: a copied home folder, or an old "
        "process that was not ended.",
        todo="End one of them, then ask the hub's administrator to look at the alarm and to resume the node.",
    )
