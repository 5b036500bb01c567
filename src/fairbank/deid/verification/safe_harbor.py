"""The eighteen identifiers of HIPAA's Safe Harbor, one by one: what is done, what is checked, what is not covered.

Source: 45 CFR 164.514(b)(2)(i)(A)–(R); Regulation (EU) 2016/679, Article 4(5). This is a statement of what the software
does, no legal opinion.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fairbank.deid.method import Method
from fairbank.deid.policies import FacePolicy, PixelTrust
from fairbank.deid.rules import Option

PSEUDONYMISED = (
    "The result is pseudonymised in the sense of Article 4(5) of the GDPR: whoever holds the key can attribute it to a "
    "person, so it remains personal data. It is not anonymous."
)


class State(StrEnum):
    """What becomes of an identifier in a word."""

    TAKEN_OUT = "taken out"
    PARTLY = "partly"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Coverage:
    """One identifier of the list.

    Attributes:
        letter: its place in the list, A to R.
        identifier: what it is, in short.
        done: what the method does with it.
        checked: how each output is checked for it.
        not_covered: what is left to people or to other rules; empty if nothing is known.
        state: the same in a word.
    """

    letter: str
    identifier: str
    done: str
    checked: str
    not_covered: str = ""
    state: State = State.TAKEN_OUT


_SWEPT = "rule table, and a search of the whole file for the subject's own"
_TABLE = "rule table"
_PIXELS = "text in pixels that detection and recognition miss"
_NO_ELEMENT = "no element of its own: free text is masked, unknown and private elements are removed"


def coverage(method: Method) -> tuple[Coverage, ...]:
    """Return what a method does about each of the eighteen identifiers, in their order."""
    return (
        _names(method),
        _places(method),
        _dates(method),
        Coverage("D", "telephone numbers", "elements removed", _SWEPT, _PIXELS),
        Coverage("E", "fax numbers", _NO_ELEMENT, _TABLE, "a fax number that no element states"),
        Coverage("F", "e-mail addresses", _NO_ELEMENT, _TABLE, _PIXELS),
        Coverage(
            "G", "social security numbers", "among the patient's ids, which are removed", _SWEPT, _PIXELS
        ),
        Coverage(
            "H", "medical record numbers", "the patient's id becomes a pseudonym, others go", _SWEPT, _PIXELS
        ),
        Coverage("I", "health plan beneficiary numbers", "insurance elements removed", _TABLE, _PIXELS),
        Coverage(
            "J",
            "account numbers",
            "accession, admission, order and visit numbers emptied or removed",
            _SWEPT,
            _PIXELS,
        ),
        Coverage("K", "certificate and licence numbers", _NO_ELEMENT, _TABLE, _PIXELS),
        Coverage("L", "vehicle identifiers", _NO_ELEMENT, _TABLE),
        _devices(method),
        Coverage(
            "N", "web addresses", "every element of value representation UR is removed or replaced", _TABLE
        ),
        Coverage("O", "IP addresses", _NO_ELEMENT, _TABLE),
        Coverage(
            "P",
            "biometric identifiers, finger and voice prints",
            "voice recordings are held; audio and curves removed",
            _TABLE,
            "the anatomy that an image shows can be compared with other images of the person",
            State.PARTLY,
        ),
        _faces(method),
        _codes(method),
    )


def _names(method: Method) -> Coverage:
    done = "removed or replaced by a pseudonym; the subject's own name is masked in descriptors"
    if method.trust is PixelTrust.REVIEWED:
        open_ = "pixels that say nothing of burned-in text are believed on a person's word"
        return Coverage("A", "names", done, _SWEPT, open_, State.PARTLY)
    return Coverage("A", "names", done, _SWEPT, _PIXELS)


def _places(method: Method) -> Coverage:
    what = "geographic subdivisions smaller than a state"
    if Option.RETAIN_INSTITUTION_IDENTITY in method.options:
        done = "the patient's address is removed; the institution is RETAINED by option 113112"
        return Coverage("B", what, done, _SWEPT, "the place of the institution", State.KEPT)
    return Coverage(
        "B", what, "the patient's address and the institution removed or replaced", _SWEPT, _PIXELS
    )


def _dates(method: Method) -> Coverage:
    what = "dates but the year, and ages over 89"
    if Option.RETAIN_FULL_DATES in method.options:
        done = "dates are RETAINED by option 113106; ages over 89 become 90"
        open_ = "Safe Harbor does not allow it: expert determination or a limited data set is needed"
        return Coverage("C", what, done, "birth date searched for; ages", open_, State.KEPT)
    checked = "no original day in any form, distances unchanged, ages"
    if Option.RETAIN_MODIFIED_DATES in method.options:
        done = "moved by 1 to 3650 days per subject; ages over 89 become 90"
        open_ = "times of day stay; distances between a subject's dates stay true, as research needs them"
        return Coverage("C", what, done, checked, open_, State.PARTLY)
    done = "emptied, or 1 January 1900 where one is required; ages over 89 become 90 or are removed"
    return Coverage("C", what, done, checked)


def _devices(method: Method) -> Coverage:
    what = "device identifiers and serial numbers"
    if Option.RETAIN_DEVICE_IDENTITY in method.options:
        done = "the imaging device is RETAINED by option 113109: serial number and station name"
        open_ = (
            "the number is the scanner's, not the patient's; drop the option where a site is to stay unknown"
        )
        return Coverage("M", what, done, _TABLE, open_, State.KEPT)
    return Coverage("M", what, "serial numbers and station names removed or replaced", _SWEPT)


def _faces(method: Method) -> Coverage:
    what = "full-face photographs and comparable images"
    missed = "a head that is not taken for one"
    if method.faces is FacePolicy.IN_SITU:
        done = "volumes of heads stay RECOGNISABLE where they are and are never to be downloaded"
        return Coverage("Q", what, done, "marks, and who signed it", missed, State.KEPT)
    if method.faces is FacePolicy.DEFACE:
        done = "faces are removed from volumes of heads, or the series is held"
        open_ = f"removing a face lowers the risk of recognition, it does not end it; {missed}"
        return Coverage("Q", what, done, "each face is looked for again before 113102 is claimed", open_)
    return Coverage(
        "Q", what, "volumes of heads and photographs are held until a person decides", "marks", missed
    )


def _codes(method: Method) -> Coverage:
    what, checked = "any other unique number or code", "UIDs one by one; private and unknown elements"
    if Option.RETAIN_UIDS in method.options:
        done = "UIDs are RETAINED by option 113110"
        open_ = "an archive that has the originals finds them by their UIDs"
        return Coverage("R", what, done, checked, open_, State.KEPT)
    done = "UIDs become keyed pseudonyms; private and unknown elements are removed or checked against a list"
    return Coverage("R", what, done, checked, "a code that hides in measured values")
