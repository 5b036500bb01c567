"""What lies under a folder: every entry once, read no further than its header."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from fairbank.deid import part10
from fairbank.deid.cleaning import subject_of
from fairbank.deid.elements import short_of, text_of, whole_of, words_of
from fairbank.deid.identities import Identities
from fairbank.deid.sweep.walk import Buffer

_CHUNK = 1 << 20
_META_BYTES = 2048
# What the first look needs: class, subject, study, series, instance, device, size of the image, and marks.
_FIRST_LOOK = [
    0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x00080064, 0x00080070, 0x00081090,
    0x00100010, 0x00100020, 0x00100021, 0x0020000D, 0x0020000E, 0x00120062, 0x00120063,
    0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280100, 0x00280301,
]  # fmt: skip


class Left(StrEnum):
    """Entries of a folder that are not read at all."""

    LINK = "link"
    SPECIAL = "special-file"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a folder; its path may name a person, so it prints as a number."""

    path: Path = field(repr=False)
    number: int
    size: int = 0
    left: Left | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What the first look at a file tells, as keyed digests and closed words.

    Attributes:
        series: of the series' UID; None if the file has none, or is no DICOM file.
        subject: of what names the subject.
        frames: number of frames, of `rows` by `columns`.
    """

    series: str | None = None
    subject: str | None = None
    sop_class: str = ""
    modality: str = ""
    rows: int = 0
    columns: int = 0
    frames: int = 1


NO_HEAD = Head()


def entries_under(folder: Path) -> Iterator[Entry]:
    """Yield everything under a folder that is no folder, or the file itself, numbered from 1 in the order of names.

    Links are not followed: what they point to would be read twice, or from a place that nobody named.
    """
    if folder.is_file() and not folder.is_symlink():
        yield _entry(folder, 1)
        return
    number = 0
    refused: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=refused.append):
        folders.sort()
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in sorted([*names, *links]):
            number += 1
            yield _entry(Path(place) / name, number)
        while refused:
            refused.pop()
            number += 1
            yield Entry(folder, number, left=Left.UNREADABLE)


def _entry(path: Path, number: int) -> Entry:
    try:
        found = path.lstat()
    except OSError:
        return Entry(path, number, left=Left.UNREADABLE)
    if stat.S_ISLNK(found.st_mode):
        return Entry(path, number, left=Left.LINK)
    if not stat.S_ISREG(found.st_mode):
        return Entry(path, number, left=Left.SPECIAL)
    return Entry(path, number, found.st_size)


def heads_of(paths: Sequence[Path], identity: Identities) -> list[Head]:
    """Return the heads of files, without reading pixels; what cannot be read has an empty one."""
    with part10.quiet_pydicom():
        return [_head(path, identity) for path in paths]


def first_look(path: Path) -> Dataset | None:
    """Return the few elements of a file's header that tell what it is; None if it is no DICOM file.

    Call inside `quiet_pydicom`.
    """
    try:
        return dcmread(path, stop_before_pixels=True, specific_tags=[*_FIRST_LOOK])
    except Exception:  # noqa: BLE001 - pydicom answers malformed bytes with any exception; cleaning will say which
        return None


def is_marked_as_ours(content: Buffer, path: Path) -> bool:
    """Return whether a file says that this software has cleaned it: it needs no second cleaning, and gets none."""
    if part10.IMPLEMENTATION_CLASS_UID.encode() not in content[:_META_BYTES]:
        return False
    with part10.quiet_pydicom():
        dataset = first_look(path)
    if dataset is None:
        return False
    return words_of(dataset, 0x00120062) == "YES" and text_of(dataset, 0x00120063).startswith("fairbank ")


def digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file, read piece by piece; OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.digest()


def keyed_digest(identity: Identities, kind: str, value: str) -> str:
    """Return a short keyed digest of a value: the same for the same key, and nothing without it."""
    return identity.item_key(hashlib.sha256(f"{kind}\0{value}".encode("utf-8", "surrogateescape")).digest())[
        :32
    ]


def links_key(identity: Identities, run: str) -> bytes:
    """Return the key of a run's digests of UIDs, 32 bytes: nobody without the identity store's key can make it."""
    return hashlib.sha256(
        f"links\0{identity.item_key(hashlib.sha256(run.encode()).digest())}".encode()
    ).digest()


def _head(path: Path, identity: Identities) -> Head:
    dataset = first_look(path)
    if dataset is None:
        return NO_HEAD
    try:
        return _head_of(dataset, identity)
    except Exception:  # noqa: BLE001 - as above
        return NO_HEAD


def _head_of(dataset: Dataset, identity: Identities) -> Head:
    series = text_of(dataset, 0x0020000E)
    modality = words_of(dataset, 0x00080060)
    return Head(
        series=keyed_digest(identity, "series", series) if series else None,
        subject=keyed_digest(identity, "subject", subject_of(dataset)),
        sop_class=text_of(dataset, 0x00080016),
        modality=modality if modality.isalnum() and len(modality) <= 16 else "",
        rows=short_of(dataset, 0x00280010) or 0,
        columns=short_of(dataset, 0x00280011) or 0,
        frames=whole_of(dataset, 0x00280008) or 1,
    )
