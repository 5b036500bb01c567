"""A box plot of values by group, as accessible SVG: boxes where there are enough values, dots everywhere.

No scripts, no style sheet: colours are attributes, so the file looks the same alone and inside a page with a strict
content policy. Text takes the colour of its surroundings. The description says what the picture shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from statistics import quantiles

from fairbank.charts.scale import Scale, number_text

WIDTH = 720
LEFT, RIGHT = 24, 696
TOP = 44
GROUP_HEIGHT = 54
PANEL_HEAD = 18
BOX_HEIGHT = 18
BOX_FROM = 5
DOTS_AT_MOST = 40
LABEL_LETTERS = 60
TITLE_LETTERS = 80
COLOUR = "#3b7dd8"


@dataclass(frozen=True, slots=True)
class Group:
    """One row of the plot: its name and its values."""

    label: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FiveNumbers:
    """Least, lower quartile, median, upper quartile, greatest."""

    least: float
    lower: float
    median: float
    upper: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> FiveNumbers:
        """Return the five numbers of at least one value.

        >>> FiveNumbers.of([1.0, 2.0, 3.0, 4.0, 5.0]).lower
        2.0
        """
        if len(values) == 1:
            return cls(*(values[0],) * 5)
        lower, median, upper = quantiles(values, n=4, method="inclusive")
        return cls(min(values), lower, median, upper, max(values))


@dataclass(frozen=True, slots=True)
class Panel:
    """Groups that share a scale, and what they have in common."""

    name: str
    groups: tuple[Group, ...]


def box_plot(groups: Sequence[Group], *, title: str, axis: str) -> str:
    """Return an SVG document with one row per group; the same values give the same text.

    Args:
        groups: in the order of the rows; groups without values say so.
        axis: what the values are, with their unit.
    """
    return panelled_box_plot([Panel("", tuple(groups))], title=title, axis=axis)


def panelled_box_plot(panels: Sequence[Panel], *, title: str, axis: str) -> str:
    """Return an SVG document with one panel below the other, each with a scale of its own.

    Args:
        panels: values of different panels are not comparable, such as grey values of different modalities.
        axis: what the values are, with their unit.
    """
    parts: list[str] = []
    top = TOP
    for panel in panels:
        top = _draw_panel(parts, panel, top, axis)
    height = top
    described = [group for panel in panels for group in panel.groups]
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="t d" font-family="sans-serif" font-size="13">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(_description(described, axis))}</desc>',
        f'<text class="title" x="{LEFT}" y="24" font-size="16" fill="currentColor">{_cut(title, TITLE_LETTERS)}</text>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _draw_panel(parts: list[str], panel: Panel, top: int, axis: str) -> int:
    """Draw one panel from `top` downwards and return where it ends."""
    if panel.name:
        parts.append(
            f'<text class="panel" x="{LEFT}" y="{top + 14}" font-weight="bold" fill="currentColor">'
            f"{_cut(panel.name, LABEL_LETTERS)}</text>"
        )
        top += PANEL_HEAD
    scale = Scale.around([value for group in panel.groups for value in group.values], left=LEFT, right=RIGHT)
    bottom = top + GROUP_HEIGHT * len(panel.groups)
    parts += _axis(scale, top, bottom, axis)
    for number, group in enumerate(panel.groups):
        parts += _row(group, scale, top + GROUP_HEIGHT * number)
    return bottom + 56


def _row(group: Group, scale: Scale, top: int) -> list[str]:
    middle = top + 36
    count = len(group.values)
    label = (
        f"{_cut(group.label, LABEL_LETTERS)} (n = {count})"
        if count
        else f"{_cut(group.label, LABEL_LETTERS)}: no values"
    )
    drawn = [f'<text class="group" x="{LEFT}" y="{top + 18}" fill="currentColor">{label}</text>']
    if not count:
        return drawn
    if count >= BOX_FROM:
        drawn += _box(FiveNumbers.of(group.values), scale, middle)
    return drawn + _dots(group.values, scale, middle)


def _box(five: FiveNumbers, scale: Scale, middle: int) -> list[str]:
    x = [
        f"{scale.place(value):.1f}"
        for value in (five.least, five.lower, five.median, five.upper, five.greatest)
    ]
    width = max(1.0, scale.place(five.upper) - scale.place(five.lower))
    top, half = middle - BOX_HEIGHT // 2, BOX_HEIGHT // 2
    return [
        f'<path class="whisker" d="M{x[0]} {middle}H{x[1]}M{x[3]} {middle}H{x[4]}" stroke="{COLOUR}" fill="none"/>',
        f'<rect class="box" x="{x[1]}" y="{top}" width="{width:.1f}" height="{BOX_HEIGHT}" '
        f'fill="none" stroke="{COLOUR}"/>',
        f'<path class="median" d="M{x[2]} {middle - half}V{middle + half}" stroke="{COLOUR}" stroke-width="3"/>',
    ]


def _dots(values: Sequence[float], scale: Scale, middle: int) -> list[str]:
    ordered = sorted(values)
    if len(ordered) > DOTS_AT_MOST:
        ordered = [ordered[0], ordered[-1]]
    marks = "".join(f"M{scale.place(value):.1f} {middle}h0" for value in ordered)
    return [
        f'<path class="values" d="{marks}" stroke="{COLOUR}" stroke-width="7" stroke-linecap="round" '
        'stroke-opacity="0.6"/>'
    ]


def _axis(scale: Scale, top: int, bottom: int, axis: str) -> list[str]:
    drawn = [f'<path class="axis" d="M{LEFT} {bottom + 6}H{RIGHT}" stroke="currentColor"/>']
    ticks = scale.ticks()
    for number, tick in enumerate(ticks):
        anchor = "start" if number == 0 else "end" if number == len(ticks) - 1 else "middle"
        x = f"{scale.place(tick):.1f}"
        drawn.append(
            f'<path class="grid" d="M{x} {top}V{bottom + 10}" stroke="currentColor" stroke-opacity="0.15"/>'
        )
        drawn.append(
            f'<text class="tick" x="{x}" y="{bottom + 24}" text-anchor="{anchor}" fill="currentColor">'
            f"{number_text(tick)}</text>"
        )
    name = _cut(axis, TITLE_LETTERS)
    drawn.append(
        f'<text class="unit" x="{RIGHT}" y="{bottom + 46}" text-anchor="end" fill="currentColor">{name}</text>'
    )
    return drawn


def _description(groups: Sequence[Group], axis: str) -> str:
    said = []
    for group in groups:
        if not group.values:
            said.append(f"{group.label}: no values")
            continue
        five = FiveNumbers.of(group.values)
        said.append(
            f"{group.label}: {len(group.values)} values from {number_text(five.least)} to "
            f"{number_text(five.greatest)}, median {number_text(five.median)}"
        )
    return f"{axis} by group. " + "; ".join(said) + "."


def _cut(text: str, letters: int) -> str:
    return escape(text if len(text) <= letters else text[: letters - 1] + "\N{HORIZONTAL ELLIPSIS}")
