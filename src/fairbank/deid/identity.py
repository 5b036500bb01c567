"""The identity store: master keys and salts, in a file of their own that only its owner may read.

It holds no identifier of a subject: rows are found by a keyed digest of the subject's value. Deleting a subject's salt
makes the pseudonyms unlinkable even for who holds the master key and the original value; what stays is a mark that
keeps the subject from being taken in again. The references of held files (which may be paths) are kept here too,
because this file, unlike the node's database, is never backed up with the rest.
"""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
import stat
from collections.abc import Collection, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fairbank.clock import Clock, iso
from fairbank.deid.errors import (
    BadProjectName,
    NoIdentityStore,
    SubjectForgotten,
    UnknownSubject,
    UnsafeIdentityStore,
)
from fairbank.deid.pseudonyms import (
    KEY_BYTES,
    SALT_BYTES,
    ProjectKeys,
    Purpose,
    SubjectPseudonyms,
    derive_key,
    keyed,
)
from fairbank.errors import Sensitive

IDENTITY_FILE = "identity.db"
BUSY_TIMEOUT_S = 30
_AT_ONCE = 500
T = TypeVar("T")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SCHEMA = """
CREATE TABLE master (epoch INTEGER PRIMARY KEY, key BLOB NOT NULL, made_at TEXT NOT NULL);
CREATE TABLE project (name TEXT NOT NULL, epoch INTEGER NOT NULL, salt BLOB NOT NULL, PRIMARY KEY (name, epoch));
CREATE TABLE subject (lookup BLOB PRIMARY KEY, epoch INTEGER NOT NULL, salt BLOB, forgotten_at TEXT);
CREATE TABLE pseudonym (project TEXT NOT NULL, pseudonym TEXT NOT NULL, epoch INTEGER NOT NULL,
  lookup BLOB NOT NULL REFERENCES subject (lookup), PRIMARY KEY (project, pseudonym));
CREATE INDEX pseudonym_lookup ON pseudonym (lookup);
CREATE TABLE reference (project TEXT NOT NULL, item TEXT NOT NULL, value TEXT NOT NULL, lookup BLOB,
  PRIMARY KEY (project, item));
"""


@dataclass(frozen=True, slots=True)
class Known:
    """A pseudonym under which a subject was known in a project."""

    project: str
    pseudonym: str


@dataclass(frozen=True, slots=True)
class KnownSubject:
    """A pseudonym of a project, and under which key its subject's consent is filed."""

    pseudonym: str
    consent_key: bytes


class IdentityStore:
    """Keys, salts and the marks of forgotten subjects. Processes may share the file; an object stays in its thread.

    Args:
        path: the file, mode 0600.

    Raises:
        NoIdentityStore: if there is none; `create` makes it.
        UnsafeIdentityStore: if anyone but its owner may read it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_safe(path)
        self._projects: dict[tuple[str, int], ProjectKeys] = {}
        self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        # Overwrite what is deleted: an erased salt must not survive in a free page.
        self._connection.execute("PRAGMA secure_delete = ON")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._first_epoch, self._epoch = self._epochs()
        first = self._master(self._first_epoch)
        self._lookup_key = derive_key(first, project="", purpose=Purpose.LOOKUP)
        self._item_key = derive_key(first, project="", purpose=Purpose.ITEM)
        self._consent_key = derive_key(first, project="", purpose=Purpose.CONSENT)
        self._audit_key = derive_key(first, project="", purpose=Purpose.AUDIT)

    @classmethod
    def create(cls, path: Path, *, clock: Clock) -> IdentityStore:
        """Make a new store with a new master key; an existing file is left alone and refused."""
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError as err:
            raise UnsafeIdentityStore(
                "There is an identity store already.",
                why="A second master key in its place would make every pseudonym unrepeatable.",
                todo="Use the one that is there, or move it away first.",
            ) from err
        os.close(handle)
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.executescript(_SCHEMA)
            row = (1, secrets.token_bytes(KEY_BYTES), iso(clock.now()))
            connection.execute("INSERT INTO master VALUES (?, ?, ?)", row)
        finally:
            connection.close()
        return cls(path)

    @classmethod
    def open_or_create(cls, path: Path, *, clock: Clock) -> IdentityStore:
        """Open the store, or make it if the file is not there."""
        return cls(path) if path.exists() else cls.create(path, clock=clock)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def epoch(self) -> int:
        """Return the number of the master key that new subjects get."""
        return self._epoch

    def rotate(self, *, clock: Clock) -> int:
        """Add a master key for subjects to come; known subjects keep theirs. Returns the new epoch."""
        with self._writing() as connection:
            epoch = self._epochs()[1] + 1
            row = (epoch, secrets.token_bytes(KEY_BYTES), iso(clock.now()))
            connection.execute("INSERT INTO master VALUES (?, ?, ?)", row)
        self._epoch = epoch
        return epoch

    def subject(self, project: str, value: str) -> SubjectPseudonyms:
        """Return the pseudonyms of a subject in a project; a new subject gets a salt.

        Args:
            project: name of the research project, letters, digits, `_` and `-`.
            value: what names the subject here; see `pseudonyms.subject_value`.

        Raises:
            SubjectForgotten: if the subject was withdrawn.
        """
        checked_project(project)
        lookup = self._lookup(value)
        epoch, salt = self._salt_of(lookup)
        found = SubjectPseudonyms(keys=self._keys(project, epoch), salt=salt, value=value)
        row = (project, found.subject, epoch, lookup)
        if not self.is_known(project, found.subject):
            with self._writing() as connection:
                self._salt_of(lookup)  # the subject may have been forgotten a moment ago, by another process
                connection.execute("INSERT OR IGNORE INTO pseudonym VALUES (?, ?, ?, ?)", row)
        return found

    def subjects(self, project: str, values: Iterable[str]) -> dict[str, SubjectPseudonyms]:
        """Return the pseudonyms of many subjects at once, by value; new ones get their salts in one transaction.

        Subjects that were withdrawn are left out of the answer.
        """
        checked_project(project)
        lookups = {value: self._lookup(value) for value in dict.fromkeys(values)}
        salts = self._salts_of(list(lookups.values()))
        found = {
            value: SubjectPseudonyms(keys=self._keys(project, epoch), salt=salt, value=value)
            for value, lookup in lookups.items()
            if lookup in salts
            for epoch, salt in [salts[lookup]]
        }
        rows = [(project, one.subject, one.keys.epoch, lookups[value]) for value, one in found.items()]
        known = self._known_of(project, [row[1] for row in rows])
        if new := [row for row in rows if row[1] not in known]:
            with self._writing() as connection:
                # Some may have been forgotten a moment ago, by another process: they get no row, and are left out.
                held = self._subject_rows([row[3] for row in new])
                left = [row for row in new if held[row[3]][1] is not None]
                connection.executemany("INSERT OR IGNORE INTO pseudonym VALUES (?, ?, ?, ?)", left)
            kept = {row[3] for row in left} | {row[3] for row in rows if row[1] in known}
            found = {value: one for value, one in found.items() if lookups[value] in kept}
        return found

    def find(self, project: str, value: str) -> str | None:
        """Return the pseudonym of a subject in a project, None if the project does not know the subject.

        Unlike `subject` it takes nobody in.

        Raises:
            SubjectForgotten: if the subject was withdrawn.
        """
        checked_project(project)
        lookup = self._lookup(value)
        if self._subject_row(lookup) is None:
            return None
        epoch, salt = self._salt_of(lookup)
        pseudonym = SubjectPseudonyms(keys=self._keys(project, epoch), salt=salt, value=value).subject
        return pseudonym if self.is_known(project, pseudonym) else None

    def uids_among(self, project: str, originals: Collection[str], known: Container[str]) -> dict[str, str]:
        """Return the pseudonyms of UIDs whose subjects nobody names, as far as they are among known ones.

        Each subject of the project is tried with each UID: a million tries take some seconds.
        """
        found = {}
        rows = self._connection.execute(
            "SELECT DISTINCT pseudonym.epoch, subject.salt FROM pseudonym JOIN subject USING (lookup) "
            "WHERE pseudonym.project = ? AND subject.salt IS NOT NULL",
            (project,),
        ).fetchall()
        for epoch, salt in rows:
            subject = SubjectPseudonyms(keys=self._keys(project, int(epoch)), salt=salt, value="")
            for original in originals:
                if (pseudonym := subject.uid(original)) in known:
                    found[original] = pseudonym
        return found

    def person(self, project: str, name: str) -> str:
        """Return by what somebody who is no subject is known in a project, such as who judges images."""
        return self._keys(checked_project(project), self._first_epoch).person(name)

    def is_known(self, project: str, pseudonym: str) -> bool:
        """Return whether a pseudonym is that of a subject who has not been forgotten."""
        row = self._connection.execute(
            "SELECT 1 FROM pseudonym WHERE project = ? AND pseudonym = ?", (project, pseudonym)
        ).fetchone()
        return row is not None

    def item_key(self, sha256: bytes) -> str:
        """Return under what a file's digest is stored: keyed, because a plain digest would recognise the file."""
        return keyed(self._item_key, sha256).hex()

    def consent_key(self, value: str) -> bytes:
        """Return under what a subject's consent is filed: the same for every project, and no pseudonym of any.

        Args:
            value: what names the subject here; see `pseudonyms.subject_value`.
        """
        return keyed(self._consent_key, self._lookup(value))

    def consent_key_of(self, project: str, pseudonym: str) -> bytes | None:
        """Return under what the consent of the subject behind a pseudonym is filed, None if nobody has it here."""
        lookup = self._lookup_of(project, pseudonym)
        return None if lookup is None else keyed(self._consent_key, lookup)

    def known_subjects(self, project: str) -> list[KnownSubject]:
        """Return all subjects of a project who have not been forgotten, in no order."""
        rows = self._connection.execute(
            "SELECT pseudonym, lookup FROM pseudonym WHERE project = ?", (project,)
        )
        return [KnownSubject(pseudonym, keyed(self._consent_key, lookup)) for pseudonym, lookup in rows]

    def projects(self) -> list[str]:
        """Return the projects that have a subject, sorted."""
        rows = self._connection.execute("SELECT DISTINCT project FROM pseudonym ORDER BY project")
        return [row[0] for row in rows]

    def known(self, value: str) -> list[Known]:
        """Return under which pseudonyms a subject is known."""
        return self._known(self._lookup(value))

    def known_as(self, project: str, pseudonym: str) -> list[Known]:
        """Return under which pseudonyms the subject behind a pseudonym is known, in all projects.

        Raises:
            UnknownSubject: if no subject has that pseudonym here.
        """
        return self._known(self._lookup_known(project, pseudonym))

    def commitment(self, value: str) -> str:
        """Return what stands for a subject in the audit log: keyed with the subject's salt, which can be erased.

        Once the subject is forgotten nobody can make it again, nor say whose it was. A subject without a salt gets a
        commitment under one that is not kept.
        """
        return self._commitment(self._lookup(value))

    def commitment_of(self, project: str, pseudonym: str) -> str:
        """Return what stands in the audit log for the subject behind a pseudonym; see `commitment`.

        Raises:
            UnknownSubject: if no subject has that pseudonym here.
        """
        return self._commitment(self._lookup_known(project, pseudonym))

    def forget(self, value: str, *, clock: Clock) -> list[Known]:
        """Delete a subject's salt and links; return under which pseudonyms the subject was known.

        The subject cannot be taken in again, whether it was known or not.
        """
        return self._forget(self._lookup(value), clock=clock)

    def forget_pseudonym(self, project: str, pseudonym: str, *, clock: Clock) -> list[Known]:
        """Delete the salt and links of the subject behind a pseudonym, in all projects.

        Raises:
            UnknownSubject: if no subject has that pseudonym here.
        """
        return self._forget(self._lookup_known(project, pseudonym), clock=clock)

    def is_forgotten(self, value: str) -> bool:
        """Return whether a subject was withdrawn."""
        row = self._connection.execute(
            "SELECT forgotten_at FROM subject WHERE lookup = ?", (self._lookup(value),)
        ).fetchone()
        return row is not None and row[0] is not None

    def keep_reference(
        self, project: str, item: str, reference: Sensitive[str], *, subject: str | None = None
    ) -> None:
        """Note which source a held item stands for; `subject` lets `forget` delete the note."""
        lookup = None if subject is None else self._lookup(subject)
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO reference VALUES (?, ?, ?, ?)",
                (project, item, reference.reveal(), lookup),
            )

    def reference(self, project: str, item: str) -> Sensitive[str] | None:
        """Return the source that a held item stands for."""
        row = self._connection.execute(
            "SELECT value FROM reference WHERE project = ? AND item = ?", (project, item)
        ).fetchone()
        return None if row is None else Sensitive(row[0], reference=item)

    def _known(self, lookup: bytes) -> list[Known]:
        rows = self._connection.execute(
            "SELECT project, pseudonym FROM pseudonym WHERE lookup = ? ORDER BY project, pseudonym", (lookup,)
        )
        return [Known(project, pseudonym) for project, pseudonym in rows]

    def _lookup_of(self, project: str, pseudonym: str) -> bytes | None:
        row = self._connection.execute(
            "SELECT lookup FROM pseudonym WHERE project = ? AND pseudonym = ?", (project, pseudonym)
        ).fetchone()
        return None if row is None else row[0]

    def _lookup_known(self, project: str, pseudonym: str) -> bytes:
        lookup = self._lookup_of(project, pseudonym)
        if lookup is None:
            raise UnknownSubject(
                f"No subject {pseudonym} is known in project {project}.",
                why="The pseudonym was never given out here, or the subject was forgotten already.",
                todo="Check the pseudonym and the project's name.",
            )
        return lookup

    def _commitment(self, lookup: bytes) -> str:
        found = self._subject_row(lookup)
        salt = found[1] if found is not None and found[1] is not None else secrets.token_bytes(SALT_BYTES)
        return f"hmac-sha256:{keyed(self._audit_key, salt, lookup).hex()}"

    def _forget(self, lookup: bytes, *, clock: Clock) -> list[Known]:
        with self._writing() as connection:
            known = self._known(lookup)
            connection.execute("DELETE FROM pseudonym WHERE lookup = ?", (lookup,))
            connection.execute("DELETE FROM reference WHERE lookup = ?", (lookup,))
            connection.execute(
                "INSERT INTO subject VALUES (?, ?, NULL, ?) ON CONFLICT (lookup) DO UPDATE "
                "SET salt = NULL, forgotten_at = coalesce(forgotten_at, excluded.forgotten_at)",
                (lookup, self._epoch, iso(clock.now())),
            )
        return known

    def _salt_of(self, lookup: bytes) -> tuple[int, bytes]:
        found = self._subject_row(lookup)
        if found is None:
            with self._writing() as connection:
                connection.execute(
                    "INSERT OR IGNORE INTO subject VALUES (?, ?, ?, NULL)",
                    (lookup, self._epoch, secrets.token_bytes(SALT_BYTES)),
                )
            found = self._subject_row(lookup)
        if found is None or found[1] is None:
            raise SubjectForgotten(
                "A subject was withdrawn and is not taken in again.",
                why="Its salt was deleted; a new one would make it a participant again.",
                todo="Leave its files out of the project.",
            )
        return found[0], found[1]

    def _salts_of(self, lookups: list[bytes]) -> dict[bytes, tuple[int, bytes]]:
        """Return epoch and salt of subjects, made now for new ones; forgotten ones are left out."""
        rows = self._subject_rows(lookups)
        if new := [lookup for lookup in lookups if lookup not in rows]:
            made = [(lookup, self._epoch, secrets.token_bytes(SALT_BYTES)) for lookup in new]
            with self._writing() as connection:
                connection.executemany("INSERT OR IGNORE INTO subject VALUES (?, ?, ?, NULL)", made)
            rows |= self._subject_rows(new)
        return {lookup: (epoch, salt) for lookup, (epoch, salt) in rows.items() if salt is not None}

    def _subject_rows(self, lookups: list[bytes]) -> dict[bytes, tuple[int, bytes | None]]:
        found: dict[bytes, tuple[int, bytes | None]] = {}
        for part in _parts(lookups):
            marks = ",".join("?" * len(part))
            query = f"SELECT lookup, epoch, salt FROM subject WHERE lookup IN ({marks})"  # noqa: S608  only marks
            found |= {bytes(row[0]): (int(row[1]), row[2]) for row in self._connection.execute(query, part)}
        return found

    def _known_of(self, project: str, pseudonyms: list[str]) -> set[str]:
        found: set[str] = set()
        for part in _parts(pseudonyms):
            marks = ",".join("?" * len(part))
            query = f"SELECT pseudonym FROM pseudonym WHERE project = ? AND pseudonym IN ({marks})"  # noqa: S608
            found |= {str(row[0]) for row in self._connection.execute(query, (project, *part))}
        return found

    def _subject_row(self, lookup: bytes) -> tuple[int, bytes | None] | None:
        row = self._connection.execute(
            "SELECT epoch, salt FROM subject WHERE lookup = ?", (lookup,)
        ).fetchone()
        return None if row is None else (int(row[0]), row[1])

    def _lookup(self, value: str) -> bytes:
        return keyed(self._lookup_key, value.encode())

    def _keys(self, project: str, epoch: int) -> ProjectKeys:
        found = self._projects.get((project, epoch))
        if found is not None:
            return found
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO project VALUES (?, ?, ?)",
                (project, epoch, secrets.token_bytes(SALT_BYTES)),
            )
        salt = self._connection.execute(
            "SELECT salt FROM project WHERE name = ? AND epoch = ?", (project, epoch)
        ).fetchone()[0]
        keys = ProjectKeys.derive(self._master(epoch), project=project, epoch=epoch, salt=salt)
        self._projects[(project, epoch)] = keys
        return keys

    def _master(self, epoch: int) -> bytes:
        row = self._connection.execute("SELECT key FROM master WHERE epoch = ?", (epoch,)).fetchone()
        return bytes(row[0])

    def _epochs(self) -> tuple[int, int]:
        try:
            first, last = self._connection.execute("SELECT min(epoch), max(epoch) FROM master").fetchone()
        except sqlite3.DatabaseError as err:
            raise _not_a_store() from err
        if first is None:
            raise _not_a_store()
        return int(first), int(last)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _parts(values: list[T]) -> Iterator[list[T]]:
    """Cut a list into parts that one statement may name: SQLite's least limit is 999 values."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def checked_project(project: str) -> str:
    """Return a project's name if it can name keys and folders.

    Raises:
        BadProjectName: if it has other characters than letters, digits, `_` and `-`, or is too long.
    """
    if _PROJECT.fullmatch(project) is None:
        raise BadProjectName(
            "A project's name cannot be used.",
            why="It names keys and folders: 1 to 64 letters, digits, '_' and '-', starting with a letter or digit.",
            todo="Choose another name.",
        )
    return project


def _check_safe(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError as err:
        raise NoIdentityStore(
            "There is no identity store, so there is no key.",
            why="Without a key nothing can be pseudonymised.",
            todo="Make one with `fairbank node init`, or restore identity.db.",
        ) from err
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise UnsafeIdentityStore(
            "The identity store can be read by other accounts of this machine.",
            why="Whoever reads it can undo the pseudonyms.",
            todo="Set its mode to 0600 and consider whether it has been copied.",
        )


def _not_a_store() -> UnsafeIdentityStore:
    return UnsafeIdentityStore(
        "The identity store is damaged or not one.",
        why="It holds no master key.",
        todo="Restore identity.db from its own backup.",
    )
