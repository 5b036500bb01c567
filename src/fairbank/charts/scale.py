"""A linear axis with round ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fairbank.charts.words import speaker
from fairbank.ontology.speaking import separated

ROUND_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values onto pixels.

    Args:
        low, high: values at both ends, low < high.
        left, right: pixels of both ends.
        step: distance of ticks.
    """

    low: float
    high: float
    left: float
    right: float
    step: float

    @classmethod
    def around(cls, values: list[float], *, left: float, right: float, ticks: int = 5) -> Scale:
        """Return a scale whose ends are round numbers around all values.

        >>> Scale.around([3.0, 97.0], left=0, right=100).ticks()
        [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
        """
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        # Values that differ by less than their last digits are one.
        if high - low <= max(abs(low), abs(high)) * 1e-12 or high - low < 1e-10:
            pad = abs(low) * 0.1 if abs(low) > 1e-9 else 1.0
            low, high = low - pad, high + pad
        step = _round_step((high - low) / ticks)
        return cls(math.floor(low / step) * step, math.ceil(high / step) * step, left, right, step)

    def place(self, value: float) -> float:
        """Return the pixel of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.left + share * (self.right - self.left)

    def ticks(self) -> list[float]:
        """Return the values of the ticks."""
        count = round((self.high - self.low) / self.step)
        return [round(self.low + i * self.step, 12) for i in range(count + 1)]


@dataclass(frozen=True, slots=True)
class LogScale:
    """Maps positive values onto pixels by their logarithm, with ticks at 1, 2 and 5 of each power of ten.

    Args:
        low, high: values at both ends, 0 < low < high.
        left, right: pixels of both ends.
    """

    low: float
    high: float
    left: float
    right: float

    @classmethod
    def around(cls, values: list[float], *, left: float, right: float) -> LogScale:
        """Return a scale whose ends are ticks around all values, which are positive.

        >>> LogScale.around([0.7, 3.0], left=0, right=100).ticks()
        [0.5, 1.0, 2.0, 5.0]
        """
        low, high = min(values), max(values)
        ticks = [step for step in _log_steps(low, high) if low / 10 < step < high * 10]
        below = max(step for step in ticks if step <= low * (1 + 1e-12))
        above = min(step for step in ticks if step >= high * (1 - 1e-12) and step > below)
        return cls(below, above, left, right)

    def place(self, value: float) -> float:
        """Return the pixel of a positive value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.left + share * (self.right - self.left)

    def ticks(self) -> list[float]:
        """Return the values of the ticks, at most about ten."""
        inside = [step for step in _log_steps(self.low, self.high) if self.low <= step <= self.high]
        powers = [step for step in inside if f"{step:e}".startswith("1.0")]
        if len(inside) <= 10:
            return inside
        return powers[:: -(-len(powers) // 10)]


def number_text(value: float) -> str:
    """Return a number as short text as the reader's language writes it, a true minus sign before negative ones.

    >>> number_text(-1200.0)
    '−1,200'
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 and value == int(value) else f"{value:.4g}"
    return separated(text.replace("-", "\N{MINUS SIGN}"), speaker())


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in ROUND_STEPS if factor * power >= rough * 0.999)


def _log_steps(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    return [float(f"{factor}e{power}") for power in range(first, last + 1) for factor in (1, 2, 5)]
