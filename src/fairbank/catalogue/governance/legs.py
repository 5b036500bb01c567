"""The one place that moves a leg: by the table, with its guards, its history, and what follows from the new state.

A granted leg may have a later version under review beside it; `standing` says which of the two a command is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import agreements, committees, grants, guards, moves, stages
from fairbank.catalogue.governance.granted_terms import combined, concerns, cut
from fairbank.catalogue.governance.moves import HUB_ACTOR, HUB_PART
from fairbank.catalogue.governance.store import CommitteeRow, LegRow, ProposalRow, RequestRow, VersionRow
from fairbank.catalogue.governance.terms import Terms
from fairbank.catalogue.governance.workflow import LEG, LegState, Part, RequestState
from fairbank.clock import parse_iso
from fairbank.database import one_writer_at_a_time
from fairbank.ontology.signed_objects import Request

# These are about what is granted; every other command is about what is under review.
_OF_WHAT_IS_GRANTED = frozenset(
    {"suspend", "resume", "amend", "revoke", "expire", "complete", "lapse", "withdraw"}
)
# What ends a leg comes first: nothing is activated that is over.
_HUB_COMMANDS = sorted(
    {command for _, part, command in LEG.steps if part == Part.HUB},
    key=lambda command: (command not in ("lapse", "expire", "run-out"), command),
)
# A stage more, or a state further, each time: more than all of them together means that it goes round in circles.
_MOST_MOVES = 20


def standing(leg: LegRow, command: str) -> str:
    """Return the state of a leg that a command is about."""
    if leg.pending_state is not None and command not in _OF_WHAT_IS_GRANTED:
        return leg.pending_state
    return leg.state


def open_commands(leg: LegRow, parts: frozenset[Part]) -> list[str]:
    """Return the commands that somebody of these parts may give to a leg now, guards aside, sorted.

    Those about what is granted and, beside it, those about a later version under review.
    """
    return [
        command
        for command in LEG.commands()
        if any(LEG.step(standing(leg, command), part, command) is not None for part in parts)
    ]


def review_state(leg: LegRow) -> str:
    """Return how far the review of the newest version of a leg has come."""
    return leg.pending_state or leg.state


def review_version(leg: LegRow) -> int:
    """Return the version of the request that is, or was, under review."""
    return leg.pending_version or leg.version


def decided_terms(leg: LegRow) -> Terms | None:
    """Return the terms that were decided about the version under review, or that are in force; None before."""
    terms = leg.pending_terms if leg.pending_version is not None else leg.terms
    return Terms.model_validate_json(json.dumps(terms)) if terms is not None else None


def request_of(session: Session, request_id: str, version: int) -> Request:
    """Return a sealed version of a request, read."""
    row = session.get_one(VersionRow, (request_id, version))
    return Request.open(row.envelope, trusted=None)[0]


def give(
    hub: Hub,
    session: Session,
    leg: LegRow,
    command: str,
    *,
    actor: str,
    parts: frozenset[Part],
    note: str = "",
) -> LegRow:
    """Give a command to a leg in the caller's writing transaction; a refusal writes nothing.

    Args:
        actor: the account, or `hub`.
        parts: who the actor is to this leg (`parts.parts_of`).

    Raises:
        UnknownCommand, NotAllowed, WrongState: if the table does not have it.
        GuardFails: if something that it needs is not so.
        DecisionRefused: if what follows cannot be: a visa for a dataset that was withdrawn.
    """
    request = _held(session, leg)
    before = standing(leg, command)
    part, step = moves.allowed(LEG, before, command, parts)
    guards.check(session, hub, request, leg, actor=actor, names=step.guards)
    if step.to != before:
        if leg.pending_state is not None and command not in _OF_WHAT_IS_GRANTED:
            leg.pending_state = step.to
        else:
            leg.state, leg.since = step.to, hub.clock.now()
    effect = _EFFECTS.get(command)
    if effect is not None:
        effect(hub, session, request, leg)
    request.changed = hub.clock.now()
    moves.write(hub, session, request, leg, command=command, actor=actor, part=part, state=step.to, note=note)
    return leg


def settle(hub: Hub, session: Session, leg: LegRow) -> LegRow:
    """Let the hub do whatever its own commands allow now, again and again; return the leg as it then is."""
    request = _held(session, leg)
    for _ in range(_MOST_MOVES):
        if review_state(leg) == LegState.TRIAGE.value:
            _find_committee(session, leg)
        command = next((each for each in _HUB_COMMANDS if _may(hub, session, request, leg, each)), None)
        if command is None:
            break
        give(hub, session, leg, command, actor=HUB_ACTOR, parts=HUB_PART)
    moves.close_if_over(hub, session, request)
    return leg


def legs_of(session: Session, request: RequestRow) -> list[LegRow]:
    """Return the legs of a request, by dataset."""
    return list(session.scalars(select(LegRow).where(LegRow.request == request.id).order_by(LegRow.dataset)))


def start_review(leg: LegRow, *, version: int) -> None:
    """Put a further version of a granted leg beside it, as submitted."""
    leg.pending_version, leg.pending_state, leg.pending_terms = version, LegState.SUBMITTED.value, None
    leg.stage, leg.proposal = None, None


def drop_review(leg: LegRow) -> None:
    """Give up the review of a later version; what is granted, or was, stays as it is."""
    leg.pending_version, leg.pending_state, leg.pending_terms = None, None, None
    leg.awaited_since, leg.due = None, None


def _held(session: Session, leg: LegRow) -> RequestRow:
    # Two who act at the same moment wait for each other, and the second sees what the first did.
    session.flush()
    one_writer_at_a_time(session)
    session.refresh(leg)
    return session.get_one(RequestRow, leg.request, populate_existing=True)


def _may(hub: Hub, session: Session, request: RequestRow, leg: LegRow, command: str) -> bool:
    if request.state not in (RequestState.OPEN.value, RequestState.PAUSED.value):
        return False
    step = LEG.step(standing(leg, command), Part.HUB, command)
    return step is not None and guards.hold(session, hub, request, leg, actor=HUB_ACTOR, names=step.guards)


def _find_committee(session: Session, leg: LegRow) -> None:
    for stage in stages.STAGES:
        found = committees.committee_for(session, leg.node, leg.dataset, stage)
        if found is not None:
            leg.stage, leg.committee = stage, found.id
            return
    leg.stage, leg.committee = None, None


def _submitted(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
    leg.awaited_since, leg.due = hub.clock.now(), None
    leg.stage, leg.proposal, leg.pending_terms = None, None, None
    if leg.pending_version is not None:
        leg.pending_version = request.version
    else:
        leg.version = request.version


def _triaged(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
    _find_committee(session, leg)


def _before_the_committee(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
    now = hub.clock.now()
    committee = session.get_one(CommitteeRow, leg.committee)
    leg.awaited_since, leg.due = now, now + timedelta(days=committee.due_days)
    leg.proposal = None


def _next_stage(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
    stage = stages.after(session, leg)
    found = committees.committee_for(session, leg.node, leg.dataset, stage) if stage is not None else None
    if found is None:
        raise ValueError("the table let a leg pass to a stage that it has not")
    leg.stage, leg.committee = stage, found.id
    _before_the_committee(hub, session, request, leg)


def _sent_back(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
    leg.awaited_since, leg.due, leg.proposal = hub.clock.now(), None, None


def _approved(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
    terms = cut(combined(_carried(session, leg)), request_of(session, request.id, review_version(leg)))
    kept: dict[str, Any] = terms.model_dump(mode="json")
    leg.awaited_since, leg.due = hub.clock.now(), None
    if leg.pending_version is not None:
        leg.pending_terms = kept
    else:
        leg.terms, leg.expires = kept, parse_iso(terms.until)
    agreements.open_for(session, leg)


def _carried(session: Session, leg: LegRow) -> list[Terms]:
    """Return what each stage decided, in their order: its newest proposal, for no stage is left with another."""
    made = select(ProposalRow).where(ProposalRow.leg == leg.id, ProposalRow.version == review_version(leg))
    newest = {row.stage: row.terms for row in session.scalars(made.order_by(ProposalRow.at, ProposalRow.id))}
    return [
        Terms.model_validate_json(json.dumps(newest[stage])) for stage in stages.STAGES if stage in newest
    ]


def _decided(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
    """Nobody is awaited any more; of a later version that was refused, or has run out, nothing stays."""
    drop_review(leg)


def _answered(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
    leg.awaited_since = hub.clock.now()


def _activated(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
    if leg.pending_version is not None:
        leg.version, leg.terms = leg.pending_version, leg.pending_terms
        leg.state, leg.since = LegState.ACTIVE.value, hub.clock.now()
        drop_review(leg)
    leg.awaited_since, leg.due = None, None
    catch_up(session, request, leg)
    leg.expires = parse_iso(str((leg.terms or {})["until"]))
    grants.seal(hub, session, request, version=leg.version)


def catch_up(session: Session, request: RequestRow, leg: LegRow) -> bool:
    """Take a granted leg over to the newest version, if that concerns it not; return whether it did."""
    if leg.version == request.version:
        return False
    newest = request_of(session, request.id, request.version)
    if leg.dataset not in newest.datasets or concerns(request_of(session, request.id, leg.version), newest):
        return False
    terms = cut(Terms.model_validate_json(json.dumps(leg.terms)), newest)
    leg.version, leg.terms, leg.expires = (
        request.version,
        terms.model_dump(mode="json"),
        parse_iso(terms.until),
    )
    return True


def _over(because: str) -> Callable[[Hub, Session, RequestRow, LegRow], None]:
    def effect(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
        grants.end(hub, session, leg, because=because)
        if because != "expired" or leg.pending_version is None:
            drop_review(leg)

    return effect


def _suspended(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
    grants.tell_pause(hub, session, leg, paused=True)


def _resumed(hub: Hub, session: Session, request: RequestRow, leg: LegRow) -> None:
    grants.tell_pause(hub, session, leg, paused=False)


_EFFECTS: dict[str, Callable[[Hub, Session, RequestRow, LegRow], None]] = {
    "submit": _submitted,
    "restate": _submitted,
    "triage": _triaged,
    "assign": _before_the_committee,
    "take-up": _before_the_committee,
    "return": _sent_back,
    "send-back": _sent_back,
    "next-stage": _next_stage,
    "approve": _approved,
    "approve-with-conditions": _approved,
    "decline": _decided,
    "run-out": _decided,
    "accept-conditions": _answered,
    "refuse-conditions": _decided,
    "activate": _activated,
    "suspend": _suspended,
    "resume": _resumed,
    "revoke": _over("revoked"),
    "lapse": _over("revoked"),
    "withdraw": _over("withdrawn"),
    "complete": _over("completed"),
    "expire": _over("expired"),
}
