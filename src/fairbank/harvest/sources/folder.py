"""A plain folder of DICOM files as a source: each subfolder is a container, each series in it an item."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from fairbank import __version__
from fairbank.clock import Clock, SystemClock
from fairbank.deid.facts import Recorder
from fairbank.deid.part10 import quiet_pydicom
from fairbank.errors import Sensitive
from fairbank.harvest.described import DESCRIBED_TAGS, describe_datasets
from fairbank.harvest.errors import HarvestError, ListedFileMissing, NotAFolder, NotInSource, UnreadableHeader
from fairbank.harvest.parallel import in_batches
from fairbank.harvest.sources.media_directory import FILE_NAME, is_directory, listed_files
from fairbank.harvest.sources.protocol import (
    Capability,
    Checked,
    Container,
    Described,
    Instance,
    Item,
    Snapshot,
    SourceKind,
)

# Loose files of the root are a container too.
ROOT = "."
_UNREADABLE = "unreadable:"
_LISTED = "listed:"
# What a header says in the place of a series, where it is a directory of a medium and no image.
_NO_IMAGE = "\0"
_SERIES_TAG = 0x0020000E


class FolderSource:
    """A folder on this machine; subfolders are containers, and `.` holds files that lie in none.

    Args:
        root: the folder.
        name: what messages call it.
        workers: processes that read headers.
        clock: says when a header was read.
    """

    kind = SourceKind.FOLDER
    capabilities = frozenset(
        {
            Capability.FILES,
            Capability.DESCRIBES,
            Capability.INSTANCES,
            Capability.STABLE_ORDER,
            Capability.TOTAL_COUNT,
        }
    )

    def __init__(
        self, root: Path, *, name: str = "folder", workers: int = 1, clock: Clock | None = None
    ) -> None:
        self._root = root
        self._name = name
        self._workers = workers
        self._clock = clock or SystemClock()
        self._paths: dict[tuple[str, str], tuple[Path, ...]] = {}
        # How many files a DICOMDIR lists of a series, by container and series.
        self._listed: dict[tuple[str, str], int] = {}

    def check(self) -> Checked:
        """Look whether the folder can be read."""
        return Checked(version="-", containers=len(self.list_containers()))

    def list_containers(self) -> list[Container]:
        """Return the subfolders, and `.` where files lie in none."""
        try:
            entries = sorted(self._root.iterdir())
        except OSError as err:
            raise NotAFolder(
                f"The source {self._name} is not a readable folder.",
                why="It has been moved, or the node's user may not read it.",
                todo="Check the path and its permissions, and add the source again.",
            ) from err
        loose = any(entry.is_file() and not entry.name.startswith(".") for entry in entries)
        names = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
        return [Container(name, name) for name in ([ROOT] if loose else []) + names]

    def snapshot(self, container: str) -> Snapshot:
        """Return the series of a subfolder.

        A file that is not DICOM is an item of its own, and so is each file that a DICOMDIR lists and that is missing:
        both fail when they are fetched or described, and stop nothing else.
        """
        if container not in [known.id for known in self.list_containers()]:
            raise NotInSource(
                f"The source {self._name} has no container of this name.",
                todo="List its containers, and check the spelling.",
            )
        paths = list(self._files(container))
        series: dict[str, list[Path]] = {}
        for path, uid in zip(paths, in_batches(series_of_files, paths, workers=self._workers), strict=True):
            if uid != _NO_IMAGE:
                series.setdefault(uid or f"{_UNREADABLE}{path.relative_to(self._root)}", []).append(path)
        for local_id, of_series in series.items():
            self._paths[container, local_id] = tuple(of_series)
        items = [Item(local_id, self._version(paths), len(paths)) for local_id, paths in series.items()]
        items += self._missing(container, paths)
        return Snapshot(container, tuple(sorted(items, key=lambda item: item.local_id)), complete=True)

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        """Yield the files where they lie; nothing is copied."""
        for path in self._paths_of(container, item):
            yield Instance(path, Sensitive(str(path.relative_to(self._root)), reference="a file"))

    def describe(self, container: str, items: Sequence[Item]) -> Iterator[Described]:
        """Yield what the headers of each item say; all files of a series are read."""
        to_read: list[tuple[Path, ...]] = []
        errors: dict[int, HarvestError] = {}
        for number, item in enumerate(items):
            try:
                to_read.append(self._paths_of(container, item))
            except (NotInSource, ListedFileMissing) as err:
                errors[number] = err
                to_read.append(())
        for number, item in enumerate(items):
            if number in errors:
                yield Described(item, None, errors[number])
                continue
            expected = self._listed.get((container, item.local_id))
            yield self._described(item, to_read[number], expected)

    def close(self) -> None:
        """Do nothing: a folder needs no logging out."""

    def _described(self, item: Item, paths: Sequence[Path], expected: int | None) -> Described:
        read = in_batches(read_datasets, paths, workers=self._workers)
        datasets = [dataset for dataset in read if dataset is not None]
        if len(datasets) < len(paths):
            expected = max(expected or 0, len(paths))
        try:
            with quiet_pydicom():
                recorder = Recorder("harvest", self._clock.now(), f"fairbank {__version__}")
                description = describe_datasets(datasets, recorder=recorder, expected_instances=expected)
        except UnreadableHeader as err:
            return Described(item, None, err)
        except Exception as err:  # noqa: BLE001 - pydicom answers malformed values with any exception
            unreadable = UnreadableHeader(
                "The headers of a series cannot be understood.",
                why="They hold values that DICOM does not know.",
                todo="Look at the series by its reference; the others are not affected.",
            )
            unreadable.__cause__ = err
            return Described(item, None, unreadable)
        return Described(item, description)

    def _paths_of(self, container: str, item: Item) -> tuple[Path, ...]:
        if item.local_id.startswith(_LISTED):
            raise ListedFileMissing(
                f"A file that a DICOMDIR of the source {self._name} lists is missing.",
                why="It was not copied with the others, or was deleted since the directory was written.",
                todo="Copy the medium again, or delete its DICOMDIR; all files that are there are read.",
            )
        if (container, item.local_id) not in self._paths:
            self.snapshot(container)
        paths = self._paths.get((container, item.local_id), ())
        if not paths or not all(path.exists() for path in paths):
            raise NotInSource(
                f"A series of the source {self._name} has gone.",
                why="Its files were moved or deleted since they were listed.",
                todo="Run the harvest again.",
            )
        return paths

    def _files(self, container: str) -> Iterator[Path]:
        for path in self._entries(container):
            # A media directory lists patients but holds no image.
            if path.name.upper() != FILE_NAME:
                yield path

    def _entries(self, container: str) -> Iterator[Path]:
        found = self._root.glob("*") if container == ROOT else (self._root / container).rglob("*")
        for path in sorted(found):
            hidden = any(part.startswith(".") for part in path.relative_to(self._root).parts)
            # A link could lead anywhere on this machine.
            if not hidden and not path.is_symlink() and path.is_file():
                yield path

    def _missing(self, container: str, present: Sequence[Path]) -> Iterator[Item]:
        """Yield an item for each file that a DICOMDIR lists and that is not there, and note what it lists."""
        there = {str(path).casefold() for path in present}
        self._listed = {key: count for key, count in self._listed.items() if key[0] != container}
        for directory in (path for path in self._entries(container) if path.name.upper() == FILE_NAME):
            listed = listed_files(directory)
            if listed is None:
                local_id = f"{_UNREADABLE}{directory.relative_to(self._root)}"
                self._paths[container, local_id] = (directory,)
                yield Item(local_id, self._version([directory]), 1)
            for file in listed or ():
                key = (container, file.series_uid)
                self._listed[key] = self._listed.get(key, 0) + 1
                # Compared without case, because media are upper case and disks often lower; never opened.
                path = directory.parent.joinpath(*file.path)
                if str(path).casefold() not in there:
                    yield Item(f"{_LISTED}{path.relative_to(self._root)}", "missing", 0)

    def _version(self, paths: Sequence[Path]) -> str:
        lines = []
        for path in paths:
            status = path.stat()
            lines.append(f"{path.relative_to(self._root)}\0{status.st_size}\0{status.st_mtime_ns}")
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def series_of_files(paths: Sequence[Path]) -> list[str]:
    """Return the series UID of each file; empty where it cannot be read, a mark where it holds no image."""
    with quiet_pydicom():
        return [_series_of(path) for path in paths]


def read_datasets(paths: Sequence[Path]) -> list[Dataset | None]:
    """Return what is read of each file to describe its series; None where it cannot be read."""
    with quiet_pydicom():
        return [_read(path) for path in paths]


def _series_of(path: Path) -> str:
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[_SERIES_TAG])
        if is_directory(header):
            return _NO_IMAGE
        return str(header.get("SeriesInstanceUID") or "").strip(" \0")
    except Exception:  # noqa: BLE001 - pydicom answers malformed bytes with any exception; each means the same
        return ""


def _read(path: Path) -> Dataset | None:
    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=DESCRIBED_TAGS)
    except Exception:  # noqa: BLE001 - as above
        return None
