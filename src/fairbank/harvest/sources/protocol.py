"""What harvest asks of an image source, and the values that it gives.

A source has containers (an XNAT project, a folder); a container has items (a series, as the source files it); an item
has instances (files). A snapshot lists all items of a container with a version token each, without fetching any image.
What only some sources can do has a protocol of its own, and a word in `capabilities`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from fairbank.errors import Sensitive
from fairbank.harvest.described import SeriesDescription
from fairbank.harvest.errors import HarvestError


class SourceKind(StrEnum):
    """The kinds of source that fairbank reads."""

    XNAT = "xnat"
    DICOMWEB = "dicomweb"
    DIMSE = "dimse"
    FOLDER = "folder"
    TABLE = "table"
    BIDS = "bids"
    FHIR = "fhir"

    @property
    def words(self) -> str:
        """Return what a record calls an archive of this kind: never its host."""
        return _WORDS[self]


_WORDS = {
    SourceKind.XNAT: "XNAT",
    SourceKind.DICOMWEB: "DICOMweb archive",
    SourceKind.DIMSE: "DICOM archive",
    SourceKind.FOLDER: "folder of DICOM files",
    SourceKind.TABLE: "table of series",
    SourceKind.BIDS: "BIDS dataset",
    SourceKind.FHIR: "FHIR server",
}


class Capability(StrEnum):
    """What a source can do beyond listing its items.

    Attributes:
        FILES: `fetch` gives images.
        DESCRIBES: it says of a series what headers say, without its files being fetched (`DescribesSeries`).
        INSTANCES: what it says is known of each instance, so that geometry can be judged.
        CHANGE_FEED: it can tell what changed since a cursor (`ChangeFeed`).
        TOMBSTONES: its feed names what was deleted.
        MODIFIED_SINCE: it can list only what changed after a moment (`ModifiedSince`).
        STABLE_ORDER: its pages come in an order that does not change by itself.
        TOTAL_COUNT: it says how many items there are, so that a listing can be proven complete.
        PERMISSIONS: it tells a container that may not be read from one that does not exist.
        DEID_FACTS: it says how its images were de-identified (`DeidFacts`).
    """

    FILES = "files"
    DESCRIBES = "describes"
    INSTANCES = "instances"
    CHANGE_FEED = "change-feed"
    TOMBSTONES = "tombstones"
    MODIFIED_SINCE = "modified-since"
    STABLE_ORDER = "stable-order"
    TOTAL_COUNT = "total-count"
    PERMISSIONS = "permissions"
    DEID_FACTS = "deid-facts"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a source found out.

    Attributes:
        clock_offset_s: how far the source's clock is ahead of this machine's, in seconds, if it tells.
    """

    version: str
    containers: int
    clock_offset_s: float | None = None


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
    """All items of a container at one moment, sorted by local id.

    Attributes:
        complete: whether the source said all.
        newest: the newest moment of modification among them by the source's own clock, if it tells.
    """

    container: str
    items: tuple[Item, ...]
    complete: bool
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One file of an item, on this machine's disk for the time of its use."""

    path: Path
    name: Sensitive[str]


@dataclass(frozen=True, slots=True)
class Described:
    """What a source says of one item: a description, or why it has none (`error`)."""

    item: Item
    description: SeriesDescription | None
    error: HarvestError | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in a container since a cursor.

    Attributes:
        items: what is new or changed.
        gone: local ids that the feed says were deleted; empty where it never says so.
        cursor: from where to ask the next time.
        complete: whether the feed reached back to the cursor; if not, only a snapshot tells.
    """

    items: tuple[Item, ...]
    gone: tuple[str, ...]
    cursor: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Modified:
    """What was modified in a container at a moment or later.

    Attributes:
        newest: the newest moment of modification among the items by the source's own clock, if there are any.
        complete: whether the source said all of them.
    """

    items: tuple[Item, ...]
    newest: datetime | None
    complete: bool


@dataclass(frozen=True, slots=True)
class ArchiveDeid:
    """How an archive says that it de-identifies what comes in: part of the provenance, never proof.

    Attributes:
        tool: what does it, such as "XNAT anonymisation script".
        version: its version, where the archive says.
        digest: SHA-256 of the rules as the archive gives them, `sha256:…`.
        enabled: whether the archive says that they are applied to this container.
    """

    tool: str
    version: str
    digest: str | None
    enabled: bool


class Source(Protocol):
    """An archive that images are harvested from; it is only ever read."""

    @property
    def kind(self) -> SourceKind:
        """Return which kind of source this is."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return what this source can do."""
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
            SourceForbidden: if the source says that its user may not read it.
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


@runtime_checkable
class DescribesSeries(Protocol):
    """A source that says of a series what headers say, without its files being fetched."""

    def describe(self, container: str, items: Sequence[Item]) -> Iterator[Described]:
        """Yield one result per item, in the order of the items; one bad item does not stop the rest.

        Raises:
            SourceUnreachable, SourceLoginRefused: if the source itself goes away.
        """
        ...


@runtime_checkable
class ChangeFeed(Protocol):
    """A source that tells what changed."""

    def changes(self, container: str, cursor: str) -> Changes:
        """Return what changed since a cursor; an empty cursor asks for the present one, with no items."""
        ...


@runtime_checkable
class ModifiedSince(Protocol):
    """A source that lists only what was modified at a moment or later."""

    def modified_since(self, container: str, moment: datetime) -> Modified:
        """Return what was modified at a moment, by the source's own clock, or later."""
        ...


@runtime_checkable
class DeidFacts(Protocol):
    """A source that says how its images were de-identified."""

    def deid_facts(self, container: str) -> ArchiveDeid | None:
        """Return what the source says of a container, None if it says nothing."""
        ...
