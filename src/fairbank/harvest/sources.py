"""What harvest asks of an image source, and the values that it gives.

A source has containers (an XNAT project, a folder); a container has items (a series, as the source files it); an item
has instances (files). A snapshot lists all items of a container with a version token each, without fetching any image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from fairbank.errors import Sensitive


class SourceKind(StrEnum):
    """The kinds of source that fairbank reads."""

    XNAT = "xnat"
    FOLDER = "folder"

    @property
    def words(self) -> str:
        """Return what a record calls an archive of this kind: never its host."""
        return {"xnat": "XNAT", "folder": "folder of DICOM files"}[self.value]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a source found out."""

    version: str
    containers: int


@dataclass(frozen=True, slots=True)
class Container:
    """A part of a source that is harvested as one."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Item:
    """One series as its source files it.

    Attributes:
        local_id: the source's own id; it may identify a person and never leaves the node or enters a message.
        version: a token that changes when the item does.
        files: how many files the source says the item has, if it does.
    """

    local_id: str
    version: str
    files: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All items of a container at one moment, sorted by local id; `complete` tells whether the source said all."""

    container: str
    items: tuple[Item, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Instance:
    """One file of an item, on this machine's disk for the time of its use."""

    path: Path
    name: Sensitive[str]


class ImageSource(Protocol):
    """An archive that images are harvested from; it is only ever read."""

    @property
    def kind(self) -> SourceKind:
        """Return which kind of source this is."""
        ...

    def check(self) -> Checked:
        """Reach the source and say what it is.

        Raises:
            HarvestError: saying why it cannot be reached or read.
        """
        ...

    def list_containers(self) -> list[Container]:
        """Return all containers that the source's user may see, sorted by id."""
        ...

    def snapshot(self, container: str) -> Snapshot:
        """Return the ids and version tokens of all items of a container.

        Raises:
            NotInSource: if there is no such container.
        """
        ...

    def fetch(self, container: str, item: Item, into: Path) -> Iterator[Instance]:
        """Yield the files of an item, copied into an empty folder where the source is not on this machine.

        Raises:
            NotInSource: if the item has gone.
        """
        ...

    def close(self) -> None:
        """Log out; a closed source may be closed again."""
        ...
