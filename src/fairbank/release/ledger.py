"""The ledger: every body that left this node, will leave it, or was kept back, for the curator to read.

An entry is written before the bytes leave and completed after. Reading a release's content checks it against its
digest, so what the curator reads is what left.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from fairbank.clock import Clock
from fairbank.ontology.outputs import DoorClass
from fairbank.release.errors import UnknownRelease
from fairbank.release.outbox_files import lost, stored
from fairbank.release.store import LedgerRow
from fairbank.signing import Digest, sha256_digest

# Every message of a node passes through `note` and `mark_sent`: the plain table, and statements put together once.
_LEDGER = LedgerRow.metadata.tables[LedgerRow.__tablename__]
_NOTE, _MARK = insert(_LEDGER), update(_LEDGER).where(_LEDGER.c.seq == bindparam("of"))


class EntryState(StrEnum):
    """Whether a body has left: it waits, it left, nobody was there, the gate refused it, the curator kept it back."""

    PENDING = "pending"
    SENT = "sent"
    UNDELIVERED = "undelivered"
    REFUSED = "refused"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger.

    Attributes:
        release: the release's id; None for a control message.
        name: the output's name, or method and path of a control message.
        destination: address of the hub; empty while the node has not enrolled.
        reasons: why the gate refused it; empty otherwise.
        noted: when it was written here.
        left: when the hub had received all of it.
    """

    seq: int
    release: str | None
    door_class: DoorClass
    name: str
    job: str | None
    round: int
    destination: str
    media_type: str
    digest: Digest
    size_bytes: int
    state: EntryState
    reasons: tuple[str, ...]
    noted: datetime
    left: datetime | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Traffic:
    """How much left in one class."""

    bodies: int
    size_bytes: int


def entries(
    session: Session,
    *,
    door_class: DoorClass | None = None,
    state: EntryState | None = None,
    job: str | None = None,
    limit: int = 1000,
) -> list[Entry]:
    """Return the newest entries, newest first."""
    query = select(LedgerRow).order_by(LedgerRow.seq.desc()).limit(limit)
    if door_class is not None:
        query = query.where(LedgerRow.door_class == door_class.value)
    if state is not None:
        query = query.where(LedgerRow.state == state.value)
    if job is not None:
        query = query.where(LedgerRow.job == job)
    return [_entry(row) for row in session.scalars(query)]


def entry(session: Session, seq: int) -> Entry:
    """Return one entry by its number.

    Raises:
        UnknownRelease: if there is none.
    """
    row = session.get(LedgerRow, seq)
    if row is None:
        raise UnknownRelease(
            f"The ledger has no entry {seq}.",
            why="Entries are numbered from 1.",
            todo="List them with 'fairbank node ledger'.",
        )
    return _entry(row)


def bytes_by_class(session: Session) -> dict[DoorClass, Traffic]:
    """Return what has left this node so far, by class; classes without traffic are left out."""
    rows = session.execute(
        select(LedgerRow.door_class, func.count(), func.sum(LedgerRow.size_bytes))
        .where(LedgerRow.state == EntryState.SENT.value)
        .group_by(LedgerRow.door_class)
    )
    return {DoorClass(name): Traffic(int(bodies), int(size)) for name, bodies, size in rows}


def content(entry: Entry, outbox: Path) -> bytes:
    """Return the exact bytes of an entry, before or after they left.

    Args:
        entry: what to read.
        outbox: the node's `outbox_path`.

    Raises:
        ReleaseBytesLost: if they were not kept, are gone, or do not have their digest.
    """
    if entry.release is None:
        if entry.body is None or sha256_digest(entry.body) != entry.digest:
            raise lost(entry.name, "This body holds a secret or was cleared, so only its digest is kept.")
        return entry.body
    return stored(outbox, entry.digest).read_bytes()


def note(
    session: Session,
    *,
    clock: Clock,
    door_class: DoorClass,
    name: str,
    destination: str,
    body: bytes,
    keep_body: bool = True,
) -> int:
    """Write a body that leaves at once, in the caller's transaction, and return its entry's number."""
    row: dict[str, Any] = {
        "release": None,
        "door_class": door_class.value,
        "name": name,
        "job": "",
        "round": 0,
        "destination": destination,
        "media_type": "application/json",
        "digest": sha256_digest(body),
        "size_bytes": len(body),
        "body": body if keep_body else None,
        "state": EntryState.PENDING.value,
        "reasons": [],
        "noted": clock.now(),
        "left": None,
    }
    key = session.connection().execute(_NOTE, row).inserted_primary_key
    assert key is not None
    return int(key[0])


def mark_sent(session: Session, seq: int, *, clock: Clock) -> None:
    """Complete an entry whose bytes have left."""
    _mark(session, seq, EntryState.SENT, left=clock.now())


def mark_undelivered(session: Session, seq: int) -> None:
    """Close an entry whose bytes nobody received."""
    _mark(session, seq, EntryState.UNDELIVERED, left=None)


def _mark(session: Session, seq: int, state: EntryState, *, left: datetime | None) -> None:
    session.connection().execute(_MARK, {"of": seq, "state": state.value, "left": left})


def forget_control_bodies(session: Session, *, before: datetime) -> int:
    """Clear the bodies of control messages noted before a moment, keeping their lines; return how many."""
    rows = session.scalars(
        select(LedgerRow).where(
            LedgerRow.door_class == DoorClass.CONTROL.value,
            LedgerRow.body.is_not(None),
            LedgerRow.noted < before,
        )
    )
    cleared = 0
    for row in rows:
        row.body = None
        cleared += 1
    return cleared


def _entry(row: LedgerRow) -> Entry:
    return Entry(
        seq=row.seq,
        release=row.release,
        door_class=DoorClass(row.door_class),
        name=row.name,
        job=row.job or None,
        round=row.round,
        destination=row.destination,
        media_type=row.media_type,
        digest=Digest(row.digest),
        size_bytes=row.size_bytes,
        state=EntryState(row.state),
        reasons=tuple(str(each) for each in row.reasons),
        noted=row.noted,
        left=row.left,
        body=row.body,
    )
