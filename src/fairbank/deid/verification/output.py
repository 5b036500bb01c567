"""A file as it was written, read again from its bytes: what stands before the dataset, the dataset, what follows it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from fairbank.deid.sweep.areas import Areas
from fairbank.deid.sweep.walk import Buffer, Element, Malformed, Walked, walk

PREAMBLE_BYTES = 128
_PREFIX = b"DICM"
_GROUP_LENGTH_END = PREAMBLE_BYTES + 4 + 12
# Sixteen gigabytes once unpacked is no image that anybody deflated.
_LONGEST_INFLATED = 1 << 34


@dataclass(frozen=True)
class Output:
    """A DICOM file in its parts.

    Attributes:
        preamble: its first 128 bytes.
        meta: the elements of the file meta information.
        walked: those of the dataset.
        syntax: its transfer syntax.
    """

    preamble: bytes
    meta: Walked
    walked: Walked
    syntax: UID

    @classmethod
    def read(cls, content: Buffer) -> Output:
        """Return the parts of a file.

        Raises:
            Malformed: if it is none, or anything in it is not where it has to be.
        """
        if content[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] != _PREFIX:
            raise Malformed
        start = PREAMBLE_BYTES + 4
        length = int.from_bytes(content[start + 8 : start + 12], "little")
        if content[start : start + 8] != b"\x02\0\0\0UL\x04\0" or start + 12 + length > len(content):
            raise Malformed
        dataset = start + 12 + length
        meta = walk(content[start:dataset], implicit=False, little=True)
        syntax = UID(_text(meta, 0x00020010))
        if syntax.type != "Transfer Syntax":
            raise Malformed
        body: Buffer = content
        if syntax == DeflatedExplicitVRLittleEndian:
            body, dataset = _inflated(content[dataset:]), 0
        walked = walk(body, implicit=syntax.is_implicit_VR, little=syntax.is_little_endian, start=dataset)
        return cls(content[:PREAMBLE_BYTES], meta, walked, syntax)

    @cached_property
    def areas(self) -> Areas:
        """Return the dataset as the sweep sees it."""
        return Areas.of(self.walked)

    @cached_property
    def top(self) -> dict[int, Element]:
        """Return the elements that are in no sequence, by tag."""
        return {one.tag: one for one in self.walked.elements if not one.path}

    def text(self, tag: int) -> str:
        """Return the characters of an element at the top, one per byte, without padding; empty if there is none."""
        element = self.top.get(tag)
        return "" if element is None else self.walked.value(element).decode("latin-1").strip(" \0")

    def number(self, tag: int) -> int | None:
        """Return the first number of an unsigned short (US) element at the top; None if there is none."""
        element = self.top.get(tag)
        if element is None or element.end - element.start < 2:
            return None
        order = "little" if self.syntax.is_little_endian else "big"
        return int.from_bytes(self.walked.body[element.start : element.start + 2], order)  # type: ignore[arg-type]  # one of two words

    def meta_text(self, tag: int) -> str:
        """Return the characters of an element of the file meta information."""
        return _text(self.meta, tag)


def _text(walked: Walked, tag: int) -> str:
    values = (walked.value(one) for one in walked.elements if one.tag == tag)
    return next(values, b"").decode("latin-1").strip(" \0")


def _inflated(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        plain = unpacker.decompress(packed, _LONGEST_INFLATED)
    except zlib.error as err:
        raise Malformed from err
    if not unpacker.eof or unpacker.unused_data.strip(b"\0"):
        raise Malformed
    return plain
