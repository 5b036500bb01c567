"""How often and for how long a subject was imaged, in bands.

Both are worked out from the distances between days of study, which stay exact when all dates of a subject are moved by
the same number of days.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from fairbank.ontology.record import UNKNOWN

TIME_POINTS: Final[tuple[str, ...]] = ("1", "2", "3-5", "6+", UNKNOWN)
NO_FOLLOW_UP: Final = "none"
_DAYS_PER_YEAR: Final = 365.25
# Half-open: (upper end in years, exclusive; word).
_SPANS: Final = ((1.0, "<1y"), (2.0, "1-2y"), (5.0, "2-5y"))
FOLLOW_UP: Final[tuple[str, ...]] = (NO_FOLLOW_UP, *(word for _, word in _SPANS), ">=5y", UNKNOWN)


def time_points(days: Collection[int]) -> str:
    """Return on how many different days a subject was imaged: `1`, `2`, `3-5`, `6+`; `unknown` without a day.

    >>> time_points([730000, 730000, 730400]), time_points([])
    ('2', 'unknown')
    """
    number = len(set(days))
    if number == 0:
        return UNKNOWN
    if number <= 2:
        return str(number)
    return "3-5" if number <= 5 else "6+"


def follow_up(days: Collection[int]) -> str:
    """Return the time between a subject's first and last day: `none`, `<1y`, `1-2y`, `2-5y`, `>=5y`, `unknown`.

    Years have 365.25 days, and a lower end belongs to its band.

    >>> follow_up([730000, 730400]), follow_up([730000]), follow_up([])
    ('1-2y', 'none', 'unknown')
    """
    if not days:
        return UNKNOWN
    span = max(days) - min(days)
    if span == 0:
        return NO_FOLLOW_UP
    return next((word for below, word in _SPANS if span < below * _DAYS_PER_YEAR), ">=5y")
