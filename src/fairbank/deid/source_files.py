"""Files of a folder as source instances, for de-identifying what lies on a disk without an archive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairbank.errors import Sensitive


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file; its path may name a person, so it prints as a number."""

    path: Path
    number: int

    def __repr__(self) -> str:
        return f"SourceFile(file #{self.number})"

    @property
    def reference(self) -> Sensitive[str]:
        """Return the path, printing as `file #17`."""
        return Sensitive(str(self.path), reference=f"file #{self.number}")

    def read(self) -> bytes:
        """Return the file's bytes; OSError if it cannot be read."""
        return self.path.read_bytes()


def files_under(folder: Path) -> Iterator[SourceFile]:
    """Yield all files under a folder, or the file itself, numbered from 1 in the order of their names.

    Links that lead out are not followed: they would be read twice, or from a place that nobody named.
    """
    if folder.is_file():
        yield SourceFile(folder, 1)
        return
    number = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place) / name
            if path.is_symlink() or not path.is_file():
                continue
            number += 1
            yield SourceFile(path, number)
