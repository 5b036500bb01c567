"""What can be wrong with an output: closed words, with the element where it is one, never with a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Which rule is broken. The table in docs/reference/deidentification.md explains each."""

    UNREADABLE = "unreadable"
    PREAMBLE = "preamble-not-empty"
    META_ELEMENT = "meta-element-not-allowed"
    META_MISMATCH = "meta-differs-from-dataset"
    ORDER = "elements-out-of-order"
    AFTER_PIXELS = "element-after-pixels"
    PIXEL_LENGTH = "pixel-length"

    MUST_GO = "rule-says-remove"
    MUST_BE_NEW = "rule-says-replace"
    PRIVATE = "private-element"
    UNKNOWN = "element-not-in-dictionary"
    WRONG_VR = "vr-not-of-the-element"
    NAME = "name-of-a-person"
    TEXT = "text-not-cleaned"
    REFERENCE_ITEM = "reference-with-more-than-the-reference"
    UID = "uid-not-pseudonymous"
    DATE = "date-not-allowed"
    AGE = "age-over-89"

    NOT_MARKED = "not-marked"
    MARK_UNTRUE = "mark-untrue"

    IDENTIFIER = "identifier-found"
    ORIGINAL_DATE = "original-date"
    INTERVAL = "interval-changed"
    ORIGINAL_UID = "original-uid"
    DEVICE = "device-identifier-found"

    REFERENCE_LOST = "reference-lost"
    TWO_TO_ONE = "two-instances-became-one"
    ONE_TO_TWO = "one-uid-became-two"
    NEW_STANDARD_ERROR = "new-dciodvfy-error"


# What cannot be said of a file by its outline alone: something of the person may be in it.
OF_THE_PERSON = frozenset({Fault.IDENTIFIER, Fault.ORIGINAL_DATE, Fault.ORIGINAL_UID, Fault.DEVICE})


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an output, without any value of it.

    Attributes:
        rule: which rule is broken, as a word of `Fault`.
        tag: the element, as eight hexadecimal digits, where it is one.
    """

    rule: str
    tag: str | None = None


def problem(fault: Fault, tag: int | None = None) -> Problem:
    """Return a problem at an element."""
    return Problem(fault.value, None if tag is None else f"{tag:08X}")
