"""A linear axis with round ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
        if high <= low:
            pad = abs(low) * 0.1 or 1.0
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


def number_text(value: float) -> str:
    """Return a number as short text, a true minus sign before negative ones.

    >>> number_text(-1200.0)
    '−1,200'
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 and value == int(value) else f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in ROUND_STEPS if factor * power >= rough * 0.999)
