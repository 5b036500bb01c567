"""What a person has said of files and not signed yet: kept while the pages run, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from fairbank.deid.item_review import Word
from fairbank.deid.pixels.work import Box


@dataclass(frozen=True, slots=True)
class Mark:
    """A word on one file; `areas` is what is to be blanked."""

    word: Word
    areas: tuple[Box, ...] = ()


@dataclass(slots=True)
class Marks:
    """The marks of all who sit at a desk, by person, group and file."""

    _marks: dict[tuple[str, str], dict[str, Mark]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, person: str, group: str) -> Mapping[str, Mark]:
        """Return what a person has said of the files of a group, by their names."""
        with self._lock:
            return dict(self._marks.get((person, group), {}))

    def put(self, person: str, group: str, name: str, mark: Mark | None) -> None:
        """Note a word on a file in place of an earlier one; None takes it back."""
        with self._lock:
            noted = self._marks.setdefault((person, group), {})
            noted.pop(name, None)
            if mark is not None:
                noted[name] = mark

    def forget(self, person: str, group: str, names: Iterable[str]) -> None:
        """Forget what was said of files, which is signed now."""
        with self._lock:
            noted = self._marks.get((person, group), {})
            for name in names:
                noted.pop(name, None)
