"""Plain files as the pipeline takes them: each prints as a number, never as its path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairbank.deid.errors import DeidError
from fairbank.errors import Kind, Sensitive


class NoSuchFolder(DeidError):
    """The folder to de-identify is not there."""

    code = "FB-DEID-090"
    kind = Kind.MISUSE


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file on this machine."""

    path: Path
    reference: Sensitive[str]

    def read(self) -> bytes:
        """Return the file's bytes; OSError if it cannot be read."""
        return self.path.read_bytes()


def files_under(folder: Path) -> Iterator[SourceFile]:
    """Return the files of a folder and its subfolders in order; links are left out, they could lead anywhere.

    Raises:
        NoSuchFolder: if it is not a folder.
    """
    if not folder.is_dir():
        raise NoSuchFolder(
            "There is no such folder.",
            why="De-identification takes a folder of files.",
            todo="Check its name.",
        )
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return (
        SourceFile(path, Sensitive(str(path), reference=f"file #{number}"))
        for number, path in enumerate(paths, start=1)
    )
