"""The subject's own identifiers: taken from a file before it is cleaned, looked for in the bytes that come out.

This is a net under the rules, not a rule: a hit sends the file to quarantine. It compares raw bytes, so the name is
found in whatever character set the file uses, provided it is written in the same one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from pydicom.dataset import Dataset

from fairbank.deid.descriptors import WORDS
from fairbank.deid.elements import items_of, text_of
from fairbank.deid.engine import is_public_uid

MINIMUM_NAME_PART = 3
MINIMUM_NUMBER = 4
_NAME_TAGS = (0x00100010, 0x00101001, 0x00101005, 0x00101060)
_ID_TAGS = (0x00100020, 0x00101000, 0x00080050, 0x00101090)
_UID_TAGS = (0x0020000D, 0x0020000E, 0x00080018, 0x00200052)
_BIRTH_DATE = 0x00100030
_DUMMY_DATE = "19000101"
_NAME_PARTS = re.compile(r"[\s^=\\,.;()\[\]_-]+")
_MINIMUM_UID = 10
_LONG_WORD = 5
_LONG_NUMBER = 6
_IN_PIXELS = 6
# What archives write in the place of a name, and forms of address: finding these says nothing.
_NO_NAME_LIST = """
anon anonym anonymous anonymized anonymised deidentified unknown unspecified patient name removed empty null
mrs miss herr frau dr prof jun sen first last mid pre suf siemens philips ge medical systems dicom
"""
_NO_NAMES = WORDS | frozenset(_NO_NAME_LIST.split())


@dataclass(frozen=True, slots=False)
class Identifiers:
    """What identifies a subject, as characters one per byte (Latin-1). Never printed.

    `words`, `numbers` and `uids` must not occur in an output; `own_words`, lower-case, are masked in descriptors and
    include names that are also clinical words, which cannot be looked for.
    """

    words: frozenset[str]
    numbers: frozenset[str]
    uids: frozenset[str]
    own_words: frozenset[str]

    def __repr__(self) -> str:
        return "Identifiers(…)"

    def found_in(self, body: bytes, *, pixel_bytes: int) -> bool:
        """Return whether an identifier occurs in a dataset's bytes.

        Args:
            body: the dataset as written.
            pixel_bytes: length of the pixel data at its end, where chance would find short words: there only long ones
                are looked for.
        """
        border = max(0, len(body) - pixel_bytes - 8)
        header = body[:border] if pixel_bytes else body
        if self._pattern is not None and self._pattern.search(header) is not None:
            return True
        return bool(pixel_bytes) and any(body.find(word, border) >= 0 for word in self._long)

    @cached_property
    def _long(self) -> tuple[bytes, ...]:
        long = {word for word in self.words | self.numbers if len(word) >= _IN_PIXELS} | self.uids
        return tuple(sorted(word.encode("latin-1") for word in long))

    @cached_property
    def _pattern(self) -> re.Pattern[bytes] | None:
        parts = [_word_pattern(word) for word in sorted(self.words)]
        parts += [_number_pattern(number) for number in sorted(self.numbers)]
        parts += [rb"(?<![0-9.])%b(?![0-9.])" % _escaped(uid) for uid in sorted(self.uids)]
        return re.compile(b"|".join(parts), re.IGNORECASE | re.DOTALL) if parts else None


def identifiers_of(dataset: Dataset) -> Identifiers:
    """Return the identifiers that a file states about its own subject."""
    parts = [part for tag in _NAME_TAGS for part in _NAME_PARTS.split(text_of(dataset, tag))]
    parts += [part for tag in _ID_TAGS for part in text_of(dataset, tag).split("\\")]
    parts += [text_of(item, 0x00100020) for item in items_of(dataset, 0x00101002)]
    parts.append(text_of(dataset, _BIRTH_DATE))
    stated = {part.strip(" \0") for part in parts} - {""}
    numbers = {part for part in stated if _is_number(part)}
    uids = {text_of(dataset, tag) for tag in _UID_TAGS}
    return Identifiers(
        words=frozenset(part for part in stated - numbers if _is_telling(part)),
        numbers=frozenset(part for part in numbers if len(part) >= MINIMUM_NUMBER and part != _DUMMY_DATE),
        uids=frozenset(uid for uid in uids if len(uid) >= _MINIMUM_UID and not is_public_uid(uid)),
        own_words=frozenset(part.lower() for part in stated),
    )


def _is_number(part: str) -> bool:
    digits = re.sub(r"[-./ ]", "", part)
    return digits.isascii() and digits.isdigit()


def _is_telling(part: str) -> bool:
    return len(part) >= MINIMUM_NAME_PART and part.lower() not in _NO_NAMES


def _escaped(text: str) -> bytes:
    return re.escape(text.encode("latin-1"))


def _word_pattern(word: str) -> bytes:
    if len(word) >= _LONG_WORD:
        return _escaped(word)
    return rb"(?<![0-9A-Za-z])%b(?![0-9A-Za-z])" % _escaped(word)


def _number_pattern(number: str) -> bytes:
    bounded = rb"(?<![0-9.])%b(?![0-9.])" % _escaped(number)
    if len(number) >= _LONG_NUMBER:
        return bounded
    # A short number is also many a measured one: not where a numeric element (explicit VR DS, IS) begins or goes on.
    return rb"(?<!DS..)(?<!IS..)(?<!\\)" + bounded
