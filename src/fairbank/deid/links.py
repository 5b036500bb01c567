"""Links back to the original value of a subject, for projects that asked for them: encrypted, and gone with the salt.

Each link is AES-256-GCM under `HMAC(K, salt ‖ lookup)`, where K comes from the master key for this purpose alone and
the salt is the subject's: without the master key, or once the salt is erased, nobody can read it.
"""

from __future__ import annotations

import os
import sqlite3

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fairbank.deid.errors import UnsafeIdentityStore

_NONCE_BYTES = 12


def seal_link(key: bytes, value: str, *, project: str, pseudonym: str) -> bytes:
    """Return a value encrypted for one pseudonym under a 32-byte key."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, value.encode(), _of(project, pseudonym))


def open_link(key: bytes, sealed: bytes, *, project: str, pseudonym: str) -> str:
    """Return the value of a link.

    Raises:
        UnsafeIdentityStore: if the link was not made for this pseudonym under this key.
    """
    nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, content, _of(project, pseudonym)).decode()
    except InvalidTag as err:
        raise UnsafeIdentityStore(
            "A link of the identity store cannot be opened.",
            why="It was changed, or made under another key.",
            todo="Restore identity.db from its own backup.",
        ) from err


class Links:
    """The links in the identity store's file; the caller holds the transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def enable(self, project: str, *, at: str) -> None:
        """Keep links of subjects that the project meets from now on."""
        self._connection.execute("INSERT OR IGNORE INTO linked_project VALUES (?, ?)", (project, at))

    def disable(self, project: str) -> int:
        """Keep no more links of a project, and delete those there are; return how many."""
        self._connection.execute("DELETE FROM linked_project WHERE project = ?", (project,))
        return self._connection.execute("DELETE FROM link WHERE project = ?", (project,)).rowcount

    def are_kept(self, project: str) -> bool:
        """Return whether a project keeps links."""
        query = "SELECT 1 FROM linked_project WHERE project = ?"
        return self._connection.execute(query, (project,)).fetchone() is not None

    def count(self, project: str) -> int:
        """Return how many subjects of a project have a link."""
        query = "SELECT count(*) FROM link WHERE project = ?"
        return int(self._connection.execute(query, (project,)).fetchone()[0])

    def has(self, project: str, pseudonym: str) -> bool:
        """Return whether there is a link for a pseudonym."""
        return self.sealed(project, pseudonym) is not None

    def put(self, project: str, pseudonym: str, lookup: bytes, sealed: bytes) -> None:
        """Keep a link, if the subject is still there."""
        self._connection.execute(
            "INSERT OR IGNORE INTO link SELECT ?, ?, ?, ? WHERE EXISTS "
            "(SELECT 1 FROM pseudonym WHERE project = ? AND pseudonym = ?)",
            (project, pseudonym, lookup, sealed, project, pseudonym),
        )

    def sealed(self, project: str, pseudonym: str) -> bytes | None:
        """Return the link of a pseudonym, encrypted."""
        query = "SELECT sealed FROM link WHERE project = ? AND pseudonym = ?"
        row = self._connection.execute(query, (project, pseudonym)).fetchone()
        return None if row is None else bytes(row[0])


def _of(project: str, pseudonym: str) -> bytes:
    return f"fairbank/link/1\x00{project}\x00{pseudonym}".encode()
