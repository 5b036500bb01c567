"""Alarms: the other side's audit log does not fit what was seen of it. They stand until a person clears them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import AuditTable, HubAlarm, HubAudit, NodeAlarm
from fairbank.clock import Clock
from fairbank.errors import FairbankError, Kind


class UnknownAlarm(FairbankError):
    """There is no such alarm, or it was cleared."""

    code = "FB-CORE-053"
    kind = Kind.NOT_FOUND


class AlarmKind(StrEnum):
    """What does not fit.

    `rewritten`: an entry that was shown once has another hash now. `shortened`: the log ends before an entry that was
    shown. `unproven`: the log was not shown to continue what was sealed before. `forked`: another side was shown
    another log. `doubled`: two agents speak as one node, each with a log of its own.
    """

    REWRITTEN = "rewritten"
    SHORTENED = "shortened"
    UNPROVEN = "unproven"
    FORKED = "forked"
    DOUBLED = "doubled"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm about the log of the hub or of a node."""

    id: str
    log: str
    kind: AlarmKind
    detail: dict[str, Any]
    raised: datetime
    cleared: datetime | None
    cleared_by: str | None
    why: str | None


def sound(
    session: Session, table: AuditTable, *, clock: Clock, log: str, kind: AlarmKind, detail: dict[str, Any]
) -> bool:
    """Raise an alarm in the caller's writing transaction; return False if one about this log stands already.

    Args:
        log: whose log does not fit: the hub's key, or a node's name.
        detail: what was seen before and what is told now; numbers and hashes only.
    """
    rows = _rows(table)
    if session.scalar(select(rows.id).where(rows.log == log, rows.cleared.is_(None)).limit(1)) is not None:
        return False
    alarm_id = clock.new_id()
    session.add(
        rows(
            id=alarm_id, log=log, kind=kind.value, detail=detail, raised=clock.now(),
            cleared=None, cleared_by=None, why=None,
        )
    )  # fmt: skip
    session.flush()
    audit.record(
        session, table, clock=clock, actor="audit", act="audit.alarm", target=log,
        detail={"alarm": alarm_id, "kind": kind.value, **detail},
    )  # fmt: skip
    return True


def clear(session: Session, table: AuditTable, *, clock: Clock, alarm_id: str, by: str, why: str) -> Alarm:
    """Note, in the caller's writing transaction, that a person has looked into an alarm and lets the work go on.

    What the other log says from now on is believed again; what was seen of it before stays in this log.

    Raises:
        UnknownAlarm: if none of this id stands.
    """
    row: Any = session.get(_rows(table), alarm_id)
    if row is None or row.cleared is not None:
        raise UnknownAlarm(
            "There is no alarm of this id that stands.",
            why="It was cleared, or the id is mistyped.",
            todo="List them with 'fairbank audit alarms'.",
        )
    row.cleared, row.cleared_by, row.why = clock.now(), by, why
    audit.record(
        session, table, clock=clock, actor=by, act="audit.clear", target=row.log,
        # The words stay in the table; the log commits to them without repeating them.
        detail={"alarm": alarm_id, "why": audit.entry_hash(why.encode())},
    )  # fmt: skip
    return _alarm(row)


def alarms(session: Session, table: AuditTable, *, standing: bool = False) -> list[Alarm]:
    """Return the alarms, newest first; only those that nobody has cleared if `standing`."""
    rows = _rows(table)
    statement: Select[Any] = select(rows).order_by(rows.raised.desc(), rows.id)
    if standing:
        statement = statement.where(rows.cleared.is_(None))
    return [_alarm(row) for row in session.scalars(statement)]


def stands(session: Session, table: AuditTable) -> bool:
    """Tell whether any alarm stands."""
    rows = _rows(table)
    return session.scalar(select(rows.id).where(rows.cleared.is_(None)).limit(1)) is not None


def believed_since(session: Session, table: AuditTable, log: str) -> datetime | None:
    """Return when a person last cleared an alarm about a log; what was seen of it before counts no longer."""
    rows = _rows(table)
    return session.scalar(select(func.max(rows.cleared)).where(rows.log == log))


def _rows(table: AuditTable) -> type[HubAlarm] | type[NodeAlarm]:
    return HubAlarm if table is HubAudit else NodeAlarm


def _alarm(row: HubAlarm | NodeAlarm) -> Alarm:
    return Alarm(
        row.id, row.log, AlarmKind(row.kind), row.detail, row.raised, row.cleared, row.cleared_by, row.why
    )
