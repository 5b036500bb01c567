"""The identity store: master keys and salts, in a file of their own that only its owner may read.

It holds no identifier of a subject: rows are found by a keyed digest of the subject's value; only a project that asked
for it has links to the values, encrypted. Deleting a subject's salt makes the pseudonyms unlinkable even for who holds
the master key and the original value; what stays is a mark here and one in the suppression list beside it, which keep
the subject from being taken in again. The references of held files (which may be paths) are kept here too, because
this file, unlike the node's database, is never backed up with the rest.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Collection, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairbank.clock import Clock, iso
from fairbank.deid.departures import (
    Departure,
    Known,
    departure_of,
    departures,
    note_departure,
    note_gone,
)
from fairbank.deid.errors import BadProjectName, SubjectForgotten, UnknownSubject, UnsafeIdentityStore
from fairbank.deid.identity_file import bring_up_to_date, check_safe, first_content, not_a_store
from fairbank.deid.identity_rows import known_among, subject_rows
from fairbank.deid.links import Links, open_link, seal_link
from fairbank.deid.pseudonyms import (
    KEY_BYTES,
    SALT_BYTES,
    ProjectKeys,
    Purpose,
    SubjectPseudonyms,
    derive_key,
    key_id_of,
    keyed,
)
from fairbank.deid.reidentification_desk import Desk
from fairbank.deid.suppression import SUPPRESSIONS_FILE, Ring, SuppressionList
from fairbank.errors import Sensitive
from fairbank.signing import write_new

IDENTITY_FILE = "identity.db"
BUSY_TIMEOUT_S = 30
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A master key as it may be shown: when it was made, how many subjects are under it, and by what it is named."""

    epoch: int
    key_id: str
    made_at: str
    subjects: int


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
        check_safe(path)
        self._projects: dict[tuple[str, int], ProjectKeys] = {}
        self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        # Overwrite what is deleted: an erased salt must not survive in a free page.
        self._connection.execute("PRAGMA secure_delete = ON")
        self._connection.execute("PRAGMA foreign_keys = ON")
        bring_up_to_date(self._connection)
        self._first_epoch, self._epoch = self._epochs()
        first = self._master(self._first_epoch)
        self._lookup_key = derive_key(first, project="", purpose=Purpose.LOOKUP)
        self._item_key = derive_key(first, project="", purpose=Purpose.ITEM)
        self._consent_key = derive_key(first, project="", purpose=Purpose.CONSENT)
        self._audit_key = derive_key(first, project="", purpose=Purpose.AUDIT)
        self.links = Links(self._connection)
        self.desk = Desk(self._connection)
        self.suppressions = SuppressionList.attached(self._connection, path.with_name(SUPPRESSIONS_FILE))
        self._ring = self._with_all_marks()

    @classmethod
    def create(cls, path: Path, *, clock: Clock) -> IdentityStore:
        """Make a new store with a new master key, whole or not at all; an existing file is left alone and refused."""
        try:
            write_new(path, first_content(secrets.token_bytes(KEY_BYTES), made_at=iso(clock.now())))
        except FileExistsError as err:
            raise UnsafeIdentityStore(
                "There is an identity store already.",
                why="A second master key in its place would make every pseudonym unrepeatable.",
                todo="Use the one that is there, or move it away first.",
            ) from err
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

    def master_keys(self) -> list[MasterKey]:
        """Return what may be shown of the master keys, oldest first."""
        rows = self._connection.execute(
            "SELECT master.epoch, master.key, master.made_at, count(subject.lookup) FROM master "
            "LEFT JOIN subject ON subject.epoch = master.epoch AND subject.salt IS NOT NULL "
            "GROUP BY master.epoch ORDER BY master.epoch"
        )
        return [MasterKey(int(row[0]), key_id_of(bytes(row[1])), str(row[2]), int(row[3])) for row in rows]

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
        epoch, salt = self._salt_of(lookup, value)
        found = SubjectPseudonyms(keys=self._keys(project, epoch), salt=salt, value=value)
        row = (project, found.subject, epoch, lookup)
        if not self.is_known(project, found.subject):
            with self._writing() as connection:
                # The subject may have been forgotten a moment ago, by another process.
                self._salt_of(lookup, value)
                connection.execute("INSERT OR IGNORE INTO pseudonym VALUES (?, ?, ?, ?)", row)
        self._keep_links(project, [found])
        return found

    def subjects(self, project: str, values: Iterable[str]) -> dict[str, SubjectPseudonyms]:
        """Return the pseudonyms of many subjects at once, by value; new ones get their salts in one transaction.

        Subjects that were withdrawn are left out of the answer.
        """
        checked_project(project)
        values = dict.fromkeys(values)
        withdrawn = self.suppressions.among(values)
        lookups = {value: self._lookup(value) for value in values if value not in withdrawn}
        salts = self._salts_of(list(lookups.values()))
        found = {
            value: SubjectPseudonyms(keys=self._keys(project, epoch), salt=salt, value=value)
            for value, lookup in lookups.items()
            if lookup in salts
            for epoch, salt in [salts[lookup]]
        }
        rows = [(project, one.subject, one.keys.epoch, lookups[value]) for value, one in found.items()]
        known = known_among(self._connection, project, [row[1] for row in rows])
        if new := [row for row in rows if row[1] not in known]:
            with self._writing() as connection:
                # Some may have been forgotten a moment ago, by another process: they get no row, and are left out.
                held = subject_rows(self._connection, [row[3] for row in new])
                left = [row for row in new if held[row[3]][1] is not None]
                connection.executemany("INSERT OR IGNORE INTO pseudonym VALUES (?, ?, ?, ?)", left)
            kept = {row[3] for row in left} | {row[3] for row in rows if row[1] in known}
            found = {value: one for value, one in found.items() if lookups[value] in kept}
        self._keep_links(project, list(found.values()))
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
        epoch, salt = self._salt_of(lookup, value)
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

    def leave(self, value: str, *, clock: Clock) -> Departure:
        """Make a subject unknown for good, known here or not; return what it was called, to clear every place of it.

        From here on the subject is refused, its salt, pseudonyms, links and notes of held files are erased, and
        `departures` tells of it until `gone` says that all is cleared.
        """
        return self._leave(self._lookup(value), clock=clock)

    def leave_pseudonym(self, project: str, pseudonym: str, *, clock: Clock) -> Departure:
        """Make the subject behind a pseudonym unknown for good, in all projects; see `leave`.

        Raises:
            UnknownSubject: if no subject has that pseudonym here.
        """
        foreseen = self.foresee_pseudonym(project, pseudonym)
        return self._leave(foreseen.lookup, clock=clock)

    def foresee_pseudonym(self, project: str, pseudonym: str) -> Departure:
        """Return what `leave_pseudonym` would, and change nothing; it raises the same."""
        for departure in self.departures():
            if Known(project, pseudonym) in departure.known:
                return departure
        return self._departure(self._lookup_known(project, pseudonym))

    def foresee(self, value: str) -> Departure:
        """Return what `leave` would, and change nothing."""
        lookup = self._lookup(value)
        return departure_of(self._connection, lookup) or self._departure(lookup)

    def departures(self) -> list[Departure]:
        """Return the subjects of whom something may still be found somewhere, because a withdrawal was cut off."""
        return departures(self._connection)

    def gone(self, departure: Departure) -> None:
        """Note that everything of a subject is cleared."""
        with self._writing() as connection:
            note_gone(connection, departure)

    def forget(self, value: str, *, clock: Clock) -> list[Known]:
        """Make a subject unknown where nothing of it has to be cleared; return under what it was known."""
        departure = self.leave(value, clock=clock)
        self.gone(departure)
        return list(departure.known)

    def returned(self) -> list[Known]:
        """Return who is known here although on the suppression list, one pseudonym each: an older store was restored.

        Found are those who were entered on the list under this store's own key.
        """
        rows = self._connection.execute(
            "SELECT lookup, min(project || char(31) || pseudonym) FROM pseudonym GROUP BY lookup"
        ).fetchall()
        rings = [ring for ring in self.suppressions.rings() if ring.lookup_key == self._lookup_key]
        found = [
            text.partition("\x1f")
            for lookup, text in rows
            if any(self.suppressions.has_digest(ring.of_lookup(bytes(lookup))) for ring in rings)
        ]
        return [Known(project, pseudonym) for project, _, pseudonym in found]

    def is_forgotten(self, value: str) -> bool:
        """Return whether a subject was withdrawn."""
        row = self._connection.execute(
            "SELECT forgotten_at FROM subject WHERE lookup = ?", (self._lookup(value),)
        ).fetchone()
        return (row is not None and row[0] is not None) or self.suppressions.has(value)

    def keep_links(self, project: str, *, clock: Clock) -> None:
        """Keep the original value of subjects that a project meets from now on, encrypted."""
        with self._writing():
            self.links.enable(checked_project(project), at=iso(clock.now()))

    def drop_links(self, project: str) -> int:
        """Keep no more original values of a project's subjects, and erase those there are; return how many."""
        with self._writing():
            return self.links.disable(checked_project(project))

    def original(self, project: str, pseudonym: str) -> Sensitive[str] | None:
        """Return the original value of a subject, None if no link was kept. Only two persons together may ask.

        Raises:
            UnknownSubject: if no subject has that pseudonym here.
        """
        lookup = self._lookup_known(project, pseudonym)
        sealed = self.links.sealed(project, pseudonym)
        if sealed is None:
            return None
        found = self._subject_row(lookup)
        assert found is not None and found[1] is not None
        key = self._link_key(project, found[0], found[1])
        value = open_link(key, sealed, project=project, pseudonym=pseudonym)
        return Sensitive(value, reference=pseudonym)

    def keep_reference(
        self, project: str, item: str, reference: Sensitive[str], *, subject: str | None = None
    ) -> None:
        """Note which source a held item stands for; `subject` lets `leave` delete the note.

        Of a subject who has left nothing is noted.
        """
        lookup = None if subject is None else self._lookup(subject)
        with self._writing() as connection:
            if subject is not None and self.is_forgotten(subject):
                return
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

    def _departure(self, lookup: bytes) -> Departure:
        held = self._connection.execute("SELECT project, item FROM reference WHERE lookup = ?", (lookup,))
        return Departure(
            lookup,
            self._commitment(lookup),
            keyed(self._consent_key, lookup),
            tuple(self._known(lookup)),
            tuple((row[0], row[1]) for row in held),
        )

    def _leave(self, lookup: bytes, *, clock: Clock) -> Departure:
        now = iso(clock.now())
        with self._writing() as connection:
            cut_off = departure_of(connection, lookup)
            if cut_off is not None:
                return cut_off
            departure = self._departure(lookup)
            for one in departure.known:
                connection.execute(
                    "UPDATE reidentification SET pseudonym = NULL WHERE project = ? AND pseudonym = ?",
                    (one.project, one.pseudonym),
                )
            for table in ("pseudonym", "reference", "link"):
                connection.execute(f"DELETE FROM {table} WHERE lookup = ?", (lookup,))  # noqa: S608  names of ours
            connection.execute(
                "INSERT INTO subject VALUES (?, ?, NULL, ?) ON CONFLICT (lookup) DO UPDATE "
                "SET salt = NULL, forgotten_at = coalesce(forgotten_at, excluded.forgotten_at)",
                (lookup, self._epoch, now),
            )
            self.suppressions.add([(self._ring.of_lookup(lookup), now)])
            note_departure(connection, departure)
        return departure

    def _with_all_marks(self) -> Ring:
        """Return this store's ring in the suppression list, with every subject that the store itself has forgotten.

        Some are missing where the list is new, was lost, or is an older one that was restored.
        """
        ring = self.suppressions.ring_of(self._lookup_key)
        query = "SELECT lookup, forgotten_at FROM subject WHERE forgotten_at IS NOT NULL"
        forgotten = [(bytes(row[0]), row[1]) for row in self._connection.execute(query)]
        if ring and all(self.suppressions.has_digest(ring.of_lookup(lookup)) for lookup, _ in forgotten):
            return ring
        with self._writing():
            ring = self.suppressions.add_ring(self._lookup_key)
            self.suppressions.add([(ring.of_lookup(lookup), at) for lookup, at in forgotten])
        return ring

    def _keep_links(self, project: str, subjects: list[SubjectPseudonyms]) -> None:
        if not self.links.are_kept(project):
            return
        new = [one for one in subjects if not self.links.has(project, one.subject)]
        if not new:
            return
        with self._writing():
            for one in new:
                key = self._link_key(project, one.keys.epoch, one.salt)
                sealed = seal_link(key, one.value, project=project, pseudonym=one.subject)
                self.links.put(project, one.subject, self._lookup(one.value), sealed)

    def _link_key(self, project: str, epoch: int, salt: bytes) -> bytes:
        return keyed(derive_key(self._master(epoch), project=project, purpose=Purpose.LINK), salt)

    def _salt_of(self, lookup: bytes, value: str) -> tuple[int, bytes]:
        if self.suppressions.has(value):
            raise _forgotten()
        found = self._subject_row(lookup)
        if found is None:
            with self._writing() as connection:
                if self.suppressions.has(value):
                    raise _forgotten()
                connection.execute(
                    "INSERT OR IGNORE INTO subject VALUES (?, ?, ?, NULL)",
                    (lookup, self._epoch, secrets.token_bytes(SALT_BYTES)),
                )
            found = self._subject_row(lookup)
        if found is None or found[1] is None:
            raise _forgotten()
        return found[0], found[1]

    def _salts_of(self, lookups: list[bytes]) -> dict[bytes, tuple[int, bytes]]:
        """Return epoch and salt of subjects, made now for new ones; forgotten ones are left out."""
        rows = subject_rows(self._connection, lookups)
        if new := [lookup for lookup in lookups if lookup not in rows]:
            made = [(lookup, self._epoch, secrets.token_bytes(SALT_BYTES)) for lookup in new]
            with self._writing() as connection:
                connection.executemany("INSERT OR IGNORE INTO subject VALUES (?, ?, ?, NULL)", made)
            rows |= subject_rows(self._connection, new)
        return {lookup: (epoch, salt) for lookup, (epoch, salt) in rows.items() if salt is not None}

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
            raise not_a_store() from err
        if first is None:
            raise not_a_store()
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


def _forgotten() -> SubjectForgotten:
    return SubjectForgotten(
        "A subject was withdrawn and is not taken in again.",
        why="Its salt was deleted; a new one would make it a participant again.",
        todo="Leave its files out of the project.",
    )


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
