"""The audit log: a hash chain that shows every later change, at the hub and at each node.

Each entry's hash covers its canonical JSON and the hash before it. The columns *are* that JSON, piece by piece: it is
put together from them again when the log is verified, so no column can say anything else than what was hashed. Rows
are only added; triggers in the database refuse the rest. Heads are exchanged with every claim and every release
(cross-anchored), so neither side can rewrite its past alone. Subjects appear only as commitments under a salt that can
be erased.

What else belongs to the log: `audit_guards` (triggers and files), `audit_tree` (proofs), `audit_checkpoints` (sealed
heads), `audit_alarms` (the other side's log does not fit), `audit_export` (files), `audit_settings` (what was set).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary, Text, bindparam, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from fairbank.audit_tree import Tree
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


class CanonicalJson(TypeDecorator[dict[str, Any]]):
    """An object, stored as exactly the canonical JSON (RFC 8785) that is hashed."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Any) -> str | None:
        """Write the object down."""
        return None if value is None else canonical(value).decode()

    def process_result_value(self, value: str | None, dialect: Any) -> dict[str, Any] | None:
        """Read the object."""
        return None if value is None else json.loads(value)


class _AuditColumns:
    seq: Mapped[int] = mapped_column(_SEQ, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    act: Mapped[str] = mapped_column(index=True)
    target: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(CanonicalJson)
    previous: Mapped[str]
    hash: Mapped[str]


class HubAudit(_AuditColumns, HubBase):
    """An entry of the hub's log."""

    __tablename__ = "audit"


class NodeAudit(_AuditColumns, NodeBase):
    """An entry of a node's log."""

    __tablename__ = "audit"


class _CheckpointColumns:
    size: Mapped[int] = mapped_column(_SEQ, primary_key=True, autoincrement=False)
    head: Mapped[str]
    root: Mapped[str]
    at: Mapped[datetime]
    envelope: Mapped[bytes] = mapped_column(LargeBinary)


class HubCheckpoint(_CheckpointColumns, HubBase):
    """A head of the hub's log, sealed with the hub's key."""

    __tablename__ = "audit_checkpoints"


class NodeCheckpoint(_CheckpointColumns, NodeBase):
    """A head of a node's log, sealed with the node's key."""

    __tablename__ = "audit_checkpoints"


class _AlarmColumns:
    id: Mapped[str] = mapped_column(primary_key=True)
    log: Mapped[str]
    kind: Mapped[str]
    detail: Mapped[dict[str, Any]]
    raised: Mapped[datetime]
    cleared: Mapped[datetime | None] = mapped_column(index=True)
    cleared_by: Mapped[str | None]
    why: Mapped[str | None]


class HubAlarm(_AlarmColumns, HubBase):
    """What the hub found wrong with a node's log; it stands until a person has looked into it."""

    __tablename__ = "audit_alarms"


class NodeAlarm(_AlarmColumns, NodeBase):
    """What a node found wrong with the hub's log; it stands until a person has looked into it."""

    __tablename__ = "audit_alarms"


AuditTable = type[HubAudit] | type[NodeAudit]


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry: its number (0 for an empty log) and hash."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries somebody asks for; what is empty is not asked about.

    Attributes:
        act: an act, `request.approve`, or all acts of a noun, `request.`.
        actors: one of these, such as a node and its keys.
        since: not before this moment.
        until: before this moment.
    """

    act: str = ""
    actor: str = ""
    target: str = ""
    since: datetime | None = None
    until: datetime | None = None
    actors: tuple[str, ...] = ()


def record(
    session: Session,
    table: AuditTable,
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

    Raises:
        NotCanonical: if the detail holds something that must not be hashed.
    """
    one_writer_at_a_time(session)
    last = head(session, table)
    at = _milliseconds(clock.now())
    written = canonical(detail or {}).decode()
    entry = entry_bytes(
        seq=last.seq + 1, at=iso(at), actor=actor, act=act, target=target,
        detail=written, previous=last.hash,
    )  # fmt: skip
    new = Head(last.seq + 1, entry_hash(entry))
    row = {
        "seq": new.seq, "at": at, "actor": actor, "act": act, "target": target, "written": written,
        "previous": last.hash, "hash": new.hash,
    }  # fmt: skip
    session.connection().execute(_APPEND[table], row)
    return new


def head(session: Session, table: AuditTable) -> Head:
    """Return the newest entry's number and hash."""
    row = session.connection().execute(_NEWEST[table]).first()
    return Head(row.seq, row.hash) if row else Head(0, GENESIS)


def entries(
    session: Session,
    table: AuditTable,
    wanted: Wanted,
    *,
    after: int = 0,
    before: int | None = None,
    limit: int = 200,
    newest: bool = False,
) -> list[Any]:
    """Return entries as rows of the table, oldest first.

    Args:
        after: only those with a higher number.
        before: only those with a lower number.
        limit: at most so many.
        newest: the last ones of those wanted instead of the first.
    """
    statement: Any = select(table).where(table.seq > after)
    if wanted.act:
        prefix = wanted.act.endswith(".")
        statement = statement.where(
            table.act.startswith(wanted.act, autoescape=True) if prefix else table.act == wanted.act
        )
    if wanted.actor:
        statement = statement.where(table.actor == wanted.actor)
    if wanted.actors:
        statement = statement.where(table.actor.in_(wanted.actors))
    if wanted.target:
        statement = statement.where(table.target == wanted.target)
    if wanted.since is not None:
        statement = statement.where(table.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(table.at < wanted.until)
    if before is not None:
        statement = statement.where(table.seq < before)
    rows = session.scalars(statement.order_by(table.seq.desc() if newest else table.seq).limit(limit)).all()
    return list(reversed(rows)) if newest else list(rows)


def entry_bytes(*, seq: int, at: str, actor: str, act: str, target: str, detail: str, previous: str) -> bytes:
    """Return the canonical JSON (RFC 8785) of an entry, which is what is hashed.

    Args:
        at: the time as on the wire, `2026-01-31T12:00:00.000Z`.
        detail: the canonical JSON of the detail.

    >>> entry_bytes(seq=1, at="T", actor="a", act="b.c", target="t", detail="{}", previous="p")
    b'{"act":"b.c","actor":"a","at":"T","detail":{},"previous":"p","seq":1,"target":"t"}'
    """
    quoted = encode_basestring
    return (
        f'{{"act":{quoted(act)},"actor":{quoted(actor)},"at":"{at}","detail":{detail},'
        f'"previous":"{previous}","seq":{seq},"target":{quoted(target)}}}'
    ).encode()


def entry_hash(entry: bytes) -> str:
    """Return the hash of an entry's canonical JSON, as the next entry and the other side name it."""
    return "sha256:" + hashlib.sha256(entry).hexdigest()


def verify(
    session: Session,
    table: AuditTable,
    *,
    followed: Callable[[int, list[str]], None] | None = None,
    tree: Tree | None = None,
) -> Head:
    """Recompute the whole chain and return its head.

    Args:
        followed: is given the hashes of entries that hold, some dozens at a time, with the number of the first.
        tree: an empty one; the entries that hold become its leaves.

    Raises:
        AuditError: naming the first entry that does not fit.
    """
    last, leaves = Head(0, GENESIS), list[bytes]()
    try:
        for rows in _batches(session):
            digests = _checked(rows, last)
            # Each row states its hash, as was just found.
            hashes = [row[-1] for row in rows]
            if followed is not None:
                followed(last.seq + 1, hashes)
            if tree is not None:
                leaves += digests
                if len(leaves) >= _BATCH:
                    tree.append_digests(leaves)
                    leaves = []
            last = Head(last.seq + len(hashes), hashes[-1])
    except (sqlite3.DatabaseError, DBAPIError) as err:
        raise broken(last.seq + 1, why="The database cannot read what is stored from there on.") from err
    if tree is not None:
        tree.append_digests(leaves)
    return last


def broken(seq: int, *, why: str) -> AuditError:
    """Return the error for a log that does not hold from an entry on."""
    return AuditError(
        f"The audit log breaks at entry {seq}.",
        why=why,
        todo="Stop, copy the database, and compare it with the heads that the other side stored.",
    )


def _checked(rows: Sequence[Any], last: Head) -> list[bytes]:
    """Return the hashes of rows that follow `last`, each computed anew from what its columns say."""
    # This is what `bench/access.py` measures: nothing in it is called for each entry but the quoting and the hash.
    quoted, sha256 = encode_basestring, hashlib.sha256
    seq, previous, digests = last.seq, last.hash, list[bytes]()
    for number, at, actor, act, target, detail, stated_previous, stated in rows:
        seq += 1
        try:
            entry = (
                f'{{"act":{quoted(act)},"actor":{quoted(actor)},"at":"{at[:10]}T{at[11:23]}Z","detail":{detail},'
                f'"previous":"{previous}","seq":{seq},"target":{quoted(target)}}}'
            ).encode()
            whole = number == seq and stated_previous == previous and at[10] == " " and at[23:] == "000"
        except (TypeError, ValueError, IndexError) as err:
            # Not even of the type that was stored.
            raise broken(seq, why="A column holds something that no entry can hold.") from err
        digest = sha256(entry).digest()
        previous = f"sha256:{digest.hex()}"
        if not whole or stated != previous:
            raise broken(seq, why="Its hash does not follow from its content and the entry before it.")
        digests.append(digest)
    return digests


def _batches(session: Session) -> Iterator[Sequence[Any]]:
    """Read all entries in order as they are stored, the time as `2026-01-31 12:00:00.000000`."""
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        # Past SQLAlchemy: it would read the time and the detail, which costs more than to check them.
        driver: Any = connection.connection.driver_connection
        rows = driver.execute(_STORED.format(at="at"))
        while batch := rows.fetchmany(_SMALL_BATCH):
            yield batch
        return
    at = "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
    streamed = connection.execution_options(yield_per=_BATCH).execute(text(_STORED.format(at=at)))
    yield from streamed.partitions(_BATCH)


_BATCH = 2000
# What is still in the processor's nearest cache when it is hashed, and there is no way to a server.
_SMALL_BATCH = 32
_STORED = "SELECT seq, {at}, actor, act, target, detail, previous, hash FROM audit ORDER BY seq"
# Nearly every transaction appends, so these take the plain table, and are put together once.
_TABLES = {table: table.metadata.tables[table.__tablename__] for table in (HubAudit, NodeAudit)}
_APPEND = {
    # The detail is written down once, for the hash and for the row.
    table: insert(plain).values(
        {each.name: bindparam(each.name) for each in plain.c} | {"detail": bindparam("written", type_=Text())}
    )
    for table, plain in _TABLES.items()
}
_NEWEST = {
    table: select(plain.c.seq, plain.c.hash).order_by(plain.c.seq.desc()).limit(1)
    for table, plain in _TABLES.items()
}


def _milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
