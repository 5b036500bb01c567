"""The first pass over a folder: which files belong to which series, kept in a file that has no name.

Paths may name people. They are held in an SQLite database that the operating system removes as soon as it is opened,
so memory stays flat and nothing is left behind.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from fairbank.deid.running.inputs import Entry, Head, entries_under

AT_ONCE = 128
_LOOSE_AT_ONCE = 64
_TABLES = """
create table found (number integer primary key, path blob, size integer, rank text, series text, subject text,
    sop_class text, modality text, pixels integer, frames integer);
create index found_series on found (series, path);
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """Files that are cleaned together: those of one series, or some that belong to none.

    Attributes:
        number: counts from 1 in the order of the work, which is that of keyed digests.
        series: keyed digest of the series' UID; None for files that name none.
        mixed: whether the files name more than one subject; None if nobody has looked.
    """

    number: int
    series: str | None
    paths: tuple[Path, ...] = field(repr=False)
    size: int
    mixed: bool | None = False


LookAtHeads = Callable[[Iterable[Sequence[Path]]], Iterator[list[Head]]]


class Index:
    """The files of a folder by series.

    Args:
        rank: gives each path its place among files without a series; tells nothing of the path.
    """

    def __init__(self, folder: Path, rank: Callable[[str], str]) -> None:
        self._folder = folder
        self._rank = rank
        self._database = sqlite3.connect("")
        self._database.executescript(_TABLES)
        self.left: Counter[str] = Counter()
        self.files = 0
        self.size = 0

    def close(self) -> None:
        """Let the index go; nothing of it is left."""
        self._database.close()

    def fill(self, look: LookAtHeads, seen: Callable[[int], None] = lambda files: None) -> None:
        """Find and look at everything under the folder.

        Args:
            look: yields the heads of each batch of paths in order.
            seen: is told now and then how many files were looked at.
        """
        waiting: list[list[Entry]] = []
        for batch, heads in _side_by_side(self._batches(), waiting, look):
            rows = [self._row(entry, head) for entry, head in zip(batch, heads, strict=True)]
            self._database.executemany("insert into found values (?,?,?,?,?,?,?,?,?,?)", rows)
            seen(self.files)
        self._database.commit()

    def units(self) -> Iterator[Unit]:
        """Yield all files in units: series in the order of their keyed digests, then files without one."""
        number = 0
        query = (
            "select series, sum(size), count(distinct subject) from found"
            " where series is not null group by series order by series"
        )
        for number, (series, size, subjects) in enumerate(self._database.execute(query), 1):
            yield Unit(number, series, self._paths(series), size, mixed=subjects > 1)
        loose = self._database.execute("select path, size from found where series is null order by rank")
        while some := loose.fetchmany(_LOOSE_AT_ONCE):
            number += 1
            paths = tuple(Path(os.fsdecode(path)) for path, _ in some)
            yield Unit(number, None, paths, sum(size for _, size in some))

    def kinds(self) -> list[tuple[str, str, int, int, int, int]]:
        """Return (SOP class, modality, files, series, bytes, frames) for each kind of file, most files first."""
        query = (
            "select sop_class, modality, count(*), count(distinct series), sum(size), sum(frames) from found"
            " group by sop_class, modality order by 3 desc, 1, 2"
        )
        return list(self._database.execute(query))

    def sample(self, kind: tuple[str, str], *, units: int, files: int) -> Iterator[Unit]:
        """Yield some units of a kind of file (SOP class, modality), chosen by keyed digests, cut to so many files."""
        query = (
            "select series, sum(size), count(distinct subject) from found"
            " where sop_class = ? and modality = ? group by coalesce(series, rank) order by min(rank) limit ?"
        )
        for number, (series, size, subjects) in enumerate(
            self._database.execute(query, (*kind, units)).fetchall(), 1
        ):
            if series is not None:
                yield Unit(number, series, self._paths(series)[:files], size, mixed=subjects > 1)
                continue
            loose = (
                "select path from found where series is null and sop_class = ? and modality = ?"
                " order by rank limit ?"
            )
            found = self._database.execute(loose, (*kind, _LOOSE_AT_ONCE))
            yield Unit(number, None, tuple(Path(os.fsdecode(path)) for (path,) in found), size)
            return

    def mixed(self) -> tuple[int, int]:
        """Return how many series name more than one subject, and how many files these have."""
        query = (
            "select count(*), coalesce(sum(files), 0) from (select count(*) as files from found"
            " where series is not null group by series having count(distinct subject) > 1)"
        )
        series, files = self._database.execute(query).fetchone()
        return int(series), int(files)

    @property
    def series(self) -> int:
        """Return the number of series."""
        return int(self._database.execute("select count(distinct series) from found").fetchone()[0])

    def _batches(self) -> Iterator[list[Entry]]:
        readable = (entry for entry in entries_under(self._folder) if not self._is_left(entry))
        while batch := list(islice(readable, AT_ONCE)):
            yield batch

    def _is_left(self, entry: Entry) -> bool:
        if entry.left is not None:
            self.left[entry.left.value] += 1
        return entry.left is not None

    def _row(self, entry: Entry, head: Head) -> tuple[object, ...]:
        self.files += 1
        self.size += entry.size
        rank = self._rank(os.fspath(entry.path.relative_to(self._folder)))
        kind = (head.sop_class, head.modality, head.rows * head.columns, head.frames)
        return (entry.number, os.fsencode(entry.path), entry.size, rank, head.series, head.subject, *kind)

    def _paths(self, series: str) -> tuple[Path, ...]:
        found = self._database.execute("select path from found where series = ? order by path", (series,))
        return tuple(Path(os.fsdecode(path)) for (path,) in found)


def _side_by_side(
    batches: Iterator[list[Entry]], waiting: list[list[Entry]], look: LookAtHeads
) -> Iterator[tuple[list[Entry], list[Head]]]:
    """Pair each batch with its heads, though `look` may take several batches before it answers the first."""

    def paths() -> Iterator[list[Path]]:
        for batch in batches:
            waiting.append(batch)
            yield [entry.path for entry in batch]

    for heads in look(paths()):
        yield waiting.pop(0), heads
