"""Horizontal bars of counts by name, as accessible SVG, in the manner of the box plots: no script, no style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from fairbank.charts.boxes import COLOUR

WIDTH = 720
LABEL_WIDTH = 300
ROW_HEIGHT = 26
TOP = 38
RIGHT_MARGIN = 70
# Width of a letter beside a bar, generously.
LETTER = 7.4
LABEL_LETTERS = 44


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a name and how many.

    Attributes:
        told: text beside the bar, in place of the count: such as `<10` where there is no number to draw.
    """

    label: str
    count: int
    told: str | None = None

    @property
    def in_words(self) -> str:
        """Return how many as text."""
        return f"{self.count:,}" if self.told is None else self.told


def bar_chart(bars: Sequence[Bar], *, title: str, name: str) -> str:
    """Return an SVG image with one row per bar; the same values give the same text.

    Args:
        bars: in the order of the rows.
        title: what is counted.
        name: tells this picture from others of the same page (letters).
    """
    height = TOP + ROW_HEIGHT * max(1, len(bars)) + 8
    most = max([bar.count for bar in bars], default=0)
    told = "; ".join(f"{bar.label}: {bar.in_words}" for bar in bars) or "nothing"
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="{name}-t {name}-d" font-family="sans-serif" font-size="13">',
        f'<title id="{name}-t">{escape(title)}</title>',
        f'<desc id="{name}-d">{escape(told)}.</desc>',
        f'<text x="0" y="20" font-size="15" fill="currentColor">{escape(title)}</text>',
    ]
    margin = max([RIGHT_MARGIN, *(round(LETTER * len(bar.in_words)) + 12 for bar in bars)])
    rows = [_row(bar, most, TOP + ROW_HEIGHT * number, margin) for number, bar in enumerate(bars)]
    if not rows:
        rows = [f'<text x="0" y="{TOP + 16}" fill="currentColor">Nothing.</text>']
    return "\n".join([*head, *rows, "</svg>"]) + "\n"


def _row(bar: Bar, most: int, top: int, margin: int) -> str:
    room = WIDTH - LABEL_WIDTH - margin
    width = max(1.0, room * bar.count / most) if bar.count else 0.0
    label = (
        bar.label
        if len(bar.label) <= LABEL_LETTERS
        else bar.label[: LABEL_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )
    return (
        f'<text x="{LABEL_WIDTH - 8}" y="{top + 16}" text-anchor="end" fill="currentColor">{escape(label)}</text>'
        f'<rect x="{LABEL_WIDTH}" y="{top + 4}" width="{width:.1f}" height="{ROW_HEIGHT - 9}" fill="{COLOUR}"/>'
        f'<text x="{LABEL_WIDTH + width + 6:.1f}" y="{top + 16}" fill="currentColor">{escape(bar.in_words)}</text>'
    )
