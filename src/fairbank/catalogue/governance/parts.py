"""Who somebody is to a request or a leg: worked out from rows for each question, never kept.

Whoever asks is only the requester of her own request: nobody decides about what she asked for herself.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, exists, or_, select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.governance.store import (
    AgreementRow,
    CommitteeRow,
    LegRow,
    MemberRow,
    RequestRow,
    SubstituteRow,
)
from fairbank.catalogue.governance.workflow import Part, RequestState


def parts_of(session: Session, who: Account, request: RequestRow, leg: LegRow | None) -> frozenset[Part]:
    """Return who somebody is to a leg, or with None to any leg of the request; empty for a stranger."""
    if request.account == who.name:
        return frozenset({Part.REQUESTER})
    if request.state == RequestState.DRAFT.value or request.version == 0:
        # A draft that was thrown away is as little others' as one that is still written.
        return frozenset()
    legs = select(LegRow).where(LegRow.request == request.id)
    concerned = [leg] if leg is not None else list(session.scalars(legs))
    found: set[Part] = set()
    if who.has(Role.ADMIN):
        found.add(Part.ADMIN)
    if who.has(Role.AUDITOR):
        found.add(Part.AUDITOR)
    if who.has(Role.COMMITTEE):
        found |= _seats(session, who.name, concerned)
    if curated(who) & {each.node for each in concerned}:
        found.add(Part.CURATOR)
    if _countersigns(session, who.name, concerned):
        found.add(Part.COUNTERSIGNER)
    return frozenset(found)


def curated(who: Account) -> frozenset[str]:
    """Return the nodes that somebody is a curator of."""
    return who.scopes if who.has(Role.CURATOR) else frozenset()


def sees_all(who: Account) -> bool:
    """Tell whether somebody has a part in every request that was ever submitted."""
    return who.has(Role.ADMIN, Role.AUDITOR)


def visible_to(session: Session, who: Account) -> ColumnElement[bool]:
    """Return the condition on `RequestRow` that holds where `parts_of` is not empty."""
    own = RequestRow.account == who.name
    submitted = and_(RequestRow.state != RequestState.DRAFT.value, RequestRow.version > 0)
    if sees_all(who):
        return or_(own, submitted)
    reasons: list[ColumnElement[bool]] = []
    if who.has(Role.COMMITTEE):
        reasons.append(LegRow.committee.in_(committees_of(who.name)))
        reasons.append(LegRow.id.in_(appointed_for(who.name)))
    if nodes := curated(who):
        reasons.append(LegRow.node.in_(nodes))
    reasons.append(exists().where(AgreementRow.leg == LegRow.id, AgreementRow.countersigner == who.name))
    return or_(own, and_(submitted, RequestRow.id.in_(select(LegRow.request).where(or_(*reasons)))))


def _seats(session: Session, name: str, legs: list[LegRow]) -> set[Part]:
    named = {leg.committee for leg in legs if leg.committee is not None}
    if not named:
        return set()
    # One that was dissolved decides about nothing any more, whoever sat on it.
    committees = select(CommitteeRow.id).where(CommitteeRow.id.in_(named), CommitteeRow.dissolved.is_(None))
    found: set[Part] = set()
    sits = select(MemberRow.chair).where(
        MemberRow.committee.in_(committees), MemberRow.account == name, MemberRow.until.is_(None)
    )
    for chair in session.scalars(sits):
        found |= {Part.MEMBER, Part.CHAIR} if chair else {Part.MEMBER}
    ids = {leg.id for leg in legs}
    stands = select(SubstituteRow.leg).where(SubstituteRow.committee.in_(committees), _stands_in(name))
    if any(leg is None or leg in ids for leg in session.scalars(stands)):
        found.add(Part.MEMBER)
    return found


def _stands_in(name: str) -> ColumnElement[bool]:
    # Votes are counted by the clock; what is seen and may be done begins and ends when the sweep has been round.
    return and_(SubstituteRow.account == name, SubstituteRow.begun.is_(True), SubstituteRow.over.is_(False))


def committees_of(name: str) -> CompoundSelect[str]:
    """Return the query of the committees that somebody sits on or stands in for."""
    return (
        select(MemberRow.committee)
        .join(CommitteeRow, CommitteeRow.id == MemberRow.committee)
        .where(MemberRow.account == name, MemberRow.until.is_(None), CommitteeRow.dissolved.is_(None))
        .union(
            select(SubstituteRow.committee)
            .join(CommitteeRow, CommitteeRow.id == SubstituteRow.committee)
            .where(_stands_in(name), SubstituteRow.leg.is_(None), CommitteeRow.dissolved.is_(None))
        )
    )


def appointed_for(name: str) -> Select[str | None]:
    """Return the query of the legs that somebody was appointed for by a chair."""
    return select(SubstituteRow.leg).where(_stands_in(name), SubstituteRow.leg.is_not(None))


def _countersigns(session: Session, name: str, legs: list[LegRow]) -> bool:
    ids = [leg.id for leg in legs]
    named = select(AgreementRow.leg).where(AgreementRow.leg.in_(ids), AgreementRow.countersigner == name)
    if session.scalar(named.limit(1)) is not None:
        return True
    return any(
        ((terms or {}).get("agreement") or {}).get("countersigner") == name
        for leg in legs
        for terms in (leg.terms, leg.pending_terms)
    )
