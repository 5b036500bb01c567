"""The node's own store of de-identified files: folders under pseudonyms, each series whole or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from fairbank.deid.errors import StoreNotWritable
from fairbank.deid.identity import checked_project

_STAGING = ".staging"


class ResearchStore:
    """Files at `<root>/<project>/<subject>/<study>/<series>/<instance>.dcm`, all names pseudonymous.

    Only cleaned files are ever written. Held files are not copied: the node's database lists them under neutral names,
    and the identity store knows where they are.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def staging(self) -> Path:
        """Return the folder of what is being worked on; no project can have its name."""
        return self.root / _STAGING

    def put_series(self, project: str, staged: Path, outputs: Sequence[str]) -> None:
        """Move cleaned files from where they were written into their places; a series that is new comes at once.

        Args:
            staged: a folder on the same file system, whose files are on the disk already.
            outputs: the files, relative to `staged` and to the project's folder.

        Raises:
            StoreNotWritable: if the disk is full or the folder may not be written.
        """
        home = self.root / checked_project(project)
        series: dict[str, list[str]] = {}
        for output in outputs:
            series.setdefault(output.rpartition("/")[0], []).append(output)
        try:
            for folder, files in sorted(series.items()):
                _move_series(staged, home, folder, files)
        except OSError as err:
            raise StoreNotWritable(
                "A de-identified file could not be stored; no part of it is left.",
                why=f"The operating system says: {os.strerror(err.errno or 0)}.",
                todo="Free space or mend the permissions of the store's folder, then run again: it goes on from here.",
            ) from err

    def has(self, relative: str | PurePosixPath) -> bool:
        """Return whether a file is there."""
        return (self.root / relative).is_file()

    def files(self, project: str) -> Iterator[Path]:
        """Yield the stored files of a project in the order of their names."""
        yield from sorted((self.root / checked_project(project)).rglob("*.dcm"))

    def names(self, project: str, folders: Iterable[str]) -> set[str]:
        """Return the stored files in some folders of a project, relative to the project's folder."""
        home = self.root / checked_project(project)
        return {
            path.relative_to(home).as_posix() for folder in folders for path in (home / folder).glob("*.dcm")
        }

    def count(self, project: str, subject: str) -> int:
        """Return how many files of a subject there are."""
        if not subject.isalnum():
            return 0
        return sum(1 for _ in (self.root / checked_project(project) / subject).rglob("*.dcm"))

    def remove(self, relative: str | PurePosixPath) -> None:
        """Delete one file, and the folders that are empty then."""
        path = self.root / relative
        if not path.resolve().is_relative_to(self.root.resolve()):
            return
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if (
                folder.parent == self.root
                or folder == self.root
                or not folder.is_dir()
                or any(folder.iterdir())
            ):
                return
            folder.rmdir()

    def remove_subject(self, project: str, subject: str) -> int:
        """Delete all files of a subject; return how many there were."""
        if not subject.isalnum():
            return 0
        folder = self.root / checked_project(project) / subject
        count = sum(1 for _ in folder.rglob("*.dcm"))
        shutil.rmtree(folder, ignore_errors=not folder.exists())
        return count

    def remove_project(self, project: str) -> int:
        """Delete all files of a project; return how many there were."""
        folder = self.root / checked_project(project)
        count = sum(1 for _ in folder.rglob("*.dcm"))
        shutil.rmtree(folder, ignore_errors=not folder.exists())
        return count


def _move_series(staged: Path, home: Path, folder: str, files: Sequence[str]) -> None:
    target = home / folder
    wanted = {file.rpartition("/")[2] for file in files}
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() and {path.name for path in (staged / folder).iterdir()} == wanted:
        (staged / folder).replace(target)
        _flush(target.parent)
        return
    target.mkdir(exist_ok=True)
    for name in sorted(wanted):
        (staged / folder / name).replace(target / name)
    _flush(target)


def _flush(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
