"""Which elements a line of a recipe means: one by name or number, or all that an expander describes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import (
    dictionary_description,
    dictionary_has_tag,
    dictionary_keyword,
    dictionary_VR,
    tag_for_keyword,
)

_NUMBER = re.compile(r"\(?([0-9A-Fa-f]{4}),? ?([0-9A-Fa-f]{4})\)?")
_PRIVATE = re.compile(r'\(?([0-9A-Fa-f]{4}),"([^"]+)",([0-9A-Fa-f]{2})\)?')
_EXPANDER = re.compile(
    r"(contains|startswith|endswith|except|exceptfields|allexcept|select):(.+)", re.IGNORECASE
)
_EVERYTHING = frozenset({"all", "allfields"})
_SELECTION = re.compile(r"(vr):([A-Za-z]{2})|(group):(?:0x)?([0-9A-Fa-f]{4})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PrivateElement:
    """A private element by its creator and its number within the creator's block."""

    group: int
    creator: str
    element: int


@dataclass(frozen=True)
class Selector:
    """What a field of a recipe stands for.

    Attributes:
        kind: `tag`, `private`, `all`, `contains`, `startswith`, `endswith`, `except`, `vr` or `group`.
        text: the expression, in lower case.
        tag: the number of one public element.
        private: one private element.

    Elements are meant at every depth.
    """

    kind: str
    text: str = ""
    tag: int | None = None
    private: PrivateElement | None = None

    @property
    def is_one(self) -> bool:
        """Tell whether one element is named, rather than described."""
        return self.tag is not None or self.private is not None

    def matches(self, tag: int) -> bool:
        """Return whether a public element is meant."""
        if self.kind == "tag":
            return tag == self.tag
        if self.kind == "all":
            return True
        if self.kind == "vr":
            return dictionary_has_tag(tag) and self.text.upper() in dictionary_VR(tag).split(" or ")
        if self.kind == "group":
            return tag >> 16 == int(self.text, 16)
        if self.kind == "private":
            return False
        found = any(self._expression.search(name) for name in _names(tag))
        return found is not (self.kind == "except")

    def matches_private(self, element: PrivateElement) -> bool:
        """Return whether a private element is meant."""
        if self.kind == "private":
            return element == self.private
        return self.kind == "all" or (self.kind == "group" and element.group == int(self.text, 16))

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        forms = {"contains": "({})", "startswith": "^({})", "endswith": "({})$", "except": "^({})$"}
        return re.compile(forms[self.kind].format(self.text), re.IGNORECASE)


def selector(field: str) -> Selector | None:
    """Return what a field of a recipe stands for; None if it is nothing that is known.

    >>> selector("PatientName").tag == selector("(0010,0010)").tag == 0x00100010
    True
    >>> selector("endswith:Date").matches(0x00080020), selector("NoSuchField") is None
    (True, True)
    """
    if field.lower() in _EVERYTHING:
        return Selector("all")
    private = _PRIVATE.fullmatch(field)
    if private is not None:
        return Selector("private", private=_private(private))
    expander = _EXPANDER.fullmatch(field)
    if expander is not None:
        return _expanded(expander[1].lower(), expander[2])
    number = _NUMBER.fullmatch(field)
    if number is not None:
        return Selector("tag", tag=int(number[1] + number[2], 16))
    tag = tag_for_keyword(field.split("__")[-1])
    return None if tag is None else Selector("tag", tag=tag)


def every_tag() -> Iterator[int]:
    """Yield the number of every public element that DICOM defines."""
    yield from DicomDictionary


def _expanded(expander: str, text: str) -> Selector | None:
    if expander == "select":
        match = _SELECTION.fullmatch(text)
        if match is None:
            return None
        return Selector("vr", match[2].lower()) if match[1] else Selector("group", match[4].lower())
    if expander in ("exceptfields", "allexcept"):
        expander = "except"
    private = _PRIVATE.fullmatch(text)
    if private is not None:
        return Selector("private", private=_private(private)) if expander == "contains" else None
    try:
        re.compile(text)
    except re.error:
        return None
    return None if re.search(r"[*+}]\)?[*+{]", text) else Selector(expander, text.lower())


def _private(match: re.Match[str]) -> PrivateElement:
    return PrivateElement(int(match[1], 16), match[2], int(match[3], 16))


@lru_cache(maxsize=8192)
def _names(tag: int) -> tuple[str, ...]:
    number = f"{tag:08x}"
    names = (f"({number[:4]},{number[4:]})", number)
    if not dictionary_has_tag(tag):
        return names
    return (dictionary_keyword(tag), dictionary_description(tag), *names)
