"""Dates, times and ages in the forms of DICOM PS3.5, Table 6.2-1: moved by whole days, or seen to be none."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from fairbank.deid.pseudonyms import shifted

OLDEST_AGE_YEARS = 90
_DA = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_DT = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{0,6}(?:\.\d{1,6})?(?:[+-]\d{4})?)")
_AS = re.compile(r"(\d{3})([DWMY])")
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}


def shift_da(text: str, days: int) -> str | None:
    """Return DA values (separated by backslashes) moved into the past, or None if one of them is no date.

    >>> shift_da("20200301", 1), shift_da("spring", 1)
    ('20200229', None)
    """
    return _each(text, lambda value: _shift_one(_DA.fullmatch(value), days))


def shift_dt(text: str, days: int) -> str | None:
    r"""Return DT values moved into the past; time of day, fraction and zone stay. None if one is not a full date.

    >>> shift_dt("20200301103000.5+0100", 1), shift_dt("2020", 1)
    ('20200229103000.5+0100', None)
    """
    return _each(text, lambda value: _shift_one(_DT.fullmatch(value), days))


def cap_age(text: str) -> str | None:
    """Return an age string, 090Y for 90 years and more; None if it is no age.

    >>> cap_age("045Y"), cap_age("097Y"), cap_age("old")
    ('045Y', '090Y', None)
    """
    return _each(text, _cap_one)


def age_years(text: str) -> float | None:
    """Return an age string (AS) in years."""
    match = _AS.fullmatch(text.strip(" \0"))
    return None if match is None else int(match[1]) * _DAYS[match[2]] / _DAYS["Y"]


def parse_da(text: str) -> date | None:
    """Return the date of one DA value, or None if it is none."""
    match = _DA.fullmatch(text.strip(" \0"))
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def _each(text: str, change: Callable[[str], str | None]) -> str | None:
    changed = []
    for value in (part.strip(" \0") for part in text.split("\\")):
        result = change(value) if value else ""
        if result is None:
            return None
        changed.append(result)
    return "\\".join(changed)


def _shift_one(match: re.Match[str] | None, days: int) -> str | None:
    if match is None:
        return None
    try:
        day = shifted(date(int(match[1]), int(match[2]), int(match[3])), days)
    except ValueError:
        return None
    rest = match[4] if match.re is _DT else ""
    return None if day is None else f"{day.year:04d}{day.month:02d}{day.day:02d}{rest}"


def _cap_one(value: str) -> str | None:
    years = age_years(value)
    if years is None:
        return None
    return value if years < OLDEST_AGE_YEARS else f"{OLDEST_AGE_YEARS:03d}Y"
