"""What the hub has seen of the nodes' audit logs, and what the nodes were shown of the hub's.

Claims state both; they are stored as they come and compared here, off the path of every round. That they were seen is
then said in the hub's own log, so that rewriting both a log and the memory of it needs two logs rewritten.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from fairbank import audit, audit_alarms, audit_checkpoints, audit_export, audit_settings
from fairbank.audit import Head, HubAudit
from fairbank.audit_alarms import AlarmKind
from fairbank.catalogue import hub_keys, login_failures
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import RootKeyElsewhere, UnknownNode
from fairbank.catalogue.nodes import keys_of
from fairbank.catalogue.store import NodeRow
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub.store import AnchorRow

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(minutes=10)
NOTE_EVERY = timedelta(hours=1)
AT_ONCE = timedelta(minutes=2)


def sound(hub: Hub, session: Session, node: str, kind: AlarmKind, detail: dict[str, Any]) -> None:
    """Raise an alarm about a node's log in the caller's writing transaction; its releases go on being taken."""
    audit_alarms.sound(session, HubAudit, clock=hub.clock, log=node, kind=kind, detail=detail)
    log.error("the audit log of the node %s is %s", node, kind.value)


def background(hub: Hub) -> list[Callable[[], Awaitable[None]]]:
    """Return the task that keeps checkpoints and compares logs while the application lives, and seals at its end."""

    def go_on() -> None:
        with reading(hub.engine) as session:
            key = hub_keys.named(session)
        audit_settings.note_if_changed(hub.engine, HubAudit, hub.settings, clock=hub.clock, actor=key)
        login_failures.note(hub)
        look(hub)

    async def keep_watch() -> None:
        try:
            while True:
                try:
                    await run_in_threadpool(go_on)
                except Exception:  # an outermost edge: the next look comes anyway
                    log.exception("the audit logs could not be compared")
                await asyncio.sleep(LOOK_EVERY / timedelta(seconds=1))
        finally:
            seal(hub, now=True)

    return [keep_watch]


def seal(hub: Hub, *, now: bool = False) -> None:
    """Keep a sealed checkpoint of the hub's log, if one is due, or at once.

    Where the root key was replaced and is not in this home folder, it is left to the process that has it.
    """
    keep = audit_checkpoints.keep if now else audit_checkpoints.keep_if_due
    try:
        with reading(hub.engine) as session:
            key = hub_keys.sealing_key(session, hub)
    except RootKeyElsewhere as err:
        log.error("%s %s", err.code, err)
        return
    keep(hub.engine, HubAudit, key=key, log=hub.base_iri, clock=hub.clock)


def look(hub: Hub) -> None:
    """Compare what was stated since the last look that this log notes; note it; keep a checkpoint."""
    with reading(hub.engine) as session:
        noted = session.scalar(
            select(HubAudit.at).where(HubAudit.act == "anchor.see").order_by(HubAudit.seq.desc()).limit(1)
        )
        stated = _stated_since(session, noted)
        problems = [problem for node, rows in stated.items() for problem in _problems(session, node, rows)]
        problems = [each for each in problems if not _cleared(session, *each)]
    now = hub.clock.now()
    due = bool(stated) and (noted is None or now - noted >= NOTE_EVERY)
    if problems or due:
        with writing(hub.engine) as session:
            for node, kind, detail, _ in problems:
                sound(hub, session, node, kind, detail)
            if due:
                heads = {node: f"{rows[-1].seq}:{rows[-1].hash}" for node, rows in stated.items()}
                audit.record(
                    session, HubAudit, clock=hub.clock, actor=hub_keys.named(session), act="anchor.see",
                    target=hub.base_iri, detail={"nodes": heads},
                )  # fmt: skip
    seal(hub)


@dataclass(frozen=True, slots=True)
class NodeHead:
    """The newest head of its log that a node has stated to this hub."""

    node: str
    seq: int
    hash: str
    at: datetime


def heads(session: Session) -> list[NodeHead]:
    """Return the newest head of each node's log, as the node stated it, by the names of the nodes."""
    newest = select(AnchorRow.node, func.max(AnchorRow.seq).label("seq")).group_by(AnchorRow.node).subquery()
    rows = session.scalars(
        select(AnchorRow)
        .join(newest, (AnchorRow.node == newest.c.node) & (AnchorRow.seq == newest.c.seq))
        .order_by(AnchorRow.node)
    )
    return [NodeHead(row.node, row.seq, row.hash, row.at) for row in rows]


def anchors_of(hub: Hub, node: str) -> bytes:
    """Return, sealed, all that this hub was shown of a node's log: with claims, and with releases.

    Raises:
        UnknownNode: if there is no such node.
        RootKeyElsewhere: if the hub's key was replaced, and the new one is not here.
    """
    with reading(hub.engine) as session:
        row = session.get(NodeRow, node)
        if row is None:
            raise UnknownNode(f"There is no node {node!r}.", why="", todo="See 'fairbank hub nodes'.")
        claims = select(AnchorRow.seq, AnchorRow.hash).where(AnchorRow.node == node)
        heads = {Head(each.seq, each.hash) for each in session.execute(claims)}
        released = select(HubAudit.detail).where(
            HubAudit.act == "release.receive", HubAudit.actor.in_({row.key_id, *keys_of(session, node)})
        )
        for detail in session.scalars(released):
            seq, _, digest = str(detail.get("node_head", "-")).partition(":")
            heads.update({Head(int(seq), digest)} if digest else ())
        key = hub_keys.sealing_key(session, hub)
    return audit_export.seal_anchors(
        log=node, seen_by=hub.base_iri, heads=sorted(heads, key=lambda head: (head.seq, head.hash)),
        checkpoints=(), key=key, now=hub.clock.now(),
    )  # fmt: skip


def _stated_since(session: Session, moment: datetime | None) -> dict[str, list[AnchorRow]]:
    statement = select(AnchorRow).order_by(AnchorRow.node, AnchorRow.at, AnchorRow.seq)
    if moment is not None:
        # The newest one before is the one to compare with; an hour more costs nothing.
        statement = statement.where(AnchorRow.at > moment - NOTE_EVERY)
    stated: dict[str, list[AnchorRow]] = {}
    for row in session.scalars(statement):
        stated.setdefault(row.node, []).append(row)
    return stated


def _problems(
    session: Session, node: str, rows: list[AnchorRow]
) -> list[tuple[str, AlarmKind, dict[str, Any], datetime]]:
    found: list[tuple[str, AlarmKind, dict[str, Any], datetime]] = []
    for row in rows:
        # A claim that waited at the hub may be noted a little after the one that replaced it.
        earlier = [each for each in rows if each.at <= row.at - AT_ONCE and each.seq > row.seq]
        if earlier:
            seen = max(earlier, key=lambda each: each.seq)
            detail: dict[str, Any] = {
                "seen": seen.seq, "seen_head": seen.hash, "told": row.seq, "told_head": row.hash,
            }  # fmt: skip
            found.append((node, AlarmKind.SHORTENED, detail, row.at))
            break
    shown = {row.hub_seq: row for row in rows if row.hub_seq}
    own = {
        entry.seq: entry.hash
        for entry in session.execute(select(HubAudit.seq, HubAudit.hash).where(HubAudit.seq.in_(list(shown))))
    }
    for seq, row in sorted(shown.items(), key=lambda each: each[0] or 0):
        if own.get(seq) != row.hub_hash:
            detail = {"shown": seq, "shown_head": row.hub_hash, "own_head": own.get(seq, "")}
            found.append((node, AlarmKind.FORKED, detail, row.at))
            break
    return found


def _cleared(session: Session, node: str, kind: AlarmKind, detail: dict[str, Any], at: datetime) -> bool:
    since = audit_alarms.believed_since(session, HubAudit, node)
    return since is not None and at <= since
