"""Scalars as an event file that TensorBoard reads, written here: the library itself is heavy, and the form is small.

Sources: TensorFlow, core/lib/io/record_writer.h (a record: length, masked checksum of it, bytes, masked checksum) and
core/util/event.proto, core/framework/summary.proto (field numbers); RFC 3720, appendix B.4 (CRC-32C).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

VERSION = "brain.Event:2"
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number of one round; `wall_time` in seconds since 1970."""

    tag: str
    step: int
    value: float
    wall_time: float


def write_events(scalars: Iterable[Scalar], file: Path, *, begun: float) -> Path:
    """Write an event file, whole or not at all.

    Args:
        begun: when the training began, seconds since 1970.
    """
    partial = file.with_name(f".{file.name}.part")
    with partial.open("wb") as opened:
        opened.write(record(_double(1, begun) + _bytes(3, VERSION.encode())))
        for one in scalars:
            opened.write(record(event(one)))
    partial.replace(file)
    return file


def event(one: Scalar) -> bytes:
    """Return the message `Event` of one scalar."""
    value = _bytes(1, one.tag.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", one.value)
    return _double(1, one.wall_time) + bytes([2 << 3]) + _varint(one.step) + _bytes(5, _bytes(1, value))


def record(data: bytes) -> bytes:
    """Return one record: its length, its bytes, and the masked checksum of each."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def masked(data: bytes) -> int:
    """Return the checksum of bytes as records hold it."""
    checksum = crc32c(data)
    return (((checksum >> 15) | (checksum << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum = _TABLE[(checksum ^ byte) & 0xFF] ^ (checksum >> 8)
    return checksum ^ 0xFFFFFFFF


def _of_byte(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(_of_byte(byte) for byte in range(256))


def _double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
