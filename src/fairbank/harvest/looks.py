"""Looking at a container, and noting what was seen: the same for what is pulled and for what is only described.

A look asks the archive and writes nothing. What it means for missing items is noted in one transaction together with
the end of the run, so that a look counts once or not at all, wherever the process is killed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.database import reading, writing
from fairbank.harvest.bookkeeping import (
    ITEMS,
    Route,
    count_items,
    end_run,
    known_items,
    last_run,
    note,
    noted,
    progress_of,
)
from fairbank.harvest.errors import HarvestError, NotInSource, SourceForbidden
from fairbank.harvest.reports import RunReport, RunState, Tally
from fairbank.harvest.sources.protocol import (
    Capability,
    ChangeFeed,
    Changes,
    Item,
    Modified,
    ModifiedSince,
    Source,
)
from fairbank.harvest.states import State
from fairbank.harvest.store import ProgressRow
from fairbank.harvest.sync import (
    Deletions,
    HoldLimits,
    Known,
    Look,
    Plan,
    Stamp,
    asked_since,
    compare,
    judge_absent,
    raised_mark,
)
from fairbank.harvest.tombstones import bury, come_back, lose_access
from fairbank.release.node import Node

_CONTAINER_LOST = "lost"
# An item that a feed names is done again even if its version is the same; no stamp is like this one.
DO_AGAIN = "\x1f"


@dataclass(slots=True)
class Seen:
    """What a look found.

    Attributes:
        lost: the archive no longer shows the container, which it did before.
        complete: whether the source said all that it holds.
        cursor: from where its feed is asked the next time; None leaves what is noted.
        newest: the newest moment of modification, by the source's clock.
        gone: known items that a feed says were deleted.
    """

    look: Look
    plan: Plan = field(default_factory=Plan)
    complete: bool = False
    lost: bool = False
    cursor: str | None = None
    newest: datetime | None = None
    gone: list[Known] = field(default_factory=list)


def look_at(node: Node, source: Source, route: Route, *, look: Look, stamp: Stamp) -> Seen:
    """Return what a container holds, compared with what is noted; nothing is written.

    Raises:
        NotInSource, SourceForbidden: if the source does not show the container, and never did.
        HarvestError: if the source cannot be read.
    """
    with reading(node.engine) as session:
        progress = progress_of(session, route)
        retried = _retried(session, route)
    if look is Look.CHANGES:
        seen = _changes(node, source, route, progress, retried)
        if seen is not None:
            return seen
        look = Look.WHOLE
    try:
        return _whole(node, source, route, progress, look=look, stamp=stamp)
    except (NotInSource, SourceForbidden):
        with reading(node.engine) as session:
            if count_items(session, route, State.LIVE, State.MISSING, State.TOMBSTONED) == 0:
                raise
        return Seen(look, lost=True)


def choose_look(node: Node, source: Source, route: Route, *, due: bool, changes_only: bool) -> Look:
    """Return how to look at a container.

    Only a feed that names deletions can stand for a listing; one that does not is asked besides. While anything is
    missing, only a listing tells whether it has gone for good.
    """
    with reading(node.engine) as session:
        progress = progress_of(session, route)
        searching = count_items(session, route, State.MISSING) > 0
    if due:
        return Look.FULL
    fed = bool(progress.cursor) or progress.high_water is not None
    enough = changes_only or (Capability.TOMBSTONES in source.capabilities and not searching)
    return Look.CHANGES if fed and enough else Look.WHOLE


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would do.

    Attributes:
        look: how it would look at the container.
        new: items never seen before.
        changed: items that are otherwise than before, or failed then.
        missing: items not found for the first time.
        tombstoned: items that would be gone for good.
        held: items that would be gone, but so many that a curator has to say so first.
        complete: whether the source said all that it holds.
        lost: whether the archive no longer shows the container.
    """

    look: Look
    new: int
    changed: int
    unchanged: int
    returned: int
    missing: int
    tombstoned: int
    held: int
    complete: bool
    lost: bool


def forecast(node: Node, route: Route, seen: Seen) -> Forecast:
    """Return what would come of a look."""
    with reading(node.engine) as session:
        deletions = _judged(node, progress_of(session, route), seen)
    return Forecast(
        look=seen.look,
        new=seen.plan.new,
        changed=seen.plan.changed,
        unchanged=seen.plan.unchanged,
        returned=len(seen.plan.returned),
        missing=len(deletions.missing) + len(seen.gone),
        tombstoned=len(deletions.gone),
        held=len(deletions.held),
        complete=seen.complete,
        lost=seen.lost,
    )


def conclude(
    node: Node, route: Route, seen: Seen, report: RunReport, *, clock_offset_s: float | None
) -> RunReport:
    """End a run, note what its look means for items that it did not find or found again, and return its report."""
    tally = report.tally or Tally()
    now = node.clock.now()
    with writing(node.engine) as session:
        progress = session.merge(progress_of(session, route))
        progress.clock_offset_s = clock_offset_s
        if seen.lost:
            _lost(session, route, tally, run=report.id, at=now)
        else:
            come_back(session, route, seen.plan.returned)
            tally.returned += len(seen.plan.returned)
            _absent(node, session, route, progress, seen, tally, run=report.id, at=now)
            if seen.cursor is not None:
                progress.cursor = seen.cursor
            progress.high_water = raised_mark(
                progress.high_water, seen.newest, now=now, clock_offset_s=clock_offset_s
            )
        ended = replace(report, ended=now, missing=tally.missing, tally=tally)
        counts = ended.counts() | {"look": seen.look.value, _CONTAINER_LOST: seen.lost}
        end_run(session, report.id, RunState.FINISHED, at=now, counts=counts)
    return ended


def _judged(node: Node, progress: ProgressRow, seen: Seen) -> Deletions:
    """Return what becomes of the items that a look did not find."""
    settings = node.settings
    limits = HoldLimits(settings.harvest_hold_items, settings.harvest_hold_percent)
    return judge_absent(
        seen.plan.absent, known=seen.plan.known, approved=progress.approved is not None, limits=limits
    )


def _whole(
    node: Node, source: Source, route: Route, progress: ProgressRow, *, look: Look, stamp: Stamp
) -> Seen:
    feed = _feed(source)
    cursor: str | None = None
    changed: Changes | None = None
    if feed is not None:
        # Asked before the listing: what changes between the two is then seen twice, not never.
        with contextlib.suppress(HarvestError):
            cursor = feed.changes(route.container, "").cursor
            if progress.cursor and look is Look.WHOLE:
                changed = feed.changes(route.container, progress.cursor)
    snapshot = source.snapshot(route.container)
    named = frozenset(item.local_id for item in changed.items) if changed else frozenset()
    with reading(node.engine) as session:
        plan = compare(
            known_items(session, route),
            snapshot.items,
            stamp=lambda item: DO_AGAIN if item.local_id in named else stamp(item),
            complete=snapshot.complete,
        )
    complete = snapshot.complete
    if plan.absent and not _is_listed(source, route.container):
        # A container that vanished while it was read shows fewer items, or none.
        plan.absent, complete = [], False
    return Seen(look, plan, complete, cursor=cursor or "", newest=snapshot.newest)


def _changes(
    node: Node, source: Source, route: Route, progress: ProgressRow, retried: list[Item]
) -> Seen | None:
    """Return what changed by the archive's own telling, None if only a listing can tell."""
    told: Changes | Modified | None = None
    cursor: str | None = None
    gone: tuple[str, ...] = ()
    newest: datetime | None = None
    feed = _feed(source)
    if feed is not None and progress.cursor:
        told = feed.changes(route.container, progress.cursor)
        cursor, gone = told.cursor, told.gone
    elif (
        isinstance(source, ModifiedSince)
        and Capability.MODIFIED_SINCE in source.capabilities
        and progress.high_water is not None
    ):
        since = asked_since(
            progress.high_water,
            overlap_hours=node.settings.harvest_overlap_hours,
            clock_offset_s=progress.clock_offset_s,
        )
        told = source.modified_since(route.container, since)
        newest = told.newest
    if told is None or not told.complete:
        return None
    work = {item.local_id: item for item in (*retried, *told.items)}
    for local_id in gone:
        work.pop(local_id, None)
    with reading(node.engine) as session:
        known = noted(session, route, {*work, *gone})
        total = count_items(session, route, State.LIVE, State.MISSING, State.LEFT_OUT)
    plan = Plan(
        work=[work[local_id] for local_id in sorted(work)],
        new=sum(local_id not in known for local_id in work),
        known=total,
    )
    deleted = [
        Known(local_id, known[local_id]["version"], State.LIVE)
        for local_id in sorted(set(gone))
        if local_id in known and known[local_id]["state"] == State.LIVE
    ]
    return Seen(Look.CHANGES, plan, complete=True, cursor=cursor, newest=newest, gone=deleted)


def _absent(
    node: Node,
    session: Session,
    route: Route,
    progress: ProgressRow,
    seen: Seen,
    tally: Tally,
    *,
    run: str,
    at: datetime,
) -> None:
    missing = seen.gone
    if seen.look is not Look.CHANGES and seen.complete:
        deletions = _judged(node, progress, seen)
        missing = list(deletions.missing)
        tally.tombstoned = bury(session, route, deletions.gone, run=run, at=at)
        tally.held = len(deletions.held)
        _note_held(session, route, deletions.held)
        progress.vanished, progress.approved = len(deletions.held), None
    note(
        session,
        route,
        (each.local_id for each in missing),
        state=State.MISSING.value,
        misses=1,
        reason=None,
        gone=None,
    )
    tally.missing = len(missing)


def _note_held(session: Session, route: Route, held: Collection[Known]) -> None:
    for misses in sorted({each.misses for each in held}):
        chosen = (each.local_id for each in held if each.misses == misses)
        note(session, route, chosen, state=State.MISSING.value, misses=misses + 1)


def _lost(session: Session, route: Route, tally: Tally, *, run: str, at: datetime) -> None:
    """Let the series of a container go from what is published when a second look in a row was not shown it."""
    before = last_run(session, route)
    if before is not None and before.counts.get(_CONTAINER_LOST):
        tally.lost = lose_access(session, route, run=run, at=at)
    else:
        tally.lost = count_items(session, route, State.LIVE, State.MISSING)


def _retried(session: Session, route: Route) -> list[Item]:
    """Return the items that failed or were left out before: no feed names them again."""
    query = select(ITEMS.c.local_id).where(
        route.of_items,
        ITEMS.c.version == "",
        ITEMS.c.state.in_([State.LIVE.value, State.LEFT_OUT.value]),
    )
    return [Item(local_id, "") for local_id in session.scalars(query)]


def _feed(source: Source) -> ChangeFeed | None:
    return (
        source if isinstance(source, ChangeFeed) and Capability.CHANGE_FEED in source.capabilities else None
    )


def _is_listed(source: Source, container: str) -> bool:
    return any(known.id == container for known in source.list_containers())
