"""What has gone: tombstones with a reason, access that was lost, and what comes back.

A tombstone keeps which item and which series it was, when it went and why; all facts are dropped. A series goes only
when no other item of its project stands for it. Each function works in the caller's transaction, part by part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, exists, or_, select, update
from sqlalchemy.orm import Session

from fairbank.harvest.bookkeeping import ITEMS, SERIES, Route, note, parts
from fairbank.harvest.rows import blank_values
from fairbank.harvest.states import GoneReason, State
from fairbank.harvest.sync import Known

_STANDING = (State.LIVE.value, State.MISSING.value)


def bury(session: Session, route: Route, gone: Sequence[Known], *, run: str, at: datetime) -> dict[str, int]:
    """Make items tombstones, and the series that they alone stood for; return how many went for which reason."""
    reasons: Counter[str] = Counter()
    for part in parts(gone):
        local_ids = [each.local_id for each in part]
        query = select(ITEMS.c.local_id, ITEMS.c.series_uid).where(
            route.of_items, ITEMS.c.local_id.in_(local_ids)
        )
        series_of = {row[0]: row[1] for row in session.execute(query)}
        moved = _moved(session, route, series_of)
        for reason in (GoneReason.MOVED, GoneReason.DELETED):
            chosen = [each for each in series_of if (each in moved) == (reason is GoneReason.MOVED)]
            _bury_items(session, route, chosen, reason, run=run, at=at)
            reasons[reason.value] += len(chosen)
        for reason in (GoneReason.MOVED, GoneReason.DELETED):
            uids = {
                uid
                for local_id, uid in series_of.items()
                if uid and (local_id in moved) == (reason is GoneReason.MOVED)
            }
            bury_series(session, route, uids, reason)
    return {reason: count for reason, count in reasons.items() if count}


def bury_series(session: Session, route: Route, series_uids: Collection[str], reason: GoneReason) -> None:
    """Drop the facts of series that an archive described, unless another item of the project stands for them.

    Such an item is done again by the next run, so that the facts are its own from then on. Where consent was withdrawn
    the facts go at once, whoever stands for them.
    """
    for part in parts(series_uids):
        same = (
            ITEMS.c.project == route.project,
            ITEMS.c.series_uid.in_(part),
            ITEMS.c.state.in_(_STANDING),
        )
        kept = set(session.scalars(select(ITEMS.c.series_uid).where(*same)))
        if kept:
            session.execute(update(ITEMS).where(*same).values(version=""))
        if reason is GoneReason.CONSENT_WITHDRAWN:
            kept = set()
        session.execute(
            update(SERIES)
            .where(*_described(route), SERIES.c.series_uid.in_([uid for uid in part if uid not in kept]))
            .values(**blank_values(), state=State.TOMBSTONED.value, held=None, gone=reason.value)
        )


def lose_access(session: Session, route: Route, *, run: str, at: datetime) -> int:
    """Note that the archive no longer shows a container, and stop publishing its series; return how many items it had.

    What is known of them is kept: access is lost by mistake more often than for good.
    """
    here = (route.of_items, ITEMS.c.state.in_(_STANDING))
    lost = session.execute(
        update(ITEMS)
        .where(*here)
        .values(state=State.TOMBSTONED.value, reason=GoneReason.ACCESS_LOST.value, gone=at, misses=0, run=run)
    )
    other = ITEMS.alias()
    session.execute(
        update(SERIES)
        .where(
            *_described(route),
            SERIES.c.state == State.LIVE.value,
            SERIES.c.series_uid.in_(
                select(ITEMS.c.series_uid).where(
                    route.of_items,
                    ITEMS.c.reason == GoneReason.ACCESS_LOST.value,
                    ITEMS.c.series_uid.is_not(None),
                )
            ),
            ~exists().where(
                other.c.project == route.project,
                other.c.series_uid == SERIES.c.series_uid,
                other.c.state.in_(_STANDING),
            ),
        )
        .values(state=State.MISSING.value, gone=GoneReason.ACCESS_LOST.value)
    )
    return int(lost.rowcount)  # type: ignore[attr-defined]  # an update gives a cursor's result


def come_back(session: Session, route: Route, returned: Sequence[Known]) -> None:
    """Clear what was noted of items that are listed again as they were, and publish again what access was lost to."""
    note(
        session,
        route,
        (each.local_id for each in returned),
        state=State.LIVE.value,
        misses=0,
        reason=None,
        gone=None,
    )
    for part in parts(each.local_id for each in returned if each.reason is GoneReason.ACCESS_LOST):
        uids = session.scalars(
            select(ITEMS.c.series_uid).where(
                route.of_items, ITEMS.c.local_id.in_(part), ITEMS.c.series_uid.is_not(None)
            )
        ).all()
        session.execute(
            update(SERIES)
            .where(
                *_described(route),
                # Only missing series have this reason; asked for the state, all of them would be walked through.
                SERIES.c.gone == GoneReason.ACCESS_LOST.value,
                SERIES.c.series_uid.in_(uids),
            )
            .values(state=State.LIVE.value, gone=None)
        )


def note_moved(
    session: Session, route: Route, local_ids: Collection[str], series_uids: Collection[str]
) -> None:
    """Correct the reason of tombstones in other containers of the source, of items that have turned up in this one."""
    for ids in parts(local_ids):
        _correct(session, route, ITEMS.c.local_id.in_(ids))
    for uids in parts(series_uids):
        # Pseudonyms of series are the same within a project only.
        _correct(session, route, ITEMS.c.series_uid.in_(uids), ITEMS.c.project == route.project)


def _correct(session: Session, route: Route, *same: ColumnElement[bool]) -> None:
    session.execute(
        update(ITEMS)
        .where(
            ITEMS.c.source == route.source,
            ITEMS.c.container != route.container,
            *same,
            ITEMS.c.state == State.TOMBSTONED.value,
            ITEMS.c.reason == GoneReason.DELETED.value,
        )
        .values(reason=GoneReason.MOVED.value)
    )


def _bury_items(
    session: Session, route: Route, local_ids: list[str], reason: GoneReason, *, run: str, at: datetime
) -> None:
    note(
        session,
        route,
        local_ids,
        state=State.TOMBSTONED.value,
        reason=reason.value,
        gone=at,
        version="",
        digest="",
        results={},
        run=run,
    )


def _moved(session: Session, route: Route, series_of: dict[str, str | None]) -> set[str]:
    """Return which items another container of the same source has, by their own id or as the same series."""
    uids = [uid for uid in series_of.values() if uid]
    query = select(ITEMS.c.local_id, ITEMS.c.series_uid, ITEMS.c.project).where(
        ITEMS.c.source == route.source,
        ITEMS.c.container != route.container,
        ITEMS.c.state == State.LIVE.value,
        or_(ITEMS.c.local_id.in_(list(series_of)), ITEMS.c.series_uid.in_(uids)),
    )
    rows = session.execute(query).all()
    ids = {row[0] for row in rows}
    elsewhere = {row[1] for row in rows if row[1] and row[2] == route.project}
    return {local_id for local_id, uid in series_of.items() if local_id in ids or uid in elsewhere}


def _described(route: Route) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of series that an archive described: those of the research store are not touched."""
    return (SERIES.c.project == route.project, SERIES.c.source == route.source, SERIES.c.directory == "")
