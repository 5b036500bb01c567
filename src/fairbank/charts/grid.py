"""A table of numbers as accessible SVG: each cell tinted by its size, blue above zero and orange below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from fairbank.charts.boxes import COLOUR, LEFT, RIGHT, WIDTH
from fairbank.charts.scale import number_text

BELOW_ZERO = "#d8743b"
LABEL_WIDTH = 190
LABEL_LETTERS = 26
COLUMN_LETTERS = 16
ROW_HEIGHT = 30
PANEL_HEAD = 46
TOP = 44
WIDEST = 110
# So that text on the darkest cell can still be read.
STRONGEST = 0.6


@dataclass(frozen=True, slots=True)
class Grid:
    """One table.

    Attributes:
        cells: one sequence per row, None where there is no number.
        across: what the columns are.
        untold: what a cell without a number says, so that it is not read as 0.
    """

    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[float | None, ...], ...]
    across: str = ""
    untold: str = ""


def grid_chart(grids: Sequence[Grid], *, title: str, note: str = "") -> str:
    """Return an SVG document with one table below the other; the same values give the same text.

    Args:
        note: one line below.
    """
    parts: list[str] = []
    top = TOP
    for grid in grids:
        top = _draw(parts, grid, top)
    said = ". ".join(_said(grid) for grid in grids)
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top + 22}" width="{WIDTH}" '
        f'height="{top + 22}" role="img" aria-labelledby="t d" font-family="sans-serif" font-size="13">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(said)}.</desc>',
        f'<text class="title" x="{LEFT}" y="24" font-size="16" fill="currentColor">{escape(title[:80])}</text>',
    ]
    if note:
        parts.append(f'<text class="note" x="{LEFT}" y="{top + 8}" fill="currentColor">{escape(note)}</text>')
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _draw(parts: list[str], grid: Grid, top: int) -> int:
    caption = f"{grid.name}{': ' if grid.name and grid.across else ''}{grid.across}"
    parts.append(
        f'<text class="panel" x="{LEFT}" y="{top + 14}" font-weight="bold" fill="currentColor">{escape(caption)}</text>'
    )
    start = LEFT + LABEL_WIDTH
    width = min(WIDEST, (RIGHT - start) / max(1, len(grid.columns)))
    # Words that a narrow column has no room for.
    letters = min(COLUMN_LETTERS, max(3, int(width / 7.5)))
    for place, column in enumerate(grid.columns):
        x = start + width * (place + 0.5)
        parts.append(
            f'<text class="column" x="{x:.1f}" y="{top + 36}" text-anchor="middle" fill="currentColor">'
            f"{_cut(column, letters)}</text>"
        )
    strongest = max((abs(cell) for row in grid.cells for cell in row if cell is not None), default=0.0)
    y = top + PANEL_HEAD
    for label, row in zip(grid.rows, grid.cells, strict=True):
        parts.append(
            f'<text class="row" x="{start - 8}" y="{y + 19}" text-anchor="end" fill="currentColor">'
            f"{_cut(label, LABEL_LETTERS)}</text>"
        )
        for place, cell in enumerate(row):
            x = start + width * place
            if cell is not None:
                parts.append(_cell(cell, x, y, width, strongest))
            elif grid.untold:
                parts.append(
                    f'<text class="untold" x="{x + width / 2:.1f}" y="{y + 19}" text-anchor="middle" '
                    f'fill="currentColor">{_cut(grid.untold, letters)}</text>'
                )
        y += ROW_HEIGHT
    return y + 16


def _cell(value: float, x: float, y: int, width: float, strongest: float) -> str:
    part = STRONGEST * abs(value) / strongest if strongest else 0.0
    return (
        f'<rect class="cell" x="{x + 1:.1f}" y="{y + 1}" width="{width - 2:.1f}" height="{ROW_HEIGHT - 2}" '
        f'fill="{COLOUR if value >= 0 else BELOW_ZERO}" fill-opacity="{part:.3f}"/>'
        f'<text class="value" x="{x + width / 2:.1f}" y="{y + 19}" text-anchor="middle" fill="currentColor">'
        f"{_short(value)}</text>"
    )


def _short(value: float) -> str:
    return number_text(value) if value == int(value) else number_text(float(f"{value:.3g}"))


def _said(grid: Grid) -> str:
    return "; ".join(
        f"{row}: "
        + ", ".join(
            f"{column} {_short(cell)}"
            for column, cell in zip(grid.columns, cells, strict=True)
            if cell is not None
        )
        for row, cells in zip(grid.rows, grid.cells, strict=True)
    )


def _cut(text: str, letters: int) -> str:
    return escape(text if len(text) <= letters else text[: letters - 1] + "\N{HORIZONTAL ELLIPSIS}")
