"""Which of the changes since the last publication the next one may show: as many as tell about nobody alone.

Published counts are those of a state of the dataset that the node remembers, subject by subject. The next state takes
over what changed of some subjects, whole subjects only, such that

1. each count that both records tell, and each total less the parts that both tell, changes by the additions of nobody
   or of at least k subjects;
2. `differencing` finds nothing between the record and any that was published before.

The changes of all subjects are tried first. While something is against a rule, the subjects that take part in it are
put off, or a count that was withheld before stays so, and the rest is tried again. So all numbers of a record belong
together and can be added and subtracted. Where nothing is left, the counts stay as they are.

For rule 1 alone the largest part is the only one that there is: two sets of subjects that keep it keep it together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fairbank.ontology.record import DatasetRecord
from fairbank.release.contributions import Contributions, Key
from fairbank.release.differencing import Leak, Told, differ, leaks, steps
from fairbank.release.disclosure import suppress_record
from fairbank.release.published_counts import total_key
from fairbank.release.rounding import round_record, smallest_count

ExactRecord = Callable[[Mapping[Key, int]], DatasetRecord]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site asks of published counts: the smallest count of subjects, and what counts are rounded to."""

    k: int
    base: int = 1

    @property
    def smallest(self) -> int:
        """Return the smallest count that may leave: k, or the next multiple of the base."""
        return smallest_count(self.k, self.base)

    def applied(self, exact: DatasetRecord, withheld: Collection[Key] = frozenset()) -> DatasetRecord:
        """Return a record as it may leave by itself: small counts withheld, the others rounded.

        Args:
            withheld: keys of counts to withhold for another reason.
        """
        return round_record(suppress_record(exact, self.smallest, withheld=withheld), self.base)


@dataclass(frozen=True, slots=True)
class Next:
    """The next publication.

    Attributes:
        contributions: the state that its counts are of.
        exact: the record with the exact counts of that state.
        record: the record as it may leave.
        put_off: how many subjects have changes that it does not show yet.
        waiting: the counts that would be others if it did.
    """

    contributions: Contributions
    exact: DatasetRecord
    record: DatasetRecord
    put_off: int
    waiting: frozenset[Key]


def first_publication(now: Contributions, *, rules: Rules, exact_of: ExactRecord) -> Next:
    """Return the publication of a dataset that was not published before."""
    exact = exact_of(now.totals())
    return Next(now, exact, rules.applied(exact), 0, frozenset())


def next_publication(
    before: Contributions,
    now: Contributions,
    published: Sequence[DatasetRecord],
    *,
    rules: Rules,
    exact_of: ExactRecord,
) -> Next | None:
    """Return the publication that shows most of what changed; None if it would show nothing.

    Args:
        before: the state that was published last.
        now: the present state, with keys numbered like those of `before`.
        published: every record of the dataset that was or will be published, oldest first, at least one.
        exact_of: makes the record of given counts.
    """
    changed = {
        subject: {now.keys[number]: amount for number, amount in moved.items()}
        for subject, moved in before.changes(now)
    }
    told = [Told.by(record) for record in published]
    base, batch, withheld = before.totals(), dict(changed), frozenset[Key]()
    while True:
        counts = _changed(base, batch)
        if not counts.get(total_key("series")):
            return None
        exact = exact_of(counts)
        record = rules.applied(exact, withheld)
        now_told = Told.by(record)
        found = [leak for earlier in told for leak in leaks(earlier, now_told, rules.smallest)]
        hide = frozenset[Key]().union(*(leak.hide for leak in found)) - withheld
        if hide:
            withheld |= hide
            continue
        out = _standing_alone(batch, steps(told[-1], now_told), rules.smallest)
        out = out.union(*(_taking_part(batch, leak) for leak in found))
        if out:
            batch = {subject: moved for subject, moved in batch.items() if subject not in out}
            continue
        # If something is found and nobody's change is behind it, the rules themselves have changed.
        if found or not (batch or differ(published[-1], record)):
            return None
        return _next(before, now, changed, frozenset(batch), exact, record)


def _next(
    before: Contributions,
    now: Contributions,
    changed: Mapping[str, Mapping[Key, int]],
    batch: frozenset[str],
    exact: DatasetRecord,
    record: DatasetRecord,
) -> Next:
    put_off = {subject: moved for subject, moved in changed.items() if subject not in batch}
    waiting = frozenset(key for moved in put_off.values() for key in moved)
    return Next(before.taken_over(now, batch), exact, record, len(put_off), waiting)


def _changed(base: Mapping[Key, int], batch: Mapping[str, Mapping[Key, int]]) -> dict[Key, int]:
    counts = Counter(base)
    for moved in batch.values():
        for key, amount in moved.items():
            counts[key] += amount
    return {key: value for key, value in counts.items() if value}


def _standing_alone(
    batch: Mapping[str, Mapping[Key, int]], possible: Iterable[Mapping[Key, int]], k: int
) -> set[str]:
    """Return the subjects whose additions make a step that those of fewer than k subjects make."""
    all_steps = list(possible)
    by_key: dict[Key, list[int]] = defaultdict(list)
    for place, step in enumerate(all_steps):
        for key in step:
            by_key[key].append(place)
    making: dict[int, list[str]] = defaultdict(list)
    for subject, moved in batch.items():
        for place in {place for key in moved for place in by_key.get(key, ())}:
            if _added(all_steps[place], moved):
                making[place].append(subject)
    return {subject for subjects in making.values() if len(subjects) < k for subject in subjects}


def _taking_part(batch: Mapping[str, Mapping[Key, int]], leak: Leak) -> set[str]:
    if not leak.weights:
        # Those in what would be told wait first; if there are none, those in what protects it no longer.
        few = {subject for subject, moved in batch.items() if leak.keys & moved.keys()}
        return few or {subject for subject, moved in batch.items() if leak.protecting & moved.keys()}
    added = {subject: _added(leak.weights, moved) for subject, moved in batch.items()}
    more = {subject for subject, amount in added.items() if amount > 0}
    less = {subject for subject, amount in added.items() if amount < 0}
    # Where some add and some take away, the fewer ones wait, so that the others still show.
    return min(more, less, key=len) if more and less else more | less


def _added(step: Mapping[Key, int], moved: Mapping[Key, int]) -> int:
    if len(step) == 1:
        return next((moved.get(key, 0) for key in step), 0)
    return sum(amount * step[key] for key, amount in moved.items() if key in step)
