"""Disclosure rules of tables and sums: which cells stay, and when one subject makes up most of a sum.

A table has cells over one or more axes; cells without subjects are not in it, as in the cube of a record. With a
smallest count k:

1. **Minimum.** A cell of fewer than k subjects is withheld.
2. **Complementary suppression.** Whoever knows the total of a line (all cells that differ in one axis), or of the whole
   table, works out what is withheld there together. So in each line, and in all, never one cell alone is withheld, and
   the withheld ones are of at least k subjects; the smallest told cells are withheld too until that holds.
3. **Dominance.** A sum is withheld if its n largest contributions make up more than a share of it ((n,k) rule), or if
   who made the second largest could work out the largest to within p percent (p% rule).

Source: Hundepool et al., Statistical Disclosure Control (2012), sections 4.2.2 (dominance) and 4.4 (secondary
suppression).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fairbank.release.rounding import rounded
from fairbank.settings import Settings

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Dominance:
    """When a few contributions make up too much of a sum.

    Attributes:
        largest: n, how many of the largest contributions are looked at together.
        share_percent: how much of the sum they may make up.
        p_percent: within how many percent nobody may be able to work out the largest.
    """

    largest: int = 2
    share_percent: int = 85
    p_percent: int = 10


def dominance_of(settings: Settings) -> Dominance:
    """Return a site's rule of dominance."""
    return Dominance(share_percent=settings.release_dominance_percent, p_percent=settings.release_p_percent)


@dataclass(frozen=True, slots=True)
class TableRules:
    """The rules of a site for all tables and sums.

    Attributes:
        k: smallest count of subjects.
        base: what counts are multiples of; sums other than counts are exact, so they leave only where it is 1.
    """

    k: int
    dominance: Dominance = field(default_factory=Dominance)
    base: int = 1

    def told(self, count: int) -> int:
        """Return a count as it may be told: the nearest multiple of the base."""
        return rounded(count, self.base)

    def least(self, fitted: int) -> int:
        """Return how many subjects a sum needs in which so many parameters are fitted.

        >>> TableRules(10).least(2), TableRules(10).least(7)
        (10, 21)
        """
        return max(self.k, 3 * fitted)

    def withheld_cells(self, counts: Counts, *, least: int) -> Mask:
        """Return which cells of a table must be withheld if each needs so many subjects."""
        return withheld_cells(counts, k=least)

    def dominated(self, contributions: NDArray[np.float64]) -> bool:
        """Tell whether few contributions make up too much of their sum."""
        return dominated(contributions, self.dominance)


def withheld_cells(counts: Counts, *, k: int) -> Mask:
    """Return which cells of a table must be withheld, of those that have subjects.

    Args:
        counts: subjects of each cell, one axis per grouping column.
        k: smallest count that may leave.

    >>> withheld_cells(np.array([50, 12, 3, 0]), k=10).tolist()
    [False, True, True, False]
    >>> withheld_cells(np.array([[30, 4], [20, 25], [40, 26]]), k=10).tolist()
    [[True, True], [True, True], [False, False]]
    """
    there = counts > 0
    hidden = there & (counts < k)
    while True:
        before = hidden.copy()
        for line in _lines(counts.shape):
            _protect(counts, there, hidden, line, k)
        if bool((hidden == before).all()):
            return hidden


def dominated(contributions: NDArray[np.float64], rule: Dominance) -> bool:
    """Tell whether few contributions make up too much of their sum; signs do not count.

    Args:
        contributions: (n,) what each subject adds.

    >>> dominated(np.array([100.0, 1, 1, 1]), Dominance()), dominated(np.ones(10), Dominance())
    (True, False)
    """
    sizes = np.sort(np.abs(contributions))[::-1]
    total = float(sizes.sum())
    if total == 0.0:
        return False
    if 100.0 * float(sizes[: rule.largest].sum()) > rule.share_percent * total:
        return True
    return 100.0 * float(sizes[2:].sum()) < rule.p_percent * float(sizes[0])


def _protect(counts: Counts, there: Mask, hidden: Mask, line: tuple[slice | int, ...], k: int) -> None:
    """Withhold more cells of one line, the smallest first, until the withheld ones protect each other."""
    while hidden[line].any():
        withheld = counts[line][hidden[line]]
        if withheld.size > 1 and int(withheld.sum()) >= k:
            return
        open_ = there[line] & ~hidden[line]
        if not open_.any():
            return
        values = np.where(open_, counts[line], np.iinfo(np.int64).max)
        part = hidden[line]
        part[np.unravel_index(int(values.argmin()), values.shape)] = True
        hidden[line] = part


def _lines(shape: tuple[int, ...]) -> Iterator[tuple[slice | int, ...]]:
    """Yield an index of every line along one axis, and of the whole table."""
    yield (slice(None),) * len(shape)
    if len(shape) < 2:
        return
    for axis in range(len(shape)):
        others = [range(size) if place != axis else (None,) for place, size in enumerate(shape)]
        for at in _product(others):
            yield tuple(slice(None) if each is None else each for each in at)


def _product(choices: list[range | tuple[None]]) -> Iterator[tuple[int | None, ...]]:
    from itertools import product

    yield from product(*choices)
