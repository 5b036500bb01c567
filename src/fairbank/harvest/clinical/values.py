"""From what stands in a cell to the code or band that is kept; what does not fit is a fault, said by a word."""

from __future__ import annotations

import bisect
import math
import re
from datetime import date
from enum import StrEnum
from typing import Final

from fairbank.deid.facts import age_band
from fairbank.harvest.clinical.mapping import VariableRule, band_words, code_of
from fairbank.ontology.variables import VariableKind


class Fault(StrEnum):
    """Why a cell or row is left out; none of these words tells what stands there."""

    NO_SUBJECT = "no-subject"
    LOST_ZEROS = "number-where-an-id-is-expected"
    RAGGED = "other-number-of-cells"
    BROKEN = "error-of-the-spreadsheet"
    UNMAPPED = "value-not-in-the-mapping"
    NO_NUMBER = "no-number"
    NOT_WHOLE = "no-whole-number"
    IMPLAUSIBLE = "outside-of-minimum-and-maximum"
    BOUND = "bound-that-fits-no-band"
    NO_DATE = "no-date"
    SERIAL = "number-where-a-date-is-expected"
    NO_AGE = "no-age-from-these-dates"
    OTHER_UNIT = "other-unit"
    REFUSED = "not-a-coded-value"


class CellFault(Exception):
    """A cell that cannot be used; it is counted and never shown, so it is no `FairbankError`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


_NUMBER: Final = r"[+-]?\d+(?:\{0}\d+)?(?:[eE][+-]?\d+)?"
_POINT = re.compile(_NUMBER.format("."), re.ASCII)
_COMMA = re.compile(_NUMBER.format(","), re.ASCII)
_YEAR = re.compile(r"(?:18|19|20)\d\d", re.ASCII)
_ISO = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?(?:[T ].*)?", re.ASCII)
_EUROPEAN = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?: .*)?", re.ASCII)
_BASIC = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_FIRST_YEAR: Final = 1850


def value_of(rule: VariableRule, text: str, *, reference: str = "", typed: bool = False) -> str:
    """Return the code or band that a cell means.

    Args:
        rule: what the column is.
        text: the cell, not empty.
        reference: the cell of the date at which an age is counted.
        typed: whether the file keeps the cell as a number.

    Raises:
        CellFault: if it means nothing that is kept.
    """
    match rule.kind:
        case VariableKind.CODED | VariableKind.BOOLEAN:
            return _coded(rule, text)
        case VariableKind.QUANTITY | VariableKind.INTEGER:
            return _banded(rule, text, typed=typed)
        case VariableKind.YEAR:
            return _year(text, typed=typed)
        case VariableKind.AGE_BAND:
            return _age(_date(text, typed=typed), _date(reference, typed=False))


def is_date_text(text: str) -> bool:
    """Tell whether a cell is a whole date."""
    try:
        _date(text, typed=False)
    except CellFault:
        return False
    return True


def _coded(rule: VariableRule, text: str) -> str:
    found = rule.values.get(text)
    if found is None:
        folded = text.casefold()
        found = next((value for word, value in rule.values.items() if word.casefold() == folded), None)
    if found is None:
        raise CellFault(Fault.UNMAPPED)
    return code_of(found)


def _banded(rule: VariableRule, text: str, *, typed: bool) -> str:
    # "<5" and ">100" are what a laboratory writes beyond its range.
    bound, digits = (text[0], text[1:].lstrip("= ")) if text.startswith(("<", ">")) else ("", text)
    form = _POINT if typed or rule.decimal == "." else _COMMA
    if not form.fullmatch(digits):
        raise CellFault(Fault.NO_NUMBER)
    number = float(digits.replace(",", ".")) * rule.factor
    if not math.isfinite(number):
        raise CellFault(Fault.NO_NUMBER)
    if rule.kind is VariableKind.INTEGER and not number.is_integer():
        raise CellFault(Fault.NOT_WHOLE)
    if (rule.minimum is not None and number < rule.minimum) or (
        rule.maximum is not None and number > rule.maximum
    ):
        raise CellFault(Fault.IMPLAUSIBLE)
    words = band_words(rule.bands)
    if (bound == "<" and number > rule.bands[0]) or (bound == ">" and number < rule.bands[-1]):
        raise CellFault(Fault.BOUND)
    return words[0] if bound == "<" else words[bisect.bisect_right(rule.bands, number)]


def _year(text: str, *, typed: bool) -> str:
    if _YEAR.fullmatch(text):
        return text
    return str(_date(text, typed=typed).year)


def _age(birth: date, at: date) -> str:
    if at < birth:
        raise CellFault(Fault.NO_AGE)
    years = at.year - birth.year - ((at.month, at.day) < (birth.month, birth.day))
    if years > 130:
        raise CellFault(Fault.NO_AGE)
    return age_band(years)


def _date(text: str, *, typed: bool) -> date:
    """Return a date as ISO 8601 has it, as DICOM has it, or as 24.12.2020; what could be two dates is refused.

    The day before the month, with slashes, is the month before the day elsewhere.
    """
    if typed and not _BASIC.fullmatch(text):
        raise CellFault(Fault.SERIAL)
    for form, order in ((_ISO, (1, 2, 3)), (_EUROPEAN, (3, 2, 1)), (_BASIC, (1, 2, 3))):
        if parts := form.fullmatch(text):
            year, month, day = (int(parts[place] or 1) for place in order)
            try:
                found = date(year, month, day)
            except ValueError:
                break
            if found.year >= _FIRST_YEAR:
                return found
            break
    raise CellFault(Fault.NO_DATE)
