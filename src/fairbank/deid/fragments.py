"""Encapsulated pixel data (DICOM PS3.5, Annex A.4): items read, frames stripped, items and offset tables written anew.

Where there is nothing to strip, not a byte changes.
"""

from __future__ import annotations

import mmap
import struct
import tempfile
from collections.abc import Iterable, Sequence
from typing import cast

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fairbank.deid.codestreams import stripper_of
from fairbank.deid.elements import made, put, raw_bytes, short_of, stored, whole_of
from fairbank.deid.outcomes import Reason, Refused

PIXEL_DATA = 0x7FE00010
# What is longer than this is written to disk while it is put together.
IN_MEMORY_BYTES = 64 << 20
_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002
_HEAD = struct.Struct("<HHL")
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")


def items_of(value: bytes | memoryview) -> list[memoryview]:
    """Return the contents of the items of encapsulated pixel data: the basic offset table, then the fragments.

    Raises:
        Refused: if it is not made of items.
    """
    view, place, items = memoryview(value), 0, []
    while place + _HEAD.size <= len(view):
        group, element, length = _HEAD.unpack_from(view, place)
        if (group, element) == (0xFFFE, 0xE0DD):
            break
        place += _HEAD.size
        if (group, element) != (0xFFFE, 0xE000) or place + length > len(view):
            raise Refused(Reason.UNDECODABLE)
        items.append(view[place : place + length])
        place += length
    if not items:
        raise Refused(Reason.UNDECODABLE)
    return items


def strip_frames(dataset: Dataset) -> None:
    """Take comments and trailing bytes out of the compressed frames of a dataset, in place.

    Offset tables that were there are worked out anew.

    Raises:
        Refused: if the frames cannot be told apart, or one cannot be walked.
    """
    element = stored(dataset)[BaseTag(PIXEL_DATA)]
    if not isinstance(element, RawDataElement):
        return
    stripper = stripper_of(
        str(dataset.file_meta.TransferSyntaxUID),
        (short_of(dataset, 0x00280010) or 0) * (short_of(dataset, 0x00280011) or 0),
    )
    table, *fragments = items_of(raw_bytes(element))
    if stripper is None:
        drop_offset_tables(dataset)
        if len(table):  # of one stream it says nothing
            empty = _HEAD.pack(0xFFFE, 0xE000, 0)
            rest = memoryview(raw_bytes(element))[_HEAD.size + len(table) :]
            put(dataset, element._replace(value=empty + bytes(rest)))
        return
    count = whole_of(dataset, 0x00280008) or 1
    starts = _starts(dataset, table, fragments, count)
    if len(starts) != count or starts[0] != 0:
        raise Refused(Reason.UNDECODABLE)
    groups = [fragments[start:end] for start, end in zip(starts, [*starts[1:], len(fragments)], strict=True)]
    if _tables_are_right(dataset, table, groups) and all(
        _says_the_same(old := b"".join(group), stripper(old)) for group in groups
    ):
        return
    sizes, value = _written((stripper(b"".join(group)) for group in groups), count, with_table=len(table) > 0)
    put(dataset, element._replace(value=cast("bytes", value)))
    if BaseTag(_OFFSETS) in stored(dataset):
        offsets = _offsets(sizes)
        put(dataset, made(_OFFSETS, "OV", struct.pack(f"<{count}Q", *offsets), like=dataset))
        put(dataset, made(_LENGTHS, "OV", struct.pack(f"<{count}Q", *sizes), like=dataset))
    else:
        drop_offset_tables(dataset)


def drop_offset_tables(dataset: Dataset) -> None:
    """Remove the extended offset tables: where nothing is compressed they belong to nothing."""
    for tag in (_OFFSETS, _LENGTHS):
        stored(dataset).pop(BaseTag(tag), None)


def _tables_are_right(dataset: Dataset, table: memoryview, groups: Sequence[Sequence[memoryview]]) -> bool:
    """Return whether each offset table that is there says where the frames are, and nothing else."""
    places, place = [], 0
    for group in groups:
        places.append(place)
        place += sum(_HEAD.size + len(fragment) for fragment in group)
    if len(table) and bytes(table) != struct.pack(f"<{len(places)}L", *places):
        return False
    elements = stored(dataset)
    present = [BaseTag(tag) in elements for tag in (_OFFSETS, _LENGTHS)]
    if not any(present):
        return True
    sizes = [sum(map(len, group)) for group in groups]
    lengths = raw_bytes(elements.get(BaseTag(_LENGTHS)))
    if not all(present) or len(lengths) != 8 * len(sizes):
        return False
    stated = struct.unpack(f"<{len(sizes)}Q", lengths)
    exact = all(size - one in (0, 1) for size, one in zip(sizes, stated, strict=True))
    return exact and raw_bytes(elements[BaseTag(_OFFSETS)]) == struct.pack(f"<{len(places)}Q", *places)


def _says_the_same(old: bytes, new: bytes) -> bool:
    """Return whether only padding was cut off."""
    return old.startswith(new) and not old[len(new) :].strip(b"\0\xff")


def _starts(dataset: Dataset, table: memoryview, fragments: Sequence[memoryview], count: int) -> list[int]:
    """Return which fragment each frame starts with: by their number, an offset table, or how they begin."""
    if len(fragments) == count:
        return list(range(count))
    if count == 1:
        return [0]
    extended = raw_bytes(stored(dataset).get(BaseTag(_OFFSETS)))
    form, content = ("Q", memoryview(extended)) if extended else ("L", table)
    offsets = [offset for (offset,) in struct.iter_unpack(f"<{form}", content)] if len(content) else []
    place, by_place = 0, {}
    for number, fragment in enumerate(fragments):
        by_place[place] = number
        place += _HEAD.size + len(fragment)
    if offsets:
        return [by_place[offset] for offset in offsets if offset in by_place]
    return [number for number, fragment in enumerate(fragments) if bytes(fragment[:4]).startswith(_STARTS)]


def _written(
    frames: Iterable[bytes], count: int, *, with_table: bool
) -> tuple[list[int], bytes | memoryview]:
    """Return the lengths of frames, and the items of one fragment each: in memory, or mapped from a nameless file."""
    sizes = []
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool:
        spool.write(_HEAD.pack(0xFFFE, 0xE000, 4 * count if with_table else 0))
        spool.write(b"\0" * (4 * count if with_table else 0))
        for frame in frames:
            sizes.append(len(frame))
            padded = frame + b"\0" * (len(frame) % 2)
            spool.write(_HEAD.pack(0xFFFE, 0xE000, len(padded)) + padded)
        length, offsets = spool.tell(), _offsets(sizes)
        if with_table and offsets[-1] < 1 << 32:
            spool.seek(_HEAD.size)
            spool.write(struct.pack(f"<{count}L", *offsets))
        elif with_table:
            raise Refused(Reason.UNDECODABLE)
        spool.seek(0)
        if length <= IN_MEMORY_BYTES:
            return sizes, spool.read()
        spool.flush()
        return sizes, memoryview(mmap.mmap(spool.fileno(), length, access=mmap.ACCESS_READ))


def _offsets(sizes: Sequence[int]) -> list[int]:
    """Return where the item of each frame starts, counted from the first one."""
    places = [0]
    for size in sizes[:-1]:
        places.append(places[-1] + _HEAD.size + size + size % 2)
    return places
