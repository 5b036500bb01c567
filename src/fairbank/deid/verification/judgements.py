"""What an output may hold at a tag: Table E.1-1 and its options read again, apart from the plans of cleaning."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from fairbank.deid.method import Method
from fairbank.deid.rules import Option, Rule, rule_for


class May(Enum):
    """What may be there."""

    ANYTHING = "anything"
    NOTHING = "nothing"
    NEW = "nothing, or a value that says nothing"
    CLEAN_TEXT = "listed words"
    DAY = "a day, well formed"
    NO_DAY = "no day"
    PSEUDONYM = "nothing, or a pseudonym"
    PSEUDONYMOUS_UID = "UIDs that are public or pseudonymous"
    YOUNG = "an age up to 90 years"
    REFERENCES = "items that hold references only"
    SAFE_PRIVATE = "a private element of a block that says whose it is"
    UNKNOWN = "nothing: no dictionary knows it"


_TEXT = frozenset({"LT", "ST", "UT", "UC"})
_WORDS = _TEXT | {"LO", "SH"}
_DATES = frozenset({"DA", "DT"})
_DATE_OPTIONS = frozenset({Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES})
_NAMES = frozenset({0x00100010, 0x00100020})
_TIMEZONE = 0x00080201
# What Basic never keeps, although the table does not list it: hidden or void (see docs/decisions/0006).
_NEVER = frozenset({0x04000120, 0x04000520, 0x00100033, 0x00100034, 0xFFFAFFFA, 0xFFFCFFFC})
# A verified document needs an observer; each part of one has a rule of its own.
_VERIFYING_OBSERVERS = 0x0040A073
# Versions of vocabularies (DICOM PS3.3, Table 8.8-1).
_VERSIONS = frozenset({0x00080106, 0x00080107, 0x00440104})


@lru_cache(maxsize=65536)
def may_be(tag: int, method: Method) -> May:
    """Return what an output may hold at a tag under a method."""
    if tag in _NAMES:
        return May.PSEUDONYM
    group = tag >> 16
    rule = rule_for(tag)
    if group % 2:
        return May.SAFE_PRIVATE if Option.RETAIN_SAFE_PRIVATE in method.options else May.NOTHING
    if 0x6000 <= group <= 0x60FF:
        return May.ANYTHING if Option.CLEAN_GRAPHICS in method.options else May.NOTHING
    if group in (0x0000, 0x0002, 0x0004) or tag & 0xFFFF == 0 or tag in _NEVER:
        return May.NOTHING
    if not dictionary_has_tag(tag):
        return May.NOTHING if rule is not None and _basic("UN", rule.basic) is May.NOTHING else May.UNKNOWN
    vr = dictionary_VR(tag)
    if rule is None:
        return _unlisted(tag, vr, method)
    return _listed(tag, vr, rule, method)


def _listed(tag: int, vr: str, rule: Rule, method: Method) -> May:
    marks = {rule.options[option] for option in method.options if option in rule.options}
    if "C" in marks:
        return _cleaned(tag, vr, rule, method)
    if "K" in marks:
        return _kept(vr)
    if tag == _VERIFYING_OBSERVERS and Option.CLEAN_STRUCTURED_CONTENT in method.options:
        return May.ANYTHING
    return _basic(vr, rule.basic)


def _cleaned(tag: int, vr: str, rule: Rule, method: Method) -> May:
    cleans_dates = any(rule.options.get(option) == "C" for option in method.options & _DATE_OPTIONS)
    if vr in _DATES:
        return May.DAY if cleans_dates else _basic(vr, rule.basic)
    if vr in ("SQ", "TM") or tag == _TIMEZONE:
        return May.ANYTHING
    if vr in _WORDS:
        return May.CLEAN_TEXT
    graphics = {Option.CLEAN_GRAPHICS, Option.CLEAN_STRUCTURED_CONTENT}
    by_content = any(rule.options.get(option) == "C" for option in method.options & graphics)
    return May.ANYTHING if by_content else _basic(vr, rule.basic)


def _kept(vr: str) -> May:
    if vr == "AS":
        return May.YOUNG
    return May.DAY if vr in _DATES else May.ANYTHING


def _basic(vr: str, action: str) -> May:
    if action == "X/Z/U*":
        return May.REFERENCES
    if action == "U" or (vr == "UI" and action != "X"):
        return May.PSEUDONYMOUS_UID
    return May.NOTHING if action == "X" else May.NEW


def _unlisted(tag: int, vr: str, method: Method) -> May:
    if vr == "UI":
        return May.ANYTHING if Option.RETAIN_UIDS in method.options else May.PSEUDONYMOUS_UID
    if vr in _DATES and tag not in _VERSIONS:
        return May.DAY if method.options & _DATE_OPTIONS else May.NO_DAY
    if vr == "TM":
        return May.ANYTHING if method.options & _DATE_OPTIONS else May.NO_DAY
    if vr == "PN":
        return May.PSEUDONYM
    if vr == "AS":
        return May.YOUNG
    if vr == "UR":
        return May.NEW
    return May.CLEAN_TEXT if vr in _TEXT else May.ANYTHING
