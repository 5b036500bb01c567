"""How far a recipe may go: what no option retains is never kept, and nothing is written that could name somebody."""

from __future__ import annotations

import re
from collections.abc import Set

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from fairbank.deid import descriptors
from fairbank.deid.rules import Option, rule_for

# What a file cannot be without: a recipe that removes "every UID" does not mean to make files unreadable.
ESSENTIAL = frozenset(
    {0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00080060}
    | {0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011}
    | {0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x7FE00008, 0x7FE00009, 0x7FE00010}
)
# They get the subject's pseudonym, or say what was done: the engine writes them itself.
PSEUDONYMS = frozenset({0x00100010, 0x00100020})
MARKS = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280301, 0x00280302, 0x00280303})
_DATES = frozenset({Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES})
_NEVER = frozenset({"PN", "AE", "UR", "UN", "NONE"})
_NEUTRAL = frozenset(
    [
        "anonymous",
        "anonymized",
        "anonymised",
        "anon",
        "deidentified",
        "removed",
        "unknown",
        "none",
        "yes",
        "no",
    ]
)
_DUMMY_DATE = re.compile(r"19000101(000000)?|000000|000Y|0")


def options_that_retain(tag: int) -> frozenset[Option] | None:
    """Return the options any of which retains an element, cleaned or as it is; None if it stays without any.

    An empty set means that none does.
    """
    if tag in PSEUDONYMS or tag >> 16 & 1 or not dictionary_has_tag(tag):
        return frozenset()
    rule = rule_for(tag)
    if rule is not None:
        return frozenset(rule.options)
    vr = dictionary_VR(tag)
    if vr in ("DA", "DT", "TM"):
        return _DATES
    if vr == "UI":
        return frozenset({Option.RETAIN_UIDS})
    return frozenset() if vr in _NEVER else None


def is_retained(tag: int, options: Set[Option]) -> bool:
    """Return whether an element stays, cleaned or as it is, under the options that run."""
    needed = options_that_retain(tag)
    return needed is None or not needed.isdisjoint(options)


def says_nothing(text: str) -> bool:
    """Return whether a constant tells nothing about anybody: clinical words, or words that stand for nothing.

    >>> says_nothing("ANONYMIZED"), says_nothing("CT chest"), says_nothing("General Hospital")
    (True, True, False)
    """
    if not text.isascii():
        return False
    words = [word for word in re.split(r"[\s_^-]+", text.lower()) if word and word not in _NEUTRAL]
    if not words or _DUMMY_DATE.fullmatch(text) is not None:
        return True
    return all(descriptors.cleaned(word, own_words=frozenset())[0] == word for word in words)
