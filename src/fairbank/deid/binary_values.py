"""Binary values: numbers, tables and signals stay if they are as long as what they are, and read as no text.

Anything can be written into bytes whose VR promises numbers. What tells how long a value has to be stands beside it:
descriptors of tables (DICOM PS3.3, C.7.6.3.1.5 and C.11.1.1), channels and samples of signals (C.10.9).
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from itertools import pairwise
from typing import Final

from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fairbank.deid.elements import raw_bytes, short_of, stored, words_of

ICC_PROFILE: Final = 0x00282000
SIZES: Final = {
    **dict.fromkeys(("US", "SS", "OW", "US or SS", "US or OW"), 2),
    **dict.fromkeys(("UL", "SL", "FL", "AT", "OF", "OL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
    **dict.fromkeys(("OB", "OB or OW", "UN"), 1),
}
# Data of a lookup table, and where its descriptor stands in the same dataset.
_TABLES = {0x00281201 + n: 0x00281101 + n for n in range(4)} | {
    0x00283006: 0x00283002,
    0x00281408: 0x00281407,
}
_SEGMENTED = {0x00281221 + n: 0x00281101 + n for n in range(4)}
_PALETTES = frozenset({*_TABLES, *_SEGMENTED}) - {0x00283006, 0x00281408}
_COLOURED = frozenset({"COLOR", "MIXED", "TRUE_COLOR"})
_WAVEFORM = 0x54001010
# One sample (of a waveform, or its padding), four characters of Exif, 32 by 32 bits of a pattern.
_LONGEST = {0x54000110: 4, 0x54000112: 4, 0x5400100A: 4, 0x00160062: 4, 0x00700256: 128}
_FORMATS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "AT": "L", "UV": "Q", "SV": "q"}
_MOST_ENTRIES = 65_536
# Letters that follow each other by chance in so many bytes: hardly in short values, more often in long ones of floats.
_SHORT_BYTES, _LONG_BYTES = 256, 65_536
_IN_SHORT = re.compile(rb"[A-Za-z]{7,}|[A-Za-z0-9 ,.^'@_-]{12,}")
_IN_LONG = re.compile(rb"[A-Za-z]{12,}|[A-Za-z0-9 ,.^'@_-]{18,}")
_BETWEEN = b" ,.^'@_=-\0"
_LEAST_TEXT = 5
_SMOOTH = 2


def fixed_length(tag: int, vr: str) -> int:
    """Return how many bytes the value of a standard element always has; 0 if that depends.

    >>> fixed_length(0x00280010, "US"), fixed_length(0x00189089, "FD"), fixed_length(0x00283006, "US or OW")
    (2, 24, 0)
    """
    multiplicity = dictionary_VM(tag)
    if not multiplicity.isdigit() or vr not in SIZES or vr.startswith("O"):
        return 0
    return SIZES[vr] * int(multiplicity)


def bytes_of(element: DataElement | RawDataElement | None) -> bytes:
    """Return the bytes of a binary value, little endian where whoever looked at the pixels has read its numbers."""
    if (
        element is None
        or isinstance(element, RawDataElement)
        or element.VR not in _FORMATS
        or element.is_empty
    ):
        return raw_bytes(element)
    numbers = element.value if element.VM > 1 else [element.value]
    return struct.pack(f"<{len(numbers)}{_FORMATS[element.VR]}", *numbers)


def is_sound(dataset: Dataset, tag: int, value: bytes) -> bool:
    """Return whether a binary value may be what its attribute says it is.

    Args:
        dataset: in which it stands.
        tag: of a standard element whose VR is binary.
        value: its bytes.
    """
    vr = dictionary_VR(tag)
    size = SIZES[vr]
    if len(value) % size or (tag in _LONGEST and len(value) > _LONGEST[tag]):
        return False
    if not value:
        return True
    little = dataset.original_encoding[1] is not False
    if vr == "AT":
        return all(
            _is_attribute(bytes(value[place : place + 4]), little=little) for place in range(0, len(value), 4)
        )
    if tag in _PALETTES and not _has_palette(dataset):
        return False
    if tag in _TABLES:
        return _fits_descriptor(dataset, _TABLES[tag], value, little=little) and not reads_as_text(value, 2)
    if tag in _SEGMENTED:
        return _fits_segments(dataset, _SEGMENTED[tag], value, little=little) and not reads_as_text(value, 2)
    if tag == _WAVEFORM:
        return len(value) == _waveform_bytes(dataset)
    return _fits(dictionary_VM(tag), len(value) // size) and not reads_as_text(value, size)


def reads_as_text(value: bytes, size: int) -> bool:
    r"""Return whether bytes that should be numbers of `size` bytes hold a text; a slope that passes letters is none.

    >>> reads_as_text(b"Quarzfeld ", 2), reads_as_text(bytes(range(256)), 1), reads_as_text(b"\0\1" * 9, 2)
    (True, False, False)
    """
    if len(value) > _LONG_BYTES:
        return False
    bare = bytes(value).translate(None, _BETWEEN)
    if len(bare) >= _LEAST_TEXT and bare.isalnum() and not bare.isdigit() and len(value) <= _SHORT_BYTES:
        return True
    floats = size >= 4 and len(value) > _SHORT_BYTES
    pattern = _IN_LONG if floats else _IN_SHORT
    return any(not _is_slope(match[0], size) for match in pattern.finditer(value))


@lru_cache(maxsize=1024)
def _is_attribute(value: bytes, *, little: bool) -> bool:
    group, element = struct.unpack("<HH" if little else ">HH", value)
    if group % 2 == 0:
        return dictionary_has_tag(group << 16 | element)
    return not value.translate(None, _BETWEEN).isalnum()


def _has_palette(dataset: Dataset) -> bool:
    photometric = words_of(dataset, 0x00280004)
    if not photometric or photometric == "PALETTE COLOR":
        return True
    return words_of(dataset, 0x00089205) in _COLOURED


def _fits_descriptor(dataset: Dataset, descriptor: int, value: bytes, *, little: bool) -> bool:
    stated = _descriptor(dataset, descriptor, little=little)
    if stated is None:
        return False
    entries, bits = stated
    # Tables of 8 bits are packed two to a word, or one to a word by those who read another edition.
    lengths = {2 * entries} if bits > 8 else {2 * entries, entries + entries % 2}
    return len(value) in lengths


def _fits_segments(dataset: Dataset, descriptor: int, value: bytes, *, little: bool) -> bool:
    """Return whether segments (DICOM PS3.3, C.7.9.2) make up as many entries as the descriptor says."""
    stated = _descriptor(dataset, descriptor, little=little)
    if stated is None:
        return False
    words = struct.unpack(f"{'<' if little else '>'}{len(value) // 2}H", value)
    made, place, copies = 0, 0, False
    while place + 1 < len(words):
        code, count = words[place], words[place + 1]
        if code not in (0, 1, 2):
            return False
        place += {0: 2 + count, 1: 3, 2: 4}[code]
        copies, made = copies or code == 2, made + (count if code < 2 else 0)
    return place == len(words) and (copies or made == stated[0])


def _descriptor(dataset: Dataset, tag: int, *, little: bool) -> tuple[int, int] | None:
    numbers = _numbers(dataset, tag, "H", little=little)
    if len(numbers) != 3:
        return None
    return numbers[0] or _MOST_ENTRIES, numbers[2]


def _waveform_bytes(dataset: Dataset) -> int:
    little = dataset.original_encoding[1] is not False
    channels, bits = short_of(dataset, 0x003A0005), short_of(dataset, 0x54001004)
    samples = _numbers(dataset, 0x003A0010, "L", little=little)
    if not channels or not bits or len(samples) != 1:
        return -1
    length = channels * samples[0] * bits // 8
    return length + length % 2


def _numbers(dataset: Dataset, tag: int, form: str, *, little: bool) -> tuple[int, ...]:
    element = stored(dataset).get(BaseTag(tag))
    value = bytes_of(element)
    order = "<" if little or not isinstance(element, RawDataElement) else ">"
    size = struct.calcsize(order + form)
    return struct.unpack(f"{order}{len(value) // size}{form}", value) if len(value) % size == 0 else ()


def _fits(multiplicity: str, count: int) -> bool:
    """Return whether so many values are allowed by a value multiplicity such as 1, 1-3, 2-n or 3-3n."""
    least, _, most = multiplicity.partition("-")
    if not most:
        return multiplicity == "1" or count == int(least)
    if most.endswith("n"):
        step = int(most[:-1] or 1)
        return count >= int(least) and count % step == 0
    return int(least) <= count <= int(most)


def _is_slope(run: bytes, size: int) -> bool:
    """Return whether the bytes of one significance change little from number to number."""
    if size > 2:
        return False
    planes = [run[start::size] for start in range(size)]
    return any(all(abs(one - two) <= _SMOOTH for one, two in pairwise(plane)) for plane in planes)
