"""Who may ask for a re-identification, and what was asked: rows of the identity store's file.

Here, and not in the node's database, because a request names a pseudonym: when the subject leaves, the pseudonym goes
from the request in the same transaction as the salt does.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Person:
    """A named person and the key that speaks for this person."""

    name: str
    key_id: str
    named_at: str
    removed_at: str | None

    @property
    def is_active(self) -> bool:
        """Return whether the person may speak."""
        return self.removed_at is None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is kept; `request` and `approval` are sealed envelopes, moments are ISO text.

    `pseudonym` is None once the subject has left.
    """

    id: str
    project: str
    pseudonym: str | None
    expires: str
    request: bytes = field(repr=False)
    approval: bytes | None = field(repr=False)
    shown_at: str | None


class Desk:
    """The rows; each call is a transaction of its own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def people(self) -> list[Person]:
        """Return all persons that were ever named, in the order of their names."""
        rows = self._connection.execute("SELECT name, key_id, named_at, removed_at FROM person ORDER BY name")
        return [Person(*row) for row in rows]

    def speaking(self) -> frozenset[str] | None:
        """Return the ids of the keys that speak for a person now; None where no person was ever named."""
        people = self.people()
        return frozenset(one.key_id for one in people if one.is_active) if people else None

    def add_person(self, person: Person) -> bool:
        """Name a person; return False if the name or the key is taken, now or in the past."""
        row = (person.name, person.key_id, person.named_at)
        done = self._connection.execute("INSERT OR IGNORE INTO person VALUES (?, ?, ?, NULL)", row)
        return done.rowcount == 1

    def remove_person(self, name: str, *, at: str) -> bool:
        """Let a person speak no more; return False if there is no such active person."""
        query = "UPDATE person SET removed_at = ? WHERE name = ? AND removed_at IS NULL"
        return self._connection.execute(query, (at, name)).rowcount == 1

    def put(self, asked: Asked) -> None:
        """Keep a new request."""
        row = (asked.id, asked.project, asked.pseudonym, asked.expires, asked.request)
        self._connection.execute("INSERT INTO reidentification VALUES (?, ?, ?, ?, ?, NULL, NULL)", row)

    def asked(self, request_id: str) -> Asked | None:
        """Return a request."""
        row = self._connection.execute(
            "SELECT * FROM reidentification WHERE id = ?", (request_id,)
        ).fetchone()
        return None if row is None else Asked(*row)

    def all_asked(self) -> list[Asked]:
        """Return all requests, oldest first."""
        return [Asked(*row) for row in self._connection.execute("SELECT * FROM reidentification ORDER BY id")]

    def put_approval(self, request_id: str, approval: bytes) -> bool:
        """Keep the countersignature of a request; return False if it has one."""
        query = "UPDATE reidentification SET approval = ? WHERE id = ? AND approval IS NULL"
        return self._connection.execute(query, (approval, request_id)).rowcount == 1

    def note_shown(self, request_id: str, *, at: str) -> bool:
        """Use a request up; return False if it was used before."""
        query = "UPDATE reidentification SET shown_at = ? WHERE id = ? AND shown_at IS NULL"
        return self._connection.execute(query, (at, request_id)).rowcount == 1
