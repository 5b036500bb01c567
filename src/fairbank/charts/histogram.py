"""Histograms as accessible SVG: one panel per group, one column per bin, as wide as the bin is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from fairbank.charts.boxes import COLOUR, LEFT, RIGHT, TOP, WIDTH
from fairbank.charts.scale import Scale, number_text

INSIDE = 84
PLOT_HEIGHT = 170
PANEL_HEAD = 24
_GAP = 1.5


@dataclass(frozen=True, slots=True)
class Bin:
    """One column: where it begins and ends, how many are in it, and whether it is open at one end.

    Attributes:
        count: None where it is not told.
    """

    low: float
    high: float
    count: int | None
    label: str
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class HistogramPanel:
    """The bins of one group, ascending."""

    name: str
    bins: tuple[Bin, ...]


def histogram(panels: Sequence[HistogramPanel], *, title: str, axis: str, note: str = "") -> str:
    """Return an SVG document with one panel below the other on common axes; the same values give the same text.

    Args:
        axis: what the values are, with their unit.
        note: one line below.
    """
    every = [one for panel in panels for one in panel.bins]
    across = _across(every)
    most = max((one.count or 0 for one in every), default=0)
    parts: list[str] = []
    top = TOP
    for panel in panels:
        top = _draw(parts, panel, top, across, most)
    parts.append(
        f'<text class="unit" x="{RIGHT}" y="{top}" text-anchor="end" fill="currentColor">{escape(axis[:80])}</text>'
    )
    top += 8
    if note:
        top += 20
        parts.append(f'<text class="note" x="{LEFT}" y="{top}" fill="currentColor">{escape(note)}</text>')
    height = top + 14
    said = "; ".join(
        f"{panel.name or 'all'}: "
        + ", ".join(
            f"{one.label}: {one.count if one.count is not None else 'not told'}" for one in panel.bins
        )
        for panel in panels
    )
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="t d" font-family="sans-serif" font-size="13">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(f"Subjects by {axis}. {said}.")}</desc>',
        f'<text class="title" x="{LEFT}" y="24" font-size="16" fill="currentColor">{escape(title[:80])}</text>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _across(bins: Sequence[Bin]) -> Scale:
    ends = [end for one in bins for end in (one.low, one.high)]
    return Scale.around(ends, left=INSIDE, right=RIGHT, ticks=8)


def _draw(parts: list[str], panel: HistogramPanel, top: int, across: Scale, most: int) -> int:
    if panel.name:
        parts.append(
            f'<text class="panel" x="{LEFT}" y="{top + 12}" font-weight="bold" fill="currentColor">'
            f"{escape(panel.name)}</text>"
        )
    top += PANEL_HEAD
    bottom = top + PLOT_HEIGHT
    upwards = Scale.around([0.0, float(max(most, 1))], left=bottom, right=top, ticks=4)
    for tick in upwards.ticks():
        if tick != int(tick):
            continue
        y = upwards.place(tick)
        parts.append(
            f'<path class="grid" d="M{INSIDE} {y:.1f}H{RIGHT}" stroke="currentColor" stroke-opacity="0.15"/>'
            f'<text class="tick" x="{INSIDE - 8}" y="{y + 4:.1f}" text-anchor="end" fill="currentColor">'
            f"{number_text(tick)}</text>"
        )
    for one in panel.bins:
        left, right = across.place(one.low) + _GAP, across.place(one.high) - _GAP
        if one.count is None:
            parts.append(
                f'<text class="untold" x="{(left + right) / 2:.1f}" y="{bottom - 4}" text-anchor="middle" '
                'fill="currentColor">?</text>'
            )
            continue
        y = upwards.place(float(one.count))
        parts.append(
            f'<rect class="bin" x="{left:.1f}" y="{y:.1f}" width="{max(right - left, 0.5):.1f}" '
            f'height="{bottom - y:.1f}" fill="{COLOUR}" fill-opacity="{0.45 if one.is_open else 0.9}"/>'
        )
    parts.append(f'<path class="axis" d="M{INSIDE} {bottom}H{RIGHT}" stroke="currentColor"/>')
    parts += [
        f'<text class="tick" x="{across.place(tick):.1f}" y="{bottom + 18}" text-anchor="middle" '
        f'fill="currentColor">{number_text(tick)}</text>'
        for tick in across.ticks()
    ]
    return bottom + 40
