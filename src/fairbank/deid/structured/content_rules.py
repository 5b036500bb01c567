"""What becomes of a content item: the row of DICOM PS3.15, Table E.3.4-1, for its concept and value type."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum

from pydicom.dataset import Dataset

from fairbank.deid.elements import items_of, text_of, words_of
from fairbank.deid.rules import Option
from fairbank.deid.structured._e3_4_1 import OPTIONS, ROWS

VALUE_TYPE = 0x0040A040
CONCEPT_NAME = 0x0040A043


class ValueType(StrEnum):
    """The kinds of content items that are understood (DICOM PS3.3, Table C.17.3-7)."""

    CONTAINER = "CONTAINER"
    TEXT = "TEXT"
    CODE = "CODE"
    NUM = "NUM"
    DATETIME = "DATETIME"
    DATE = "DATE"
    TIME = "TIME"
    UIDREF = "UIDREF"
    PNAME = "PNAME"
    COMPOSITE = "COMPOSITE"
    IMAGE = "IMAGE"
    WAVEFORM = "WAVEFORM"
    SCOORD = "SCOORD"
    SCOORD3D = "SCOORD3D"
    TCOORD = "TCOORD"


class Fate(StrEnum):
    """What becomes of an item.

    REMOVED goes with everything below it; REPLACED gets a value that says nothing; CLEANED is cleaned word by word, or
    by the option for dates; KEPT keeps its value.
    """

    REMOVED = "removed"
    REPLACED = "replaced"
    CLEANED = "cleaned"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class ContentRule:
    """One row: the action without further options, and what each option says instead (K keep, C clean)."""

    meaning: str
    basic: str
    options: dict[Option, str]


def _rules() -> dict[tuple[str, str, str], ContentRule]:
    columns = [Option(name) for name in OPTIONS]
    return {
        (scheme, code, value_type): ContentRule(
            meaning, basic, {o: a for o, a in zip(columns, marks, strict=True) if a != "-"}
        )
        for scheme, code, value_type, meaning, basic, marks in ROWS
    }


RULES = _rules()


def concept_of(item: Dataset) -> tuple[str, str]:
    """Return (coding scheme, code) of an item's concept name; empty where there is none."""
    names = items_of(item, CONCEPT_NAME)
    return (text_of(names[0], 0x00080102), text_of(names[0], 0x00080100)) if names else ("", "")


def value_type_of(item: Dataset) -> ValueType | None:
    """Return the value type of an item; None if it has none that is understood."""
    word = words_of(item, VALUE_TYPE)
    return ValueType(word) if word in set(ValueType) else None


def fate_of(item: Dataset, options: Set[Option]) -> Fate:
    """Return what becomes of an item under the options that run.

    What the table does not list is judged by its value type: names are replaced, texts cleaned or replaced.
    """
    value_type = value_type_of(item)
    if value_type is None:
        return Fate.REMOVED
    rule = RULES.get((*concept_of(item), value_type.value))
    if rule is None:
        return _unlisted(value_type, options)
    marks = {action for option, action in rule.options.items() if option in options}
    if "C" in marks:
        return Fate.CLEANED
    if "K" in marks:
        return Fate.KEPT
    return Fate.REMOVED if rule.basic.startswith("X") else Fate.REPLACED


def _unlisted(value_type: ValueType, options: Set[Option]) -> Fate:
    if value_type is ValueType.PNAME:
        return Fate.REPLACED
    if value_type is ValueType.TEXT:
        return Fate.CLEANED if Option.CLEAN_DESCRIPTORS in options else Fate.REPLACED
    return Fate.KEPT
