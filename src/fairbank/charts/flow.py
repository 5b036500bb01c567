"""From what is held to what has left: a row of counts, each a part of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fairbank.charts.count_marks import BLOCK, CountMarks, largest, right_aligned, told_rows
from fairbank.charts.figure import TEXT_SIZE, WIDTH, Drawing, Figure, Table, fitting_text, text
from fairbank.charts.text_width import fitted
from fairbank.charts.words import count_in_full, count_words, mark, say
from fairbank.ontology.counts import AtLeast, Count, Total, checked

STAGES: Final = (
    mark("held"), mark("matched"), mark("consented"), mark("used"), mark("in outputs"), mark("released"),
)  # fmt: skip
ROW_HEIGHT = 24
BAR_HEIGHT = 15
LEFT = 112
WORDS_ROOM = 240
# Flows that are drawn; the table has all.
DRAWN = 5


@dataclass(frozen=True, slots=True)
class Flow:
    """The counts of one site, in the order of `STAGES`.

    Raises:
        TypeError: if one is a plain number.
        ValueError: if there is not one for each stage.
    """

    label: str
    counts: tuple[Total, ...]

    def __post_init__(self) -> None:
        """Refuse plain numbers, and stages that are missing."""
        for count in self.counts:
            checked(count)
        if len(self.counts) != len(STAGES):
            raise ValueError(f"a flow has {len(STAGES)} counts: {', '.join(STAGES)}")

    def shown(self, k: int) -> tuple[Total, ...]:
        """Return the counts that may stand beside each other: two that are told never differ by fewer than k.

        A later count that would tell of a few who are in the one and not in the other becomes a range.

        >>> stages = [Count.exact(n) for n in (100, 97, 97, 80, 80, 80)]
        >>> [one.words() for one in Flow("north", tuple(stages)).shown(10)]
        ['100', 'at least 91', 'at least 91', '80', '80', '80']
        """
        found: list[Total] = []
        before: int | None = None
        for count in self.counts:
            value = count.value if isinstance(count, Count) else None
            if value is not None and before is not None and 0 < abs(before - value) < k:
                found.append(AtLeast(at_least=max(0, before - k + 1), withheld=1))
                continue
            found.append(count)
            before = value if value is not None else before
        return tuple(found)


def flow_chart(
    flows: Sequence[Flow],
    *,
    title: str,
    name: str,
    k: int,
    what: str = "",
    now: datetime | None = None,
) -> Figure:
    """Return a panel for each flow, with one bar for each stage.

    Args:
        name: tells this picture from others of the same page.
        k: the smallest count that is told of differences.
        what: is counted; subjects by default.
        now: tells how long counts wait.
    """
    told = [(flow.label, flow.shown(k)) for flow in flows]
    stages = [say(stage) for stage in STAGES]
    most = largest(count for _, counts in told for count in counts)
    drawing, marks = Drawing.headed(title), CountMarks(now)
    room = WIDTH - LEFT - BLOCK - WORDS_ROOM
    labels, words = [], []
    for label, counts in told[:DRAWN]:
        if label:
            drawing.add(text(0, drawing.y + 14, fitted(label, WIDTH, TEXT_SIZE, bold=True), "c-strong"))
            drawing.y += 22
        for stage, count in zip(stages, counts, strict=True):
            base = drawing.y + 15
            labels.append(text(LEFT - 8, base, fitted(stage, LEFT - 8, TEXT_SIZE)))
            end = marks.across(count, LEFT, drawing.y + 3, BAR_HEIGHT, lambda number: room * number / most)
            words.append(fitting_text(end + 6, base, count_words(count, now), WORDS_ROOM))
            drawing.y += ROW_HEIGHT
        drawing.y += 8
    drawing.add(right_aligned(labels), marks.drawn(), *words)
    more = [say("%(number)s more in the table.", number=len(told) - DRAWN)] if len(told) > DRAWN else []
    drawing.note(*(more if told else [say("Nothing.")]), *marks.legend())
    rows = tuple((label, *(count_in_full(count, now) for count in counts)) for label, counts in told)
    table = Table((say("Site"), *stages), rows, frozenset(range(1, len(STAGES) + 1)))
    said = " ".join(
        f"{label}: {told_rows(zip(stages, counts, strict=True), now)}" for label, counts in told[:DRAWN]
    )
    return drawing.figure(name, title, f"{what or say('Subjects')}. {said or say('Nothing.')}", table)
