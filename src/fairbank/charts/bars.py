"""Horizontal bars of counts by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fairbank.charts.count_marks import BLOCK, CountMarks, and_more, largest, right_aligned
from fairbank.charts.figure import TEXT_SIZE, WIDTH, Drawing, Figure, Table, box, path, text
from fairbank.charts.text_width import fitted, text_width
from fairbank.charts.words import count_in_full, count_words, say
from fairbank.ontology.counts import Count, Total, checked, shown_total

ROW_HEIGHT = 26
BAR_HEIGHT = 17
LABEL_ROOM = 320
WORDS_ROOM = 220
GAP = 8
# Rows that are said in the description; the table has all.
TOLD = 8


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity that is no count, such as a share: how much, >= 0, and its words."""

    value: float
    words: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a name and how many.

    Raises:
        TypeError: if `value` is a plain number.
    """

    label: str
    value: Total | Amount

    def __post_init__(self) -> None:
        """Refuse plain numbers."""
        if not isinstance(self.value, Amount):
            checked(self.value)

    def words(self, now: datetime | None) -> str:
        """Return how many as short text."""
        return self.value.words if isinstance(self.value, Amount) else count_words(self.value, now)

    def in_full(self, now: datetime | None) -> str:
        """Return how many as text, with the reason where it is not known."""
        return self.value.words if isinstance(self.value, Amount) else count_in_full(self.value, now)


def bar_chart(
    bars: Sequence[Bar],
    *,
    title: str,
    name: str,
    head: tuple[str, str] | None = None,
    total: Total | None = None,
    note: str = "",
    now: datetime | None = None,
) -> Figure:
    """Return one row per bar.

    Args:
        bars: in the order of the rows.
        title: what is counted.
        name: tells this picture from others of the same page.
        head: what the rows are, and what is counted, for the table; None: names and counts.
        total: of all rows, which then add up to it. It becomes a range where it would tell a row that is withheld.
        note: a sentence below.
        now: tells how long counts wait.
    """
    counts = [bar.value for bar in bars if not isinstance(bar.value, Amount)]
    amounts = [bar.value.value for bar in bars if isinstance(bar.value, Amount)]
    drawing, marks = Drawing.headed(title), CountMarks(now)
    widest = max([0.0, *(text_width(bar.label, TEXT_SIZE) for bar in bars)])
    # Not worked out again from `x`: a rounding error would cut a name that fits.
    label_room = min(LABEL_ROOM, widest)
    x = label_room + GAP
    words_room = min(WORDS_ROOM, max([40.0, *(text_width(bar.words(now), TEXT_SIZE) for bar in bars)]) + GAP)
    room = WIDTH - x - words_room - BLOCK - 2 * GAP
    most = max([float(largest(counts)) if counts else 0.0, *amounts, 1e-9])
    labels, words, solid = [], [], []
    for bar in bars:
        top, base = drawing.y + 4, drawing.y + 17
        labels.append(text(x - GAP, base, fitted(bar.label, label_room, TEXT_SIZE)))
        if isinstance(bar.value, Amount):
            end = x + room * max(0.0, bar.value.value) / most
            solid.append(box(x, top, end - x, BAR_HEIGHT))
        else:
            end = marks.across(bar.value, x, top, BAR_HEIGHT, lambda number: room * number / most)
        words.append(text(end + 6, base, fitted(bar.words(now), words_room, TEXT_SIZE)))
        drawing.y += ROW_HEIGHT
    drawing.add(right_aligned(labels), path("".join(solid), "c-bar"), marks.drawn(), *words)
    if not bars:
        drawing.y += 20
        drawing.add(text(0, drawing.y - 4, say("Nothing.")))
    rows = [(bar.label, bar.in_full(now)) for bar in bars]
    said = [f"{bar.label}: {bar.words(now)}" for bar in bars[:TOLD]]
    if len(bars) > TOLD:
        said.append(and_more(len(bars) - TOLD))
    if total is not None:
        shown = shown_total(counts, total)
        drawing.y += ROW_HEIGHT
        together = say("All together: %(count)s", count=count_words(shown, now))
        drawing.add(text(0, drawing.y - 8, together, "c-strong"))
        rows.append((say("All together"), count_in_full(shown, now)))
        said.append(say("all together: %(count)s", count=count_words(shown, now)))
    drawing.note(*([note] if note else []), *marks.legend())
    table = Table(head or (say("Name"), say("Count")), tuple(rows), frozenset({1}))
    return drawing.figure(name, title, f"{'; '.join(said)}." if said else say("Nothing."), table)


def counted(label: str, number: int) -> Bar:
    """Return a row of a number that is known exactly where it is shown, such as of files at the node that has them."""
    return Bar(label, Count.exact(number))
