"""Votes as they stand: the terms that are voted on, the votes that count, and what they have come to.

Other terms are another proposal, and the vote begins anew. A member's later vote on the same proposal replaces her
earlier one when counted; both rows stay. `counting` has the rules; `casting` takes proposals and votes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from fairbank.catalogue.governance import committees, conflicts, stages
from fairbank.catalogue.governance.counting import Ballot, Outcome, Word, count
from fairbank.catalogue.governance.remembering import remembered
from fairbank.catalogue.governance.store import LegRow, ProposalRow, RequestRow, VoteRow
from fairbank.catalogue.governance.terms import Terms


@dataclass(frozen=True, slots=True)
class Counted:
    """A vote as it is counted: for which seat, by whom, what it says; `close_to` names an institution she shares."""

    seat: str
    account: str
    word: Word
    comment: str
    at: datetime
    close_to: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a vote stands: who has which seat, what it has come to, and who may still cast a vote that was not cast."""

    seats: committees.Seats
    outcome: Outcome
    awaited: tuple[str, ...]


def outcome(session: Session, leg: LegRow, now: datetime) -> Outcome:
    """Return what the votes on the present proposal have come to.

    Only votes of seats that exist now are counted: whoever has left the committee no longer has one. A vote of somebody
    whose conflict came out later, or whose account was shut, is not counted either.
    """
    return standing(session, leg, now).outcome


def standing(session: Session, leg: LegRow, now: datetime) -> Standing:
    """Return how the vote on the present proposal stands."""
    seats = committees.can_decide(session, leg, now)
    committee = committees.deciding(session, leg)
    votes = _one_each(seats, _newest(session, leg))
    ballots = [
        Ballot(
            word=Word(vote.word) if vote is not None else None,
            person=vote.account if vote is not None else "",
            chair=seat.chair,
            open=bool(seat.voters),
        )
        for seat, vote in zip(seats.seats, votes, strict=True)
    ]
    return Standing(
        seats,
        count(ballots, needed=seats.needed, four_eyes=committee is not None and committee.four_eyes),
        tuple(
            voter
            for seat, vote in zip(seats.seats, votes, strict=True)
            if vote is None
            for voter in seat.voters
        ),
    )


def proposal_of(session: Session, leg: LegRow) -> ProposalRow | None:
    """Return the terms that are being voted on in the present stage, None if none are."""
    row = session.get(ProposalRow, leg.proposal) if leg.proposal is not None else None
    if row is None or row.stage != leg.stage or row.version != stages.under_review(leg):
        return None
    return row


def counted(session: Session, leg: LegRow, now: datetime) -> list[Counted]:
    """Return the votes that count, by seat."""
    votes = _newest(session, leg)
    request = session.get_one(RequestRow, leg.request)
    near = conflicts.close_among(session, request, {vote.account for vote in votes.values()})
    found = []
    seats = committees.can_decide(session, leg, now)
    for seat, vote in zip(seats.seats, _one_each(seats, votes), strict=True):
        if vote is not None:
            found.append(
                Counted(
                    seat.holder,
                    vote.account,
                    Word(vote.word),
                    vote.comment,
                    vote.at,
                    near.get(vote.account),
                )
            )
    return found


def awaited(session: Session, leg: LegRow, now: datetime) -> list[str]:
    """Return who may still cast a vote that was not cast yet: the people whom a leg in review waits for."""
    return list(standing(session, leg, now).awaited)


def as_asked(session: Session, leg: LegRow) -> Terms:
    """Return the terms that grant a dataset as it was asked for; those of an earlier stage still bind."""
    request = conflicts.sealed_request(session, leg.request, stages.under_review(leg))
    assert request is not None, "a leg in review has a sealed version"
    return Terms(until=request.until)


def in_order() -> Select[VoteRow]:
    """Return the statement that asks for votes, oldest first."""
    return select(VoteRow).order_by(VoteRow.at, VoteRow.id)


def _newest(session: Session, leg: LegRow) -> dict[tuple[str, str], VoteRow]:
    """Return the newest vote of each person for each seat on the present proposal, of people who may take part."""
    current = proposal_of(session, leg)
    if current is None:
        return {}
    proposal = current.id
    rows = remembered(
        session,
        ("votes", proposal),
        lambda: list(session.scalars(in_order().where(VoteRow.proposal == proposal))),
    )
    people = {row.account for row in rows}
    request = session.get_one(RequestRow, leg.request)
    may = committees.eligible(session, people) - conflicts.barred_among(session, request, people).keys()
    return {(row.stands_for or row.account, row.account): row for row in rows if row.account in may}


def _one_each(seats: committees.Seats, votes: dict[tuple[str, str], VoteRow]) -> list[VoteRow | None]:
    """Return the vote that counts for each seat; of a person who voted for several one after the other, her last."""
    last: dict[str, VoteRow] = {}
    holders = {seat.holder for seat in seats.seats}
    counting = {place: vote for place, vote in votes.items() if place[0] in holders}
    for vote in sorted(counting.values(), key=lambda vote: (vote.at, vote.id)):
        last[vote.account] = vote
    once = {place: vote for place, vote in counting.items() if last[vote.account] is vote}
    return [_vote_of(seat, once) for seat in seats.seats]


def _vote_of(seat: committees.Seat, votes: dict[tuple[str, str], VoteRow]) -> VoteRow | None:
    """Return the vote that counts for a seat: the holder's own, else the newest of those who stood in for her."""
    own = votes.get((seat.holder, seat.holder))
    if own is not None:
        return own
    others = [vote for (holder, voter), vote in votes.items() if holder == seat.holder != voter]
    if seat.barred is not None:
        # Whoever stood in by her own choice is out with her; whom the chair appointed is among those who may vote.
        others = [vote for vote in others if vote.account in seat.voters]
    return max(others, key=lambda vote: (vote.at, vote.id), default=None)
