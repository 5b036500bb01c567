"""The profiles: which options of the Basic Profile run together, and how an output says so."""

from __future__ import annotations

from enum import StrEnum

from fairbank.deid.rules import Option


class Profile(StrEnum):
    """A named combination of the Basic Profile and its options (DICOM PS3.15, Annex E)."""

    BASIC = "basic"
    RESEARCH = "research"

    @property
    def options(self) -> frozenset[Option]:
        """Return the options that run."""
        return _OPTIONS[self]

    @property
    def codes(self) -> tuple[tuple[str, str], ...]:
        """Return (code value, code meaning) of what runs, scheme DCM, in ascending order (DICOM PS3.16, CID 7050)."""
        return tuple(sorted([_BASIC_CODE, *(_CODES[option] for option in self.options)]))

    @property
    def dates_modified(self) -> str:
        """Return the value of Longitudinal Temporal Information Modified (0028,0303)."""
        return "MODIFIED" if Option.RETAIN_MODIFIED_DATES in self.options else "REMOVED"


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
    Option.CLEAN_DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    Option.RETAIN_MODIFIED_DATES: (
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    Option.RETAIN_PATIENT_CHARACTERISTICS: ("113108", "Retain Patient Characteristics Option"),
    Option.RETAIN_DEVICE_IDENTITY: ("113109", "Retain Device Identity Option"),
}
