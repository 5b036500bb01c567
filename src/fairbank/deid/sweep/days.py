"""Days that are written in text, in whatever form: digits in three orders, names of months in seven languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache

_MONTHS = (
    "jan january januar jänner janvier enero ene gennaio gen januari janeiro",
    "feb february februar fevrier février fev fév febrero febbraio februari fevereiro",
    "mar march märz maerz mär mrz mars marzo maart mrt março",
    "apr april avril avr abril abr aprile",
    "may mai mayo maggio mag mei maio",
    "jun june juni juin junio giugno giu junho",
    "jul july juli juillet juil julio luglio lug julho",
    "aug august aout août aoû agosto ago augustus",
    "sep sept september septembre septiembre settembre set setembro",
    "oct okt october oktober octobre octubre ottobre ott outubro",
    "nov november novembre noviembre novembro",
    "dec dez december dezember decembre décembre déc diciembre dic dicembre desember dezembro",
)
_MONTH_OF = {word: number for number, words in enumerate(_MONTHS, 1) for word in words.split()}
# In bytes a letter with a mark is one byte or two, whatever the character set: it reads as anything.
_MONTH_PATTERNS = {re.sub("[^a-z]", "\0", word): number for word, number in _MONTH_OF.items()}
_NAMES = b"|".join(
    re.escape(form.encode()).replace(rb"\x00", b"\0").replace(b"\0", rb"[\x80-\xff]{1,2}")
    for form in sorted(_MONTH_PATTERNS, key=len, reverse=True)
)
_GAP = rb"(?:[ ./,_-]{1,2})"
_FULL = re.compile(rb"(?<![0-9.])((?:18|19|20)\d\d)(\d\d)(\d\d)")
# A pattern of its own: 19041990 begins like a year and ends in one.
_YEAR_LAST = re.compile(rb"(?<![0-9.])(\d\d)(\d\d)((?:18|19|20)\d\d)(?![0-9])")
_GAPPED = re.compile(
    rb"(?<![0-9])(\d{4})[-/. _](\d{1,2})[-/. _](\d{1,2})(?![0-9])"
    rb"|(?<![0-9])(\d{1,2})[-/. _] ?(\d{1,2})[-/. _] ?(\d{4}|\d{2})(?![0-9])"
)
_SHORT = re.compile(rb"(?<![0-9.])(\d\d)(\d\d)(\d\d)(?![0-9.])")
_YEAR_FIRST = re.compile(rb"(?<![0-9])(\d\d)[-/.](\d\d)[-/.](\d\d)(?![0-9])")
_NAMED = re.compile(
    rb"(?<![0-9])(\d{1,2})(?:st|nd|rd|th|er)?" + _GAP + rb"?(?:de |of )?(" + _NAMES + rb")\.?" + _GAP
    + rb"?(?:de |del )?(\d{4}|\d{2})(?![0-9])"
    rb"|(?<![a-z])(" + _NAMES + rb")\.?" + _GAP + rb"?(\d{1,2})(?:st|nd|rd|th)?" + _GAP + rb"(\d{4}|\d{2})(?![0-9])"
    rb"|(?<![0-9])(\d{4})" + _GAP + rb"?(" + _NAMES + rb")\.?" + _GAP + rb"?(\d{1,2})(?![0-9])"
)  # fmt: skip
# Where a day may be: digits, with single characters or two between them. "4.2.11" is the shortest.
_RUNS = re.compile(rb"[0-9]+(?:[-/. _][ ]?[0-9]+)*")
_SHORTEST_RUN = 6
_LETTERS = re.compile(rb"[a-z\x80-\xff]+")
_IN_VALUE = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
_MONTH_WORDS = frozenset(
    form
    for word in _MONTH_OF
    for name in ("utf_8", "latin_1", "iso8859_2", "cp850", "mac_roman")
    for form in (word.encode(name, "ignore"), word.encode(name, "ignore").strip(b"\0"))
)
# What stands in the place of a date that nobody knows, or that was taken away.
NO_DAYS = frozenset({date(1900, 1, 1), date(1, 1, 1), date(1753, 1, 1), date(1899, 12, 30), date(1970, 1, 1)})


@lru_cache(maxsize=1024)
def days_of_value(text: str) -> frozenset[date]:
    r"""Return the days of the values of a DA or DT element.

    >>> sorted(days_of_value("20190412101500.5+0100\\20190413"))
    [datetime.date(2019, 4, 12), datetime.date(2019, 4, 13)]
    """
    parts = (_IN_VALUE.match(part.strip(" \0")) for part in text.split("\\"))
    found = {_day(match[1], match[2], match[3]) for match in parts if match}
    return frozenset(day for day in found if day is not None)


def days_in(text: bytes, *, short: bool = True) -> Iterator[date]:
    """Yield every day that could be meant by a text, letters in lower case, in any single-byte character set or UTF-8.

    Args:
        short: read six digits in a row as a day, too.

    >>> date(2019, 4, 12) in set(days_in(b"born 12. april 2019"))
    True
    >>> {date(2019, 4, 12)} <= set(days_in(b"4/12/19")) & set(days_in(b"12apr2019")) & set(days_in(b"x190412"))
    True
    """
    for match in _RUNS.finditer(text):
        run = match[0]
        if len(run) < _SHORTEST_RUN:
            continue
        before = text[match.start() - 1 : match.start()] if match.start() else b""
        yield from _of_run(before + run if before == b"." else run, short=short)
    if not _MONTH_WORDS.isdisjoint(_LETTERS.findall(text)):
        yield from _named(text)


def _of_run(run: bytes, *, short: bool) -> Iterator[date]:
    """Yield the days in digits and what separates them."""
    for match in _FULL.finditer(run):
        yield from _days((match[1], match[2], match[3]))
    for match in _YEAR_LAST.finditer(run):
        yield from _days((match[3], match[2], match[1]), (match[3], match[1], match[2]))
    for match in _GAPPED.finditer(run):
        if match[1]:
            yield from _days((match[1], match[2], match[3]))
        else:
            yield from _days((match[6], match[5], match[4]), (match[6], match[4], match[5]))
    for match in _YEAR_FIRST.finditer(run):
        yield from _days((match[1], match[2], match[3]))
    if short:
        for match in _SHORT.finditer(run):
            one, two, three = match.groups()
            yield from _days((one, two, three), (three, two, one), (three, one, two))


def _named(text: bytes) -> Iterator[date]:
    for match in _NAMED.finditer(text):
        day, month, year = next(
            (match[d], match[m], match[y]) for d, m, y in ((1, 2, 3), (5, 4, 6), (9, 8, 7)) if match[m]
        )
        form = re.sub(rb"[\x80-\xff]{1,2}", b"\0", month).decode("ascii")
        yield from _days((year, str(_MONTH_PATTERNS[form]).encode(), day))


def _days(*orders: tuple[bytes, bytes, bytes]) -> Iterator[date]:
    for year, month, day in orders:
        for full in (f"19{year.decode()}", f"20{year.decode()}") if len(year) == 2 else (year.decode(),):
            found = _day(full, month.decode(), day.decode())
            if found is not None:
                yield found


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
