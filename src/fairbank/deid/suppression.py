"""The suppression list: who withdrew, under keys of its own, in a file of its own beside the identity store.

It outlives what it protects against: a salt that was deleted, a master key that was rotated or destroyed, an identity
store that was lost and made anew. A subject is found by `HMAC(ring key, HMAC(lookup key, value))`. The ring key is
random and belongs to the list alone; the lookup key is derived, one way, from the first master key of the store under
which the entry was made, and is kept here because without it nobody could be found again. No identifier is kept.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fairbank.deid.errors import BadSuppressionFile, UnsafeIdentityStore
from fairbank.deid.identity_file import check_private
from fairbank.deid.pseudonyms import KEY_BYTES, keyed
from fairbank.deid.sealed_box import open_box, seal_box

SUPPRESSIONS_FILE = "suppressions.db"
_KIND = "suppressions"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS {at}.ring (lookup_key BLOB, key BLOB, PRIMARY KEY (lookup_key, key));
CREATE TABLE IF NOT EXISTS {at}.suppressed (digest BLOB PRIMARY KEY, at TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Ring:
    """The two keys under which some entries were made."""

    lookup_key: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def of_lookup(self, lookup: bytes) -> bytes:
        """Return the entry of a subject's lookup key digest."""
        return keyed(self.key, lookup)

    def of_value(self, value: str) -> bytes:
        """Return the entry of a subject named by its value (`pseudonyms.subject_value`)."""
        return self.of_lookup(keyed(self.lookup_key, value.encode()))


@dataclass(frozen=True, slots=True)
class Suppressed:
    """The list at one moment, which can be handed to another process."""

    rings: tuple[Ring, ...] = ()
    digests: frozenset[bytes] = field(default=frozenset(), repr=False)

    def has(self, value: str) -> bool:
        """Return whether a subject withdrew."""
        return any(ring.of_value(value) in self.digests for ring in self.rings)


class SuppressionList:
    """The list in a database, its own or one attached to another connection, in whose transactions it then takes part.

    Args:
        connection: an open connection in autocommit mode.
        at: name of the schema that holds the list.
    """

    def __init__(self, connection: sqlite3.Connection, *, at: str = "main") -> None:
        self._connection = connection
        self._at = at
        # What is asked for each file is read again only when the list has changed.
        self._seen: tuple[int, tuple[Ring, ...], bool] | None = None

    @classmethod
    def attached(cls, connection: sqlite3.Connection, path: Path) -> SuppressionList:
        """Return the list in a file, made if there is none, on a connection to another database.

        Raises:
            UnsafeIdentityStore: if others may read the file, or it is not a list.
        """
        _made(path)
        connection.execute("ATTACH DATABASE ? AS suppressions", (str(path),))
        connection.execute("PRAGMA suppressions.secure_delete = ON")
        opened = cls(connection, at="suppressions")
        opened._with_tables()
        return opened

    @classmethod
    def opened(cls, path: Path) -> SuppressionList:
        """Return the list in a file, made if there is none; see `attached`."""
        _made(path)
        opened = cls(sqlite3.connect(path, timeout=30, isolation_level=None))
        opened._with_tables()
        return opened

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ring_of(self, lookup_key: bytes) -> Ring | None:
        """Return the first ring of a lookup key, None if the list has none yet; an import may have added others."""
        row = self._connection.execute(
            f"SELECT key FROM {self._at}.ring WHERE lookup_key = ? ORDER BY rowid",  # noqa: S608  a name of ours
            (lookup_key,),
        ).fetchone()
        return None if row is None else Ring(lookup_key, bytes(row[0]))

    def add_ring(self, lookup_key: bytes) -> Ring:
        """Return the ring of a lookup key, with a new random key if there is none."""
        found = self.ring_of(lookup_key)
        if found is not None:
            return found
        self._seen = None
        made = Ring(lookup_key, secrets.token_bytes(KEY_BYTES))
        self._connection.execute(
            f"INSERT INTO {self._at}.ring VALUES (?, ?)",  # noqa: S608
            (made.lookup_key, made.key),
        )
        return made

    def add(self, entries: Iterable[tuple[bytes, str]]) -> int:
        """Put entries (digest, ISO moment) on the list; return how many are new."""
        before, self._seen = self.count(), None
        self._connection.executemany(
            f"INSERT OR IGNORE INTO {self._at}.suppressed VALUES (?, ?)",  # noqa: S608
            list(entries),
        )
        return self.count() - before

    def rings(self) -> list[Ring]:
        """Return all rings."""
        rows = self._connection.execute(f"SELECT lookup_key, key FROM {self._at}.ring")  # noqa: S608
        return [Ring(bytes(row[0]), bytes(row[1])) for row in rows]

    def count(self) -> int:
        """Return how many entries there are; a subject may have one per ring."""
        found = self._connection.execute(f"SELECT count(*) FROM {self._at}.suppressed").fetchone()  # noqa: S608
        return int(found[0])

    def has(self, value: str) -> bool:
        """Return whether a subject withdrew."""
        return bool(self.among([value]))

    def has_digest(self, digest: bytes) -> bool:
        """Return whether an entry is on the list."""
        query = f"SELECT 1 FROM {self._at}.suppressed WHERE digest = ?"  # noqa: S608
        return self._connection.execute(query, (digest,)).fetchone() is not None

    def among(self, values: Iterable[str]) -> set[str]:
        """Return those of some subjects who withdrew."""
        rings, is_empty = self._looked()
        if is_empty:
            return set()
        return {value for value in values if any(self.has_digest(ring.of_value(value)) for ring in rings)}

    def snapshot(self) -> Suppressed:
        """Return the list as it is now."""
        rows = self._connection.execute(f"SELECT digest FROM {self._at}.suppressed")  # noqa: S608
        return Suppressed(tuple(self.rings()), frozenset(bytes(row[0]) for row in rows))

    def exported(self, passphrase: str) -> bytes:
        """Return the whole list, encrypted under a passphrase."""
        rows = self._connection.execute(f"SELECT digest, at FROM {self._at}.suppressed ORDER BY digest")  # noqa: S608
        content = {
            "rings": [[ring.lookup_key.hex(), ring.key.hex()] for ring in self.rings()],
            "suppressed": [[bytes(row[0]).hex(), row[1]] for row in rows],
        }
        return seal_box(json.dumps(content).encode(), passphrase, kind=_KIND)

    def take_in(self, exported: bytes, passphrase: str) -> int:
        """Add what `exported` wrote, here or elsewhere; return how many entries are new.

        Raises:
            BadSuppressionFile: if the passphrase is wrong, or it is no such file.
        """
        content = open_box(exported, passphrase, kind=_KIND)
        try:
            parsed: Mapping[str, list[list[str]]] = json.loads(content)
            rings = [(bytes.fromhex(lookup_key), bytes.fromhex(key)) for lookup_key, key in parsed["rings"]]
            entries = [(bytes.fromhex(digest), at) for digest, at in parsed["suppressed"]]
        except (ValueError, KeyError, TypeError) as err:
            raise BadSuppressionFile(
                "The file holds no suppression list.",
                why="Its content does not have that form.",
                todo="Export the list again where it came from.",
            ) from err
        return self._with(rings, entries)

    def _looked(self) -> tuple[tuple[Ring, ...], bool]:
        """Return the rings, and whether the list is empty, as they are now."""
        # Changes with each commit of another connection; this connection's own changes drop what was seen.
        version = int(self._connection.execute(f"PRAGMA {self._at}.data_version").fetchone()[0])
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, tuple(self.rings()), self.count() == 0)
        return self._seen[1:]

    def _with(self, rings: list[tuple[bytes, bytes]], entries: list[tuple[bytes, str]]) -> int:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(f"INSERT OR IGNORE INTO {self._at}.ring VALUES (?, ?)", rings)  # noqa: S608
            new = self.add(entries)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return new

    def _with_tables(self) -> None:
        try:
            for statement in _SCHEMA.format(at=self._at).strip().split("\n"):
                self._connection.execute(statement)
        except sqlite3.DatabaseError as err:
            raise UnsafeIdentityStore(
                "The suppression list is damaged or not one.",
                why="Who withdrew cannot be told from it.",
                todo="Restore it from its own backup, or import the last export into a new one.",
            ) from err


def _made(path: Path) -> None:
    """Make an empty file of mode 0600 where there is none; check the one that is there."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        check_private(path, "The suppression list")
