"""Colour profiles (ICC.1:2022) as far as they say what a colour is: their texts, makers, dates and ids do not stay."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise

_HEADER_BYTES, _ENTRY_BYTES, _MOST_TAGS = 128, 12, 100
_SIGNATURE = slice(36, 40)
_CLASSES = frozenset({b"scnr", b"mntr", b"prtr", b"spac"})
_SPACES = frozenset({b"RGB ", b"GRAY"})
_CONNECTIONS = frozenset({b"XYZ ", b"Lab "})
_COLOURS = frozenset({b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt", b"bkpt", b"lumi"})
_CURVES = frozenset({b"rTRC", b"gTRC", b"bTRC", b"kTRC"})
_TABLES = frozenset({b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2"})
_ADAPTATION = b"chad"
# What each kind of profile cannot do without (ICC.1:2022, sections 8.3 to 8.4).
_ENOUGH = (
    frozenset({b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"}),
    frozenset({b"kTRC"}),
    frozenset({b"A2B0"}),
)
_PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
_NAME = "Colour"
_TOO_GREAT = 4096
# sRGB (IEC 61966-2-1), adapted to D50, as s15Fixed16 numbers.
_SRGB_COLOURS = {
    b"wtpt": (0.9642, 1.0, 0.8249),
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.7141),
}
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def cleaned_profile(content: bytes) -> bytes | None:
    """Return a profile with the same colours that names nobody; None if it is none, or would say nothing any more.

    Args:
        content: bytes of the element ICC Profile, with or without padding.
    """
    header = content[:_HEADER_BYTES]
    if len(content) < _HEADER_BYTES + 4 or header[_SIGNATURE] != b"acsp":
        return None
    kind, space, connection = header[12:16], header[16:20], header[20:24]
    if kind not in _CLASSES or space not in _SPACES or connection not in _CONNECTIONS:
        return None
    kept = {name: data for name, data in _tags(content) if _is_colour(name, data)}
    if not any(enough <= kept.keys() for enough in _ENOUGH):
        return None
    return _written(header[8], kind + space + connection, kept)


def srgb_profile() -> bytes:
    """Return a profile of sRGB."""
    tags = {name: b"XYZ \0\0\0\0" + _fixed(numbers) for name, numbers in _SRGB_COLOURS.items()}
    curve = b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _fixed(_SRGB_CURVE)
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _written(2, b"mntrRGB XYZ ", tags)


def _tags(content: bytes) -> Iterable[tuple[bytes, bytes]]:
    (count,) = struct.unpack_from(">L", content, _HEADER_BYTES)
    if count > _MOST_TAGS or _HEADER_BYTES + 4 + count * _ENTRY_BYTES > len(content):
        return
    for number in range(count):
        name, start, size = struct.unpack_from(">4sLL", content, _HEADER_BYTES + 4 + number * _ENTRY_BYTES)
        if start + size <= len(content):
            yield name, content[start : start + size]


def _is_colour(name: bytes, data: bytes) -> bool:
    """Return whether a tag holds numbers about colours, as many as its type has and nothing else."""
    kind = data[:4]
    if data[4:8] != b"\0\0\0\0":
        return False
    if name in _COLOURS:
        return kind == b"XYZ " and len(data) == 20 and _are_small(data[8:])
    if name == _ADAPTATION:
        return kind == b"sf32" and len(data) == 44 and _are_small(data[8:])
    if name in _CURVES:
        return _is_curve(kind, data)
    return name in _TABLES and kind in (b"mft1", b"mft2") and len(data) == _table_bytes(kind, data)


def _is_curve(kind: bytes, data: bytes) -> bool:
    if len(data) < 12:
        return False
    if kind == b"para":
        form, reserved = struct.unpack_from(">HH", data, 8)
        return (
            reserved == 0
            and form in _PARAMETERS
            and len(data) == 12 + 4 * _PARAMETERS[form]
            and _are_small(data[12:])
        )
    if kind != b"curv":
        return False
    (count,) = struct.unpack_from(">L", data, 8)
    if len(data) - 12 != 2 * count:
        return False
    steps = struct.unpack_from(f">{count}H", data, 12)
    return all(one <= two for one, two in pairwise(steps))  # a text does not rise


def _are_small(numbers: bytes) -> bool:
    """Return whether s15Fixed16 numbers are such as colours have: those whose bytes are letters are greater."""
    return all(abs(number) < _TOO_GREAT << 16 for (number,) in struct.iter_unpack(">l", numbers))


def _table_bytes(kind: bytes, data: bytes) -> int:
    """Return the length of a table of 8 or 16 bits (lut8Type, lut16Type), as its head states it."""
    if len(data) < 52 or data[11]:
        return -1
    inputs, outputs, points = data[8], data[9], data[10]
    if inputs > 4 or outputs > 4:
        return -1
    grid = outputs
    for _ in range(inputs):
        grid *= points
    if kind == b"mft1":
        return 48 + 256 * inputs + grid + 256 * outputs
    first, last = struct.unpack_from(">HH", data, 48)
    return 52 + 2 * (int(first) * inputs + grid + int(last) * outputs)


def _written(version: int, spaces: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = f"{_NAME}\0".encode("ascii")
    description = b"desc\0\0\0\0" + struct.pack(">L", len(text)) + text + b"\0" * 78
    wide = _NAME.encode("utf-16-be")
    unicode_text = b"mluc\0\0\0\0" + struct.pack(">LL4sLL", 1, 12, b"enUS", len(wide), 28) + wide
    told = (description, b"text\0\0\0\0" + text) if version < 4 else (unicode_text, unicode_text)
    all_tags = {b"desc": told[0], b"cprt": told[1], **tags}
    place = _HEADER_BYTES + 4 + _ENTRY_BYTES * len(all_tags)
    entries, data = [struct.pack(">L", len(all_tags))], []
    for name, content in all_tags.items():
        entries.append(struct.pack(">4sLL", name, place, len(content)))
        data.append(content + b"\0" * (-len(content) % 4))
        place += len(data[-1])
    light = _fixed(_SRGB_COLOURS[b"wtpt"])
    head = struct.pack(">L4sBBH", place, b"\0" * 4, 4 if version >= 4 else 2, 0, 0) + spaces
    head += struct.pack(">6H", 1900, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + light
    return head.ljust(_HEADER_BYTES, b"\0") + b"".join(entries) + b"".join(data)


def _fixed(numbers: Iterable[float]) -> bytes:
    return b"".join(struct.pack(">l", round(number * 65536)) for number in numbers)
