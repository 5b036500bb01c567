"""The guards of the workflow: pure questions that have to be answered with yes before a command takes effect."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import agreements, closing, committees, conflicts, stages, voting
from fairbank.catalogue.governance.store import LegRow, ProposalRow, RequestRow
from fairbank.catalogue.governance.workflow import GUARDS, LEG, LegState, RequestState
from fairbank.catalogue.governance.workflow_errors import GuardFails
from fairbank.catalogue.store import DatasetRow
from fairbank.clock import parse_iso

# So long after its end a grant can be renewed, and a closing report handed in, before the request is closed.
RENEWABLE_DAYS = 90

Guard = Callable[[Session, Hub, RequestRow, LegRow | None, str], bool]


def check(
    session: Session,
    hub: Hub,
    request: RequestRow,
    leg: LegRow | None,
    *,
    actor: str,
    names: Collection[str],
) -> None:
    """Ask all guards of a command.

    Raises:
        GuardFails: naming the first that says no.
    """
    for name in sorted(names):
        if not GUARDS_BY_NAME[name](session, hub, request, leg, actor):
            raise GuardFails.named(name)


def hold(
    session: Session, hub: Hub, request: RequestRow, leg: LegRow, *, actor: str, names: Collection[str]
) -> bool:
    """Tell whether all guards of a command say yes."""
    return all(GUARDS_BY_NAME[name](session, hub, request, leg, actor) for name in names)


def _leg(leg: LegRow | None) -> LegRow:
    if leg is None:
        raise ValueError("this guard is asked of a leg")
    return leg


def _outcome(word: str) -> Guard:
    def guard(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
        return voting.outcome(session, _leg(leg), hub.clock.now()).word == word

    return guard


def _committee_can_decide(
    session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str
) -> bool:
    asked = _leg(leg)
    return asked.committee is not None and bool(committees.can_decide(session, asked, hub.clock.now()))


def _stage_left(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
    return stages.after(session, _leg(leg)) is not None


def _last_stage(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
    return stages.after(session, _leg(leg)) is None


def _some_conditions(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
    asked = _leg(leg)
    # Those of earlier stages count as well.
    version = asked.pending_version or asked.version
    made = (
        select(ProposalRow.stage, ProposalRow.terms)
        .where(ProposalRow.leg == asked.id, ProposalRow.version == version)
        .order_by(ProposalRow.at, ProposalRow.id)
    )
    # A later proposal of the same stage takes the place of an earlier one.
    newest = {row.stage: row.terms for row in session.execute(made)}
    return any(terms.get("conditions") or terms.get("agreement") for terms in newest.values())


def _no_conditions(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
    return not _some_conditions(session, hub, request, leg, actor)


def _no_conflict(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
    return conflicts.barred(session, request, actor) is None


def _agreement_due(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
    return agreements.due(session, _leg(leg))


def _agreement_settled(
    session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str
) -> bool:
    return agreements.settled(session, _leg(leg))


def _closing_report(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
    return closing.reported(session, request)


def _time_over(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
    expires = _leg(leg).expires
    return expires is not None and expires <= hub.clock.now()


def _later_terms_over(
    session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str
) -> bool:
    asked = _leg(leg)
    terms = asked.pending_terms if asked.pending_version is not None else None
    return terms is not None and parse_iso(str(terms["until"])) <= hub.clock.now()


def _dataset_gone(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
    gone = select(DatasetRow.iri).where(
        DatasetRow.iri == _leg(leg).dataset, DatasetRow.withdrawn.is_not(None)
    )
    return session.scalar(gone) is not None


def _pauser_or_admin(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
    # The table lets the requester and administrators ask; of what somebody else paused, she may not.
    return actor != request.account or request.paused_by == actor


def _request_is(state: RequestState) -> Guard:
    def guard(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
        return request.state == state.value

    return guard


def _some_leg(*states: LegState) -> Guard:
    words = [state.value for state in states]

    def guard(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
        found = exists().where(LegRow.request == request.id, LegRow.state.in_(words))
        return bool(session.scalar(select(found)))

    return guard


def _every_leg_ended(session: Session, hub: Hub, request: RequestRow, leg: LegRow | None, actor: str) -> bool:
    renewable = hub.clock.now() - timedelta(days=RENEWABLE_DAYS)
    rows = session.execute(
        select(LegRow.state, LegRow.pending_version, LegRow.since).where(LegRow.request == request.id)
    ).all()
    return bool(rows) and all(
        state in LEG.last and pending is None and (state != LegState.EXPIRED or since <= renewable)
        for state, pending, since in rows
    )


GUARDS_BY_NAME: dict[str, Guard] = {
    "agreement-due": _agreement_due,
    "agreement-settled": _agreement_settled,
    "carried": _outcome("carried"),
    "closing-report": _closing_report,
    "committee-can-decide": _committee_can_decide,
    "dataset-gone": _dataset_gone,
    "every-leg-ended": _every_leg_ended,
    "last-stage": _last_stage,
    "later-terms-over": _later_terms_over,
    "lost": _outcome("lost"),
    "no-conditions": _no_conditions,
    "no-conflict": _no_conflict,
    "pauser-or-admin": _pauser_or_admin,
    "request-open": _request_is(RequestState.OPEN),
    "request-paused": _request_is(RequestState.PAUSED),
    "some-conditions": _some_conditions,
    "some-leg-granted": _some_leg(LegState.ACTIVE, LegState.EXPIRED),
    "some-leg-returned": _some_leg(LegState.RETURNED),
    "stage-left": _stage_left,
    "time-over": _time_over,
    "voted-back": _outcome("returned"),
}
if set(GUARDS_BY_NAME) != GUARDS:
    raise ValueError("the workflow's guards and their functions differ")
