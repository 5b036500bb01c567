"""The parts of an encoded dataset in which different things are sought."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pydicom.charset import convert_encodings, decode_bytes

from fairbank.deid.sweep.comments import comments_in
from fairbank.deid.sweep.grams import Stretch
from fairbank.deid.sweep.spellings import plain
from fairbank.deid.sweep.walk import Element, Path, Walked

_TEXT = frozenset(["LO", "SH", "ST", "LT", "UT", "UC", "PN", "CS", "AE", "UR"])
# May hold anything. Longer ones are tables and signals.
_BINARY = frozenset(("OB", "UN", "OB or OW", "OW", "UR"))
_LONGEST_BINARY = 65_536
_NUMERIC = frozenset(("IS", "DS"))
_LONGEST_NUMERIC = 4_096
# Comments stand at the head of a compressed frame.
_LONGEST_HEAD = 1 << 20
_CHARSET = 0x00080005
# What cleaning itself writes about itself: judged by its value, not sought in.
_OF_THE_METHOD = frozenset({0x00120063, 0x00120064})


@dataclass(frozen=True)
class Areas:
    """An output as the sweep sees it.

    Attributes:
        walked: all of it.
        elements: those that are looked at one by one.
    """

    walked: Walked
    elements: tuple[Element, ...]

    @classmethod
    def of(cls, walked: Walked) -> Areas:
        """Return the areas of a dataset."""
        method = _OF_THE_METHOD
        return cls(
            walked,
            tuple(
                one for one in walked.elements
                if one.tag not in method and not (one.path and one.path[0][0] in method)
            ),
        )  # fmt: skip

    def only(self, element: Element) -> Areas:
        """Return the areas of one element alone, to find out which one it is."""
        inner = Walked(self.walked.value(element))
        return Areas(inner, (element._replace(start=0, end=element.end - element.start),))

    @cached_property
    def border(self) -> int:
        """Return where the value of the pixel data begins; the end where there is none."""
        pixels = self.walked.pixels
        return len(self.walked.body) if pixels is None else pixels.start

    @cached_property
    def pixels(self) -> Stretch:
        """Return what stands from the value of the pixel data on."""
        return Stretch(self.walked.body, self.border)

    @cached_property
    def text(self) -> bytes:
        """Return the values of text elements, one a line, in lower case as far as they are ASCII."""
        body, border = self.walked.body, self.border
        parts = [
            body[one.start : one.end] for one in self.elements
            if one.end <= border
            and (one.vr in _TEXT or (one.vr in _BINARY and one.end - one.start <= _LONGEST_BINARY))
        ]  # fmt: skip
        return b"\n".join(parts + self._comments).lower()

    @cached_property
    def numeric(self) -> bytes:
        """Return the values of integer and decimal strings, one a line."""
        body = self.walked.body
        return b"\n".join(
            body[one.start : one.end] for one in self.elements
            if one.vr in _NUMERIC and one.end - one.start <= _LONGEST_NUMERIC
        ).replace(b"\\", b"\n")  # fmt: skip

    @cached_property
    def uids(self) -> frozenset[str]:
        """Return the values of UID elements."""
        return frozenset(self._values("UI"))

    @cached_property
    def dates(self) -> tuple[str, ...]:
        """Return the values of dates, and of dates with a time."""
        return tuple(self._values("DA", "DT"))

    @cached_property
    def folded(self) -> bytes | None:
        """Return the text in lower case without marks, in UTF-8, None where it is ASCII as it stands."""
        if self.text.isascii() and b"\x1b" not in self.text:
            return None
        charsets = {one.path: one for one in self.walked.elements if one.tag == _CHARSET}
        lines = [self._decoded(one, charsets) for one in self.elements if one.vr in _TEXT]
        lines += [comment.decode("latin-1") for comment in self._comments]
        return plain("\n".join(lines)).encode("utf-8", "ignore")

    @cached_property
    def _comments(self) -> list[bytes]:
        body = self.walked.body
        return [
            comment for start, end in self.walked.fragments
            if body[start : start + 1] == b"\xff"
            for comment in comments_in(body[start : min(end, start + _LONGEST_HEAD)])
        ]  # fmt: skip

    def _values(self, *vrs: str) -> Iterable[str]:
        body = self.walked.body
        for one in self.elements:
            if one.vr in vrs:
                for value in body[one.start : one.end].decode("latin-1").split("\\"):
                    yield value.strip(" \0")

    def _decoded(self, element: Element, charsets: dict[Path, Element]) -> str:
        value = self.walked.value(element)
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii")
        path = element.path
        while path and path not in charsets:
            path = path[:-1]
        declared = self.walked.value(charsets[path]).decode("latin-1") if path in charsets else ""
        try:
            encodings = convert_encodings([one.strip(" \0") for one in declared.split("\\")])
            return decode_bytes(value, encodings, {0x0D, 0x0A, 0x09, 0x0C, 0x5E, 0x3D})
        except (LookupError, UnicodeError, ValueError, TypeError):
            return value.decode("latin-1")
