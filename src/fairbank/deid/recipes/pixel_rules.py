"""Rules of a recipe that say where text is burned into an image: conditions on the header, and areas of the image.

The conditions are those of CTP's DicomPixelAnonymizer as the `deid` library writes them. Terms are joined from left to
right, without precedence. Three things are wider here than in `deid`, so that more is blanked: a line that begins with
`||` is an alternative (`deid` joins lines with "and" whatever they say), a text to equal may name alternatives
(`600|768`, which nothing equals in `deid`), and what a field has to contain or equal is looked for in sequences and in
the file meta information too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fairbank.deid.elements import items_of, text_of

WHITELIST = "whitelist"
_LONGEST_VALUE = 1024
_TEXTS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
_ULTRASOUND_REGIONS = 0x00186011
# A rule on an overlay's attribute means every overlay's (DICOM PS3.5, section 7.6).
_OVERLAYS = tuple(range(0x6000, 0x6020, 2))
# Region Location Min X0, Min Y0, Max X1, Max Y1 (DICOM PS3.3, C.8.5.5).
_REGION_CORNERS = (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)


class Comparison(StrEnum):
    """How a term looks at a field; upper and lower case are the same."""

    CONTAINS = "contains"
    NOT_CONTAINS = "notcontains"
    EQUALS = "equals"
    NOT_EQUALS = "notequals"
    MISSING = "missing"
    PRESENT = "present"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison.

    Attributes:
        tag: the field's number.
        comparison: what is asked of it.
        value: a regular expression for `contains`, texts separated by `|` for `equals`; empty for the others.
        alternative: whether the term is joined to what stands before it with "or".
    """

    tag: int
    comparison: Comparison
    value: str = ""
    alternative: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """The terms of one line, judged first, and how the line is joined to the lines before it."""

    terms: tuple[Term, ...]
    alternative: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle from (left, top), `width` by `height` pixels; of areas that overlap, the later one counts.

    Attributes:
        keep: whether the area is kept; otherwise it is blanked.
        width: None in an area of the whole image.
        height: None in an area of the whole image.
        of_ultrasound_regions: the area stands for each of the file's ultrasound regions.
    """

    keep: bool
    left: int = 0
    top: int = 0
    width: int | None = None
    height: int | None = None
    of_ultrasound_regions: bool = False


@dataclass(frozen=True, slots=True)
class PixelRule:
    """What to do with files of one kind.

    Attributes:
        name: what the recipe calls it.
        group: the recipe's section: `graylist`, `blacklist`, `whitelist` or another word.
        conditions: when it holds; always, if there are none.
        areas: what is blanked or kept, in this order. Without areas, the rule tells that somebody has to look.
    """

    name: str
    group: str
    conditions: tuple[Condition, ...]
    areas: tuple[Area, ...]


def rules_for(rules: Iterable[PixelRule], dataset: Dataset) -> tuple[PixelRule, ...]:
    """Return the rules that hold for a file as it came in; a whitelist never counts, since it could only relax."""
    header = _Header(dataset)
    return tuple(rule for rule in rules if rule.group != WHITELIST and _holds(rule, header))


def holds(rule: PixelRule, dataset: Dataset) -> bool:
    """Return whether a file meets the conditions of a rule."""
    return _holds(rule, _Header(dataset))


def areas_of(rule: PixelRule, dataset: Dataset) -> tuple[Area, ...]:
    """Return a rule's areas in numbers: those that stand for ultrasound regions are replaced by the regions."""
    found: list[Area] = []
    for area in rule.areas:
        found.extend(_regions(area, dataset) if area.of_ultrasound_regions else (area,))
    return tuple(found)


def _regions(area: Area, dataset: Dataset) -> Iterator[Area]:
    for item in items_of(dataset, _ULTRASOUND_REGIONS):
        values = [item.get(BaseTag(tag)) for tag in _REGION_CORNERS]
        if any(value is None or not isinstance(value.value, int) for value in values):
            continue
        left, top, right, bottom = (int(value.value) for value in values)
        if right > left >= 0 and bottom > top >= 0:
            yield Area(area.keep, left, top, right - left, bottom - top)


def _holds(rule: PixelRule, header: _Header) -> bool:
    if not rule.conditions:
        return bool(rule.areas)
    result = _meets(rule.conditions[0], header)
    for condition in rule.conditions[1:]:
        if result is not condition.alternative:
            result = _meets(condition, header)
    return result


def _meets(condition: Condition, header: _Header) -> bool:
    result = _is_met(condition.terms[0], header)
    for term in condition.terms[1:]:
        if result is not term.alternative:
            result = _is_met(term, header)
    return result


def _is_met(term: Term, header: _Header) -> bool:
    values = header.values(term.tag)
    match term.comparison:
        case Comparison.MISSING:
            return not values
        case Comparison.PRESENT:
            return bool(values)
        case Comparison.EMPTY:
            return bool(values) and not any(values)
        case Comparison.NOT_EQUALS:
            return not any(_equals(value, term.value) for value in values)
        case Comparison.NOT_CONTAINS:
            return not any(_contains(value, term.value) for value in values)
        case Comparison.EQUALS:
            return any(_equals(value, term.value) for value in values or header.nested_values(term.tag))
        case Comparison.CONTAINS:
            return any(_contains(value, term.value) for value in values or header.nested_values(term.tag))


def _equals(value: str, wanted: str) -> bool:
    said = {value, *(part.strip() for part in value.split("\\"))}
    return any(one.strip() in said for one in (wanted.lower(), *wanted.lower().split("|")))


def _contains(value: str, expression: str) -> bool:
    return expression.lower() in value or _pattern(expression).search(value) is not None


@lru_cache(maxsize=1024)
def _pattern(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)


class _Header:
    """The fields of one file, in lower case, each read once."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._meta: Dataset | None = getattr(dataset, "file_meta", None)
        self._values: dict[int, list[str]] = {}

    def values(self, tag: int) -> list[str]:
        """Return what a field of the top level or the file meta information says: nothing if it is missing."""
        if tag not in self._values:
            level = self._meta if tag >> 16 == 0x0002 else self._dataset
            self._values[tag] = [] if level is None else list(_values_at(level, tag))
        return self._values[tag]

    def nested_values(self, tag: int) -> list[str]:
        """Return what a field says in the items of sequences, at every depth."""
        return [value for level in self._levels for value in _values_at(level, tag)]

    @cached_property
    def _levels(self) -> list[Dataset]:
        return list(_items(self._dataset))


def _values_at(level: Dataset, tag: int) -> Iterator[str]:
    for group in _OVERLAYS if tag >> 16 == _OVERLAYS[0] else (tag >> 16,):
        place = group << 16 | tag & 0xFFFF
        if BaseTag(place) in level:
            yield _value(level, place)


def _value(level: Dataset, tag: int) -> str:
    element = level.get_item(BaseTag(tag))
    if element is None or element.VR in _TEXTS:
        return text_of(level, tag).lower()[:_LONGEST_VALUE]
    value = level[BaseTag(tag)].value
    return "" if value is None else str(value).lower().strip(" \0")[:_LONGEST_VALUE]


def _items(dataset: Dataset) -> Iterator[Dataset]:
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        if element is None or element.VR not in ("SQ", None, "UN"):
            continue
        for item in items_of(dataset, int(tag)):
            yield item
            yield from _items(item)
