"""Audit logs as files, verifiable without the side that wrote them: whole logs, and the heads that the other side saw.

An exported log is one line per entry, exactly the bytes that are hashed, and a sealed checkpoint as its last line. An
anchor file is a sealed list of the heads and checkpoints of one log that another side was shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import GENESIS, AuditError, AuditTable, Head
from fairbank.audit_checkpoints import Checkpoint, fits
from fairbank.audit_tree import Tree
from fairbank.clock import iso, parse_iso
from fairbank.errors import FairbankError, Kind
from fairbank.signing import BadEnvelope, Json, SigningKey, canonical, open_sealed, seal

ANCHORS: Final = "audit-anchors"
_LAST: Final = b'{"checkpoint":'
_AT_ONCE: Final = 2000


class NotAnExport(FairbankError):
    """A file is neither an exported audit log nor an anchor file."""

    code = "FB-CORE-056"
    kind = Kind.REFUSED


class AnchorsDiffer(AuditError):
    """The log is not the one that another side was shown."""

    code = "FB-CORE-057"
    kind = Kind.FAILED


class LogForked(AuditError):
    """Two sides were shown different logs under one name."""

    code = "FB-CORE-058"
    kind = Kind.FAILED


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported log that holds together and ends in its checkpoint."""

    checkpoint: Checkpoint
    head: Head
    tree: Tree
    hashes: list[str]

    def hash_of(self, seq: int) -> str | None:
        """Return the hash of an entry by its number, None beyond the end."""
        return self.hashes[seq - 1] if 0 < seq <= len(self.hashes) else None


@dataclass(frozen=True, slots=True)
class Anchors:
    """What one side was shown of another's log.

    Attributes:
        log: whose log: the hub's base IRI, or a node's name.
        seen_by: who was shown it.
        checkpoints: envelopes, as the log's owner sealed them.
        signer: the key of who was shown it.
    """

    log: str
    seen_by: str
    heads: tuple[Head, ...]
    checkpoints: tuple[bytes, ...]
    created: datetime
    signer: str


def write_log(
    session: Session,
    table: AuditTable,
    to: BinaryIO,
    *,
    checkpoint: Checkpoint,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the entries that a checkpoint covers, and the checkpoint, and return how many entries there are."""
    plain = table.metadata.tables[table.__tablename__]
    statement = select(plain).where(plain.c.seq <= checkpoint.size).order_by(plain.c.seq)
    rows = session.connection().execution_options(yield_per=_AT_ONCE).execute(statement)
    written = 0
    for row in rows:
        entry = audit.entry_bytes(
            seq=row.seq, at=iso(row.at), actor=row.actor, act=row.act, target=row.target,
            detail=canonical(row.detail).decode(), previous=row.previous,
        )  # fmt: skip
        to.write(entry + b"\n")
        written += 1
        if progress is not None and written % _AT_ONCE == 0:
            progress(written, checkpoint.size)
    to.write(_LAST + checkpoint.envelope + b"}\n")
    return written


def verify_log(
    lines: Iterable[bytes],
    *,
    trusted: Collection[str] | None,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Verify an exported log: every entry follows from the one before, and the last one is what was sealed.

    Args:
        trusted: the keys that may have sealed it; None accepts any, and the caller judges the checkpoint's signer.

    Raises:
        NotAnExport: if it is not the lines of a log, or its end is missing.
        AuditError: naming the first entry that does not fit.
        BadEnvelope: if no trusted key sealed it.
    """
    previous, tree, hashes, checkpoint = GENESIS, Tree(), list[str](), None
    for line in lines:
        if checkpoint is not None:
            raise _not_an_export("there is something after its checkpoint")
        content = line.rstrip(b"\n")
        if content.startswith(_LAST):
            checkpoint = Checkpoint.open(content[len(_LAST) : -1], trusted=trusted)
            continue
        number, stated = _links(content)
        if number != len(hashes) + 1 or stated != previous:
            raise audit.broken(len(hashes) + 1, why="It does not follow from the entry before it.")
        previous = audit.entry_hash(content)
        hashes.append(previous)
        if progress is not None and number % _AT_ONCE == 0:
            progress(number, 0)
    if checkpoint is None:
        raise _not_an_export("its last line is not a sealed checkpoint")
    tree.append(hashes)
    if len(hashes) != checkpoint.size:
        raise audit.broken(len(hashes) + 1, why=f"The checkpoint seals {checkpoint.size} entries.")
    fits(checkpoint, tree, hashes[-1])
    return Exported(checkpoint, Head(len(hashes), previous), tree, hashes)


def seal_anchors(
    *,
    log: str,
    seen_by: str,
    heads: Iterable[Head],
    checkpoints: Iterable[bytes],
    key: SigningKey,
    now: datetime,
) -> bytes:
    """Seal what one side was shown of another's log."""
    listed: list[Json] = [{"seq": head.seq, "hash": head.hash} for head in heads]
    payload: dict[str, Json] = {
        "schema": "audit-anchors/1",
        "log": log,
        "seen_by": seen_by,
        "heads": listed,
        "checkpoints": [each.decode() for each in checkpoints],
        "created": iso(now),
    }
    return seal(ANCHORS, payload, key)


def open_anchors(envelope: bytes, *, trusted: Collection[str] | None) -> Anchors:
    """Verify an anchor file and return what it holds.

    Args:
        trusted: the keys that may have sealed it; None accepts any, and the caller judges `signer`.

    Raises:
        BadEnvelope: if it is malformed, or no trusted key's signature verifies.
    """
    sealed = open_sealed(envelope, ANCHORS, trusted=trusted)
    told: Any = sealed.payload
    try:
        if told["schema"] != "audit-anchors/1":
            raise ValueError("another schema")
        heads = tuple(Head(int(each["seq"]), str(each["hash"])) for each in told["heads"])
        checkpoints = tuple(str(each).encode() for each in told["checkpoints"])
        created = parse_iso(told["created"])
        return Anchors(str(told["log"]), str(told["seen_by"]), heads, checkpoints, created, sealed.signer)
    except (KeyError, TypeError, ValueError) as err:
        raise BadEnvelope(
            "This is not an anchor file.",
            why="It does not hold the heads of a log, who was shown them, and when.",
            todo="Ask its sender for it again.",
        ) from err


def check_anchors(
    anchors: Anchors, *, tree: Tree, hashes: Callable[[int], str | None], owners: Collection[str]
) -> int:
    """Check that a log is the one that another side was shown; return how many heads and checkpoints were compared.

    Args:
        tree: the tree over the log.
        hashes: gives the hash of an entry by its number, None beyond the end.
        owners: keys that may have sealed the log's checkpoints.

    Raises:
        AnchorsDiffer: naming the first head that is not in the log.
        CheckpointBroken: naming the first checkpoint that does not fit it.
    """
    for head in anchors.heads:
        found = GENESIS if head.seq == 0 else hashes(head.seq)
        if found != head.hash:
            raise _differ(anchors, head, missing=found is None)
    for envelope in anchors.checkpoints:
        checkpoint = Checkpoint.open(envelope, trusted=owners)
        fits(checkpoint, tree, hashes(checkpoint.size))
    return len(anchors.heads) + len(anchors.checkpoints)


@dataclass(frozen=True, slots=True)
class Fork:
    """Two sides were shown different logs under one name: both statements, which cannot both be true."""

    log: str
    seq: int
    first: str
    first_hash: str
    second: str
    second_hash: str


def forks(shown: Iterable[Anchors]) -> list[Fork]:
    """Compare what several sides were shown of the same logs; return, per pair of sides, the first contradiction."""
    told: dict[tuple[str, str, int], dict[str, str]] = {}
    for anchors in shown:
        for head in anchors.heads:
            told.setdefault((anchors.log, "entry", head.seq), {})[anchors.seen_by] = head.hash
        for envelope in anchors.checkpoints:
            checkpoint = Checkpoint.open(envelope, trusted=None)
            key = (anchors.log, "root", checkpoint.size)
            told.setdefault(key, {})[anchors.seen_by] = checkpoint.root
            # A checkpoint also names an entry, which the other side may have been shown in a lease.
            entry = told.setdefault((anchors.log, "entry", checkpoint.size), {})
            entry.setdefault(anchors.seen_by, checkpoint.head)
    found: dict[tuple[str, str, str], Fork] = {}
    for (log, _, seq), by in sorted(told.items()):
        sides = sorted(by)
        for at, first in enumerate(sides):
            for second in sides[at + 1 :]:
                if by[first] != by[second]:
                    fork = Fork(log, seq, first, by[first], second, by[second])
                    found.setdefault((log, first, second), fork)
    return list(found.values())


def forked(fork: Fork) -> LogForked:
    """Return the error for two statements that contradict each other."""
    return LogForked(
        f"{fork.first} and {fork.second} were shown different logs of {fork.log}, at entry {fork.seq}.",
        why=f"One was shown {fork.first_hash}, the other {fork.second_hash}.",
        todo="Keep both files: sealed checkpoints that differ prove it. Ask the people of that log.",
    )


def is_anchor_file(path: Path) -> bool:
    """Tell whether a file is an anchor file rather than an exported log, by what it begins with."""
    with path.open("rb") as opened:
        first = opened.readline(100)
    return first.startswith(b'{"payload"')


def _links(line: bytes) -> tuple[int, str]:
    """Return the number of an exported entry and the hash that it names as the one before it."""
    try:
        entry: Any = json.loads(line)
        number, previous = entry["seq"], entry["previous"]
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        raise _not_an_export("a line is not an entry") from err
    if not isinstance(number, int) or not isinstance(previous, str):
        raise _not_an_export("a line is not an entry")
    return number, previous


def _not_an_export(why: str) -> NotAnExport:
    return NotAnExport(
        "This is not an exported audit log.",
        why=f"{why[0].upper()}{why[1:]}.",
        todo="Export it again with 'fairbank audit export'.",
    )


def _differ(anchors: Anchors, head: Head, *, missing: bool) -> AnchorsDiffer:
    what = "the log ends before it: its end was cut off" if missing else "the log has another entry there"
    return AnchorsDiffer(
        f"The log is not the one that {anchors.seen_by} was shown: entry {head.seq} differs.",
        why=f"{what[0].upper()}{what[1:]}. {anchors.seen_by} was shown {head.hash}.",
        todo="Stop, copy the database, and find out who had access to it since.",
    )
