"""A Bland-Altman plot as accessible SVG: the difference of two measurements against their mean.

Source: Bland and Altman 1986, Statistical methods for assessing agreement between two methods of clinical measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean, stdev

from fairbank.charts.boxes import COLOUR, LEFT, RIGHT, TOP, WIDTH
from fairbank.charts.scale import Scale, number_text

HEIGHT = 400
BOTTOM = 330
INSIDE = 96
# Limits between which 95 % of differences lie that are normally distributed.
WITHIN = 1.959964


@dataclass(frozen=True, slots=True)
class Agreement:
    """The mean difference of pairs, its standard deviation (n - 1), and the limits of agreement."""

    n: int
    bias: float
    sd: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> Agreement:
        """Return the agreement of at least two pairs.

        >>> Agreement.of([(1.0, 2.0), (2.0, 4.0)]).bias
        -1.5
        """
        differences = [first - second for first, second in pairs]
        return cls(len(differences), fmean(differences), stdev(differences))

    @property
    def limits(self) -> tuple[float, float]:
        """Return the lower and the upper limit of agreement."""
        return self.bias - WITHIN * self.sd, self.bias + WITHIN * self.sd


def bland_altman_plot(pairs: Sequence[tuple[float, float]], *, title: str, axis: str) -> str:
    """Return an SVG document of at least two pairs; the same values give the same text.

    Args:
        axis: what was measured, with its unit.
    """
    found = Agreement.of(pairs)
    low, high = found.limits
    across = Scale.around([(first + second) / 2 for first, second in pairs], left=INSIDE, right=RIGHT)
    differences = [first - second for first, second in pairs]
    # Upwards on paper is downwards in pixels.
    upwards = Scale.around([*differences, low, high], left=BOTTOM, right=TOP + 16)
    lines = [(found.bias, "mean", ""), (low, "lower limit", "6 4"), (high, "upper limit", "6 4")]
    parts = []
    for value, name, dashes in lines:
        y = f"{upwards.place(value):.1f}"
        parts.append(
            f'<path class="line" d="M{INSIDE} {y}H{RIGHT}" stroke="currentColor" stroke-dasharray="{dashes}"/>'
        )
        parts.append(
            f'<text class="limit" x="{RIGHT}" y="{float(y) - 4:.1f}" text-anchor="end" fill="currentColor">'
            f"{name} {number_text(value)}</text>"
        )
    marks = "".join(
        f"M{across.place((first + second) / 2):.1f} {upwards.place(first - second):.1f}h0"
        for first, second in sorted(pairs)
    )
    parts.append(
        f'<path class="pairs" d="{marks}" stroke="{COLOUR}" stroke-width="7" stroke-linecap="round" '
        'stroke-opacity="0.6"/>'
    )
    parts += [
        f'<text class="tick" x="{across.place(tick):.1f}" y="{BOTTOM + 20}" text-anchor="middle" '
        f'fill="currentColor">{number_text(tick)}</text>'
        for tick in across.ticks()
    ]
    parts += [
        f'<text class="tick" x="{INSIDE - 8}" y="{upwards.place(tick) + 4:.1f}" text-anchor="end" '
        f'fill="currentColor">{number_text(tick)}</text>'
        for tick in upwards.ticks()
    ]
    said = (
        f"Difference against mean of {found.n} pairs. {axis}. Mean difference {number_text(found.bias)}, "
        f"limits of agreement {number_text(low)} to {number_text(high)}."
    )
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" aria-labelledby="t d" font-family="sans-serif" font-size="13">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(said)}</desc>',
        f'<text class="title" x="{LEFT}" y="24" font-size="16" fill="currentColor">{escape(title[:80])}</text>',
        f'<path class="axis" d="M{INSIDE} {TOP + 16}V{BOTTOM}H{RIGHT}" stroke="currentColor" fill="none"/>',
        f'<text class="unit" x="{RIGHT}" y="{BOTTOM + 44}" text-anchor="end" fill="currentColor">'
        f"Mean of both: {escape(axis[:80])}</text>",
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"
