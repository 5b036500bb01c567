"""Whether a text is a value of a datatype: what XML Schema calls its lexical space.

Source: W3C XML Schema Definition Language 1.1, part 2, section 3; datatypes that are not listed are taken as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Final

from fairbank.ontology import terms

_ZONE = r"(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00)?"
_DATE = r"(-?(?:[1-9]\d{3,}|0\d{3}))-(\d\d)-(\d\d)"
_TIME = r"(\d\d):(\d\d):(\d\d)(\.\d+)?"


def is_of_type(text: str, datatype: str) -> bool:
    """Tell whether a text is a value of a datatype.

    >>> is_of_type("2024-02-29", terms.XSD + "date"), is_of_type("2023-02-29", terms.XSD + "date")
    (True, False)
    >>> is_of_type("soon", terms.XSD + "integer"), is_of_type("soon", terms.XSD + "string")
    (False, True)
    """
    test = _TESTS.get(datatype.removeprefix(terms.XSD)) if datatype.startswith(terms.XSD) else None
    return test is None or test(text)


def _matching(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _is_date(text: str) -> bool:
    found = re.fullmatch(_DATE + _ZONE, text)
    return found is not None and _is_day(found[1], found[2], found[3])


def _is_moment(text: str) -> bool:
    found = re.fullmatch(f"{_DATE}T{_TIME}{_ZONE}", text)
    if found is None or not _is_day(found[1], found[2], found[3]):
        return False
    hour, minute, second = int(found[4]), int(found[5]), int(found[6])
    if hour == 24:
        return minute == second == 0 and not (found[7] or "").strip(".0")
    try:
        datetime(2000, 1, 1, hour, minute, second)
    except ValueError:
        return False
    return True


def _is_day(year: str, month: str, day: str) -> bool:
    # Leap years come again after 400 years, also before and after the years that the library knows.
    try:
        date(2000 + int(year) % 400, int(month), int(day))
    except ValueError:
        return False
    return True


_TESTS: Final[dict[str, Callable[[str], bool]]] = {
    "boolean": _matching("true|false|1|0"),
    "integer": _matching(r"[+-]?\d+"),
    "nonNegativeInteger": _matching(r"\+?\d+|-0+"),
    "positiveInteger": _matching(r"\+?0*[1-9]\d*"),
    "decimal": _matching(r"[+-]?(\d+(\.\d*)?|\.\d+)"),
    "double": _matching(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?INF|NaN"),
    "gYear": _matching(r"-?([1-9]\d{3,}|0\d{3})" + _ZONE),
    "gYearMonth": _matching(r"-?([1-9]\d{3,}|0\d{3})-(0[1-9]|1[0-2])" + _ZONE),
    "duration": _matching(r"-?P(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?"),
    "date": _is_date,
    "dateTime": _is_moment,
}
