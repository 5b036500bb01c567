"""What two publications tell together: no difference of their counts may be about a few subjects only.

Two records of a dataset are compared as a reader would compare them, by what they publish alone. With the smallest
count k and the counts that both tell, and those that follow from a total less the parts that both tell:

1. **No small step.** Each differs by nothing or by k and more.
2. **No value carried over.** A reader may take a count that one record tells, and the other withholds, to be the same
   in both. Filled in there, it must not leave a part that is withheld alone, nor withheld parts of together fewer than
   k. Any choice of values is filled in where they are few; one, all but one and all of them where they are many. What
   contradicts the other record tells nothing.

Counts that are rounded tell an interval. It is a small step, or a small rest, if all of it is.

`leaks` judges published records only, so the gate can apply it to any candidate and any record before it. That at
least k subjects stand behind each difference is the work of `next_publication`, which knows the subjects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations
from typing import Final

from fairbank.clock import parse_iso
from fairbank.ontology.counts import Count
from fairbank.ontology.record import DatasetRecord
from fairbank.release.contributions import Key
from fairbank.release.published_counts import Partition, counts_of, exact_counts, partitions, words_of

# Of so many values every choice is tried.
_FEW: Final = 8


@dataclass(frozen=True, slots=True)
class Leak:
    """Something about few subjects that two publications tell together.

    Attributes:
        text: what it is, without a number.
        keys: the counts that it is about; where a value is carried over, those that are then told, if any.
        protecting: the other counts that are withheld with them.
        weights: where it is a difference, how much each count adds to it; empty for a value carried over.
        hide: what the later record must withhold too, where the earlier did.
    """

    text: str
    keys: frozenset[Key]
    weights: Mapping[Key, int] = field(default_factory=dict)
    hide: frozenset[Key] = frozenset()
    protecting: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Told:
    """What one record tells: its exact counts, all counts that it lists, what adds up, and how far it is rounded."""

    exact: Mapping[Key, int]
    listed: frozenset[Key]
    partitions: Mapping[Key, Partition]
    error: int

    @classmethod
    def by(cls, record: DatasetRecord) -> Told:
        """Return what a record tells."""
        return cls(
            exact_counts(record),
            frozenset(counts_of(record)),
            {each.name: each for each in partitions(record)},
            (record.rounded_to or 1) // 2,
        )

    def part(self, key: Key) -> int | None:
        """Return a part of a partition that this record has: 0 if it is not listed, None if it is withheld."""
        return self.exact.get(key) if key in self.listed else 0


def leaks(earlier: Told, later: Told, k: int) -> list[Leak]:
    """Return what two publications of a dataset tell together about fewer than k; nothing if they may both be known."""
    return [
        *(
            Leak(f"The number of {_words_of(step)} differs by few.", frozenset(step), step)
            for step in steps(earlier, later)
            if _is_small_step(step, earlier, later, k)
        ),
        *_carried_over(earlier, later, k, hide=True),
        *_carried_over(later, earlier, k, hide=False),
    ]


def steps(earlier: Told, later: Told) -> Iterator[Mapping[Key, int]]:
    """Yield every combination of counts whose value both records tell, as the weight of each count."""
    for key in earlier.exact.keys() & later.exact.keys():
        yield {key: 1}
    for name in earlier.partitions.keys() & later.partitions.keys():
        total = earlier.partitions[name].total
        if total not in earlier.exact or total not in later.exact:
            continue
        parts = {*earlier.partitions[name].parts, *later.partitions[name].parts}
        known = {key for key in parts if None not in (earlier.part(key), later.part(key))}
        if known and (known != parts or later.partitions[name].open):
            yield {total: 1, **dict.fromkeys(sorted(known), -1)}


def differ(earlier: DatasetRecord, later: DatasetRecord) -> bool:
    """Tell whether two records publish other counts."""
    return counts_of(earlier) != counts_of(later)


def next_due(published: Sequence[DatasetRecord], *, days: int) -> datetime | None:
    """Return from when on other counts may be published; None if they may at any time.

    Args:
        published: the records of a dataset so far, oldest first.
        days: how long counts stay as they are.
    """
    if not published:
        return None
    changed = published[0]
    before: Mapping[Key, Count] = counts_of(changed)
    for record in published[1:]:
        counts = counts_of(record)
        if counts != before:
            changed, before = record, counts
    return parse_iso(changed.created) + timedelta(days=days)


def faults(
    published: Sequence[DatasetRecord], candidate: DatasetRecord, k: int, *, days: int = 0
) -> list[str]:
    """Return why a record may not follow those that were published; nothing if it may.

    Args:
        published: the records of the dataset so far, oldest first.
        days: how long counts stay as they are.
    """
    if not published or not differ(published[-1], candidate):
        # Everything that it tells has been told.
        return []
    found = []
    due = next_due(published, days=days)
    if due is not None and parse_iso(candidate.created) < due:
        found.append("Its counts change before the next publication of counts is due.")
    told = Told.by(candidate)
    small = [leak for record in published for leak in leaks(Told.by(record), told, k)]
    if small:
        found.append(f"Compared with an earlier record it tells about few subjects. {small[0].text}")
    return found


def _is_small_step(step: Mapping[Key, int], earlier: Told, later: Told, k: int) -> bool:
    difference = abs(
        sum(weight * (_value(later, key) - _value(earlier, key)) for key, weight in step.items())
    )
    error = len(step) * (earlier.error + later.error)
    return difference - error > 0 and difference + error < k


def _carried_over(withholding: Told, telling: Told, k: int, *, hide: bool) -> Iterator[Leak]:
    for name, partition in withholding.partitions.items():
        if partition.total not in withholding.exact:
            continue
        hidden = [key for key in partition.parts if withholding.part(key) is None]
        told = {key: telling.exact.get(key, 0) for key in hidden}
        carried = [key for key in hidden if told[key] > 0]
        if not carried:
            continue
        shown = [key for key in partition.parts if withholding.part(key) is not None]
        rest = withholding.exact[partition.total] - sum(withholding.exact[key] for key in shown)
        error = withholding.error * (1 + len(shown))
        for filled, number in _choices([told[key] for key in carried]):
            left, uncertain = len(hidden) - number, error + telling.error * number
            if _tells_few(rest - filled, left, error=uncertain, k=k, open_=partition.open):
                text = f"What is withheld among the {' '.join(name)} can be worked out from another record."
                yield Leak(
                    text,
                    frozenset(hidden) - frozenset(carried),
                    hide=frozenset(carried if hide else ()),
                    protecting=frozenset(carried),
                )
                break


def _tells_few(rest: int, left: int, *, error: int, k: int, open_: bool) -> bool:
    """Tell whether withheld parts of this sum are few, or one alone; each part counts at least one."""
    fewest = left + 1 if open_ else left
    if (left == 0 and not open_) or rest + error < fewest:
        return False
    alone = left == 1 and not open_ and error == 0
    return alone or rest + error < k


def _choices(values: list[int]) -> Iterator[tuple[int, int]]:
    """Yield sum and number of values that a reader takes over: any of few; one, all but one and all of many."""
    if len(values) <= _FEW:
        for number in range(1, len(values) + 1):
            yield from ((sum(taken), number) for taken in combinations(values, number))
        return
    together = sum(values)
    yield together, len(values)
    for value in set(values):
        yield value, 1
        yield together - value, len(values) - 1


def _value(told: Told, key: Key) -> int:
    return told.exact.get(key, 0)


def _words_of(step: Mapping[Key, int]) -> str:
    first = next(iter(step))
    return words_of(first) if len(step) == 1 else f"{words_of(first)} less what both show"
