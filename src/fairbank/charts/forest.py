"""A forest plot as accessible SVG: for each group a mean with its interval, and the pooled one below as a diamond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from fairbank.charts.boxes import COLOUR, LEFT, RIGHT, TOP, WIDTH
from fairbank.charts.scale import LogScale, Scale, number_text

ROW_HEIGHT = 44
PANEL_HEAD = 18
LARGEST_SQUARE = 16.0
DIAMOND = 8


@dataclass(frozen=True, slots=True)
class Estimate:
    """One row: a mean and its interval, None where too few values tell one.

    Attributes:
        n: number of values, None where it is the same for all.
        weight: its share of the pooled mean, from 0 to 1.
    """

    label: str
    n: int | None
    mean: float
    low: float | None = None
    high: float | None = None
    weight: float = 0.0

    @property
    def in_words(self) -> str:
        """Return the numbers as text."""
        if self.low is None or self.high is None:
            return f"{number_text(self.mean)}, no interval"
        return f"{number_text(self.mean)} [{number_text(self.low)}, {number_text(self.high)}]"


@dataclass(frozen=True, slots=True)
class ForestPanel:
    """Estimates that share a scale, and the pooled one where there is one."""

    name: str
    estimates: tuple[Estimate, ...]
    pooled: Estimate | None


def forest_plot(
    panels: Sequence[ForestPanel],
    *,
    title: str,
    axis: str,
    interval: str = "mean and 95 % interval",
    reference: float | None = None,
    ratios: bool = False,
    note: str = "",
) -> str:
    """Return an SVG document with one panel below the other; the same values give the same text.

    Args:
        axis: what the values are, with their unit.
        interval: what a row shows.
        reference: a value at which a line is drawn, such as that of no effect.
        ratios: whether values are positive and compared by their ratio, on a logarithmic axis.
        note: one line below.
    """
    parts: list[str] = []
    top = TOP
    for panel in panels:
        top = _draw(parts, panel, top, axis, reference=reference, ratios=ratios)
    if note:
        parts.append(f'<text class="note" x="{LEFT}" y="{top + 8}" fill="currentColor">{escape(note)}</text>')
        top += 22
    said = "; ".join(
        f"{one.label}: {one.in_words}" + (f", n = {one.n}" if one.n is not None else "")
        for panel in panels
        for one in _rows_of(panel)
    )
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
        'role="img" aria-labelledby="t d" font-family="sans-serif" font-size="13">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(f"{axis}: {interval}. {said}.")}</desc>',
        f'<text class="title" x="{LEFT}" y="24" font-size="16" fill="currentColor">{escape(title[:80])}</text>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _rows_of(panel: ForestPanel) -> tuple[Estimate, ...]:
    return (*panel.estimates, *([panel.pooled] if panel.pooled is not None else []))


def _draw(
    parts: list[str],
    panel: ForestPanel,
    top: int,
    axis: str,
    *,
    reference: float | None,
    ratios: bool,
) -> int:
    if panel.name:
        parts.append(
            f'<text class="panel" x="{LEFT}" y="{top + 14}" font-weight="bold" fill="currentColor">'
            f"{escape(panel.name)}</text>"
        )
        top += PANEL_HEAD
    rows = _rows_of(panel)
    ends = [end for one in rows for end in (one.mean, one.low, one.high) if end is not None]
    if reference is not None:
        ends.append(reference)
    kind = LogScale if ratios else Scale
    scale: Scale | LogScale = kind.around(ends, left=LEFT, right=RIGHT)
    bottom = top + ROW_HEIGHT * len(rows)
    if reference is not None:
        x = f"{scale.place(reference):.1f}"
        # Beside the marks only: a line through the words could not be read.
        lines = "".join(f"M{x} {top + ROW_HEIGHT * place + 20}v20" for place in range(len(rows)))
        parts.append(f'<path class="reference" d="{lines}" stroke="currentColor" stroke-opacity="0.5"/>')
    for place, one in enumerate(rows):
        parts += _row(one, scale, top + ROW_HEIGHT * place, pooled=one is panel.pooled)
    if panel.pooled is not None:
        x = f"{scale.place(panel.pooled.mean):.1f}"
        parts.append(
            f'<path class="pooled-line" d="M{x} {top}V{bottom}" stroke="currentColor" stroke-dasharray="3 4"/>'
        )
    parts.append(f'<path class="axis" d="M{LEFT} {bottom + 6}H{RIGHT}" stroke="currentColor"/>')
    ticks = scale.ticks()
    for place, tick in enumerate(ticks):
        anchor = "start" if place == 0 else "end" if place == len(ticks) - 1 else "middle"
        parts.append(
            f'<text class="tick" x="{scale.place(tick):.1f}" y="{bottom + 24}" text-anchor="{anchor}" '
            f'fill="currentColor">{number_text(tick)}</text>'
        )
    parts.append(
        f'<text class="unit" x="{RIGHT}" y="{bottom + 46}" text-anchor="end" fill="currentColor">'
        f"{escape(axis[:80])}</text>"
    )
    return bottom + 56


def _row(one: Estimate, scale: Scale | LogScale, top: int, *, pooled: bool) -> list[str]:
    middle, x = top + 30, scale.place(one.mean)
    size = f" (n = {one.n})" if one.n is not None else ""
    name = f"{one.label}{size}: {one.in_words}"
    drawn = [f'<text class="group" x="{LEFT}" y="{top + 14}" fill="currentColor">{escape(name)}</text>']
    low, high = (scale.place(end) if end is not None else x for end in (one.low, one.high))
    if pooled:
        points = (
            f"{low:.1f},{middle} {x:.1f},{middle - DIAMOND} {high:.1f},{middle} {x:.1f},{middle + DIAMOND}"
        )
        return [*drawn, f'<polygon class="pooled" points="{points}" fill="{COLOUR}"/>']
    side = 4.0 + (LARGEST_SQUARE - 4.0) * one.weight
    if one.low is not None:
        drawn.append(
            f'<path class="interval" d="M{low:.1f} {middle}H{high:.1f}" stroke="{COLOUR}" stroke-width="2"/>'
        )
    drawn.append(
        f'<rect class="mean" x="{x - side / 2:.1f}" y="{middle - side / 2:.1f}" width="{side:.1f}" '
        f'height="{side:.1f}" fill="{COLOUR}"/>'
    )
    return drawn
