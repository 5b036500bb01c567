"""The profiles: which options of the Basic Profile run together, and how an output says so."""

from __future__ import annotations

from collections.abc import Set
from enum import StrEnum

from fairbank.deid.errors import OptionsContradict
from fairbank.deid.rules import Option


class Profile(StrEnum):
    """A named combination of the Basic Profile and its options (DICOM PS3.15, Annex E)."""

    BASIC = "basic"
    RESEARCH = "research"

    @property
    def options(self) -> frozenset[Option]:
        """Return the options that run."""
        return _OPTIONS[self]


_OPTIONS = {
    Profile.BASIC: frozenset[Option](),
    Profile.RESEARCH: frozenset(
        {
            Option.RETAIN_PATIENT_CHARACTERISTICS,
            Option.RETAIN_MODIFIED_DATES,
            Option.RETAIN_DEVICE_IDENTITY,
            Option.CLEAN_DESCRIPTORS,
        }
    ),
}
_BASIC_CODE = ("113100", "Basic Application Confidentiality Profile")
_CODES = {
    Option.CLEAN_GRAPHICS: ("113103", "Clean Graphics Option"),
    Option.CLEAN_STRUCTURED_CONTENT: ("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    Option.RETAIN_FULL_DATES: ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    Option.RETAIN_MODIFIED_DATES: (
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    Option.RETAIN_PATIENT_CHARACTERISTICS: ("113108", "Retain Patient Characteristics Option"),
    Option.RETAIN_DEVICE_IDENTITY: ("113109", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: ("113110", "Retain UIDs Option"),
    Option.RETAIN_SAFE_PRIVATE: ("113111", "Retain Safe Private Option"),
    Option.RETAIN_INSTITUTION_IDENTITY: ("113112", "Retain Institution Identity Option"),
}


def check_options(options: Set[Option]) -> None:
    """Check that options can run together.

    Raises:
        OptionsContradict: if dates are to be kept as they are and moved (DICOM PS3.15, section E.3.6).
    """
    if {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES} <= options:
        raise OptionsContradict(
            "Dates cannot be kept as they are and moved at the same time.",
            why="The options retain_longitudinal_full_dates and retain_longitudinal_modified_dates exclude each other; "
            "the profile research moves dates.",
            todo="Choose one of the two; for full dates, start from the profile basic and add the options you need.",
        )


def codes_of(options: Set[Option]) -> tuple[tuple[str, str], ...]:
    """Return (code value, code meaning) of the Basic Profile with options, scheme DCM, in ascending order.

    Source: DICOM PS3.16, CID 7050.
    """
    return tuple(sorted([_BASIC_CODE, *(_CODES[option] for option in options)]))


def dates_modified_by(options: Set[Option]) -> str:
    """Return the value of Longitudinal Temporal Information Modified (0028,0303) that options lead to."""
    if Option.RETAIN_FULL_DATES in options:
        return "UNMODIFIED"
    return "MODIFIED" if Option.RETAIN_MODIFIED_DATES in options else "REMOVED"
