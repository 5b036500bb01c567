"""The events table: how an effect travels up the house (a revocation stops a job, a record reaches the RDF).

A room appends an event in the transaction that makes it true. Consumers read in order from the place they
remember, and move that place in the transaction of their own effect: each event takes effect once, also after
a crash.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer, Select, bindparam, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from fairbank.clock import Clock
from fairbank.database import HubBase, NodeBase, one_writer_at_a_time

_SEQ = BigInteger().with_variant(Integer, "sqlite")


class _EventColumns:
    seq: Mapped[int] = mapped_column(_SEQ, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(index=True)
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]


class _OffsetColumns:
    consumer: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(_SEQ)


class HubEvent(_EventColumns, HubBase):
    """An event of the hub."""

    __tablename__ = "events"
    __table_args__ = {"sqlite_autoincrement": True}


class HubEventOffset(_OffsetColumns, HubBase):
    """How far a consumer of the hub's events has come."""

    __tablename__ = "event_offsets"


class NodeEvent(_EventColumns, NodeBase):
    """An event of a node."""

    __tablename__ = "events"
    __table_args__ = {"sqlite_autoincrement": True}


class NodeEventOffset(_OffsetColumns, NodeBase):
    """How far a consumer of a node's events has come."""

    __tablename__ = "event_offsets"


def append(
    session: Session,
    table: type[HubEvent] | type[NodeEvent],
    *,
    clock: Clock,
    kind: str,
    subject: str,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add an event in the caller's transaction.

    Args:
        kind: `dataset.published`, `grant.revoked`, …: noun, dot, past participle.
        subject: the id or IRI of what it happened to.
        detail: JSON values that consumers need; nothing that identifies a person.
    """
    one_writer_at_a_time(session)
    event = {"at": clock.now(), "kind": kind, "subject": subject, "detail": detail or {}}
    session.connection().execute(_APPEND[table], event)


def pending(
    session: Session, table: type[HubEvent] | type[NodeEvent], consumer: str, *, limit: int = 500
) -> list[HubEvent] | list[NodeEvent]:
    """Return the next events that a consumer has not taken yet, oldest first."""
    offset = _offset(session, table, consumer)
    rows = session.scalars(
        select(table).where(table.seq > (offset.seq if offset else 0)).order_by(table.seq).limit(limit)
    )
    return list(rows)  # type: ignore[return-value]  # one table or the other, never mixed


def any_pending(session: Session, table: type[HubEvent] | type[NodeEvent], consumer: str) -> bool:
    """Tell whether there is an event that a consumer has not taken yet; cheaper than `pending` where there is none."""
    found = session.connection().execute(_REACHED[table], {"consumer": consumer}).one()
    return (found.newest or 0) > (found.reached or 0)


def taken(session: Session, table: type[HubEvent] | type[NodeEvent], consumer: str, seq: int) -> None:
    """Remember, in the caller's transaction, that a consumer has taken all events up to `seq`."""
    offset = _offset(session, table, consumer)
    if offset is None:
        session.add(_offsets(table)(consumer=consumer, seq=seq))
    else:
        offset.seq = max(offset.seq, seq)


def place(session: Session, table: type[HubEvent] | type[NodeEvent], consumer: str) -> int:
    """Return how far a consumer has come; 0 if it has taken nothing yet."""
    offset = _offset(session, table, consumer)
    return offset.seq if offset is not None else 0


def _offset(
    session: Session, table: type[HubEvent] | type[NodeEvent], consumer: str
) -> HubEventOffset | NodeEventOffset | None:
    if table is HubEvent:
        return session.get(HubEventOffset, consumer)
    return session.get(NodeEventOffset, consumer)


def _offsets(table: type[HubEvent] | type[NodeEvent]) -> type[HubEventOffset] | type[NodeEventOffset]:
    return HubEventOffset if table is HubEvent else NodeEventOffset


# Nearly every transaction appends, so this takes the plain table and is put together once.
_APPEND = {table: insert(table.metadata.tables[table.__tablename__]) for table in (HubEvent, NodeEvent)}


def _reached(table: type[HubEvent] | type[NodeEvent]) -> Select[Any]:
    plain = table.metadata.tables[table.__tablename__]
    offsets = table.metadata.tables[_offsets(table).__tablename__]
    newest = select(func.max(plain.c.seq)).scalar_subquery()
    reached = select(offsets.c.seq).where(offsets.c.consumer == bindparam("consumer")).scalar_subquery()
    return select(newest.label("newest"), reached.label("reached"))


# Asked after every change at the hub, so it is put together once.
_REACHED = {table: _reached(table) for table in (HubEvent, NodeEvent)}
