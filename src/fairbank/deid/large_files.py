"""Files too large to be held in memory: pixel data is mapped from the file, and goes into the output piece by piece.

Everything before the pixel data is read as `part10` reads it. What stands behind it is not read: it never outlives
cleaning. A deflated dataset cannot be mapped; it is read whole.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from fairbank.deid.elements import UNDEFINED_LENGTH, put
from fairbank.deid.encoding import Encoding
from fairbank.deid.engine import PIXEL_TAGS
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.part10 import PREAMBLE_BYTES, head_of, parsed, write

PIECE_BYTES = 4 << 20
# Pieces that are looked at overlap by this much, so that nothing shorter hides between two of them.
OVERLAP_BYTES = 256
_ITEM, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


@dataclass(frozen=True, slots=True)
class Streamed:
    """What was written.

    Attributes:
        body: the dataset's bytes without its mapped pixel data.
        pixel_bytes: length of the mapped pixel data.
        size: length of the file.
        sha256: digest of the file.
    """

    body: bytes = field(repr=False)
    pixel_bytes: int
    size: int
    sha256: str


@contextmanager
def opened(path: Path) -> Iterator[Dataset]:
    """Give the dataset of a DICOM file whose pixel data is a view of the file; the file stays open meanwhile.

    Use inside `quiet_pydicom`. Whoever needs pixel values has to copy them out of the view.

    Raises:
        Refused: as `part10.read` does.
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        if not file.read(1):
            raise Refused(Reason.EMPTY)
        file.seek(PREAMBLE_BYTES)
        if file.read(4) != b"DICM":
            raise Refused(Reason.NOT_DICOM)
        file.seek(0)
        dataset = parsed(file, stop=lambda tag, vr, length: int(tag) in PIXEL_TAGS)
        if dataset.file_meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
            place = file.tell()
            if file.read(1):
                whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
                put(dataset, _pixel_element(whole, place, UID(dataset.file_meta.TransferSyntaxUID)))
        else:
            file.seek(0)
            dataset = parsed(file)
        yield dataset


def write_to(dataset: Dataset, target: IO[bytes], *, look: Callable[[bytes], None] | None = None) -> Streamed:
    """Write a cleaned dataset as a DICOM file, as `part10.write` does, without holding its pixel data.

    Args:
        dataset: of `opened`, cleaned.
        target: the open file.
        look: is given the mapped pixel data, in pieces that overlap.

    Raises:
        Refused: if an element cannot be written, or what `look` raises.
        OSError: if the target cannot take it.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if syntax == DeflatedExplicitVRLittleEndian:
        written = write(dataset)
        target.write(written.content)
        return Streamed(
            bytes(written.body), 0, len(written.content), hashlib.sha256(written.content).hexdigest()
        )
    head = head_of(dataset)
    target.write(head)
    digest, body, size, pixel_bytes, tail = hashlib.sha256(head), [], len(head), 0, b""
    encoding = Encoding(syntax.is_implicit_VR, syntax.is_little_endian)
    for piece, mapped in encoding.chunks(dataset, size=PIECE_BYTES):
        target.write(piece)
        digest.update(piece)
        size += len(piece)
        if not mapped:
            body.append(piece)
            continue
        pixel_bytes += len(piece)
        if look is not None:
            look(tail + piece)
            tail = piece[-OVERLAP_BYTES:]
    return Streamed(b"".join(body), pixel_bytes, size, digest.hexdigest())


def _pixel_element(whole: memoryview, place: int, syntax: UID) -> RawDataElement:
    """Return the element that starts at a place of a file, its value a view."""
    order = "<" if syntax.is_little_endian else ">"
    try:
        group, number = struct.unpack_from(order + "HH", whole, place)
        vr, length, start = _head(whole, place, order, implicit=syntax.is_implicit_VR)
        end = _end_of_items(whole, start) if length == UNDEFINED_LENGTH else start + length
    except struct.error as err:
        raise Refused(Reason.TRUNCATED) from err
    value = cast("bytes", whole[start:end])  # pydicom stores what it is given
    return RawDataElement(
        BaseTag(group << 16 | number), vr, length, value, start, syntax.is_implicit_VR, order == "<", True
    )


def _head(whole: memoryview, place: int, order: str, *, implicit: bool) -> tuple[str | None, int, int]:
    """Return VR, length and place of the value of an element."""
    if implicit:
        return None, struct.unpack_from(order + "L", whole, place + 4)[0], place + 8
    vr = bytes(whole[place + 4 : place + 6]).decode("latin-1")
    if vr in EXPLICIT_VR_LENGTH_32:
        return vr, struct.unpack_from(order + "L", whole, place + 8)[0], place + 12
    return vr, struct.unpack_from(order + "H", whole, place + 6)[0], place + 8


def _end_of_items(whole: memoryview, place: int) -> int:
    """Return where the delimiter of encapsulated pixel data stands."""
    while True:
        group, number, length = struct.unpack_from("<HHL", whole, place)
        if (group, number) == _SEQUENCE_END:
            return place
        if (group, number) != _ITEM:
            raise Refused(Reason.UNDECODABLE)
        place += 8 + length
