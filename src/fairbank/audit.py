"""The audit log: a hash chain that shows every later change, at the hub and at each node.

Each entry's hash covers its canonical JSON and the hash before it. Heads are exchanged with every claim
(cross-anchored), so neither side can rewrite its past alone. Subjects appear only as commitments under a salt
that can be erased.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer, ScalarResult, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from fairbank.clock import Clock, iso
from fairbank.database import HubBase, NodeBase, one_writer_at_a_time
from fairbank.errors import FairbankError, Kind
from fairbank.signing import canonical

GENESIS = "sha256:" + "0" * 64
_SEQ = BigInteger().with_variant(Integer, "sqlite")


class AuditError(FairbankError):
    """The audit log does not hold together: something in it was changed, removed or put in."""

    code = "FB-CORE-030"
    kind = Kind.FAILED


class _AuditColumns:
    seq: Mapped[int] = mapped_column(_SEQ, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    act: Mapped[str] = mapped_column(index=True)
    target: Mapped[str]
    detail: Mapped[dict[str, Any]]
    previous: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)


class HubAudit(_AuditColumns, HubBase):
    """An entry of the hub's log."""

    __tablename__ = "audit"


class NodeAudit(_AuditColumns, NodeBase):
    """An entry of a node's log."""

    __tablename__ = "audit"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry: its number (0 for an empty log) and hash."""

    seq: int
    hash: str


def record(
    session: Session,
    table: type[HubAudit] | type[NodeAudit],
    *,
    clock: Clock,
    actor: str,
    act: str,
    target: str,
    detail: dict[str, Any] | None = None,
) -> Head:
    """Append an entry in the caller's writing transaction and return the new head.

    Args:
        actor: account or key id.
        act: `noun.verb`, such as `request.approve`.
        target: id, digest or IRI of what it was done to.
        detail: canonical-JSON values (no floats); nothing that identifies a subject.
    """
    one_writer_at_a_time(session)
    last = head(session, table)
    entry: dict[str, Any] = {
        "seq": last.seq + 1,
        "at": _milliseconds(clock.now()),
        "actor": actor,
        "act": act,
        "target": target,
        "detail": detail or {},
        "previous": last.hash,
    }
    entry["hash"] = _hash(**entry)
    session.connection().execute(_APPEND[table], entry)
    return Head(last.seq + 1, entry["hash"])


def head(session: Session, table: type[HubAudit] | type[NodeAudit]) -> Head:
    """Return the newest entry's number and hash."""
    row = session.connection().execute(_NEWEST[table]).first()
    return Head(row.seq, row.hash) if row else Head(0, GENESIS)


def verify(session: Session, table: type[HubAudit] | type[NodeAudit]) -> Head:
    """Recompute the whole chain and return its head.

    Raises:
        AuditError: naming the first entry that does not fit.
    """
    last = Head(0, GENESIS)
    entries: ScalarResult[Any] = session.scalars(select(table).order_by(table.seq))
    for entry in entries.yield_per(1000):
        if entry.seq != last.seq + 1 or entry.previous != last.hash or entry.hash != _hash_of(entry):
            raise AuditError(
                f"The audit log breaks at entry {last.seq + 1}.",
                why="Its hash does not follow from its content and the entry before it.",
                todo="Stop, copy the database, and compare it with the heads that the other side stored.",
            )
        last = Head(entry.seq, entry.hash)
    return last


# Nearly every transaction appends, so these take the plain table, and are put together once.
_TABLES = {table: table.metadata.tables[table.__tablename__] for table in (HubAudit, NodeAudit)}
_APPEND = {table: insert(plain) for table, plain in _TABLES.items()}
_NEWEST = {
    table: select(plain.c.seq, plain.c.hash).order_by(plain.c.seq.desc()).limit(1)
    for table, plain in _TABLES.items()
}


def _hash(*, at: datetime, **entry: Any) -> str:
    return "sha256:" + hashlib.sha256(canonical({"at": iso(at), **entry})).hexdigest()


def _hash_of(entry: HubAudit | NodeAudit) -> str:
    return _hash(
        seq=entry.seq,
        at=entry.at,
        actor=entry.actor,
        act=entry.act,
        target=entry.target,
        detail=entry.detail,
        previous=entry.previous,
    )


def _milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
