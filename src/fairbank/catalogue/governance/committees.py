"""Committees: who sits on them, about what they decide, who stands in for whom, and whether they can decide at all.

A committee has seats: one per member, and one per substitute whom the chair appointed beside the members. A seat has
one vote. The member's own counts; without it the vote of who stands in for her, by her own delegation for a period or
by the chair's appointment for one leg. One person never has two seats.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.governance import conflicts
from fairbank.catalogue.governance.remembering import remembered
from fairbank.catalogue.governance.store import (
    CommitteeRow,
    LegRow,
    MemberRow,
    RequestRow,
    ScopeRow,
    SubstituteRow,
)
from fairbank.catalogue.governance.workflow import LegState
from fairbank.catalogue.store import AccountRow

# In the order of a review.
STAGES = ("ethics", "technical", "data")
PERSONS_OF_FOUR_EYES = 2
# Where a leg waits for a decision.
OPEN_STATES = (LegState.TRIAGE.value, LegState.IN_REVIEW.value)


@dataclass(frozen=True, slots=True)
class Seat:
    """One vote of a committee on one leg.

    Attributes:
        holder: the member, or the substitute who was appointed beside the members.
        chair: whether the holder presides.
        voters: who may cast this vote now, the holder first; empty if nobody may.
        barred: why the holder may not, if she may not.
    """

    holder: str
    chair: bool
    voters: tuple[str, ...]
    barred: str | None = None


@dataclass(frozen=True, slots=True)
class Seats:
    """The votes of a committee on one leg; true if they can reach a decision.

    Attributes:
        needed: how many votes a decision needs.
    """

    seats: tuple[Seat, ...]
    needed: int

    def __bool__(self) -> bool:
        """Tell whether enough votes can be cast."""
        return len(self.able) >= self.needed > 0

    @property
    def able(self) -> tuple[Seat, ...]:
        """Return the seats whose vote somebody may cast."""
        return tuple(seat for seat in self.seats if seat.voters)

    def seat_of(self, account: str) -> Seat | None:
        """Return the seat whose vote somebody may cast, None if she may cast none."""
        return next((seat for seat in self.seats if account in seat.voters), None)


def committee_for(session: Session, node: str, dataset_iri: str, stage: str) -> CommitteeRow | None:
    """Return who decides about a dataset in a stage: its own committee, else that of its whole node, else None."""
    statement = (
        select(CommitteeRow)
        .join(ScopeRow, ScopeRow.committee == CommitteeRow.id)
        .where(
            CommitteeRow.dissolved.is_(None),
            CommitteeRow.stage == stage,
            ScopeRow.node == node,
            ScopeRow.dataset.in_((dataset_iri, "")),
        )
        .order_by(ScopeRow.dataset.desc(), CommitteeRow.created, CommitteeRow.id)
        .limit(1)
    )
    return session.scalar(statement)


def members(session: Session, committee: str) -> list[MemberRow]:
    """Return who sits on a committee now, the chair first."""

    def ask() -> list[MemberRow]:
        statement = select(MemberRow).where(MemberRow.committee == committee, MemberRow.until.is_(None))
        return list(session.scalars(statement.order_by(MemberRow.chair.desc(), MemberRow.account)))

    return remembered(session, ("members", committee), ask)


def scopes(session: Session, committee: str) -> list[ScopeRow]:
    """Return what a committee decides about."""
    statement = select(ScopeRow).where(ScopeRow.committee == committee)
    return list(session.scalars(statement.order_by(ScopeRow.node, ScopeRow.dataset)))


def substitutes(session: Session, committee: str) -> list[SubstituteRow]:
    """Return all who stand, stood or will stand in for somebody, the newest first."""

    def ask() -> list[SubstituteRow]:
        statement = select(SubstituteRow).where(SubstituteRow.committee == committee)
        return list(session.scalars(statement.order_by(SubstituteRow.since.desc(), SubstituteRow.id.desc())))

    return remembered(session, ("substitutes", committee), ask)


def committees_of(session: Session, account: str, now: datetime, *, of_legs: bool = True) -> set[str]:
    """Return the ids of the committees on which somebody sits, or stands in for somebody.

    Args:
        of_legs: count those too where she was appointed for single legs only.
    """
    sitting = select(MemberRow.committee).where(MemberRow.account == account, MemberRow.until.is_(None))
    standing_in = select(SubstituteRow.committee).where(
        SubstituteRow.account == account, SubstituteRow.since <= now, _not_over(now)
    )
    if not of_legs:
        standing_in = standing_in.where(SubstituteRow.leg.is_(None))
    return {*session.scalars(sitting), *session.scalars(standing_in)}


def can_decide(session: Session, leg: LegRow, now: datetime) -> Seats:
    """Return the votes on a leg in its present stage; true if enough can be cast for a decision.

    Before its first stage that stage's committee is asked. Without a committee there is no seat, and nobody can decide.
    """
    committee = deciding(session, leg)
    if committee is None:
        return Seats((), 1)
    least = PERSONS_OF_FOUR_EYES if committee.four_eyes else 1
    return Seats(_seats(session, committee, leg, now), max(committee.quorum, least))


def deciding(session: Session, leg: LegRow) -> CommitteeRow | None:
    """Return the committee that decides about a leg now, or will first; None if there is none."""
    if leg.committee is not None:
        named = leg.committee
        committee = remembered(session, ("committee", named), lambda: session.get(CommitteeRow, named))
        return committee if committee is not None and committee.dissolved is None else None
    found = (committee_for(session, leg.node, leg.dataset, stage) for stage in STAGES)
    return next((committee for committee in found if committee is not None), None)


def seat_of(session: Session, leg: LegRow, account: str, now: datetime) -> Seat | None:
    """Return the seat whose vote on a leg somebody may cast now, None if she may cast none."""
    return can_decide(session, leg, now).seat_of(account)


def is_seated(session: Session, leg: LegRow, account: str, now: datetime) -> bool:
    """Tell whether somebody belongs to the committee of a leg now, a conflict of interest left out of account."""
    committee = deciding(session, leg)
    if committee is None:
        return False
    if any(member.account == account for member in members(session, committee.id)):
        return True
    return any(each.account == account for each in _standing_in(session, committee.id, leg.id, now))


def presides(session: Session, leg: LegRow, account: str) -> bool:
    """Tell whether somebody is chair of the committee of a leg."""
    committee = deciding(session, leg)
    return committee is not None and any(
        member.chair and member.account == account for member in members(session, committee.id)
    )


def eligible(session: Session, names: Collection[str]) -> set[str]:
    """Return those of some accounts that are open and have the role that sitting on a committee needs."""

    def ask() -> set[str]:
        rows = session.scalars(
            select(AccountRow).where(AccountRow.name.in_(sorted(names)), AccountRow.disabled.is_(None))
        )
        return {row.name for row in rows if Role.COMMITTEE.value in row.roles}

    return remembered(session, ("eligible", *sorted(names)), ask)


def _seats(session: Session, committee: CommitteeRow, leg: LegRow, now: datetime) -> tuple[Seat, ...]:
    sitting = members(session, committee.id)
    substitutes = _standing_in(session, committee.id, leg.id, now)
    people = {row.account for row in sitting} | {row.account for row in substitutes}
    able = eligible(session, people)
    request = session.get_one(RequestRow, leg.request)
    barred = conflicts.barred_among(session, request, people)
    taken = {row.account for row in sitting}
    seats = []
    for member in sitting:
        bar = barred.get(member.account)
        own = (member.account,) if member.account in able and bar is None else ()
        # Whoever is barred does not choose who votes in her place: only the chair's appointment counts then.
        others = [
            row.account
            for row in substitutes
            if row.stands_for == member.account
            and (bar is None or row.leg is not None)
            and row.account in able - taken - barred.keys()
        ]
        # One person, one seat.
        stand_in = tuple(dict.fromkeys(others))[:1]
        taken.update(stand_in)
        seats.append(Seat(member.account, member.chair, own + stand_in, bar))
    for row in substitutes:
        if row.stands_for is None and row.account in able - taken:
            taken.add(row.account)
            bar = barred.get(row.account)
            seats.append(Seat(row.account, False, () if bar else (row.account,), bar))
    return tuple(seats)


def _standing_in(session: Session, committee: str, leg: str, now: datetime) -> list[SubstituteRow]:
    """Return those who stand in now, the chair's appointments for this leg first, and later ones before earlier."""
    rows = [
        row
        for row in substitutes(session, committee)
        if row.leg in (None, leg) and row.since <= now and (row.until is None or row.until > now)
    ]
    return sorted(rows, key=lambda row: row.leg is None)


def _not_over(now: datetime) -> ColumnElement[bool]:
    return or_(SubstituteRow.until.is_(None), SubstituteRow.until > now)
