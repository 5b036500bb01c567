"""What may be told of an overlap: a count as any that leaves a site, by the stricter rules of both."""

from __future__ import annotations

from typing import Final

from fairbank.ontology.counts import Count
from fairbank.release.rounding import rounded, smallest_count

FEWEST: Final = 5


def tellable(found: int, mine: int, others: int, *, k: int, base: int) -> Count:
    """Return what may be told of two sets' overlap, in whole rounding steps.

    Args:
        mine, others: how many items each set has.

    >>> [str(tellable(n, 40, 60, k=5, base=1)) for n in (0, 4, 5, 35, 36, 40)]
    ['<5', '<5', '5', '35', '<5', '<5']
    """
    least = smallest_count(k, base)
    # Where nearly all of a set are in the other, the count is about those few who are not, or about all.
    if found < least or min(mine, others) - found < least:
        return Count.below(least)
    return Count.exact(rounded(found, base))
