"""Values that say nothing, values that are pseudonyms, and values that have the form which they have to have."""

from __future__ import annotations

import re
from functools import lru_cache

from fairbank.deid.descriptors import cleaned
from fairbank.deid.sweep.days import days_of_value
from fairbank.deid.sweep.public_uids import is_public

# What cleaning writes where a value is required: docs/decisions/0006.
_SAYING_NOTHING = frozenset(
    {
        b"REMOVED",
        b"ANONYMIZED",
        b"000Y",
        b"19000101",
        b"19000101000000",
        b"000000",
        b"0",
        b"about:blank",
        b"99FAIRBANK",
    }
    | {b"Removed", b"*"}
)
# 80 bits in base32 (RFC 4648).
_PSEUDONYM = re.compile(rb"[A-Z2-7]{16}")
_AGE = re.compile(r"(\d{3})([DWMY])")
_IN_YEARS = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
_OLDEST = 90
_DAY_FORM = re.compile(r"\d{4}\.?\d{2}\.?\d{2}(\d{0,6}(\.\d{1,6})?([+-]\d{4})?)?")
_OWN_ROOT = "2.25."
_LONGEST_OWN_UID = 44
_VERSION, _VERSION_PLACE = 0x8, 76
_VARIANT, _VARIANT_PLACE = 0x2, 62


def says_nothing(value: bytes) -> bool:
    """Return whether a value is empty, or one that stands for any other, or zeros."""
    bare = value.strip(b" \0")
    return not bare or all(part.strip(b" ") in _SAYING_NOTHING for part in bare.split(b"\\"))


def is_pseudonym(value: bytes) -> bool:
    """Return whether a value has the form of a pseudonym of this software."""
    return _PSEUDONYM.fullmatch(value.strip(b" \0^=")) is not None


def is_young(value: bytes) -> bool:
    """Return whether a value is no age above 90 years, which stands for all that are greater."""
    for part in value.decode("latin-1").strip(" \0").split("\\"):
        match = _AGE.fullmatch(part.strip())
        if part.strip() and (match is None or int(match[1]) / _IN_YEARS[match[2]] > _OLDEST):
            return False
    return True


def is_day(value: bytes) -> bool:
    """Return whether a value is empty, or days in the form of a DA or DT."""
    text = value.decode("latin-1").strip(" \0")
    parts = [part.strip(" \0") for part in text.split("\\")]
    return all(not part or (_DAY_FORM.fullmatch(part) and days_of_value(part)) for part in parts)


@lru_cache(maxsize=1024)
def is_clean_text(value: bytes) -> bool:
    """Return whether a text holds nothing but words of the clinical list, short measures and masks."""
    text = value.decode("latin-1").rstrip(" \0")
    return says_nothing(value) or (text.isascii() and cleaned(text, own_words=frozenset())[0] == text)


@lru_cache(maxsize=1024)
def is_unlinkable_uid(uid: str) -> bool:
    """Return whether a UID is public, or under 2.25 with the bits of a UUID of version 8 (RFC 9562; ITU-T X.667)."""
    if is_public(uid):
        return True
    arc = uid.removeprefix(_OWN_ROOT)
    if arc == uid or not (arc.isascii() and arc.isdigit()) or len(uid) > _LONGEST_OWN_UID:
        return False
    number = int(arc)
    version, variant = number >> _VERSION_PLACE & 0xF, number >> _VARIANT_PLACE & 0x3
    return number < 1 << 128 and version == _VERSION and variant == _VARIANT
