"""A key in a file: pseudonyms without a node, the same wherever and whenever the same key is used.

There are no salts of subjects, so a subject can be kept out but not unlinked: who has the key and a patient's id can
find the patient's pseudonym until every copy of the key is destroyed. Who must not come in again stands in a
suppression list beside the key, `<key file>.suppressions`, if there is one.

One file is one key, for good: which subjects an older key knows is written nowhere, so a key cannot be rotated for
new subjects only. A new key is a new file, and makes every pseudonym anew.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from fairbank.deid.errors import KeyFileThere, NoIdentityStore, SubjectForgotten
from fairbank.deid.identity import checked_project
from fairbank.deid.identity_file import check_private
from fairbank.deid.pseudonyms import (
    KEY_BYTES,
    ProjectKeys,
    Purpose,
    SubjectPseudonyms,
    derive_key,
    key_id_of,
    keyed,
)
from fairbank.deid.suppression import Suppressed, SuppressionList
from fairbank.signing import write_new

LEAST_BYTES = 32
SUPPRESSIONS = ".suppressions"


@dataclass(frozen=True)
class KeyFile:
    """Pseudonyms from one master key.

    Args:
        master: 32 bytes.
        suppressed: who must not come in again.
    """

    master: bytes = field(repr=False)
    suppressed: Suppressed = field(default=Suppressed(), repr=False)

    @classmethod
    def create(cls, path: Path) -> KeyFile:
        """Write a new random key to a file of mode 0600.

        Raises:
            KeyFileThere: if there is a file of that name; it is left alone.
        """
        write_private(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> KeyFile:
        """Return the key in a file of at least 32 bytes, whatever its form, which only its owner may read.

        Raises:
            NoIdentityStore: if there is no such file, or it is too short to be a key.
            UnsafeIdentityStore: if others may read it.
        """
        if not path.is_file():
            raise NoIdentityStore(
                "There is no key file.",
                why="Without a key nothing can be pseudonymised.",
                todo="Make one with `fairbank deid key new FILE`, or name the file that holds it.",
            )
        check_private(path, "The key file")
        content = path.read_bytes().strip()
        if len(content) < LEAST_BYTES:
            raise NoIdentityStore(
                "The key file is too short to be a key.",
                why=f"It has fewer than {LEAST_BYTES} bytes.",
                todo="Make one with `fairbank deid key new FILE`.",
            )
        beside = list_beside(path)
        suppressed = Suppressed()
        if beside.exists():
            opened_list = SuppressionList.opened(beside)
            suppressed = opened_list.snapshot()
            opened_list.close()
        return cls(hashlib.sha256(content).digest(), suppressed)

    @property
    def key_id(self) -> str:
        """Return by what the key may be named in records; it tells nothing of the key."""
        return key_id_of(self.master)

    def subject(self, project: str, value: str) -> SubjectPseudonyms:
        """Return the pseudonyms of a subject in a project.

        Raises:
            SubjectForgotten: if the subject is on the suppression list.
        """
        if self.is_forgotten(value):
            raise SubjectForgotten(
                "A subject is on the key's suppression list and is not taken in.",
                why="The subject withdrew.",
                todo="Leave its files out.",
            )
        salt = keyed(self._lookup_key, b"salt", value.encode())
        return SubjectPseudonyms(keys=self._keys(checked_project(project)), salt=salt, value=value)

    def consent_key(self, value: str) -> bytes:
        """Return under what a subject's consent would be filed."""
        return keyed(self._lookup_key, b"consent", value.encode())

    def is_forgotten(self, value: str) -> bool:
        """Return whether a subject is on the suppression list."""
        return self.suppressed.has(value)

    def item_key(self, sha256: bytes) -> str:
        """Return a keyed digest of a file's digest."""
        return keyed(self._lookup_key, b"item", sha256).hex()

    def suppress(self, value: str, path: Path, *, at: str) -> KeyFile:
        """Put a subject on the suppression list beside a key file; return the key with the list as it is then.

        Args:
            path: the key file.
            at: ISO moment.
        """
        opened = SuppressionList.opened(list_beside(path))
        try:
            opened.add([(opened.add_ring(self._lookup_key).of_value(value), at)])
            return KeyFile(self.master, opened.snapshot())
        finally:
            opened.close()

    @cached_property
    def _lookup_key(self) -> bytes:
        return derive_key(self.master, project="", purpose=Purpose.LOOKUP)

    @cached_property
    def _projects(self) -> dict[str, ProjectKeys]:
        return {}

    def _keys(self, project: str) -> ProjectKeys:
        known = self._projects.get(project)
        if known is None:
            salt = keyed(self._lookup_key, b"project", project.encode())
            known = ProjectKeys.derive(self.master, project=project, epoch=1, salt=salt)
            self._projects[project] = known
        return known


def write_private(path: Path, content: bytes) -> None:
    """Write a new file of mode 0600, flushed to the disk; it is there whole or not at all.

    Raises:
        KeyFileThere: if there is a file of that name; it is left alone.
    """
    try:
        write_new(path, content)
    except FileExistsError as err:
        raise KeyFileThere(
            "There is a file of that name already.",
            why="A key is never overwritten: what was made with it could not be made again.",
            todo="Use the key that is there, or choose another name.",
        ) from err


def list_beside(path: Path) -> Path:
    """Return where the suppression list of a key file is."""
    return path.with_name(path.name + SUPPRESSIONS)
