"""The rows of DICOM PS3.15, Table E.1-1, found by tag number, patterns included."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fairbank.deid._e1_1 import OPTIONS, ROWS


class Option(StrEnum):
    """The options of the Basic Profile that have a column in the table (DICOM PS3.15, Annex E.3)."""

    RETAIN_SAFE_PRIVATE = "retain_safe_private"
    RETAIN_UIDS = "retain_uids"
    RETAIN_DEVICE_IDENTITY = "retain_device_identity"
    RETAIN_INSTITUTION_IDENTITY = "retain_institution_identity"
    RETAIN_PATIENT_CHARACTERISTICS = "retain_patient_characteristics"
    RETAIN_FULL_DATES = "retain_longitudinal_full_dates"
    RETAIN_MODIFIED_DATES = "retain_longitudinal_modified_dates"
    CLEAN_DESCRIPTORS = "clean_descriptors"
    CLEAN_STRUCTURED_CONTENT = "clean_structured_content"
    CLEAN_GRAPHICS = "clean_graphics"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: the basic action, and what each option says instead (K keep, C clean)."""

    tag: str
    name: str
    basic: str
    options: dict[Option, str]


def _rules() -> tuple[Rule, ...]:
    columns = [Option(name) for name in OPTIONS]
    return tuple(
        Rule(tag, name, basic, {o: a for o, a in zip(columns, marks, strict=True) if a != "-"})
        for tag, name, basic, marks in ROWS
    )


RULES = _rules()
_PATTERNS = {rule.tag: rule for rule in RULES if not set(rule.tag) <= set("0123456789ABCDEF")}
_BY_TAG = {int(rule.tag, 16): rule for rule in RULES if rule.tag not in _PATTERNS}
_PRIVATE = _PATTERNS["PRIVATE"]
_CURVES = _PATTERNS["50xxxxxx"]
_OVERLAY_ELEMENTS = {0x3000: _PATTERNS["60xx3000"], 0x4000: _PATTERNS["60xx4000"]}


def rule_for(tag: int) -> Rule | None:
    """Return the row that names a tag, by itself or by a pattern; None if the table does not list it.

    >>> rule_for(0x00100010).basic, rule_for(0x60023000).name, rule_for(0x00090010).name
    ('Z', 'Overlay Data', 'Private Attributes')
    """
    group = tag >> 16
    if group % 2:
        return _PRIVATE
    if 0x5000 <= group <= 0x50FF:
        return _CURVES
    if 0x6000 <= group <= 0x60FF:
        return _OVERLAY_ELEMENTS.get(tag & 0xFFFF)
    return _BY_TAG.get(tag)
