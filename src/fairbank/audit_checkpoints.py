"""Sealed checkpoints of an audit log: its size, its newest hash and the root of its tree, signed by whose log it is.

Whoever holds one can prove later what the log was: a rewritten log cannot fit it, and two that contradict each other
convict the signer. Verifying a log looks at everything: chain, guards, pages, and every checkpoint that was kept.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import func, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import AuditError, AuditTable, Head, HubAudit, HubCheckpoint, NodeCheckpoint
from fairbank.audit_guards import check_guards, check_pages
from fairbank.audit_tree import Tree, named
from fairbank.clock import Clock, iso, parse_iso
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, Kind
from fairbank.signing import BadEnvelope, Json, SigningKey, open_sealed, seal

KIND: Final = "audit-checkpoint"
SCHEMA: Final = "audit-checkpoint/1"
EVERY_ENTRIES: Final = 1000
EVERY: Final = timedelta(hours=1)
_TELL_EVERY: Final = 256


class CheckpointBroken(AuditError):
    """The log is not the one that a sealed checkpoint names."""

    code = "FB-CORE-052"
    kind = Kind.FAILED


class ProofNotPossible(FairbankError):
    """The log cannot show what is asked for: there is no checkpoint yet, or not as many entries."""

    code = "FB-CORE-055"
    kind = Kind.NOT_FOUND


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A sealed head of a log.

    Attributes:
        log: whose log: the hub's base IRI, or a node's name.
        root: root of the tree over the first `size` entries, `sha256:…`.
        envelope: exactly the bytes that were sealed.
        signer: the key that sealed it.
    """

    log: str
    size: int
    head: str
    root: str
    created: datetime
    envelope: bytes
    signer: str

    @classmethod
    def open(cls, envelope: bytes, *, trusted: Collection[str] | None) -> Checkpoint:
        """Verify an envelope and return what it holds.

        Args:
            trusted: the keys that may have sealed it; None accepts any, and the caller judges `signer`.

        Raises:
            BadEnvelope: if it is malformed, or no trusted key's signature verifies.
        """
        sealed = open_sealed(envelope, KIND, trusted=trusted)
        match sealed.payload:
            case {
                "schema": "audit-checkpoint/1", "log": str(log), "size": int(size), "head": str(head),
                "root": str(root), "created": str(created), **rest,
            } if not rest and size > 0:  # fmt: skip
                return cls(log, size, head, root, parse_iso(created), envelope, sealed.signer)
        raise BadEnvelope(
            "This is not a checkpoint of an audit log.",
            why="It does not hold size, head, root and time of a log, and nothing else.",
            todo="Ask its sender for it again.",
        )


@dataclass(frozen=True, slots=True)
class Whole:
    """A log that holds together: its head, the tree over all entries, and how many sealed checkpoints fit."""

    head: Head
    tree: Tree
    checkpoints: int


class LogTree:
    """The tree over a log of this process, brought up to date when it is asked for."""

    def __init__(self, table: AuditTable) -> None:
        self._plain = table.metadata.tables[table.__tablename__]
        self._tree = Tree()
        self._lock = Lock()

    def upto(self, session: Session) -> Tree:
        """Return the tree over all entries that the session sees; it may hold some more."""
        columns = self._plain.c
        with self._lock:
            fresh = select(columns.hash).where(columns.seq > self._tree.size).order_by(columns.seq)
            self._tree.append(session.connection().execute(fresh).scalars().all())
            return self._tree


_TREES: WeakKeyDictionary[Engine, LogTree] = WeakKeyDictionary()
_TREES_LOCK = Lock()


def tree_of(engine: Engine, session: Session, table: AuditTable) -> Tree:
    """Return the tree over a log; the first call of a process reads all hashes, later ones only what is new."""
    with _TREES_LOCK:
        kept = _TREES.setdefault(engine, LogTree(table))
    return kept.upto(session)


def keep(engine: Engine, table: AuditTable, *, key: SigningKey, log: str, clock: Clock) -> Checkpoint | None:
    """Seal the log as it is now and keep the checkpoint; None if the newest one says the same already."""
    with reading(engine) as session:
        head = audit.head(session, table)
        newest = session.scalar(select(func.max(_rows(table).size))) or 0
        if head.seq == 0 or head.seq <= newest:
            return None
        root = named(tree_of(engine, session, table).root(head.seq))
    sealed = _seal(head, root, key=key, log=log, now=clock.now())
    with writing(engine) as session:
        # Another process may have sealed the same moment meanwhile.
        if session.get(_rows(table), head.seq) is None:
            session.add(
                _rows(table)(
                    size=head.seq, head=head.hash, root=root, at=sealed.created, envelope=sealed.envelope
                )
            )
    return sealed


def keep_if_due(
    engine: Engine, table: AuditTable, *, key: SigningKey, log: str, clock: Clock
) -> Checkpoint | None:
    """Seal the log if some entries, or some time with any entry, have passed since the last checkpoint."""
    with reading(engine) as session:
        head = audit.head(session, table)
        last = newest(session, table)
    if last is not None:
        entries, passed = head.seq - last.size, clock.now() - last.created
        if entries < EVERY_ENTRIES and passed < EVERY:
            return None
    return keep(engine, table, key=key, log=log, clock=clock)


def newest(session: Session, table: AuditTable) -> Checkpoint | None:
    """Return the newest checkpoint that was kept, unchecked."""
    rows = _rows(table)
    envelope = session.scalar(select(rows.envelope).order_by(rows.size.desc()).limit(1))
    return None if envelope is None else Checkpoint.open(envelope, trusted=None)


def kept(session: Session, table: AuditTable, *, after: int = 0, limit: int = 100) -> list[bytes]:
    """Return the envelopes of the checkpoints of more than `after` entries, in order."""
    rows = _rows(table)
    return list(
        session.scalars(select(rows.envelope).where(rows.size > after).order_by(rows.size).limit(limit))
    )


def verify_whole(
    session: Session,
    table: AuditTable,
    *,
    trusted: Collection[str],
    progress: Callable[[int, int], None] | None = None,
) -> Whole:
    """Verify everything that one side alone can: guards, pages, chain, and the checkpoints that it kept.

    Args:
        trusted: keys that may have sealed the checkpoints.
        progress: is told how many of how many entries are done.

    Raises:
        AuditError: naming what does not fit.
    """
    check_guards(session)
    check_pages(session)
    rows = _rows(table)
    stored = list(session.execute(select(rows.size, rows.head, rows.root, rows.envelope).order_by(rows.size)))
    total = audit.head(session, table).seq
    tree, wanted, heads = Tree(), [row.size for row in stored], dict[int, str]()

    def follow(first: int, hashes: list[str]) -> None:
        here = bisect_left(wanted, first)
        while here < len(wanted) and wanted[here] < first + len(hashes):
            heads[wanted[here]] = hashes[wanted[here] - first]
            here += 1
        done = first + len(hashes) - 1
        if progress is not None and (done == total or first // _TELL_EVERY != (done + 1) // _TELL_EVERY):
            progress(done, total)

    head = audit.verify(session, table, followed=follow, tree=tree)
    for row in stored:
        checkpoint = Checkpoint.open(row.envelope, trusted=trusted)
        if (checkpoint.size, checkpoint.head, checkpoint.root) != (row.size, row.head, row.root):
            raise does_not_fit(checkpoint, "what is stored beside it says something else")
        fits(checkpoint, tree, heads.get(row.size))
    return Whole(head, tree, len(stored))


def fits(checkpoint: Checkpoint, tree: Tree, head: str | None) -> None:
    """Check that a log, given as its tree, is the one that a checkpoint names.

    Args:
        head: the hash of the entry whose number is the checkpoint's size; None if the log has no such entry.

    Raises:
        CheckpointBroken: if it is not.
    """
    if head is None or tree.size < checkpoint.size:
        raise does_not_fit(checkpoint, f"the log has only {tree.size} entries: its end was cut off")
    if head != checkpoint.head or named(tree.root(checkpoint.size)) != checkpoint.root:
        raise does_not_fit(checkpoint, "the log was written anew since")


def does_not_fit(checkpoint: Checkpoint, why: str) -> CheckpointBroken:
    """Return the error for a log that is not the one of a checkpoint."""
    return CheckpointBroken(
        f"The log is not the one that was sealed at entry {checkpoint.size}, on {iso(checkpoint.created)}.",
        why=f"{why[0].upper()}{why[1:]}.",
        todo="Stop, copy the database, and compare it with the heads that the other side stored.",
    )


def sealing_keys(session: Session, table: AuditTable, *, now: str) -> frozenset[str]:
    """Return the keys that may have sealed checkpoints of a log: the present one, and those the log itself names."""
    # A node's log also tells that its hub's key was replaced; the hub does not seal it.
    side = "hub" if table is HubAudit else "node"
    columns = table.metadata.tables[table.__tablename__].c
    founders: Iterable[str] = session.execute(
        select(columns.actor).where(columns.act == f"{side}.init")
    ).scalars()
    changed = session.execute(select(columns.detail).where(columns.act == f"{side}.key-succession")).scalars()
    named_in: set[Json] = {value for detail in changed for value in detail.values() if isinstance(value, str)}
    return frozenset({now, *founders, *(str(key) for key in named_in if str(key).startswith("ed25519:"))})


def _seal(head: Head, root: str, *, key: SigningKey, log: str, now: datetime) -> Checkpoint:
    payload: dict[str, Json] = {
        "schema": SCHEMA, "log": log, "size": head.seq, "head": head.hash, "root": root, "created": iso(now),
    }  # fmt: skip
    return Checkpoint.open(seal(KIND, payload, key), trusted=[key.key_id])


def _rows(table: AuditTable) -> type[HubCheckpoint] | type[NodeCheckpoint]:
    return HubCheckpoint if table is HubAudit else NodeCheckpoint
