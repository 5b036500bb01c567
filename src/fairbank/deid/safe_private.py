"""Private elements that may stay: listed in Table E.3.10-1, of the VR that is listed, and with a value that fits it.

A creator reserves its block in each dataset and each item by itself (DICOM PS3.5, section 7.8.1), so every level is
judged by its own creators. What a file says of its own private elements (0008,0300) is not believed. Values that cannot
be checked are removed, though the table lists them: bulk data (OB, OW), free text (ST, LT) and elements without a VR.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from fairbank.deid import descriptors
from fairbank.deid._e3_10_1 import ROWS
from fairbank.deid.elements import UNDEFINED_LENGTH, made, put, raw_bytes

_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF
_SIZES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4}
_NUMBERS = {
    "DS": re.compile(r"[+-]?(\d{1,12}(\.\d{0,14})?|\.\d{1,14})([eE][+-]?\d{1,3})?"),
    "IS": re.compile(r"[+-]?\d{1,10}"),
}
_TERM = re.compile(r"[A-Z0-9_ ]{1,16}")
_TERM_WORDS = re.compile(r"[_ ]+")
_TEXT_VRS = frozenset({"LO", "SH"})
_LONGEST_TEXT = {"LO": 64, "SH": 16}
# Terms of the listed CS elements beside clinical words (conformance statements of Philips and Siemens MR, Philips CT).
_TERM_LIST = """
directional isotropic bvalue bmatrix y n p o i s yes no none on off ap rl fh hf lr pa transversal m r ph ffe se
ir if parallel radial linear unspecified helical helix stack spiral ecg retrospective prospective trigger gate
gating tracking invert identity add subtract bilinear cubic replicate rectangle polyline circle
"""
_KNOWN_TERMS = frozenset(_TERM_LIST.split())
# Scan Pitch Ratio (0043,xx27) of GEMS_PARM_01.
_RATIO = re.compile(r"\d{1,2}(\.\d{1,4})?:1")
# Words in the place of binary numbers: what two bytes hold is too short to tell, and the sweep looks at it too.
_WORDS = re.compile(rb"[A-Za-z]{3,4}|[A-Za-z^=,.' -]{5,}")
_LARGEST_FLOAT, _SMALLEST_FLOAT = 1e15, 1e-15


@dataclass(frozen=True, slots=True)
class SafeElement:
    """One row of the table: VR (`UN` where it names none) and the number of values, `most` None for any number."""

    vr: str
    least: int
    most: int | None


def _safe_elements() -> Iterator[tuple[tuple[str, int, int], SafeElement]]:
    for creator, group, elements in ROWS:
        for element in elements.split():
            least, _, most = (element[4:] or "1").partition("-")
            last = most if most else least
            row = SafeElement(element[2:4], int(least), None if last == "n" else int(last))
            yield (creator, int(group, 16), int(element[:2], 16)), row


SAFE = dict(_safe_elements())


def keep(
    dataset: Dataset,
    *,
    clean_item: Callable[[Dataset], None],
    mapped: Callable[[str], str],
    own_words: Set[str],
    removes: Callable[[str, int, int], bool] = lambda creator, group, element: False,
) -> Set[int]:
    """Return the tags of the private elements that stay on one level, rewritten where they have to be.

    Args:
        dataset: a dataset or an item of a sequence; elements that stay are changed in place.
        clean_item: cleans an item of a private sequence.
        mapped: what takes the place of a UID.
        own_words: lower-case parts of the subject's own names and numbers.
        removes: whether an element (creator, group, number within the block) goes all the same.

    The creator of a block stays only if one of its elements does.
    """
    level = _Level(dataset, clean_item, mapped, own_words, removes)
    staying: set[int] = set()
    for tag in [int(tag) for tag in list(dataset.keys()) if tag >> 16 & 1]:
        creator_tag = _creator_tag(tag)
        if creator_tag is None or not level.keeps(tag, level.creators.get(creator_tag)):
            continue
        staying |= {tag, creator_tag}
    for tag in staying & level.creators.keys():
        put(dataset, made(tag, "LO", level.creators[tag], like=dataset))
    return staying


def _creator_tag(tag: int) -> int | None:
    block = tag >> 8 & 0xFF
    return tag & 0xFFFF0000 | block if block >= _FIRST_BLOCK else None


@dataclass(frozen=True)
class _Level:
    dataset: Dataset
    clean_item: Callable[[Dataset], None]
    mapped: Callable[[str], str]
    own_words: Set[str]
    removes: Callable[[str, int, int], bool]

    @cached_property
    def creators(self) -> dict[int, str]:
        """Return the names of the creators whose blocks could hold something safe, by their tags."""
        found = {}
        for tag in list(self.dataset.keys()):
            if not tag >> 16 & 1 or not _FIRST_BLOCK <= tag & 0xFFFF <= _LAST_BLOCK:
                continue
            element = self.dataset.get_item(tag)
            if element is not None and element.VR in (None, "LO", "UN"):
                found[int(tag)] = raw_bytes(element).decode("latin-1").strip(" \0")
        return found

    def keeps(self, tag: int, creator: str | None) -> bool:
        """Return whether an element stays; it is rewritten in place where it has to be."""
        if creator is None or self.removes(creator, tag >> 16, tag & 0xFF):
            return False
        row = SAFE.get((creator, tag >> 16, tag & 0xFF))
        element = self.dataset.get_item(BaseTag(tag))
        if row is None or element is None or element.VR not in (None, "UN", row.vr):
            return False
        if row.vr == "SQ":
            return self._keeps_sequence(tag, element)
        if not isinstance(element, RawDataElement) or element.length == UNDEFINED_LENGTH:
            return False
        value = raw_bytes(element)
        if len(value) != element.length:
            return False
        return self._keeps_value(tag, element, value, row)

    def _keeps_value(self, tag: int, element: RawDataElement, value: bytes, row: SafeElement) -> bool:
        if row.vr in _SIZES:
            # An unknown VR is written in little endian whatever the file's order is (DICOM PS3.5, section 6.2.2).
            fits = element.is_little_endian and _is_numeric(value, row)
        elif row.vr in _NUMBERS or row.vr == "CS" or row.vr in _TEXT_VRS:
            fits = self._is_checked_text(value, row)
        elif row.vr == "UI":
            return self._keeps_uid(tag, value)
        else:
            return False
        if fits and row.vr != element.VR:
            put(self.dataset, made(tag, row.vr, value, like=self.dataset))
        return fits

    def _is_checked_text(self, value: bytes, row: SafeElement) -> bool:
        """Return whether a text is made of numbers, terms or listed words only."""
        if not value.isascii():
            return False
        values = [one.strip(" \0") for one in value.decode("ascii").split("\\")]
        if not _fits_count(len(values), row):
            return False
        if row.vr in _NUMBERS:
            return all(not one or _NUMBERS[row.vr].fullmatch(one) for one in values)
        if row.vr == "CS":
            return all(not one or self._is_term(one) for one in values)
        return all(not one or self._is_listed(one, row) for one in values)

    def _is_term(self, term: str) -> bool:
        if _TERM.fullmatch(term) is None:
            return False
        words = [word.lower() for word in _TERM_WORDS.split(term) if word]
        if not self.own_words.isdisjoint({*words, term.lower()}):
            return False
        return all(word in _KNOWN_TERMS or self._is_kept_word(word) for word in words)

    def _is_kept_word(self, word: str) -> bool:
        return descriptors.cleaned(word, own_words=self.own_words)[0] == word

    def _is_listed(self, text: str, row: SafeElement) -> bool:
        longest = _LONGEST_TEXT[row.vr]
        if _RATIO.fullmatch(text) is not None:
            return True
        return len(text) <= longest and descriptors.cleaned(text, own_words=self.own_words)[0] == text

    def _keeps_uid(self, tag: int, value: bytes) -> bool:
        text = value.decode("latin-1").strip(" \0")
        if re.fullmatch(r"[0-2](\.(0|[1-9]\d*))+", text) is None or len(text) > 64:
            return False
        put(self.dataset, made(tag, "UI", self.mapped(text), like=self.dataset))
        return True

    def _keeps_sequence(self, tag: int, element: DataElement | RawDataElement) -> bool:
        sequence = self._sequence(tag, element)
        if sequence is None:
            return False
        for item in sequence:
            self.clean_item(item)
        put(self.dataset, DataElement(tag, "SQ", sequence))
        return True

    def _sequence(self, tag: int, element: DataElement | RawDataElement) -> Sequence | None:
        """Return the items of a sequence, read from the bytes where the file does not say that it is one."""
        value = raw_bytes(element)
        try:
            if element.VR == "SQ":
                return Sequence(self.dataset[BaseTag(tag)].value or ())
            if not isinstance(element, RawDataElement) or len(value) != element.length:
                return None
            sequence = read_sequence(BytesIO(value), True, True, len(value), "iso8859")
        except Exception:  # noqa: BLE001 - pydicom answers malformed bytes with any exception; each means: no sequence
            return None
        return sequence if all(len(item) for item in sequence) or not value else None


def _is_numeric(value: bytes, row: SafeElement) -> bool:
    size = _SIZES[row.vr]
    if len(value) % size or not _fits_count(len(value) // size, row):
        return False
    if _WORDS.fullmatch(value.rstrip(b"\0 ")) is not None:
        return False
    if row.vr not in ("FL", "FD"):
        return True
    numbers = struct.unpack(f"<{len(value) // size}{'f' if row.vr == 'FL' else 'd'}", value)
    return all(not number or _SMALLEST_FLOAT < abs(number) < _LARGEST_FLOAT for number in numbers)


def _fits_count(count: int, row: SafeElement) -> bool:
    return row.least <= count and (row.most is None or count <= row.most)
