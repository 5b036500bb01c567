"""DICOMDIR, the directory of a DICOM medium: which files it lists, and how many images of which series.

What it says is checked, never trusted: a file that it names and that is not there is reported, one that it does not
name is found all the same. Source: DICOM PS3.3, annex F, and PS3.10, section 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from fairbank.deid.elements import items_of, text_of, words_of
from fairbank.deid.part10 import quiet_pydicom

FILE_NAME = "DICOMDIR"
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
_RECORDS, _TYPE, _FILE_ID = 0x00041220, 0x00041430, 0x00041500
_SERIES_UID = 0x0020000E
# Offsets of the first record, of the next one on the same level, of the first one below.
_ROOT, _NEXT, _LOWER = 0x00041200, 0x00041400, 0x00041420


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that a directory lists.

    Attributes:
        path: its path below the directory's folder, parts in the case of the directory.
        series_uid: the series that the directory files it under; empty if it does not say.
    """

    path: tuple[str, ...]
    series_uid: str


def listed_files(directory: Path) -> list[Listed] | None:
    """Return the files that a DICOMDIR lists; None if it cannot be read."""
    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(directory)
            return list(_files(dataset))
    except Exception:  # noqa: BLE001 - pydicom answers malformed bytes with any exception; each means the same
        return None


def is_directory(dataset: Dataset) -> bool:
    """Tell whether a file is a directory of a medium, whatever its name is."""
    meta = getattr(dataset, "file_meta", None)
    return meta is not None and str(meta.get("MediaStorageSOPClassUID") or "") == DIRECTORY_CLASS


def _files(dataset: Dataset) -> Iterator[Listed]:
    """Yield the listed files, by the tree of records; where its pointers lead nowhere, in the order of the records."""
    records = items_of(dataset, _RECORDS)
    series = _series_by_tree(dataset, records) or _series_by_order(records)
    for record, uid in zip(records, series, strict=True):
        path = tuple(part.strip(" \0") for part in text_of(record, _FILE_ID).split("\\") if part.strip(" \0"))
        if path:
            yield Listed(path, uid)


def _series_by_tree(dataset: Dataset, records: list[Dataset]) -> list[str] | None:
    """Return the series of each record as the pointers say; None if one of them leads nowhere."""
    places = {getattr(record, "seq_item_tell", None): number for number, record in enumerate(records)}
    found: dict[int, str] = {}
    to_see = [(_offset(dataset, _ROOT), "")]
    while to_see:
        offset, series = to_see.pop()
        if offset == 0:
            continue
        number = places.get(offset)
        if number is None or number in found:
            return None
        record = records[number]
        found[number] = text_of(record, _SERIES_UID) if words_of(record, _TYPE) == "SERIES" else series
        to_see += [(_offset(record, _NEXT), series), (_offset(record, _LOWER), found[number])]
    return [found[number] for number in range(len(records))] if len(found) == len(records) else None


def _series_by_order(records: list[Dataset]) -> list[str]:
    found, series = [], ""
    for record in records:
        kind = words_of(record, _TYPE)
        if kind in ("PATIENT", "STUDY", "SERIES"):
            series = text_of(record, _SERIES_UID) if kind == "SERIES" else ""
        found.append(series)
    return found


def _offset(dataset: Dataset, tag: int) -> int:
    value = dataset.get(tag)
    return int(value.value) if value is not None and value.value else 0
