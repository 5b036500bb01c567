"""Elements of an encoded dataset, by their place in the bytes (DICOM PS3.5, chapter 7).

A reader of its own, which shares nothing with the one that cleaning uses.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from mmap import mmap
from typing import NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR

UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_VR_LIST = (
    "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV"
)
# Value representations (DICOM PS3.5, Table 6.2-1).
VRS = frozenset(_VR_LIST.split())
_NAMES = {vr.encode(): vr for vr in VRS}
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_DEEPEST = 64

# What is read: bytes, or a file that is mapped into memory so that only what is looked at is loaded.
Buffer = bytes | mmap
Path = tuple[tuple[int, int], ...]


class Malformed(ValueError):
    """The bytes are no dataset."""


class Element(NamedTuple):
    """One element: its value is `body[start:end]`; `path` names the sequence and item around it, outermost first."""

    tag: int
    vr: str
    start: int
    end: int
    path: Path


@dataclass(slots=True)
class Walked:
    """A dataset's elements in the order of the bytes; it begins at `start` of `body`.

    `fragments` are the places of the fragments of encapsulated pixel data at the top; `pixels` is where the value of
    the pixel data at the top begins, None where there is none.
    """

    body: Buffer
    start: int = 0
    elements: list[Element] = field(default_factory=list)
    fragments: list[tuple[int, int]] = field(default_factory=list)
    pixels: Element | None = None

    def value(self, element: Element) -> bytes:
        """Return the bytes of an element's value."""
        return self.body[element.start : element.end]


def walk(body: Buffer, *, implicit: bool, little: bool, start: int = 0, end: int | None = None) -> Walked:
    """Return the elements of a dataset at every depth.

    Args:
        body: where it is.
        implicit: without value representations.
        little: little endian.
        start: where it begins.
        end: where it ends; None for the end of `body`.

    Raises:
        Malformed: if the bytes are not, from first to last, a dataset.
    """
    walked = Walked(body, start)
    try:
        _Walker(walked, little).level(start, len(body) if end is None else end, implicit, ())
    except struct.error as err:
        raise Malformed from err
    return walked


def walk_items(value: bytes, *, implicit: bool, little: bool) -> Walked:
    """Return the elements in the items of a sequence's value."""
    walked = Walked(value)
    try:
        _Walker(walked, little).items(0, len(value), implicit, (), 0)
    except struct.error as err:
        raise Malformed from err
    return walked


class _Walker:
    def __init__(self, walked: Walked, little: bool) -> None:
        order = "<" if little else ">"
        self._body = walked.body
        self._out = walked
        self._explicit = struct.Struct(order + "HH2sH").unpack_from
        self._implicit = struct.Struct(order + "HHL").unpack_from
        self._length = struct.Struct(order + "L").unpack_from

    def level(self, place: int, end: int, implicit: bool, path: Path, *, open_end: bool = False) -> int:
        """Walk the elements of one dataset or item; return where it ends."""
        body = self._body
        read, long_of = self._explicit, self._length
        if len(path) > _DEEPEST:
            raise Malformed
        while place < end:
            if implicit:
                group, number, length = self._implicit(body, place)
                tag = group << 16 | number
                vr, place = ("", place + 8) if group == 0xFFFE else (_known_vr(tag), place + 8)
            else:
                group, number, code, short = read(body, place)
                tag = group << 16 | number
                if group == 0xFFFE:
                    vr, length, place = "", long_of(body, place + 4)[0], place + 8
                elif code in _LONG_VRS:
                    vr, length, place = _NAMES[code], long_of(body, place + 8)[0], place + 12
                else:
                    known = _NAMES.get(code)
                    if known is None:
                        raise Malformed
                    vr, length, place = known, short, place + 8
            if tag == _ITEM_END and open_end:
                return place
            if group == 0xFFFE:
                raise Malformed
            place = self._value(Element(tag, vr, place, place + length, path), length, implicit, end)
        if open_end:
            raise Malformed
        return place

    def _value(self, element: Element, length: int, implicit: bool, end: int) -> int:
        tag, vr, start, stop, path = element
        elements = self._out.elements
        if length == UNDEFINED:
            place = len(elements)
            elements.append(element)
            if tag in _PIXELS and vr in ("OB", "OW", "UN", "OB or OW"):
                stop = self._fragments(start, end, top=not path)
            else:
                stop = self.items(start, end, implicit or vr == "UN", path, tag, open_end=True)
            elements[place] = whole = Element(tag, vr, start, stop - 8, path)
        else:
            if stop > end:
                raise Malformed
            whole = element
            elements.append(element)
            if vr == "SQ" and length:
                self.items(start, stop, implicit, path, tag)
        if tag in _PIXELS and not path:
            self._out.pixels = whole
        return stop

    def items(
        self, place: int, end: int, implicit: bool, path: Path, tag: int, *, open_end: bool = False
    ) -> int:
        """Walk the items of a sequence; return where it ends."""
        number = 0
        while place < end:
            group, part, length = self._implicit(self._body, place)
            mark, place = group << 16 | part, place + 8
            if mark == _SEQUENCE_END and open_end:
                return place
            if mark != _ITEM:
                raise Malformed
            inner = (*path, (tag, number))
            if length == UNDEFINED:
                place = self.level(place, end, implicit, inner, open_end=True)
            elif place + length > end:
                raise Malformed
            else:
                place = self.level(place, place + length, implicit, inner)
            number += 1
        if open_end:
            raise Malformed
        return place

    def _fragments(self, place: int, end: int, *, top: bool) -> int:
        while place < end:
            group, part, length = self._implicit(self._body, place)
            mark, place = group << 16 | part, place + 8
            if mark == _SEQUENCE_END:
                return place
            if mark != _ITEM or place + length > end:
                raise Malformed
            if top:
                self._out.fragments.append((place, place + length))
            place += length
        raise Malformed


@lru_cache(maxsize=8192)
def _known_vr(tag: int) -> str:
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    if tag & 0xFFFF == 0:
        return "UL"
    return dictionary_VR(tag) if dictionary_has_tag(tag) else "UN"
