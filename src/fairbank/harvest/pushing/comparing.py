"""Whether an archive holds a file as it was sent: the same dataset, whatever became of preamble and file meta."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from fairbank.deid.part10 import quiet_pydicom

_META_LENGTH = slice(140, 144)
_META_START = 144
_PIECE_BYTES = 1 << 20


def sop_uid_of(path: Path) -> str:
    """Return a file's SOP Instance UID; empty if it has none or is no DICOM."""
    try:
        with quiet_pydicom():
            return str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).get("SOPInstanceUID", ""))
    except Exception:  # noqa: BLE001 - pydicom answers malformed bytes with any exception; each means the same
        return ""


def same(ours: Path, theirs: Path) -> bool:
    """Return whether two files hold the same dataset: byte by byte, or element by element if it was written anew."""
    if _tail_digest(ours) == _tail_digest(theirs):
        return True
    try:
        with quiet_pydicom():
            one, other = pydicom.dcmread(ours), pydicom.dcmread(theirs)
            syntaxes = {str(each.file_meta.get("TransferSyntaxUID", "")) for each in (one, other)}
            return len(syntaxes) == 1 and _digest(one) == _digest(other)
    except Exception:  # noqa: BLE001 - as above: what cannot be read is not what was sent
        return False


def _tail_digest(path: Path) -> bytes:
    """Return a digest of what follows the file meta information (DICOM PS3.10, section 7.1)."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        head = opened.read(_META_START)
        opened.seek(_META_START + int.from_bytes(head[_META_LENGTH], "little"))
        while piece := opened.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.digest()


def _digest(dataset: Dataset) -> bytes:
    digest = hashlib.sha256()
    for place, value in _values(dataset, ""):
        digest.update(place.encode() + b"\0" + value + b"\0")
    return digest.digest()


def _values(dataset: Dataset, above: str) -> Iterator[tuple[str, bytes]]:
    for tag in sorted(dataset.keys()):
        raw = dataset.get_item(tag)
        place = f"{above}/{int(tag):08X}"
        if int(tag) & 0xFFFF == 0:
            continue  # group lengths (retired) say how something is written, not what
        if (
            isinstance(raw, RawDataElement)
            and raw.VR != "SQ"
            and not (raw.VR is None and dataset[tag].VR == "SQ")
        ):
            yield place, (raw.value or b"").rstrip(b"\0 ")
            continue
        for number, item in enumerate(dataset[tag].value or ()):
            yield from _values(item, f"{place}.{number}")
