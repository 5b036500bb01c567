"""One content item: its value becomes what Table E.3.4-1 says.

Everything else of an item (codes, dates, names, references, geometry) is cleaned like the elements of any dataset.
"""

from __future__ import annotations

import re
from collections.abc import Set
from decimal import Decimal, InvalidOperation

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fairbank.deid.dates import OLDEST_AGE_YEARS
from fairbank.deid.elements import items_of, made, raw_bytes, text_of
from fairbank.deid.rules import Option
from fairbank.deid.standard.codes import CODE_VALUE
from fairbank.deid.structured.content_rules import Fate, ValueType, concept_of, fate_of, value_type_of

NOTHING = "REMOVED"
_TEXT_VALUE = 0x0040A160
_MEASURED_VALUES, _NUMERIC_VALUE, _UNITS = 0x0040A300, 0x0040A30A, 0x004008EA
_OTHER_FORMS = (
    0x0040A161,
    0x0040A162,
    0x0040A163,
)  # Floating Point Value, Rational Numerator and Denominator
_AGE = ("DCM", "121033")
# UCUM units of an age, in years.
_YEARS = {"a": 1.0, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25, "h": 1 / 8766}
_PRINTABLE = re.compile(rb"[\x09\x0a\x0c\x0d\x20-\x7e]*\0?")


def settle(item: Dataset, options: Set[Option]) -> tuple[DataElement | RawDataElement, ...]:
    """Settle an item's own value before the item is cleaned; return the elements that cleaning must not change.

    Args:
        item: a content item that stays, as it came in; changed in place.
        options: the options that run.
    """
    value_type = value_type_of(item)
    if value_type is ValueType.TEXT:
        return _settled_text(item, options)
    if value_type is ValueType.NUM and concept_of(item) == _AGE:
        _cap_age(item)
    return ()


def _settled_text(item: Dataset, options: Set[Option]) -> tuple[RawDataElement, ...]:
    tag = BaseTag(_TEXT_VALUE)
    fate = fate_of(item, options)
    element = item.get_item(tag) if tag in item else None
    if element is None or fate is Fate.CLEANED:
        return ()
    if fate is Fate.KEPT and _PRINTABLE.fullmatch(raw_bytes(element)):
        return (made(_TEXT_VALUE, "UT", raw_bytes(element).rstrip(b"\0 "), like=item),)
    return (made(_TEXT_VALUE, "UT", NOTHING, like=item),)


def _cap_age(item: Dataset) -> None:
    for measured in items_of(item, _MEASURED_VALUES):
        unit = next((text_of(code, CODE_VALUE) for code in items_of(measured, _UNITS)), "")
        years = _years(text_of(measured, _NUMERIC_VALUE), unit)
        if years is not None and years <= OLDEST_AGE_YEARS:
            continue
        for tag in _OTHER_FORMS:
            if BaseTag(tag) in measured:
                del measured[BaseTag(tag)]
        oldest = "0" if years is None else str(int(OLDEST_AGE_YEARS / _YEARS[unit]))
        measured[BaseTag(_NUMERIC_VALUE)] = made(_NUMERIC_VALUE, "DS", oldest, like=measured)


def _years(number: str, unit: str) -> float | None:
    try:
        value = Decimal(number)
    except InvalidOperation:
        return None
    return float(value) * _YEARS[unit] if value.is_finite() and unit in _YEARS else None
