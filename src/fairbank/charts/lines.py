"""Lines over rounds, one per site, as accessible SVG in the manner of the box plots: no script, no style sheet.

Sites are told apart by colour, by the form of their points, and by their names at the lines' ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from fairbank.charts.scale import Scale, number_text

WIDTH, HEIGHT = 720, 352
LEFT, RIGHT, TOP, BOTTOM = 64, 560, 60, 302
LABEL_LETTERS = 20
LEAST_GAP = 15
POINTS_AT_MOST = 60
# Okabe & Ito 2008, Color Universal Design, without the colours that are too light on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#4a9fd8", "#888888")
_MARKS = ("circle", "square", "triangle", "diamond", "cross")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a name and its points (round, value), in order.

    Attributes:
        marked: drawn thicker, such as the worst site.
        dashed: drawn dashed, such as a mean.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    marked: bool = False
    dashed: bool = False


def line_chart(lines: Sequence[Line], *, title: str, axis: str, across: str, name: str) -> str:
    """Return an SVG image with one line per site; the same values give the same text.

    Args:
        axis: what the values are, with their unit.
        across: what the horizontal axis counts, such as `round`.
        name: tells this picture from others of the same page (letters).
    """
    drawn = [line for line in lines if line.points]
    told = "; ".join(_told(line) for line in drawn) or "nothing"
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-labelledby="{name}-t {name}-d" font-family="sans-serif" font-size="13">',
        f'<title id="{name}-t">{escape(title)}</title>',
        f'<desc id="{name}-d">{escape(f"{axis} by {across}. {told}.")}</desc>',
        f'<text class="title" x="0" y="20" font-size="16" fill="currentColor">{escape(title[:80])}</text>',
    ]
    if not drawn:
        return (
            "\n".join([*head, f'<text x="{LEFT}" y="80" fill="currentColor">No values.</text>', "</svg>"])
            + "\n"
        )
    rounds = [x for line in drawn for x, _ in line.points]
    xs = _across(min(rounds), max(rounds))
    ys = Scale.around([y for line in drawn for _, y in line.points], left=BOTTOM, right=TOP)
    parts = [*_axes(xs, ys, axis, across)]
    for number, line in enumerate(drawn):
        parts += _line(line, number, xs, ys)
    parts += _labels(drawn, ys)
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _told(line: Line) -> str:
    first, last = line.points[0], line.points[-1]
    return (
        f"{line.label}: from {number_text(first[1])} at {first[0]:g} to {number_text(last[1])} at {last[0]:g}"
    )


def _across(low: float, high: float) -> Scale:
    if high <= low:
        return Scale(low - 1, high + 1, LEFT, RIGHT, 1.0)
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
    step = next((each for each in steps if (high - low) / each <= 8), steps[-1])
    return Scale(low, high, LEFT, RIGHT, float(step))


def _axes(xs: Scale, ys: Scale, axis: str, across: str) -> list[str]:
    drawn = [
        f'<path class="axis" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" stroke="currentColor" fill="none"/>',
    ]
    for tick in ys.ticks():
        y = f"{ys.place(tick):.1f}"
        drawn.append(
            f'<path class="grid" d="M{LEFT} {y}H{RIGHT}" stroke="currentColor" stroke-opacity="0.15"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{float(y) + 4:.1f}" text-anchor="end" fill="currentColor">'
            f"{number_text(tick)}</text>"
        )
    first = -(-xs.low // xs.step) * xs.step
    count = int((xs.high - first) / xs.step + 1e-9) + 1
    for tick in (first + xs.step * number for number in range(count)):
        x = f"{xs.place(tick):.1f}"
        drawn.append(
            f'<text class="tick" x="{x}" y="{BOTTOM + 20}" text-anchor="middle" fill="currentColor">{tick:g}</text>'
        )
    drawn.append(
        f'<text class="unit" x="{RIGHT}" y="{BOTTOM + 42}" text-anchor="end" fill="currentColor">'
        f"{escape(across[:40])}</text>"
        f'<text class="unit" x="0" y="40" fill="currentColor">{escape(axis[:60])}</text>'
    )
    return drawn


def _line(line: Line, number: int, xs: Scale, ys: Scale) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    places = [(xs.place(x), ys.place(y)) for x, y in line.points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dashes = ' stroke-dasharray="6 4"' if line.dashed else ""
    width = 3.5 if line.marked else 1.8
    drawn = [
        f'<path class="line" d="{path}" stroke="{colour}" stroke-width="{width}" fill="none"{dashes} '
        'stroke-linejoin="round"/>'
    ]
    shown = places if len(places) <= POINTS_AT_MOST else [places[0], places[-1]]
    if not line.dashed:
        drawn += [_mark(_MARKS[number % len(_MARKS)], x, y, colour) for x, y in shown]
    return drawn


def _mark(form: str, x: float, y: float, colour: str) -> str:
    match form:
        case "square":
            return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="{colour}"/>'
        case "triangle":
            return f'<path d="M{x:.1f} {y - 4.5:.1f}l4.5 8h-9z" fill="{colour}"/>'
        case "diamond":
            return f'<path d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z" fill="{colour}"/>'
        case "cross":
            return f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="{colour}" stroke-width="2"/>'
        case _:
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'


def _labels(lines: Sequence[Line], ys: Scale) -> list[str]:
    """Write each name at its line's end, moved apart where ends are close."""
    ends = sorted((ys.place(line.points[-1][1]), number, line) for number, line in enumerate(lines))
    # From below upwards so that none leaves the picture at its foot, then none at its head.
    places = [y for y, _, _ in ends]
    for at in range(1, len(places)):
        places[at] = max(places[at], places[at - 1] + LEAST_GAP)
    if places and places[-1] > BOTTOM + 10:
        places[-1] = BOTTOM + 10
        for at in range(len(places) - 2, -1, -1):
            places[at] = min(places[at], places[at + 1] - LEAST_GAP)
    drawn = []
    for y, (_, number, line) in zip(places, ends, strict=True):
        colour = COLOURS[number % len(COLOURS)]
        weight = ' font-weight="bold"' if line.marked else ""
        cut = len(line.label) > LABEL_LETTERS
        text = line.label[: LABEL_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}" if cut else line.label
        if line.dashed:
            drawn.append(
                f'<path d="M{RIGHT + 6} {y:.1f}h14" stroke="{colour}" stroke-width="1.8" stroke-dasharray="6 2"/>'
            )
        else:
            drawn.append(_mark(_MARKS[number % len(_MARKS)], RIGHT + 14, y, colour))
        drawn.append(
            f'<text class="label" x="{RIGHT + 24}" y="{y + 4:.1f}" fill="currentColor"{weight}>{escape(text)}</text>'
        )
    return drawn
