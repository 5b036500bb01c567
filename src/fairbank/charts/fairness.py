"""How a model does at each site: a point with its 95 % interval, hollow where few cases stand behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fairbank.charts.axes import tick_row
from fairbank.charts.count_marks import dots, right_aligned
from fairbank.charts.figure import TEXT_SIZE, WIDTH, Drawing, Figure, Table, path, place, text
from fairbank.charts.scale import Scale, number_text
from fairbank.charts.text_width import fitted, text_width
from fairbank.charts.words import count_in_full, count_words, mark, say
from fairbank.ontology.counts import Total, checked

ROW_HEIGHT = 28
LABEL_ROOM = 260
WORDS_ROOM = 260


@dataclass(frozen=True, slots=True)
class SiteResult:
    """One site: its value, the ends of the 95 % interval where there is one, and how many cases it is of.

    Raises:
        TypeError: if `cases` is a plain number.
    """

    label: str
    value: float
    cases: Total
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Refuse plain numbers."""
        checked(self.cases)

    def is_of_few(self, few: int) -> bool:
        """Tell whether the cases are fewer than `few`, or not surely as many."""
        return self.cases.at_least < few

    @property
    def words(self) -> str:
        """Return value and interval as text."""
        if self.low is None or self.high is None:
            return f"{number_text(self.value)}, " + say("no interval")
        return f"{number_text(self.value)} [{number_text(self.low)}, {number_text(self.high)}]"


def gap_of(sites: Sequence[SiteResult], few: int) -> float | None:
    """Return how far the best and the worst site are apart, of those with enough cases; None of fewer than two.

    >>> from fairbank.ontology.counts import Count
    >>> sites = [SiteResult("a", 0.9, Count.exact(50)), SiteResult("b", 0.8, Count.exact(40))]
    >>> round(gap_of([*sites, SiteResult("c", 0.1, Count.below(10))], few=20), 6)
    0.1
    """
    values = [site.value for site in sites if not site.is_of_few(few)]
    return max(values) - min(values) if len(values) > 1 else None


def fairness_chart(
    sites: Sequence[SiteResult],
    *,
    title: str,
    axis: str,
    name: str,
    few: int = 20,
    now: datetime | None = None,
) -> Figure:
    """Return one row per site.

    Args:
        axis: what the values are, with their unit.
        name: tells this picture from others of the same page.
        few: sites with fewer cases are hollow, and no part of the gap.
        now: tells how long counts wait.
    """
    drawing = Drawing.headed(title)
    ends = [end for site in sites for end in (site.value, site.low, site.high) if end is not None]
    label_room = min(LABEL_ROOM, max([0.0, *(text_width(site.label, TEXT_SIZE) for site in sites)]))
    left = label_room + 16
    scale = Scale.around(ends, left=left, right=WIDTH - WORDS_ROOM - 16, ticks=4)
    top = drawing.y
    full, hollow, intervals, labels, words = [], [], [], [], []
    for site in sites:
        middle = drawing.y + 12
        labels.append(text(left - 16, middle + 5, fitted(site.label, label_room, TEXT_SIZE)))
        cases = say("%(count)s cases", count=count_words(site.cases, now))
        told = fitted(f"{site.words}, {cases}", WORDS_ROOM, TEXT_SIZE)
        words.append(text(WIDTH - WORDS_ROOM, middle + 5, told))
        x = scale.place(site.value)
        if site.low is not None and site.high is not None:
            intervals.append(f"{place(scale.place(site.low), middle, 'M')}H{scale.place(site.high):.1f}")
        if site.is_of_few(few):
            hollow.append((x, middle))
        else:
            full.append((x, middle))
        drawing.y += ROW_HEIGHT
    grid = "".join(f"M{scale.place(tick):.1f} {top:.1f}V{drawing.y + 4:.1f}" for tick in scale.ticks())
    drawing.add(path(grid, "c-grid"), right_aligned(labels), path("".join(intervals), "c-l c-s0"))
    drawing.add(dots(full, "c-point c-s0"), dots(hollow, "c-point c-s0"), dots(hollow, "c-hollow"), *words)
    drawing.add(tick_row([(scale.place(tick), number_text(tick)) for tick in scale.ticks()], drawing.y + 18))
    drawing.y += 40
    drawing.add(text(0, drawing.y, fitted(axis, WIDTH, TEXT_SIZE)))
    drawing.y += 4
    gap = gap_of(sites, few)
    said = (
        say("Best and worst site are %(gap)s apart.", gap=number_text(gap))
        if gap is not None
        else say("Fewer than two sites have enough cases to compare.")
    )
    hollow_words = mark("Hollow: fewer than %(few)s cases, or not known; not in the comparison.")
    drawing.note(said, say("Lines: 95 % interval.") + " " + say(hollow_words, few=few))
    rows = tuple(
        (
            site.label,
            number_text(site.value),
            *(number_text(end) if end is not None else say("no interval") for end in (site.low, site.high)),
            count_in_full(site.cases, now),
            say("no: few cases") if site.is_of_few(few) else say("yes"),
        )
        for site in sites
    )
    head = (say("Site"), axis, say("95 % from"), say("to"), say("Cases"), say("Compared"))
    described = say("%(axis)s by site.", axis=axis) + " " + said
    return drawing.figure(name, title, described, Table(head, rows, frozenset({1, 2, 3, 4})))
