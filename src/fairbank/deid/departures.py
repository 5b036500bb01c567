"""Subjects on their way out: forgotten already, but not yet known to be gone from everywhere.

A withdrawal first makes the subject unknown and unlinkable, in one step, and notes here what it was called; then it
clears every place, and deletes the note at last. One that was cut off is found here and finished.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Known:
    """A pseudonym under which a subject was known in a project."""

    project: str
    pseudonym: str


@dataclass(frozen=True, slots=True)
class Departure:
    """What a subject that is being withdrawn was called.

    Attributes:
        lookup: keyed digest by which the identity store finds the subject.
        commitment: what stands for the subject in the audit log; nobody can make it again.
        consent_key: under what the subject's consent is filed.
        known: pseudonyms, by project.
        held: neutral names of held files, by project.
    """

    lookup: bytes = field(repr=False)
    commitment: str
    consent_key: bytes = field(repr=False)
    known: tuple[Known, ...]
    held: tuple[tuple[str, str], ...]


def note_departure(connection: sqlite3.Connection, departure: Departure) -> None:
    """Write down that a subject leaves, in the caller's transaction."""
    content = json.dumps(
        {
            "commitment": departure.commitment,
            "consent_key": departure.consent_key.hex(),
            "known": [[one.project, one.pseudonym] for one in departure.known],
            "held": [list(one) for one in departure.held],
        }
    )
    connection.execute("INSERT OR REPLACE INTO leaving VALUES (?, ?)", (departure.lookup, content))


def departures(connection: sqlite3.Connection) -> list[Departure]:
    """Return the departures that are not over."""
    rows = connection.execute("SELECT lookup, known FROM leaving ORDER BY rowid")
    return [_departure(bytes(row[0]), row[1]) for row in rows]


def departure_of(connection: sqlite3.Connection, lookup: bytes) -> Departure | None:
    """Return the departure of a subject that is not over."""
    row = connection.execute("SELECT known FROM leaving WHERE lookup = ?", (lookup,)).fetchone()
    return None if row is None else _departure(lookup, row[0])


def note_gone(connection: sqlite3.Connection, departure: Departure) -> None:
    """Delete the note of a departure that is over."""
    connection.execute("DELETE FROM leaving WHERE lookup = ?", (departure.lookup,))


def _departure(lookup: bytes, content: str) -> Departure:
    parsed = json.loads(content)
    return Departure(
        lookup,
        parsed["commitment"],
        bytes.fromhex(parsed["consent_key"]),
        tuple(Known(project, pseudonym) for project, pseudonym in parsed["known"]),
        tuple((project, item) for project, item in parsed["held"]),
    )
