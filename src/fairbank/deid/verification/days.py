"""Days of an output against those of the file that it was made of: none of them the same, all distances the same."""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import date, timedelta

from fairbank.deid.method import Method
from fairbank.deid.rules import Option
from fairbank.deid.sweep.days import NO_DAYS, days_of_value
from fairbank.deid.verification.judgements import May, may_be
from fairbank.deid.verification.output import Output
from fairbank.deid.verification.problem import Fault, Problem, problem

_VERSIONS = frozenset({0x00080106, 0x00080107, 0x00440104})


def day_problems(output: Output, originals: Set[date], method: Method) -> Iterator[Problem]:
    """Yield what is wrong with the days of an output.

    Args:
        output: the file.
        originals: every day of the file that it was made of, the day of birth among them.
        method: how it was cleaned.
    """
    if Option.RETAIN_FULL_DATES in method.options:
        return
    days = _days_of(output, method)
    if not days or not originals:
        return
    if Option.RETAIN_MODIFIED_DATES not in method.options:
        for tag in sorted(tag for tag, found in days.items() if found & originals):
            yield problem(Fault.ORIGINAL_DATE, tag)
        return
    every = frozenset[date]().union(*days.values())
    if _shift(every, originals) is None:
        same = sorted(tag for tag, found in days.items() if found & originals)
        for tag in same:
            yield problem(Fault.ORIGINAL_DATE, tag)
        if not same:
            yield problem(Fault.INTERVAL, min(days))


def _days_of(output: Output, method: Method) -> dict[int, frozenset[date]]:
    """Return the days by element, without those that an option keeps as they are (a device's date of calibration)."""
    kept = not method.options & {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES}
    found: dict[int, frozenset[date]] = {}
    for element in output.walked.elements:
        if kept and may_be(element.tag, method) is May.DAY:
            continue
        if element.vr in ("DA", "DT") and element.tag not in _VERSIONS:
            value = output.walked.value(element).decode("latin-1")
            days = days_of_value(value) - NO_DAYS
            if days:
                found[element.tag] = found.get(element.tag, frozenset()) | days
    return found


def _shift(days: Set[date], originals: Set[date]) -> timedelta | None:
    """Return by how much every day was moved into the past, if it is the same for all; else None."""
    first = min(days)
    for original in sorted(originals):
        moved = original - first
        if moved > timedelta(0) and all(_earlier(day, moved) in originals for day in days):
            return moved
    return None


def _earlier(day: date, moved: timedelta) -> date | None:
    try:
        return day + moved
    except OverflowError:
        return None
