"""The folder that a run writes to: what lies where in it, who may read it, and that one run at a time has it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairbank.deid.errors import FolderInUse, FoldersNested, NoSuchRun, NotARunFolder, StoreNotWritable

INNER = ".fairbank"
STAGING = ".staging"
QUARANTINE = "quarantine"
REPORT = "report"
# The time of every file that is written from somebody's files, the start of the year 2000: when it was made is told in
# the journal, and the order of times would tell the order of names.
WRITTEN_NS = 946_684_800 * 10**9
_PRIVATE = 0o700
_OWN = frozenset({INNER, STAGING, QUARANTINE, REPORT})


@dataclass(frozen=True, slots=True)
class Place:
    """An output folder.

    `OUT/<subject>/<study>/<series>/<instance>.dcm` are the cleaned files. `OUT/quarantine` holds copies of what was not
    cleaned, `OUT/.fairbank` the journal and `OUT/.staging` what is being worked on: these three only their owner reads.
    """

    root: Path

    @property
    def inner(self) -> Path:
        """Return the folder of the journal."""
        return self.root / INNER

    @property
    def staging(self) -> Path:
        """Return the folder of what is being worked on."""
        return self.root / STAGING

    @property
    def quarantine(self) -> Path:
        """Return the folder of copies of what was not cleaned."""
        return self.root / QUARANTINE

    @property
    def journal(self) -> Path:
        """Return the journal's file."""
        return self.inner / "journal.db"

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            NotARunFolder: if there is something in the folder that no run has put there.
            StoreNotWritable: if the folder cannot be written.
        """
        with writing_errors():
            self.root.mkdir(parents=True, exist_ok=True)
            if not self.inner.exists() and any(child.name not in _OWN for child in self.root.iterdir()):
                raise NotARunFolder(
                    "The output folder is not empty, and no run has written to it.",
                    why="Files that were not cleaned would lie among files that were.",
                    todo="Name an empty folder, or one that does not exist yet.",
                )
            for folder in (self.inner, self.staging, self.quarantine):
                folder.mkdir(mode=_PRIVATE, exist_ok=True)
                folder.chmod(_PRIVATE)

    def existing(self) -> Place:
        """Return this place if a run has written to it.

        Raises:
            NoSuchRun: if none has.
        """
        if not self.journal.is_file():
            raise NoSuchRun(
                "No run has written to this folder.",
                why=f"There is no {INNER}/{self.journal.name} in it.",
                todo="Name the output folder of `fairbank deid run IN OUT`.",
            )
        return self

    def clear_staging(self) -> None:
        """Discard what earlier runs were working on when they ended."""
        with writing_errors():
            for child in self.staging.iterdir():
                shutil.rmtree(child)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out.

        Raises:
            FolderInUse: if another run has the folder.
        """
        with (self.inner / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as err:
                raise FolderInUse(
                    "Another run is writing to this folder.",
                    why="Two runs would discard each other's work.",
                    todo="Wait until it has ended, or stop it.",
                ) from err
            yield


def check_apart(source: Path, target: Path) -> None:
    """Check that neither folder lies in the other.

    Raises:
        FoldersNested: if one does, or both are the same.
    """
    inner, outer = source.resolve(), target.resolve()
    if inner == outer or inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise FoldersNested(
            "One of the two folders lies in the other.",
            why="What comes out would be taken for what goes in, or lie among what was not cleaned.",
            todo="Name two folders that lie apart.",
        )


@contextmanager
def writing_errors() -> Iterator[None]:
    """Turn the operating system's refusal to write into an error that says what to do.

    Raises:
        StoreNotWritable: in the place of an OSError.
    """
    try:
        yield
    except OSError as err:
        raise not_writable(err.errno) from err


def not_writable(number: int | None) -> StoreNotWritable:
    """Return the error for the operating system's number of it."""
    is_full = number in (errno.ENOSPC, errno.EDQUOT)
    return StoreNotWritable(
        "The disk is full." if is_full else "The output folder could not be written.",
        why=f"The operating system says: {os.strerror(number or errno.EIO)}. Nothing half written is left.",
        todo=f"{'Free space' if is_full else 'Mend the permissions'}, then give the same command again:"
        " it goes on where it stopped.",
    )
