"""An UpSet plot: how many have exactly which of several attributes, for more sets than circles can show.

The sets are attributes within a node or a collection, such as which images or tables a subject has. They are never
people across nodes, because nobody knows who is at two of them.

Source: Lex et al. 2014, UpSet: visualization of intersecting sets; rows and columns are exchanged here, so that names
and numbers are read from left to right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fairbank.charts.count_marks import BLOCK, CountMarks, dots, largest
from fairbank.charts.figure import TEXT_SIZE, WIDTH, Drawing, Figure, Table, fitting_text, path, text
from fairbank.charts.text_width import fitted
from fairbank.charts.words import all_of, count_in_full, count_words, mark, say
from fairbank.ontology.counts import Count, Total, certain, checked, display_order

COLUMN = 24
ROW_HEIGHT = 26
LABEL_HEIGHT = 22
BAR_HEIGHT = 15
WORDS_ROOM = 220
# What is drawn at most; the table has all.
SETS, ROWS = 8, 20


@dataclass(frozen=True, slots=True)
class NamedSet:
    """One attribute and how many have it, whatever else they have.

    Raises:
        TypeError: if `size` is a plain number.
    """

    label: str
    size: Total

    def __post_init__(self) -> None:
        """Refuse plain numbers."""
        checked(self.size)


@dataclass(frozen=True, slots=True)
class Together:
    """How many have exactly these attributes, by their labels, and none of the others.

    Raises:
        TypeError: if `count` is a plain number.
    """

    members: frozenset[str]
    count: Total

    def __post_init__(self) -> None:
        """Refuse plain numbers."""
        checked(self.count)


def guarded(sets: Sequence[NamedSet], rows: Sequence[Together]) -> list[NamedSet]:
    """Return the sets, the size of each that would tell of a withheld row as what is certain of it.

    Several sizes together tell more than each alone. So the size of every set that has a withheld row becomes a range.

    >>> rows = [Together(frozenset({"CT"}), Count.exact(40)), Together(frozenset({"CT", "PET"}), Count.below(10))]
    >>> [each.size.words() for each in guarded([NamedSet("CT", Count.exact(45))], rows)]
    ['at least 40']
    """
    found = []
    for each in sets:
        parts = [row.count for row in rows if each.label in row.members]
        whole = all(isinstance(part, Count) and part.is_exact for part in parts)
        stated = not (isinstance(each.size, Count) and each.size.is_exact)
        found.append(each if whole or stated else NamedSet(each.label, certain(parts)))
    return found


def upset_chart(
    sets: Sequence[NamedSet],
    rows: Sequence[Together],
    *,
    title: str,
    name: str,
    what: str = "",
    now: datetime | None = None,
) -> Figure:
    """Return one row for each combination, the largest first, with a dot for each attribute that it has.

    Args:
        sets: with different labels, in the order of the columns.
        rows: each combination once.
        name: tells this picture from others of the same page.
        what: is counted; subjects by default.
        now: tells how long counts wait.
    """
    what = what or say("Subjects")
    told = guarded(sets, rows)
    columns = told[:SETS]
    ordered = sorted(rows, key=lambda row: (display_order(row.count), sorted(row.members)))
    known = {each.label for each in columns}
    drawable = [row for row in ordered if row.members <= known]
    drawing, marks = Drawing.headed(title), CountMarks(now)
    start = COLUMN * len(columns) + 16
    _labels(drawing, columns, start, now)
    room = WIDTH - start - BLOCK - WORDS_ROOM
    most = largest(row.count for row in drawable[:ROWS])
    held, holes, lines, words = [], [], [], []
    for row in drawable[:ROWS]:
        middle = drawing.y + ROW_HEIGHT / 2
        places = [COLUMN * number + COLUMN / 2 for number in range(len(columns))]
        inside = [x for x, each in zip(places, columns, strict=True) if each.label in row.members]
        held += [(x, middle) for x in inside]
        holes += [(x, middle) for x in places if x not in inside]
        if len(inside) > 1:
            lines.append(f"M{inside[0]:g} {middle:g}H{inside[-1]:g}")
        end = marks.across(
            row.count, start, middle - BAR_HEIGHT / 2, BAR_HEIGHT, lambda number: room * number / most
        )
        words.append(fitting_text(end + 6, middle + 5, count_words(row.count, now), WORDS_ROOM))
        drawing.y += ROW_HEIGHT
    drawing.add(
        path("".join(lines), "c-on"), dots(holes, "c-hole"), dots(held, "c-dot"), marks.drawn(), *words
    )
    left_out = len(rows) - min(len(drawable), ROWS)
    notes = []
    if left_out:
        left = mark("Not drawn, but in the table: %(number)s of %(all)s combinations.")
        notes = [say(left, number=left_out, all=len(rows))]
    if not rows:
        notes = [say("Nothing.")]
    drawing.note(say("Each row: those who have exactly what its dots name."), *notes, *marks.legend())
    top = "; ".join(f"{_named(sorted(row.members))}: {count_words(row.count, now)}" for row in ordered[:4])
    said = say(
        "%(what)s by what they have, %(sets)s attributes, %(rows)s combinations.",
        what=what,
        sets=len(sets),
        rows=len(rows),
    )
    said = f"{said} {top}." if top else f"{said} {say('Nothing.')}"
    return drawing.figure(name, title, said, _table(told, ordered, what, now))


def _named(members: Sequence[str]) -> str:
    return all_of(members) if members else say("none of them")


def _labels(drawing: Drawing, columns: Sequence[NamedSet], start: float, now: datetime | None) -> None:
    """Write the name of each column on a line of its own, with a line that leads down to it.

    The first name is the topmost and its column the leftmost, so that no line crosses a name or another line.
    """
    foot = drawing.y + LABEL_HEIGHT * len(columns)
    leaders = []
    for number, each in enumerate(columns):
        y = drawing.y + LABEL_HEIGHT / 2
        leaders.append(f"M{start - 4:g} {y:g}H{COLUMN * number + COLUMN / 2:g}V{foot:g}")
        words = f": {count_words(each.size, now)}"
        label = fitted(each.label, WIDTH - start - WORDS_ROOM, TEXT_SIZE)
        drawing.add(text(start, y + 5, fitted(label + words, WIDTH - start, TEXT_SIZE)))
        drawing.y += LABEL_HEIGHT
    drawing.add(path("".join(leaders), "c-axis"))
    drawing.y = foot + 4


def _table(sets: Sequence[NamedSet], rows: Sequence[Together], what: str, now: datetime | None) -> Table:
    of_sets = [(each.label, say("whatever else they have"), count_in_full(each.size, now)) for each in sets]
    labels = [each.label for each in sets]
    of_rows = [
        (
            _named([label for label in labels if label in row.members]),
            say("exactly"),
            count_in_full(row.count, now),
        )
        for row in rows
    ]
    return Table((say("Attributes"), say("How"), what), (*of_sets, *of_rows), frozenset({2}))
