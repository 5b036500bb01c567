"""Survival curves as accessible SVG: steps with 95 % bands, and below them how many are at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from fairbank.charts.boxes import LEFT, RIGHT, TOP, WIDTH
from fairbank.charts.scale import Scale, number_text

INSIDE = 96
BOTTOM = 330
# Curves differ by colour and by dashes, for who sees no colours.
STYLES = (
    ("#3b7dd8", ""),
    ("#d8743b", "7 4"),
    ("#3b9d5b", "2 3"),
    ("#8a5bd8", "10 3 2 3"),
    ("#8c7a1f", "4 2"),
)
LEGEND_LETTERS = 60


@dataclass(frozen=True, slots=True)
class Step:
    """The part without event from a moment on, its interval, and how many are at risk there."""

    at: float
    part: float
    low: float
    high: float
    at_risk: int


@dataclass(frozen=True, slots=True)
class Curve:
    """One group; its steps ascend."""

    label: str
    steps: tuple[Step, ...]


def survival_plot(curves: Sequence[Curve], *, title: str, axis: str, note: str = "") -> str:
    """Return an SVG document of curves; the same values give the same text.

    Args:
        axis: what time is, with its unit.
        note: one line below.
    """
    across = Scale.around([step.at for curve in curves for step in curve.steps], left=INSIDE, right=RIGHT)
    upwards = Scale(0.0, 1.0, BOTTOM, TOP + 16, 0.25)
    parts = [
        f'<path class="axis" d="M{INSIDE} {TOP + 16}V{BOTTOM}H{RIGHT}" stroke="currentColor" fill="none"/>',
    ]
    for tick in upwards.ticks():
        y = upwards.place(tick)
        parts.append(
            f'<path class="grid" d="M{INSIDE} {y:.1f}H{RIGHT}" stroke="currentColor" stroke-opacity="0.15"/>'
            f'<text class="tick" x="{INSIDE - 8}" y="{y + 4:.1f}" text-anchor="end" fill="currentColor">'
            f"{100 * tick:.0f} %</text>"
        )
    for tick in across.ticks():
        parts.append(
            f'<text class="tick" x="{across.place(tick):.1f}" y="{BOTTOM + 20}" text-anchor="middle" '
            f'fill="currentColor">{number_text(tick)}</text>'
        )
    parts.append(
        f'<text class="unit" x="{RIGHT}" y="{BOTTOM + 42}" text-anchor="end" fill="currentColor">'
        f"{escape(axis[:80])}</text>"
    )
    for place, curve in enumerate(curves):
        parts += _curve(curve, across, upwards, STYLES[place % len(STYLES)])
    y = BOTTOM + 66
    parts.append(f'<text x="{LEFT}" y="{y}" font-weight="bold" fill="currentColor">At risk</text>')
    for place, curve in enumerate(curves):
        y += 22
        parts += _legend(curve, y, across, STYLES[place % len(STYLES)])
        y += 18
    if note:
        y += 24
        parts.append(f'<text class="note" x="{LEFT}" y="{y}" fill="currentColor">{escape(note)}</text>')
    height = y + 16
    said = "; ".join(
        f"{curve.label}: {100 * curve.steps[-1].part:.0f} % from {number_text(curve.steps[-1].at)} on"
        for curve in curves
        if curve.steps
    )
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="t d" font-family="sans-serif" font-size="13">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(f"Part without event by time. {said}.")}</desc>',
        f'<text class="title" x="{LEFT}" y="24" font-size="16" fill="currentColor">{escape(title[:80])}</text>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _curve(curve: Curve, across: Scale, upwards: Scale, style: tuple[str, str]) -> list[str]:
    colour, dashes = style
    line = _stairs([(step.at, step.part) for step in curve.steps], across, upwards)
    high = _stairs([(step.at, step.high) for step in curve.steps], across, upwards)
    low = _stairs([(step.at, step.low) for step in curve.steps], across, upwards)
    band = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*high, *reversed(low)])
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in line)
    return [
        f'<polygon class="band" points="{band}" fill="{colour}" fill-opacity="0.15"/>',
        f'<path class="curve" d="M{path}" stroke="{colour}" stroke-width="2" fill="none" stroke-dasharray="{dashes}"/>',
    ]


def _stairs(points: list[tuple[float, float]], across: Scale, upwards: Scale) -> list[tuple[float, float]]:
    """Return the corners of a line that stays as it is until the next point, in pixels."""
    corners: list[tuple[float, float]] = []
    for at, part in points:
        x, y = across.place(at), upwards.place(part)
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    return corners


def _legend(curve: Curve, y: int, across: Scale, style: tuple[str, str]) -> list[str]:
    colour, dashes = style
    label = curve.label if len(curve.label) <= LEGEND_LETTERS else curve.label[: LEGEND_LETTERS - 1] + "…"
    parts = [
        f'<path d="M{LEFT} {y - 4}h32" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        f'<text class="group" x="{LEFT + 40}" y="{y}" fill="currentColor">{escape(label)}</text>'
    ]
    for tick in across.ticks():
        left = [step.at_risk for step in curve.steps if step.at <= tick + 1e-9]
        ended = tick > curve.steps[-1].at + 1e-9 if curve.steps else True
        if left and not ended:
            parts.append(
                f'<text class="at-risk" x="{across.place(tick):.1f}" y="{y + 18}" text-anchor="middle" '
                f'fill="currentColor">{left[-1]:,}</text>'
            )
    return parts
