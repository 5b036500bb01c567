"""How many outputs a person has to look at, which ones, and what follows for all from what was seen.

If none of n files drawn at random is bad, then with confidence c no more than a share p of all is bad, where
(1 - p)^n <= 1 - c; for a finite collection the hypergeometric distribution asks for fewer.

Source: Hanley & Lippman-Hand 1983 ("rule of three", here exact); Clopper & Pearson 1934; Cochran, Sampling Techniques,
section 3.6.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

ALLOWED_SHARE = 0.01
CONFIDENCE = 0.95


def files_to_review(
    population: int | None = None, *, share: float = ALLOWED_SHARE, confidence: float = CONFIDENCE
) -> int:
    """Return how many files must be looked at, none of them bad, to say that at most `share` of all are bad.

    Args:
        population: how many files there are; None for without end.
        share: the largest share of bad files that may go unseen, between 0 and 1.
        confidence: how sure one is to have seen one if there were more, between 0 and 1.

    >>> files_to_review(), files_to_review(10_000), files_to_review(500), files_to_review(20)
    (299, 291, 196, 19)
    """
    if population is None:
        return math.ceil(math.log(1 - confidence) / math.log(1 - share))
    if population <= 0:
        return 0
    bad = math.floor(share * population) + 1
    low, high = 0, population
    while low < high:
        middle = (low + high) // 2
        if _at_most(0, middle, bad, population) <= 1 - confidence:
            high = middle
        else:
            low = middle + 1
    return low


def share_at_most(
    reviewed: int, *, bad: int = 0, population: int | None = None, confidence: float = CONFIDENCE
) -> float:
    """Return the share of bad files that is not exceeded, with confidence, after what was seen (one-sided).

    Args:
        reviewed: how many files were drawn and looked at.
        bad: how many of these were bad.
        population: how many files they were drawn from; None for without end.
        confidence: between 0 and 1.

    >>> round(share_at_most(299), 4), round(share_at_most(299, bad=1), 4), share_at_most(0)
    (0.01, 0.0158, 1.0)
    >>> share_at_most(196, population=500), share_at_most(20, bad=1, population=20)
    (0.01, 0.05)
    """
    if population is not None:
        return _most_of(reviewed, bad, population, confidence) / population if population else 0.0
    if bad >= reviewed:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        chance = math.fsum(
            math.comb(reviewed, count) * middle**count * (1 - middle) ** (reviewed - count)
            for count in range(bad + 1)
        )
        low, high = (middle, high) if chance > 1 - confidence else (low, middle)
    return high


def drawn(names: Iterable[str], count: int, *, seed: str) -> list[str]:
    """Return `count` of the names, drawn by a seed, the same in whatever order they come; sorted.

    >>> drawn("abcdef", 2, seed="1") == drawn("fedcba", 2, seed="1")
    True
    """
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"{seed}\x00{name}".encode()).digest())
    return sorted(ranked[:count])


def _most_of(reviewed: int, bad: int, population: int, confidence: float) -> int:
    """Return the largest number of bad files in the population that what was seen does not rule out."""
    low, high = bad, population - (reviewed - bad)
    while low < high:
        middle = (low + high + 1) // 2
        if _at_most(bad, reviewed, middle, population) > 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low


def _at_most(seen: int, reviewed: int, bad: int, population: int) -> float:
    """Return the probability that at most `seen` of `bad` among `population` are drawn (hypergeometric)."""
    least = max(0, reviewed - (population - bad))
    return math.fsum(
        math.exp(
            _log_comb(bad, count)
            + _log_comb(population - bad, reviewed - count)
            - _log_comb(population, reviewed)
        )
        for count in range(least, min(seen, bad, reviewed) + 1)
    )


def _log_comb(many: int, few: int) -> float:
    return math.lgamma(many + 1) - math.lgamma(few + 1) - math.lgamma(many - few + 1)
