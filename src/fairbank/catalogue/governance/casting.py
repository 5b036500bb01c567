"""Putting terms to the vote, and voting.

Both are taken for one leg at a time, one after the other; after each vote the leg moves if that has decided it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import committees, conflicts, legs, notices, parts, stages, voting
from fairbank.catalogue.governance.committee_errors import (
    ConflictOfInterest,
    NotSeated,
    ProposalRefused,
    ReviewNotFound,
    VoteRefused,
)
from fairbank.catalogue.governance.committees import OPEN_STATES
from fairbank.catalogue.governance.counting import Word
from fairbank.catalogue.governance.store import LegRow, ProposalRow, RequestRow, VoteRow
from fairbank.catalogue.governance.terms import Terms
from fairbank.catalogue.governance.workflow import Part
from fairbank.clock import parse_iso
from fairbank.database import one_writer_at_a_time, reading, writing
from fairbank.errors import FairbankError
from fairbank.ontology.wire import Id, Wire
from fairbank.signing import canonical, sha256_digest


class ProposedTerms(Wire):
    """Terms that are put to the vote."""

    schema_name = "proposal/1"

    terms: Terms


class Votes(Wire):
    """One word on several entries; the id of a request stands for all of its entries on which the voter has a vote.

    `proposal` is the one that the voter has read, if she says so.
    """

    schema_name = "votes/1"

    ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=500)]
    word: Word
    comment: Annotated[str, Field(max_length=5000)] = ""
    proposal: Id | None = None


class Approval(Wire):
    """The short way: put these terms to the vote where none are, and approve them, for all datasets of a request."""

    schema_name = "approval/1"

    request: Id
    terms: Terms
    comment: Annotated[str, Field(max_length=5000)] = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one entry: `status` is ok or error; `error` then says why."""

    id: str
    status: str
    state: str | None = None
    outcome: str | None = None
    error: FairbankError | None = None


def propose(session: Session, hub: Hub, who: Account, leg_id: str, terms: Terms) -> ProposalRow:
    """Put terms to the vote; the vote begins anew.

    Raises:
        ProposalRefused: if they give more than was asked for, or end in the past.
        NotSeated: if she may not vote on this leg.
    """
    leg = _locked(session, leg_id)
    _seated(session, leg, who, hub.clock.now())
    return _propose(session, hub, who, leg, terms)


def vote(
    session: Session,
    hub: Hub,
    who: Account,
    leg_id: str,
    *,
    word: Word,
    comment: str = "",
    proposal: str | None = None,
) -> LegRow:
    """Vote on the terms that are proposed, and let the leg move if that decides it.

    Where none are proposed, a word other than approve is about what was asked for as it stands.

    Args:
        proposal: the one that the voter has read; another one in the meantime is refused.

    Raises:
        VoteRefused: if no terms are proposed that could be approved, or others than she has read.
        NotSeated: if she has no seat, or somebody else stands in this seat.
        ConflictOfInterest: if she may not take part.
    """
    now = hub.clock.now()
    leg = _locked(session, leg_id)
    seat = _seated(session, leg, who, now)
    current = _voted_on(session, leg, word, proposal) or _propose(
        session, hub, who, leg, voting.as_asked(session, leg)
    )
    legs.give(hub, session, leg, "vote", actor=who.name, parts=_parts(session, who, leg))
    cast = VoteRow(
        id=hub.clock.new_id(),
        leg=leg.id,
        stage=current.stage,
        proposal=current.id,
        account=who.name,
        stands_for=seat.holder if seat.holder != who.name else None,
        word=word.value,
        comment=comment,
        at=now,
    )
    session.add(cast)
    session.flush()
    _log(session, hub, who, leg, cast, holder=seat.holder)
    legs.settle(hub, session, leg)
    notices.announce(session, hub, leg)
    return leg


def decide(
    hub: Hub,
    who: Account,
    leg_id: str,
    *,
    word: Word,
    comment: str = "",
    proposal: str | None = None,
    terms: Terms | None = None,
) -> LegRow:
    """Vote on one leg in a transaction of its own; where nothing is proposed, an approval proposes these terms first.

    Args:
        proposal: the one that the voter has read, if any.
        terms: what an approval proposes where nothing is proposed; without, what was asked for.

    Raises:
        VoteRefused, ProposalRefused, NotSeated, ConflictOfInterest: as `vote` and `propose` do.
    """
    with writing(hub.engine) as session:
        leg = _locked(session, leg_id)
        _seated(session, leg, who, hub.clock.now())
        if word is Word.APPROVE and proposal is None and voting.proposal_of(session, leg) is None:
            wanted = terms or voting.as_asked(session, leg)
            proposal = _propose(session, hub, who, leg, wanted).id
        leg = vote(session, hub, who, leg_id, word=word, comment=comment, proposal=proposal)
    hub.notifier.notify()
    return leg


def _voted_on(session: Session, leg: LegRow, word: Word, proposal: str | None) -> ProposalRow | None:
    """Return the proposal that a vote is about; None where none is needed and none is there."""
    current = voting.proposal_of(session, leg)
    if proposal is not None and (current is None or current.id != proposal):
        raise VoteRefused(
            "Other terms than these are voted on now.",
            why="Somebody has proposed anew, and a vote is always about terms that were read.",
            todo="Read the present proposal with 'fairbank review show', then vote.",
        )
    if current is None and word is Word.APPROVE:
        raise VoteRefused(
            "There are no terms to approve yet.",
            why="A committee votes on terms that are written down before the first vote.",
            todo="Propose them with 'fairbank review propose', or use 'fairbank review approve … --until'.",
        )
    return current


def _log(session: Session, hub: Hub, who: Account, leg: LegRow, cast: VoteRow, *, holder: str) -> None:
    request = session.get_one(RequestRow, leg.request)
    close = conflicts.close_among(session, request, (who.name,))
    # How somebody voted stands in the review, which auditors read as well. The log, which an administrator reads of her
    # own request too, only commits to it: without the vote's id nobody can try the few words there are.
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=who.name,
        act="vote.cast",
        target=leg.id,
        detail={
            "proposal": cast.proposal,
            "said": sha256_digest(canonical({"vote": cast.id, "word": cast.word, "comment": cast.comment})),
            "seat": holder,
            "same_institution": bool(close),
        },
    )


def vote_on_each(hub: Hub, who: Account, votes: Votes) -> list[Result]:
    """Vote on several entries, each in a transaction of its own: one that fails does not stop the rest."""
    ids: dict[str, None] = {}
    for given in votes.ids:
        ids.update(dict.fromkeys(_entries(hub, who, given) or [given]))

    def one(session: Session, leg: str) -> LegRow:
        return vote(session, hub, who, leg, word=votes.word, comment=votes.comment, proposal=votes.proposal)

    return _each(hub, list(ids), one)


def approve_each(hub: Hub, who: Account, approval: Approval) -> list[Result]:
    """Approve all datasets of a request on which one has a vote, on these terms, proposing them where none are.

    Raises:
        ReviewNotFound: if there is none such.
    """
    ids = _entries(hub, who, approval.request)
    if not ids:
        raise not_found()

    def one(session: Session, leg_id: str) -> LegRow:
        leg = _locked(session, leg_id)
        _seated(session, leg, who, hub.clock.now())
        current = voting.proposal_of(session, leg)
        if current is None:
            current = _propose(session, hub, who, leg, approval.terms)
        elif current.terms != approval.terms.model_dump(mode="json"):
            raise VoteRefused(
                "Other terms are voted on already.",
                why="To approve them is to approve what somebody else wrote; to replace them begins the vote anew.",
                todo="Read them with 'fairbank review show', then 'fairbank review vote' or 'review propose'.",
            )
        return vote(
            session,
            hub,
            who,
            leg_id,
            word=Word.APPROVE,
            comment=approval.comment,
            proposal=current.id,
        )

    return _each(hub, ids, one)


def _each(hub: Hub, ids: list[str], act: Callable[[Session, str], LegRow]) -> list[Result]:
    results = []
    for leg_id in ids:
        try:
            with writing(hub.engine) as session:
                leg = act(session, leg_id)
                outcome = voting.outcome(session, leg, hub.clock.now()).word.value
                state = leg.pending_state or leg.state
                open_still = state in OPEN_STATES
            results.append(Result(leg_id, "ok", state, outcome if open_still else None))
        except FairbankError as err:
            results.append(Result(leg_id, "error", error=err))
    hub.notifier.notify()
    return results


def _entries(hub: Hub, who: Account, request: str) -> list[str]:
    """Return the open entries of a request on which somebody has a vote; none if the id is no request's."""
    now = hub.clock.now()
    with reading(hub.engine) as session:
        legs_of_it = session.scalars(select(LegRow).where(LegRow.request == request).order_by(LegRow.dataset))
        return [
            leg.id
            for leg in legs_of_it
            if (leg.pending_state or leg.state) in OPEN_STATES
            and committees.is_seated(session, leg, who.name, now)
        ]


def _propose(session: Session, hub: Hub, who: Account, leg: LegRow, terms: Terms) -> ProposalRow:
    now = hub.clock.now()
    _check_terms(session, leg, terms, now)
    legs.give(hub, session, leg, "propose", actor=who.name, parts=_parts(session, who, leg))
    assert leg.stage is not None, "a leg in review has a stage"
    row = ProposalRow(
        id=hub.clock.new_id(),
        leg=leg.id,
        stage=leg.stage,
        version=stages.under_review(leg),
        terms=terms.model_dump(mode="json"),
        made_by=who.name,
        at=now,
    )
    session.add(row)
    session.flush()
    leg.proposal = row.id
    session.flush()
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=who.name,
        act="proposal.make",
        target=leg.id,
        detail={"proposal": row.id, "terms": sha256_digest(canonical(row.terms))},
    )
    return row


def _check_terms(session: Session, leg: LegRow, terms: Terms, now: datetime) -> None:
    request = conflicts.sealed_request(session, leg.request, stages.under_review(leg))
    assert request is not None, "a leg in review has a sealed version"
    if parse_iso(terms.until) <= now:
        raise _refused("they end in the past", "Name an end that is yet to come.")
    if parse_iso(terms.until) > parse_iso(request.until):
        raise _refused("they last longer than was asked for", f"Name an end not after {request.until}.")
    if set(terms.output_classes) - set(request.output_classes):
        raise _refused("they name a class of output that was not asked for", "Leave it out.")


def _seated(session: Session, leg: LegRow, who: Account, now: datetime) -> committees.Seat:
    seats = committees.can_decide(session, leg, now)
    seat = seats.seat_of(who.name)
    if seat is not None:
        return seat
    request = session.get_one(RequestRow, leg.request)
    reason = conflicts.barred(session, request, who.name)
    if reason is not None and committees.is_seated(session, leg, who.name, now):
        raise ConflictOfInterest(
            f"You may not take part in this decision: {reason}.",
            why="Nobody decides on what concerns herself.",
            todo="Leave it to the other members; the chair can appoint a substitute for you.",
        )
    raise NotSeated(
        "You have no vote on this at the moment.",
        why="It is decided by the members of the committee of its present stage, and those who stand in for them.",
        todo="See whose decision it is with 'fairbank review show'.",
    )


def _locked(session: Session, leg_id: str) -> LegRow:
    # One after the other: two votes at the same moment are both counted, and the second sees the first.
    one_writer_at_a_time(session)
    leg = session.get(LegRow, leg_id, populate_existing=True)
    if leg is None:
        raise not_found()
    return leg


def not_found() -> ReviewNotFound:
    """Return the error of an id that is no leg, or none that the caller has to do with."""
    return ReviewNotFound(
        "There is no such entry to review.",
        why="Its id is unknown, or it is none of your committee's.",
        todo="See what waits with 'fairbank review list'.",
    )


def _parts(session: Session, who: Account, leg: LegRow) -> frozenset[Part]:
    """Return who somebody is who has a seat by the clock: a member, before the sweep has been round too."""
    found = parts.parts_of(session, who, session.get_one(RequestRow, leg.request), leg)
    return found if Part.REQUESTER in found else found | {Part.MEMBER}


def _refused(reason: str, todo: str) -> ProposalRefused:
    return ProposalRefused(
        f"These terms cannot be put to the vote: {reason}.",
        why="A grant ends by itself, and never gives more than was asked for.",
        todo=todo,
    )
