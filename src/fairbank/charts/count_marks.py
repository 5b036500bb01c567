"""How counts look, in every chart alike: what is known is solid, and what is not is a block of one fixed size.

- exact: as long as the number; a true zero has no mark, and the text 0;
- fewer than k: a hatched block that is never scaled, so that nobody reads a number off it, and never nothing;
- at least n: as long as n, with a hatched block at its end;
- waiting, declined, not countable: a dashed empty block.

Text says the same beside each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Final

from fairbank.charts.figure import box, group, path, place, short
from fairbank.charts.words import count_words, say
from fairbank.ontology.counts import AtLeast, Count, CountKind, Total

BLOCK: Final = 24.0
_STRIPES: Final = 4


@dataclass(slots=True)
class CountMarks:
    """Collects the marks of the counts of one picture, so that each kind is one path.

    Attributes:
        now: tells how long counts wait; None: since when.
    """

    now: datetime | None = None
    _solid: list[str] = field(default_factory=list)
    _hatched: list[str] = field(default_factory=list)
    _dashed: list[str] = field(default_factory=list)
    _seen: list[Total] = field(default_factory=list)

    def across(
        self, count: Total, x: float, y: float, height: float, length: Callable[[int], float]
    ) -> float:
        """Draw a count as a bar to the right, and return where it ends.

        Args:
            length: of a number in pixels.
        """
        self._seen.append(count)
        end = x
        if count.at_least:
            end = x + max(1.0, length(count.at_least))
            self._solid.append(box(x, y, end - x, height))
        if isinstance(count, AtLeast) or count.kind is CountKind.BELOW_K:
            self._hatched.append(_hatching(end, y, BLOCK, height))
            return end + BLOCK
        if not count.is_exact:
            self._dashed.append(box(end, y, BLOCK, height))
            return end + BLOCK
        return end

    def upwards(
        self, count: Total, x: float, width: float, foot: float, length: Callable[[int], float]
    ) -> float:
        """Draw a count as a column of some width that stands on `foot`, and return where its head is."""
        self._seen.append(count)
        head = foot
        if count.at_least:
            head = foot - max(1.0, length(count.at_least))
            self._solid.append(box(x, head, width, foot - head))
        if isinstance(count, AtLeast) or count.kind is CountKind.BELOW_K:
            self._hatched.append(_hatching(x, head - BLOCK, width, BLOCK))
            return head - BLOCK
        if not count.is_exact:
            self._dashed.append(box(x, head - BLOCK, width, BLOCK))
            return head - BLOCK
        return head

    def drawn(self) -> str:
        """Return all marks."""
        return (
            path("".join(self._solid), "c-bar")
            + path("".join(self._hatched), "c-few")
            + path("".join(self._dashed), "c-open")
        )

    def legend(self) -> list[str]:
        """Return a sentence for each kind of mark that is there, apart from exact ones."""
        limits = sorted({each.k for each in self._seen if isinstance(each, Count) and each.k is not None})
        said = []
        if limits:
            words = [count_words(Count.below(limit)) for limit in limits]
            said.append(
                say(
                    "Hatched: %(words)s, or withheld to protect such a count; "
                    "the block has the same size whatever the number.",
                    words=reduce(_or, words),
                )
            )
        if any(isinstance(each, AtLeast) for each in self._seen):
            said.append(say("Solid with a hatched end: at least this many."))
        if self._dashed:
            said.append(say("Dashed: no number; the text and the table say why."))
        return said


def told_rows(rows: Iterable[tuple[str, Total]], now: datetime | None, *, most: int = 8) -> str:
    """Return the first rows as a sentence for the description, and how many more the table has.

    >>> told_rows([("CT", Count.exact(12)), ("MR", Count.below(10))], None)
    'CT: 12; MR: fewer than 10.'
    """
    listed = list(rows)
    said = "; ".join(f"{label}: {count_words(count, now)}" for label, count in listed[:most])
    if not listed:
        return say("Nothing.")
    more = len(listed) - most
    return f"{said}; {and_more(more)}." if more > 0 else f"{said}."


def and_more(number: int) -> str:
    """Return how many rows the table has beside those that are told."""
    return say("and %(number)s more in the table", number=number)


def largest(counts: Iterable[Total]) -> int:
    """Return the largest number that is certain, at least 1."""
    return max([1, *(count.at_least for count in counts)])


def dots(points: Iterable[tuple[float, float]], classes: str) -> str:
    """Return round marks as one path."""
    return path("".join(f"{place(x, y, 'M')}h0" for x, y in points), classes)


def right_aligned(parts: Iterable[str]) -> str:
    """Return texts that end where they are placed."""
    return group("c-e", parts)


def _or(one: str, other: str) -> str:
    return say("%(one)s or %(other)s", one=one, other=other)


def _hatching(x: float, y: float, width: float, height: float) -> str:
    """Return an outline with stripes inside it, all lengths positive."""
    rise, step = short(height), short(width / _STRIPES)
    return box(x, y, width, height) + f"m0 {rise}l{step} -{rise}" * _STRIPES
