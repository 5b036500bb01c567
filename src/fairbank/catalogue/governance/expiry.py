"""What the hub does by the clock: grants end, what was withdrawn lapses, requests close, people are reminded."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, or_, select, update
from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import legs, notices
from fairbank.catalogue.governance.guards import RENEWABLE_DAYS
from fairbank.catalogue.governance.store import CommitteeRow, LegRow, RequestRow, ScopeRow, SubstituteRow
from fairbank.catalogue.governance.workflow import LEG, LegState, RequestState
from fairbank.catalogue.store import DatasetRow
from fairbank.clock import parse_iso
from fairbank.database import reading, writing

log = logging.getLogger("fairbank.catalogue")
_RUNNING = (RequestState.OPEN.value, RequestState.PAUSED.value)
_DECIDED = (
    LegState.APPROVED.value,
    LegState.APPROVED_WITH_CONDITIONS.value,
    LegState.CONDITIONS_ACCEPTED.value,
)
_HAS_AN_END = (*_DECIDED, LegState.ACTIVE.value)
_WAITS_FOR_A_COMMITTEE = (LegState.SUBMITTED.value, LegState.TRIAGE.value)


def sweep(hub: Hub) -> int:
    """Settle every leg that the clock, a new committee or a withdrawn dataset may move; return how many moved.

    One that cannot be settled is noted and keeps no other from being settled. Whether a visa holds is asked of the
    clock as well, so a missed sweep gives nobody more time.
    """
    _begin_and_end_delegations(hub)
    moved = 0
    for leg_id in _due(hub):
        try:
            moved += _settle(hub, leg_id)
        except Exception:
            log.exception("a leg of a request that is due could not be moved")
    if moved:
        hub.notifier.notify()
    return moved


def dataset_withdrawn(hub: Hub, session: Session, iri: str) -> None:
    """End every leg of a dataset that its biobank withdraws, in the caller's transaction."""
    running = exists().where(RequestRow.id == LegRow.request, RequestRow.state.in_(_RUNNING))
    session.flush()
    for leg in list(
        session.scalars(select(LegRow).where(LegRow.dataset == iri, running).order_by(LegRow.id))
    ):
        legs.settle(hub, session, leg)


def _begin_and_end_delegations(hub: Hub) -> None:
    now = hub.clock.now()
    over = and_(SubstituteRow.over.is_(False), SubstituteRow.until <= now)
    begun = and_(SubstituteRow.begun.is_(False), SubstituteRow.over.is_(False), SubstituteRow.since <= now)
    with reading(hub.engine) as session:
        if session.scalar(select(SubstituteRow.id).where(or_(over, begun)).limit(1)) is None:
            return
    with writing(hub.engine) as session:
        # What is over by now never begins, however late the sweep.
        session.execute(update(SubstituteRow).where(over).values(over=True))
        for row in list(session.scalars(select(SubstituteRow).where(begun).order_by(SubstituteRow.id))):
            row.begun = True
            if row.leg is None:
                notices.tell_delegate(session, hub, row)


def _due(hub: Hub) -> list[str]:
    now = hub.clock.now()
    over = and_(LegRow.state.in_(_HAS_AN_END), LegRow.expires <= now)
    # Of thousands that wait for a committee to be set up, none is touched before there is one.
    decides = exists().where(
        ScopeRow.committee == CommitteeRow.id,
        CommitteeRow.dissolved.is_(None),
        ScopeRow.node == LegRow.node,
        or_(ScopeRow.dataset == LegRow.dataset, ScopeRow.dataset == ""),
    )
    waiting = and_(
        or_(LegRow.state.in_(_WAITS_FOR_A_COMMITTEE), LegRow.pending_state.in_(_WAITS_FOR_A_COMMITTEE)),
        decides,
    )
    gone = and_(
        or_(LegRow.state.not_in(LEG.last), LegRow.state == LegState.EXPIRED.value),
        LegRow.dataset.in_(select(DatasetRow.iri).where(DatasetRow.withdrawn.is_not(None))),
    )
    # Of a request that may close any leg will do; the guard looks at all of them.
    closable = and_(
        LegRow.state == LegState.EXPIRED.value, LegRow.since <= now - timedelta(days=RENEWABLE_DAYS)
    )
    running = exists().where(RequestRow.id == LegRow.request, RequestRow.state.in_(_RUNNING))
    statement = select(LegRow.id).where(or_(over, waiting, gone, closable), running)
    later = select(LegRow.id, LegRow.pending_terms).where(LegRow.pending_state.in_(_DECIDED), running)
    with reading(hub.engine) as session:
        # Few at a time wait for their requester's word, and their end is in their terms.
        run_out = {row.id for row in session.execute(later) if _ends(row.pending_terms) <= now}
        return sorted({*session.scalars(statement), *run_out})


def _ends(terms: dict[str, Any] | None) -> datetime:
    return parse_iso(str((terms or {})["until"]))


def _settle(hub: Hub, leg_id: str) -> int:
    with writing(hub.engine) as session:
        leg = session.get_one(LegRow, leg_id)
        before = (leg.state, leg.pending_state)
        legs.settle(hub, session, leg)
        return int((leg.state, leg.pending_state) != before)
