"""The file of the identity store: who may read it, its tables, and how an older one is brought up to date."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from fairbank.deid.errors import NoIdentityStore, UnsafeIdentityStore

VERSION = 2
_ANYBODY_ELSE = 0o077
_FIRST = """
CREATE TABLE master (epoch INTEGER PRIMARY KEY, key BLOB NOT NULL, made_at TEXT NOT NULL);
CREATE TABLE project (name TEXT NOT NULL, epoch INTEGER NOT NULL, salt BLOB NOT NULL, PRIMARY KEY (name, epoch));
CREATE TABLE subject (lookup BLOB PRIMARY KEY, epoch INTEGER NOT NULL, salt BLOB, forgotten_at TEXT);
CREATE TABLE pseudonym (project TEXT NOT NULL, pseudonym TEXT NOT NULL, epoch INTEGER NOT NULL,
  lookup BLOB NOT NULL REFERENCES subject (lookup), PRIMARY KEY (project, pseudonym));
CREATE INDEX pseudonym_lookup ON pseudonym (lookup);
CREATE TABLE reference (project TEXT NOT NULL, item TEXT NOT NULL, value TEXT NOT NULL, lookup BLOB,
  PRIMARY KEY (project, item));
"""
_SECOND = """
CREATE TABLE linked_project (project TEXT PRIMARY KEY, since TEXT NOT NULL);
CREATE TABLE link (project TEXT NOT NULL, pseudonym TEXT NOT NULL, lookup BLOB NOT NULL REFERENCES subject (lookup),
  sealed BLOB NOT NULL, PRIMARY KEY (project, pseudonym));
CREATE INDEX link_lookup ON link (lookup);
CREATE INDEX subject_forgotten ON subject (forgotten_at) WHERE forgotten_at IS NOT NULL;
CREATE TABLE leaving (lookup BLOB PRIMARY KEY REFERENCES subject (lookup), known TEXT NOT NULL);
CREATE TABLE person (name TEXT PRIMARY KEY, key_id TEXT NOT NULL UNIQUE, named_at TEXT NOT NULL, removed_at TEXT);
CREATE TABLE reidentification (id TEXT PRIMARY KEY, project TEXT NOT NULL, pseudonym TEXT, expires TEXT NOT NULL,
  request BLOB NOT NULL, approval BLOB, shown_at TEXT);
CREATE INDEX reidentification_subject ON reidentification (project, pseudonym);
"""
# Steps by the version that they lead to; a file written before versions were counted says 0 and has the first.
_STEPS = {1: _FIRST, 2: _SECOND}


def first_content(key: bytes, *, made_at: str) -> bytes:
    """Return the bytes of a new store that holds one master key and nothing else."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        _apply(connection, 0)
        connection.execute("INSERT INTO master VALUES (1, ?, ?)", (key, made_at))
        return connection.serialize()


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Bring the tables of a file to the newest version, in place, whole or not at all.

    Raises:
        UnsafeIdentityStore: if a newer fairbank has written it, or it is no identity store.
    """
    try:
        version = _version(connection)
        if version > VERSION:
            raise UnsafeIdentityStore(
                "The identity store was written by a newer fairbank.",
                why=f"Its version is {version}; this one knows {VERSION}.",
                todo="Update fairbank.",
            )
        if version < VERSION:
            _apply(connection, version)
    except sqlite3.DatabaseError as err:
        raise not_a_store() from err


def check_private(path: Path, what: str) -> None:
    """Make sure that nobody but its owner may read a file that can undo pseudonyms.

    Raises:
        UnsafeIdentityStore: if others may.
    """
    if stat.S_IMODE(path.stat().st_mode) & _ANYBODY_ELSE:
        raise UnsafeIdentityStore(
            f"{what} can be read by other accounts of this machine.",
            why="Whoever reads it can undo the pseudonyms.",
            todo="Set its mode to 0600 and consider whether it has been copied.",
        )


def check_safe(path: Path) -> None:
    """Make sure that the identity store is there and private.

    Raises:
        NoIdentityStore: if there is none.
        UnsafeIdentityStore: if others may read it.
    """
    if not path.exists():
        raise NoIdentityStore(
            "There is no identity store, so there is no key.",
            why="Without a key nothing can be pseudonymised.",
            todo="Make one with `fairbank node init`, or restore identity.db.",
        )
    check_private(path, "The identity store")


def not_a_store() -> UnsafeIdentityStore:
    """Return the error of a file that is no identity store."""
    return UnsafeIdentityStore(
        "The identity store is damaged or not one.",
        why="It holds no master key.",
        todo="Restore identity.db from its own backup.",
    )


def _version(connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA main.user_version").fetchone()[0])
    if version:
        return version
    made = connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'master'").fetchone()
    if made is None:
        raise not_a_store()
    return 1


def _apply(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while this one waited.
        done = int(connection.execute("PRAGMA main.user_version").fetchone()[0])
        for number in range(max(version, done) + 1, VERSION + 1):
            for statement in _STEPS[number].strip().split(";\n"):
                connection.execute(statement.rstrip(";"))
        connection.execute(f"PRAGMA main.user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
