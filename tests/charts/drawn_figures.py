"""What the tests of charts share: one figure of each kind, and where its texts are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from xml.etree import ElementTree

from fairbank.charts.bars import Bar, bar_chart
from fairbank.charts.fairness import SiteResult, fairness_chart
from fairbank.charts.figure import NOTE_SIZE, TEXT_SIZE, TITLE_SIZE, WIDTH, Figure
from fairbank.charts.flow import STAGES, Flow, flow_chart
from fairbank.charts.histogram import Bin, HistogramPanel, histogram
from fairbank.charts.rounds import RoundCurve, round_chart
from fairbank.charts.text_width import text_width
from fairbank.charts.upset import NamedSet, Together, upset_chart
from fairbank.ontology.counts import Total

Box = tuple[float, float, float, float]
# The part of the font size above and below the foot of a line (DejaVu Sans 2.37, table `hhea`).
_ABOVE, _BELOW = 0.93, 0.24


def bars(labels: Sequence[str], counts: Sequence[Total], title: str) -> Figure:
    return bar_chart(
        [Bar(label, count) for label, count in zip(labels, counts, strict=True)], title=title, name="b"
    )


def bins(labels: Sequence[str], counts: Sequence[Total], title: str) -> Figure:
    made = tuple(Bin(float(at), at + 1.0, count, f"{at} to {at + 1}") for at, count in enumerate(counts))
    panels = [HistogramPanel(label, made) for label in labels[:2]]
    return histogram(panels, title=title, axis="Alter in Jahren", name="h")


def sets(labels: Sequence[str], counts: Sequence[Total], title: str) -> Figure:
    names = list(dict.fromkeys(labels))
    rows = {
        frozenset(members): count
        for members, count in zip(
            (each for size in (1, 2, 3) for each in combinations(names, size)), counts, strict=False
        )
    }
    named = [NamedSet(name, count) for name, count in zip(names, counts, strict=False)]
    return upset_chart(named, [Together(*row) for row in rows.items()], title=title, name="u")


def curves(labels: Sequence[str], counts: Sequence[Total], title: str) -> Figure:
    made = [
        RoundCurve(
            label,
            tuple((at, None if (at + place) % 4 == 3 else 1 / (at + place + 1)) for at in range(8)),
            marked=place == 0,
        )
        for place, label in enumerate(labels)
    ]
    return round_chart(made, title=title, axis="Dice", name="c", higher_is_better=True)


def fairness(labels: Sequence[str], counts: Sequence[Total], title: str) -> Figure:
    made = [
        SiteResult(label, 0.5 + place / 100, count, 0.4, 0.6 + place / 100)
        for place, (label, count) in enumerate(zip(labels, counts, strict=True))
    ]
    return fairness_chart(made, title=title, axis="Flächenmaß", name="f")


def flows(labels: Sequence[str], counts: Sequence[Total], title: str) -> Figure:
    stages = [
        tuple(counts[(at + step) % len(counts)] for step in range(len(STAGES))) for at in range(len(counts))
    ]
    return flow_chart([Flow(*each) for each in zip(labels, stages, strict=True)], title=title, name="w", k=10)


KINDS: tuple[Callable[[Sequence[str], Sequence[Total], str], Figure], ...] = (
    bars, bins, sets, curves, fairness, flows,
)  # fmt: skip


def parsed(figure: Figure) -> ElementTree.Element:
    return ElementTree.fromstring(figure.svg())


def texts(figure: Figure) -> list[tuple[str, Box]]:
    """Return every text with its frame: left, top, right, bottom."""
    return list(_texts(parsed(figure), ()))


def _texts(element: ElementTree.Element, around: tuple[str, ...]):
    classes = (*around, *element.get("class", "").split())
    if element.tag == "text":
        size = (
            TITLE_SIZE
            if "c-title" in classes
            else NOTE_SIZE
            if {"c-note", "c-small"} & {*classes}
            else TEXT_SIZE
        )
        width = text_width(element.text or "", size, bold=bool({"c-title", "c-strong"} & {*classes}))
        x, y = float(element.get("x", "0")), float(element.get("y", "0"))
        left = x - width if "c-e" in classes else x - width / 2 if "c-m" in classes else x
        yield element.text or "", (left, y - _ABOVE * size, left + width, y + _BELOW * size)
    for inner in element:
        yield from _texts(inner, classes)


def faults(figure: Figure) -> list[str]:
    """Return which texts leave the picture, and which two meet."""
    found = texts(figure)
    # Places are written with one digit.
    slack = 0.11
    outside = [
        words
        for words, (left, top, right, bottom) in found
        if left < -slack or top < -slack or right > WIDTH + slack or bottom > figure.height + slack
    ]
    meeting = [
        f"{one} | {other}"
        for (one, a), (other, b) in combinations(found, 2)
        if a[0] + slack < b[2] and b[0] + slack < a[2] and a[1] + slack < b[3] and b[1] + slack < a[3]
    ]
    return [*outside, *meeting]
