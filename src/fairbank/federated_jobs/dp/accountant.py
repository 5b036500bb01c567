"""What noisy training has spent: Rényi differential privacy of the Gaussian mechanism under Poisson sampling.

Neighbours differ by one unit more or less (add or remove). A step draws each unit with probability q, clips what it
contributes to a norm of C, and adds Gaussian noise of standard deviation sigma · C to the sum. Steps add up order by
order, over rounds, jobs and cohorts.

Sources: Mironov, Talwar and Zhang 2019, Rényi Differential Privacy of the Sampled Gaussian Mechanism (1908.10530),
section 3.3; Balle et al. 2020, Hypothesis Testing Interpretations and Rényi Differential Privacy (1905.09982),
theorem 21, for the way back to epsilon.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

VERSION: Final = "fairbank-rdp/1"
# Fractions for large budgets, large orders for small ones.
ORDERS: Final = (
    *(1 + tenth / 10 for tenth in range(1, 100)),
    *map(float, range(11, 65)),
    80.0,
    128.0,
    256.0,
    512.0,
)
_LAST_TERM: Final = -30.0
_MOST_TERMS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Spent:
    """Some equal steps.

    Attributes:
        sigma: standard deviation of the noise, in clipping norms; above 0.
        rate: probability q with which each unit is drawn in a step, in 0..1.
        steps: how many.
    """

    sigma: float
    rate: float
    steps: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sigma) and self.sigma > 0 and 0 <= self.rate <= 1 and self.steps >= 0):
            raise ValueError("sigma is above 0, a rate lies in 0..1, and steps are not negative")


@dataclass(frozen=True, slots=True)
class Epsilon:
    """A bound: epsilon at a delta, and the order that gave it; infinite where nothing bounds it."""

    epsilon: float
    delta: float
    order: float


def epsilon(spent: Iterable[Spent], *, delta: float) -> Epsilon:
    """Return the smallest epsilon that some steps together stay within.

    Args:
        delta: in 0..1, both excluded.
    """
    if not 0 < delta < 1:
        raise ValueError("delta lies between 0 and 1")
    every = [one for one in spent if one.steps and one.rate]
    if not every:
        return Epsilon(0.0, delta, ORDERS[0])
    return min((_at(order, every, delta) for order in ORDERS), key=lambda found: found.epsilon)


def renyi(spent: Spent, order: float) -> float:
    """Return the Rényi divergence of some steps at an order above 1."""
    return spent.steps * _of_step(spent.sigma, spent.rate, order)


def largest_delta(units: int) -> float:
    """Return the largest delta that may be named for so many units: a tenth of one in all of them."""
    return 1 / (10 * units)


@lru_cache(maxsize=1_000)
def noise_for(target: float, *, delta: float, rate: float, steps: int) -> float:
    """Return the smallest sigma, to three digits after the point, with which so many steps stay within an epsilon.

    Raises:
        ValueError: if no sigma up to 10,000 does.
    """
    low, high = 0.0, 10_000.0
    if epsilon([Spent(high, rate, steps)], delta=delta).epsilon > target:
        raise ValueError("no noise is enough for this epsilon")
    while high - low > 0.0005:
        middle = (low + high) / 2
        if epsilon([Spent(middle, rate, steps)], delta=delta).epsilon > target:
            low = middle
        else:
            high = middle
    return math.ceil(high * 1000) / 1000


def _at(order: float, every: list[Spent], delta: float) -> Epsilon:
    divergence = sum(renyi(one, order) for one in every)
    if math.isinf(divergence):
        return Epsilon(math.inf, delta, order)
    found = divergence + math.log1p(-1 / order) - math.log(delta * order) / (order - 1)
    return Epsilon(max(0.0, found), delta, order)


@lru_cache(maxsize=100_000)
def _of_step(sigma: float, rate: float, order: float) -> float:
    if rate == 0:
        return 0.0
    if rate == 1:
        return order / (2 * sigma * sigma)
    log_moment = _whole(sigma, rate, int(order)) if order.is_integer() else _fraction(sigma, rate, order)
    return log_moment / (order - 1)


def _whole(sigma: float, rate: float, order: int) -> float:
    """Return log A of a whole order: a finite sum (equation 6)."""
    total = -math.inf
    for k in range(order + 1):
        total = _log_add(
            total,
            _log_binomial(order, k)
            + k * math.log(rate)
            + (order - k) * math.log1p(-rate)
            + (k * k - k) / (2 * sigma * sigma),
        )
    return total


def _fraction(sigma: float, rate: float, order: float) -> float:
    """Return log A of another order: two alternating series, one on each side of the point z where both meet.

    Infinite where they have not come to an end after so many terms; another order bounds the loss then.
    """
    z = sigma * sigma * math.log(1 / rate - 1) + 0.5
    k, sign, log_size = 0, 1.0, 0.0
    positive, negative = [-math.inf, -math.inf], [-math.inf, -math.inf]
    while k < _MOST_TERMS:
        rest = order - k
        first = log_size + k * math.log(rate) + rest * math.log1p(-rate)
        first += (k * k - k) / (2 * sigma * sigma) + _log_half_erfc((k - z) / (math.sqrt(2) * sigma))
        second = log_size + rest * math.log(rate) + k * math.log1p(-rate)
        second += (rest * rest - rest) / (2 * sigma * sigma) + _log_half_erfc(
            (z - rest) / (math.sqrt(2) * sigma)
        )
        kept = positive if sign > 0 else negative
        kept[0], kept[1] = _log_add(kept[0], first), _log_add(kept[1], second)
        if k > order and max(first, second) < _LAST_TERM:
            here, there = (_log_subtract(positive[side], negative[side]) for side in (0, 1))
            return _log_add(here, there)
        factor = (order - k) / (k + 1)
        sign *= 1.0 if factor > 0 else -1.0
        log_size += math.log(abs(factor))
        k += 1
    return math.inf


def _log_binomial(order: int, k: int) -> float:
    return math.lgamma(order + 1) - math.lgamma(k + 1) - math.lgamma(order - k + 1)


def _log_add(one: float, other: float) -> float:
    low, high = sorted((one, other))
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _log_subtract(one: float, other: float) -> float:
    if other == -math.inf:
        return one
    if one <= other:
        return -math.inf
    return one + math.log1p(-math.exp(other - one))


def _log_half_erfc(x: float) -> float:
    """Return log(erfc(x) / 2), also where erfc itself is 0 to a float."""
    if x < 25:
        return math.log(math.erfc(x) / 2)
    # Abramowitz and Stegun 7.1.23, the first terms.
    square = x * x
    return -square - math.log(2 * x * math.sqrt(math.pi)) + math.log1p(-0.5 / square + 0.75 / square**2)
