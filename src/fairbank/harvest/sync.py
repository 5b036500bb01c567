"""What a look at a container means: what is new, changed, unchanged, missing or back, and what may be let go.

Rules only: no database, no archive, no clock of its own. What is known and what is listed are walked side by side, both
in the order of their local ids, so that a container of any size is compared in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from fairbank.harvest.sources.protocol import Item
from fairbank.harvest.states import GoneReason, State

Stamp = Callable[[Item], str]

# A wrong clock of the archive must not carry the high-water mark past what it has yet to say.
_CLOCK_DOUBT = timedelta(minutes=1)


class Look(StrEnum):
    """How a run looks at a container.

    Attributes:
        FULL: everything is described again, whatever its version says.
        WHOLE: everything is listed, and what is new or changed is described.
        CHANGES: only what the archive says has changed is looked at; nothing can be found missing.
    """

    FULL = "full"
    WHOLE = "whole"
    CHANGES = "changes"


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier runs noted of an item.

    Attributes:
        stamp: what it was done under; empty if it is to be done again.
        misses: how many complete looks in a row did not find it.
    """

    local_id: str
    stamp: str
    state: State
    misses: int = 0
    reason: GoneReason | None = None

    @property
    def is_gone(self) -> bool:
        """Tell whether nothing more can be found missing of it; what access was lost to may yet turn out deleted."""
        return self.state is State.TOMBSTONED and self.reason is not GoneReason.ACCESS_LOST


@dataclass(slots=True)
class Plan:
    """What a run has to do.

    Attributes:
        work: items that are new or changed, or that failed before, in the order of their ids.
        new: how many of them were never seen before.
        unchanged: how many items are done and as they were.
        unchanged_files: how many files those have, as far as the source says.
        returned: items that are as they were and had been missing, so only that is to be noted; without stamps.
        absent: known items that are not listed, without stamps; empty if the listing is not complete.
        known: how many items were known and not gone.
    """

    work: list[Item] = field(default_factory=list)
    new: int = 0
    unchanged: int = 0
    unchanged_files: int = 0
    returned: list[Known] = field(default_factory=list)
    absent: list[Known] = field(default_factory=list)
    known: int = 0

    @property
    def changed(self) -> int:
        """Return how many known items are to be done again."""
        return len(self.work) - self.new


def compare(known: Iterable[Known], items: Sequence[Item], *, stamp: Stamp, complete: bool) -> Plan:
    """Return what a listing of a container means.

    Args:
        known: what is noted, sorted by local id.
        items: what the source lists; twice listed counts once.
        stamp: under what an item is noted once it is done.
        complete: whether the source said all; otherwise nothing counts as absent.
    """
    plan = Plan()
    noted = iter(known)
    before = _next(noted, plan)
    for item in _once(items):
        while before is not None and before.local_id < item.local_id:
            _pass_over(plan, before, complete=complete)
            before = _next(noted, plan)
        if before is None or before.local_id != item.local_id:
            plan.new += 1
            plan.work.append(item)
            continue
        if before.stamp != stamp(item):
            plan.work.append(item)
        else:
            plan.unchanged += 1
            plan.unchanged_files += item.files or 0
            if before.state is not State.LIVE or before.misses:
                plan.returned.append(_small(before, item.local_id))
        before = _next(noted, plan)
    while before is not None:
        _pass_over(plan, before, complete=complete)
        before = _next(noted, plan)
    return plan


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """How much may vanish in one run before a curator is asked: more than either number is held."""

    items: int
    percent: int

    def exceeded_by(self, gone: int, *, of: int) -> bool:
        """Tell whether so many of so many are too many."""
        return gone > self.items or gone * 100 > of * self.percent


@dataclass(frozen=True, slots=True)
class Deletions:
    """What becomes of absent items.

    Attributes:
        missing: not found for the first time.
        gone: not found for the second time or more, so they become tombstones.
        held: as `gone`, but so many that a curator has to say so first.
    """

    missing: tuple[Known, ...] = ()
    gone: tuple[Known, ...] = ()
    held: tuple[Known, ...] = ()


def judge_absent(absent: Sequence[Known], *, known: int, approved: bool, limits: HoldLimits) -> Deletions:
    """Return what becomes of items that a complete look did not find.

    Args:
        absent: the items.
        known: how many items were known before and not gone.
        approved: whether a curator has approved what the last run held; that covers nothing that vanished later.
        limits: how many may go without a curator's word.
    """
    missing = tuple(each for each in absent if each.misses == 0)
    due = [each for each in absent if each.misses > 0]
    allowed = [each for each in due if approved and each.misses > 1]
    rest = [each for each in due if not (approved and each.misses > 1)]
    if limits.exceeded_by(len(rest), of=known):
        return Deletions(missing, tuple(allowed), tuple(rest))
    return Deletions(missing, tuple(due))


def is_due(last_full: datetime | None, *, now: datetime, every_days: int) -> bool:
    """Tell whether everything should be looked at again."""
    return last_full is None or now - last_full >= timedelta(days=every_days)


def asked_since(high_water: datetime, *, overlap_hours: int, clock_offset_s: float | None) -> datetime:
    """Return from which moment, by the archive's clock, to ask for what was modified.

    It is never this machine's present. The overlap covers stamps that an archive gives out of order or in local time;
    the doubt about its clock comes on top.
    """
    return high_water - timedelta(hours=overlap_hours) - timedelta(seconds=abs(clock_offset_s or 0))


def raised_mark(
    high_water: datetime | None, newest: datetime | None, *, now: datetime, clock_offset_s: float | None
) -> datetime | None:
    """Return the new high-water mark: the newest stamp that was seen, unless the archive's clock is not there yet.

    Args:
        high_water: the mark so far.
        newest: the newest stamp that the archive gave, by its own clock.
        now: the present by this machine's clock.
        clock_offset_s: how far the archive's clock is ahead.
    """
    if newest is None:
        return high_water
    theirs = now + timedelta(seconds=clock_offset_s or 0) + _CLOCK_DOUBT
    believed = min(newest, theirs)
    return believed if high_water is None else max(high_water, believed)


def _next(noted: Iterator[Known], plan: Plan) -> Known | None:
    found = next(noted, None)
    if found is not None and found.state is not State.TOMBSTONED:
        plan.known += 1
    return found


def _pass_over(plan: Plan, known: Known, *, complete: bool) -> None:
    if complete and not known.is_gone:
        plan.absent.append(_small(known, known.local_id))


def _small(known: Known, local_id: str) -> Known:
    """Return what is needed of an item that is kept in memory with half a million others."""
    return Known(local_id, "", known.state, known.misses, known.reason)


def _once(items: Sequence[Item]) -> Iterator[Item]:
    """Yield items in the order of their ids, each id once: a page that moved while it was read lists some twice."""
    last: str | None = None
    for item in sorted(items, key=lambda each: each.local_id):
        if item.local_id != last:
            yield item
        last = item.local_id
