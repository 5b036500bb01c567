"""A release: an output that has passed the gate, and the states it goes through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from fairbank.errors import FairbankError
from fairbank.ontology.outputs import DoorClass
from fairbank.release.store import ReleaseRow
from fairbank.signing import Digest


class ReleaseState(StrEnum):
    """Where a release stands: it waits for the curator, it may be sent, it was sent, or it was kept back."""

    HELD = "held"
    READY = "ready"
    SENT = "sent"
    WITHHELD = "withheld"


MOVES: Final[dict[ReleaseState, frozenset[ReleaseState]]] = {
    ReleaseState.HELD: frozenset({ReleaseState.READY, ReleaseState.WITHHELD}),
    ReleaseState.READY: frozenset({ReleaseState.HELD, ReleaseState.SENT, ReleaseState.WITHHELD}),
    ReleaseState.SENT: frozenset(),
    ReleaseState.WITHHELD: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Release:
    """An output that has passed the gate.

    Attributes:
        plain_digest: names the bytes that the gate judged, where what leaves is sealed to peers; else None.
    """

    id: str
    door_class: DoorClass
    job: str | None
    round: int
    output: str
    media_type: str
    digest: Digest
    size_bytes: int
    state: ReleaseState
    staged: datetime
    sent: datetime | None
    plain_digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """How the sending of one waiting release went; `error` is None if it has left."""

    release: Release
    error: FairbankError | None


def kept_digests(session: Session) -> frozenset[str]:
    """Return the digests of all that the outbox folder keeps for releases."""
    found = session.execute(select(ReleaseRow.digest, ReleaseRow.plain_digest))
    return frozenset(digest for row in found for digest in row if digest is not None)


def release_of(row: ReleaseRow | Row[Any]) -> Release:
    """Return the release that a row holds, be it the mapped one or a plain one with the same columns."""
    return Release(
        id=row.id,
        door_class=DoorClass(row.door_class),
        job=row.job or None,
        round=row.round,
        output=row.output,
        media_type=row.media_type,
        digest=Digest(row.digest),
        size_bytes=row.size_bytes,
        state=ReleaseState(row.state),
        staged=row.staged,
        sent=row.sent,
        plain_digest=Digest(row.plain_digest) if row.plain_digest else None,
    )
