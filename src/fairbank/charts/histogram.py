"""Histograms: one panel per group, one column per bin, as wide as the bin is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fairbank.charts.axes import tick_row
from fairbank.charts.count_marks import BLOCK, CountMarks, largest, right_aligned
from fairbank.charts.figure import NOTE_SIZE, TEXT_SIZE, WIDTH, Drawing, Figure, Table, path, text
from fairbank.charts.scale import Scale, number_text
from fairbank.charts.text_width import fitted
from fairbank.charts.words import count_in_full, count_words, say
from fairbank.ontology.counts import Total, checked

INSIDE, RIGHT = 84, 696
PLOT_HEIGHT = 170
_GAP = 1.5


@dataclass(frozen=True, slots=True)
class Bin:
    """One column: where it begins and ends, how many are in it, and whether it is open at one end.

    Raises:
        TypeError: if `count` is a plain number.
    """

    low: float
    high: float
    count: Total
    label: str
    is_open: bool = False

    def __post_init__(self) -> None:
        """Refuse plain numbers."""
        checked(self.count)


@dataclass(frozen=True, slots=True)
class HistogramPanel:
    """The bins of one group, ascending."""

    name: str
    bins: tuple[Bin, ...]


def histogram(
    panels: Sequence[HistogramPanel],
    *,
    title: str,
    axis: str,
    name: str,
    what: str = "",
    note: str = "",
    now: datetime | None = None,
) -> Figure:
    """Return one panel below the other on common axes.

    Args:
        axis: what the values are, with their unit.
        name: tells this picture from others of the same page.
        what: is counted; subjects by default.
        note: a sentence below.
        now: tells how long counts wait.
    """
    what = what or say("Subjects")
    every = [one for panel in panels for one in panel.bins]
    across = Scale.around(
        [end for one in every for end in (one.low, one.high)], left=INSIDE, right=RIGHT, ticks=8
    )
    most = largest(one.count for one in every)
    drawing, marks = Drawing.headed(title), CountMarks(now)
    for panel in panels:
        _draw(drawing, marks, panel, across, most)
    drawing.add(marks.drawn())
    drawing.y += 8
    drawing.add(text(RIGHT, drawing.y, fitted(axis, RIGHT, TEXT_SIZE), "c-e"))
    drawing.y += 6
    notes = [note] if note else []
    if any(one.is_open for one in every):
        notes.append(say("A column at the end with an arrow is open at that end."))
    drawing.note(*notes, *marks.legend())
    grouped = len(panels) > 1 or any(panel.name for panel in panels)
    rows = tuple(
        (*([panel.name or say("all")] if grouped else []), one.label, count_in_full(one.count, now))
        for panel in panels
        for one in panel.bins
    )
    head = (*([say("Group")] if grouped else []), axis, what)
    said = " ".join(_said(panel, what, axis) for panel in panels) or say("Nothing.")
    return drawing.figure(name, title, said, Table(head, rows, frozenset({len(head) - 1})))


def _said(panel: HistogramPanel, what: str, axis: str) -> str:
    known = [one for one in panel.bins if one.count.at_least]
    hidden = sum(not one.count.at_least and one.count.words() != "0" for one in panel.bins)
    top = max(known, key=lambda one: one.count.at_least, default=None)
    named = f"{panel.name}: " if panel.name else ""
    tallest = (
        say("most in %(bin)s (%(count)s)", bin=top.label, count=count_words(top.count))
        if top is not None
        else say("no bin has a number")
    )
    withheld = ", " + say("%(number)s withheld or not known", number=hidden) if hidden else ""
    bins = say("%(what)s by %(axis)s in %(number)s bins", what=what, axis=axis, number=len(panel.bins))
    return f"{named}{bins}: {tallest}{withheld}."


def _draw(drawing: Drawing, marks: CountMarks, panel: HistogramPanel, across: Scale, most: int) -> None:
    if panel.name:
        drawing.add(text(0, drawing.y + 12, fitted(panel.name, WIDTH, TEXT_SIZE, bold=True), "c-strong"))
        drawing.y += 18
    drawing.y += 8
    bottom = drawing.y + PLOT_HEIGHT
    # A block on top of the tallest column stays inside.
    upwards = Scale.around([0.0, float(most)], left=bottom, right=drawing.y + BLOCK, ticks=4)
    whole = [tick for tick in upwards.ticks() if tick == int(tick)]
    lines = "".join(f"M{INSIDE} {upwards.place(tick):.1f}H{RIGHT}" for tick in whole)
    drawing.add(path(lines, "c-grid"))
    drawing.add(
        right_aligned(
            text(
                INSIDE - 8,
                upwards.place(tick) + 4,
                fitted(number_text(tick), INSIDE - 8, NOTE_SIZE),
                "c-small",
            )
            for tick in whole
        )
    )
    arrows = []
    for one in panel.bins:
        left, right = across.place(one.low) + _GAP, across.place(one.high) - _GAP
        width = max(right - left, 0.5)
        marks.upwards(one.count, left, width, bottom, lambda number: bottom - upwards.place(float(number)))
        if one.is_open:
            x, dx = (left, -5) if one is panel.bins[0] else (right, 5)
            arrows.append(f"M{x:.1f} {bottom - 5:.1f}l{dx} 5l{-dx} 5")
    drawing.add(path(f"M{INSIDE} {bottom:.1f}H{RIGHT}", "c-axis"), path("".join(arrows), "c-on"))
    drawing.add(tick_row([(across.place(tick), number_text(tick)) for tick in across.ticks()], bottom + 20))
    drawing.y = bottom + 30
