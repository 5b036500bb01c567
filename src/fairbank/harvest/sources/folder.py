"""A plain folder of DICOM files as a source: each subfolder is a container, each series in it an item."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from fairbank.deid.part10 import quiet_pydicom
from fairbank.errors import Sensitive
from fairbank.harvest.errors import NotAFolder, NotInSource
from fairbank.harvest.sources.protocol import (
    Capability,
    Checked,
    Container,
    Instance,
    Item,
    Snapshot,
    SourceKind,
)

# Loose files of the root are a container too.
ROOT = "."
_UNREADABLE = "unreadable:"


class FolderSource:
    """A folder on this machine; subfolders are containers, and `.` holds files that lie in none."""

    kind = SourceKind.FOLDER
    capabilities = frozenset({Capability.FILES, Capability.STABLE_ORDER, Capability.TOTAL_COUNT})

    def __init__(self, root: Path, *, name: str = "folder") -> None:
        self._root = root
        self._name = name
        self._paths: dict[tuple[str, str], tuple[Path, ...]] = {}

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
        """Return the series of a subfolder; a file that is not DICOM is an item of its own."""
        if container not in [known.id for known in self.list_containers()]:
            raise NotInSource(
                f"The source {self._name} has no container of this name.",
                todo="List its containers, and check the spelling.",
            )
        series: dict[str, list[Path]] = {}
        for path in self._files(container):
            series.setdefault(_item_of(path, self._root), []).append(path)
        for local_id, paths in series.items():
            self._paths[container, local_id] = tuple(paths)
        items = [Item(local_id, self._version(paths), len(paths)) for local_id, paths in series.items()]
        return Snapshot(container, tuple(sorted(items, key=lambda item: item.local_id)), complete=True)

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        """Yield the files where they lie; nothing is copied."""
        if (container, item.local_id) not in self._paths:
            self.snapshot(container)
        paths = self._paths.get((container, item.local_id), ())
        if not paths or not all(path.exists() for path in paths):
            raise NotInSource(
                f"A series of the source {self._name} has gone.",
                why="Its files were moved or deleted since they were listed.",
                todo="Run the harvest again.",
            )
        for path in paths:
            yield Instance(path, Sensitive(str(path.relative_to(self._root)), reference="a file"))

    def close(self) -> None:
        """Do nothing: a folder needs no logging out."""

    def _files(self, container: str) -> Iterator[Path]:
        found = self._root.glob("*") if container == ROOT else (self._root / container).rglob("*")
        for path in sorted(found):
            hidden = any(part.startswith(".") for part in path.relative_to(self._root).parts)
            # A link could lead anywhere on this machine, and a media directory lists patients but holds no image.
            if path.is_file() and not path.is_symlink() and not hidden and path.name != "DICOMDIR":
                yield path

    def _version(self, paths: list[Path]) -> str:
        lines = []
        for path in paths:
            status = path.stat()
            lines.append(f"{path.relative_to(self._root)}\0{status.st_size}\0{status.st_mtime_ns}")
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def _item_of(path: Path, root: Path) -> str:
    try:
        with quiet_pydicom():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
            series = str(header.get("SeriesInstanceUID") or "")
    except (InvalidDicomError, OSError, ValueError, TypeError, AttributeError, KeyError, EOFError):
        series = ""
    return series or f"{_UNREADABLE}{path.relative_to(root)}"
