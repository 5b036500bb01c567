"""The node's own store of de-identified files: folders under pseudonyms, each file whole or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from fairbank.deid.cleaning import Cleaned
from fairbank.deid.errors import StoreNotWritable
from fairbank.deid.identity import checked_project
from fairbank.deid.outcomes import Reason, Refused

_PARTIAL = ".part"


class ResearchStore:
    """Files at `<root>/<project>/<subject>/<study>/<series>/<instance>.dcm`, all names pseudonymous.

    Only cleaned files are ever written. Held files are not copied: the node's database lists them under neutral names,
    and the identity store knows where they are.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path_of(self, project: str, cleaned: Cleaned) -> PurePosixPath:
        """Return where a file belongs, relative to the root."""
        return PurePosixPath(
            checked_project(project),
            cleaned.subject,
            cleaned.study_uid,
            cleaned.series_uid,
            f"{cleaned.sop_uid}.dcm",
        )

    def put(self, project: str, cleaned: Cleaned, *, replace: bool = False) -> PurePosixPath:
        """Store a file: written beside its place, flushed to the disk, then renamed.

        Raises:
            Refused: if another file is there and may not be replaced.
            StoreNotWritable: if the disk is full or the folder may not be written.
        """
        relative = self.path_of(project, cleaned)
        target = self.root / relative
        try:
            if target.exists():
                if target.read_bytes() == cleaned.content:
                    return relative
                if not replace:
                    raise Refused(Reason.DUPLICATE_INSTANCE)
            _write_whole(target, cleaned.content)
        except OSError as err:
            raise StoreNotWritable(
                "A de-identified file could not be stored; no part of it is left.",
                why=f"The operating system says: {os.strerror(err.errno or 0)}.",
                todo="Free space or mend the permissions of the store's folder, then run again: it goes on from here.",
            ) from err
        return relative

    def has(self, relative: str | PurePosixPath) -> bool:
        """Return whether a file is there."""
        return (self.root / relative).is_file()

    def files(self, project: str) -> Iterator[Path]:
        """Yield the stored files of a project in the order of their names."""
        yield from sorted((self.root / checked_project(project)).rglob("*.dcm"))

    def remove_subject(self, project: str, subject: str) -> int:
        """Delete all files of a subject; return how many there were."""
        if not subject.isalnum():
            return 0
        folder = self.root / checked_project(project) / subject
        count = sum(1 for _ in folder.rglob("*.dcm"))
        shutil.rmtree(folder, ignore_errors=not folder.exists())
        return count


def _write_whole(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(_PARTIAL)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
