"""What a committee sees: the list of what waits, by due date, and one entry in full.

An entry is one dataset of a request (a leg). The requester never sees one here, and who has a conflict sees that it is
there and nothing of what the committee says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.governance import (
    casting,
    committees,
    conflicts,
    membership,
    stages,
    voting,
)
from fairbank.catalogue.governance.legs import review_state
from fairbank.catalogue.governance.remembering import only_reads, tell
from fairbank.catalogue.governance.store import (
    AttachmentRow,
    CommitteeRow,
    LegRow,
    ProposalRow,
    RequestRow,
    SubstituteRow,
    VoteRow,
)
from fairbank.catalogue.governance.terms import Terms
from fairbank.catalogue.governance.workflow import LegState
from fairbank.catalogue.store import DatasetRow
from fairbank.clock import iso
from fairbank.ontology.signed_objects import Request

# So many lines are looked up together; fewer than any database takes in one statement.
_AT_ONCE = 500
# Of a leg that is in one of these, a committee has said what it says.
_DECIDED = sorted(
    {each.value for each in LegState}
    - {each.value for each in (LegState.DRAFT, LegState.SUBMITTED, LegState.TRIAGE, LegState.IN_REVIEW)}
    - {LegState.WITHDRAWN.value}
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries of the list are wanted; a field that is None or False asks for nothing.

    Attributes:
        mine: only what waits for the caller's own vote.
        every_state: decided ones too.
        decided: only decided ones, the one that was decided last at the top.
    """

    committee: str | None = None
    node: str | None = None
    verdict: str | None = None
    request: str | None = None
    mine: bool = False
    overdue: bool = False
    every_state: bool = False
    decided: bool = False
    limit: int = 100
    offset: int = 0


def listing(session: Session, who: Account, wanted: Wanted, *, now: datetime) -> list[dict[str, Any]]:
    """Return entries that somebody may see, the one that is due first at the top, those without a date last.

    The session is one that only reads.
    """
    only_reads(session)
    # Only ids are put in order: whole rows would be carried through the sorting, and nearly all of them thrown away.
    # No order by NULLS LAST: the two databases differ in how they write it.
    statement = (
        select(LegRow.id)
        .where(*_conditions(session, who, wanted, now))
        .order_by(
            *([LegRow.since.desc()] if wanted.decided else [LegRow.due.is_(None), LegRow.due]), LegRow.id
        )
    )
    if not wanted.mine:
        statement = statement.limit(wanted.limit).offset(wanted.offset)
    ids = list(session.scalars(statement))
    found: list[dict[str, Any]] = []
    for at in range(0, len(ids), _AT_ONCE):
        some = _read(session, ids[at : at + _AT_ONCE])
        told = _look_up(session, some)
        lines = [row_of(session, who, leg, request, now=now) for leg, request in some]
        found += [line for line in lines if line["awaits_me"]] if wanted.mine else lines
        del told
        if len(found) >= wanted.offset + wanted.limit:
            break
    return found[wanted.offset : wanted.offset + wanted.limit] if wanted.mine else found


def _read(session: Session, ids: Sequence[str]) -> list[tuple[LegRow, RequestRow]]:
    """Return some legs with their requests, in the order of the ids."""
    statement = (
        select(LegRow, RequestRow).join(RequestRow, RequestRow.id == LegRow.request).where(LegRow.id.in_(ids))
    )
    by_id = {leg.id: (leg, request) for leg, request in session.execute(statement)}
    return [by_id[each] for each in ids]


def _look_up(session: Session, rows: Sequence[tuple[LegRow, RequestRow]]) -> list[object]:
    """Ask at once what each line would ask; what is returned has to be kept until the lines are made."""
    conflicts.look_up(session, [request for _, request in rows])
    held: list[object] = []
    legs = [leg for leg, _ in rows]
    for of, wanted in (
        (DatasetRow.iri, {leg.dataset for leg in legs}),
        (ProposalRow.id, {leg.proposal for leg in legs if leg.proposal is not None}),
    ):
        held += session.scalars(select(of.class_).where(of.in_(wanted)))
    votes: dict[str, list[VoteRow]] = {leg.proposal: [] for leg in legs if leg.proposal is not None}
    for vote in session.scalars(voting.in_order().where(VoteRow.proposal.in_(list(votes)))):
        votes[vote.proposal].append(vote)
    tell(session, {("votes", proposal): each for proposal, each in votes.items()})
    return held


def find(session: Session, who: Account, leg_id: str, *, now: datetime) -> LegRow:
    """Return an entry that somebody may see as a committee does.

    Raises:
        ReviewNotFound: if there is none, or she has nothing to do with it.
    """
    leg = session.get(LegRow, leg_id)
    if leg is None or leg.version < 1:
        raise casting.not_found()
    request = session.get_one(RequestRow, leg.request)
    if request.account == who.name:
        raise casting.not_found()
    if not membership.may_see_all(who) and not committees.is_seated(session, leg, who.name, now):
        raise casting.not_found()
    return leg


def row_of(
    session: Session, who: Account, leg: LegRow, request: RequestRow, *, now: datetime
) -> dict[str, Any]:
    """Return one line of the list."""
    dataset = session.get(DatasetRow, leg.dataset)
    committee = committees.deciding(session, leg)
    bar = conflicts.barred(session, request, who.name)
    row: dict[str, Any] = {
        "id": leg.id,
        "request": request.id,
        "title": request.title,
        "account": request.account,
        "dataset": leg.dataset,
        "dataset_title": dataset.title if dataset is not None else None,
        "node": leg.node,
        "state": review_state(leg),
        "words": LegState(review_state(leg)).words,
        "stage": leg.stage,
        "committee": committee.id if committee is not None else None,
        "committee_title": committee.title if committee is not None else None,
        "version": stages.under_review(leg),
        "since": iso(leg.since),
        "due": iso(leg.due) if leg.due is not None else None,
        "overdue": leg.due is not None and leg.due <= now,
        "awaited_since": iso(leg.awaited_since) if leg.awaited_since is not None else None,
        "verdict": leg.verdict,
        "conflict": bar,
    }
    if bar is not None or review_state(leg) not in committees.OPEN_STATES:
        # How many have voted is the committee's own: who may not take part is not told it either.
        return row | {"outcome": None, "tied": False, "votes": None, "gap": None, "awaits_me": False}
    standing = voting.standing(session, leg, now)
    outcome = standing.outcome
    awaited = standing.awaited if review_state(leg) == LegState.IN_REVIEW.value else ()
    votes = {
        "approve": outcome.yes,
        "decline": outcome.no,
        "return": outcome.back,
        "abstain": outcome.abstained,
    }
    return row | {
        "outcome": outcome.word.value,
        "tied": outcome.tied,
        "votes": votes,
        "gap": outcome.gap,
        "awaits_me": who.name in awaited,
    }


def in_full(session: Session, who: Account, leg: LegRow, *, now: datetime) -> dict[str, Any]:
    """Return an entry with all that a member needs to decide: purpose, evidence, match, terms and votes."""
    request = session.get_one(RequestRow, leg.request)
    sealed = conflicts.sealed_request(session, request.id, stages.under_review(leg))
    row = row_of(session, who, leg, request, now=now)
    return {
        "schema": "review/1",
        **row,
        "asked": _asked(session, request, sealed) if sealed is not None else None,
        "match": list(leg.match),
        **(_of_the_committee(session, leg, request, now=now) if row["conflict"] is None else {}),
    }


def _of_the_committee(session: Session, leg: LegRow, request: RequestRow, *, now: datetime) -> dict[str, Any]:
    seats = committees.can_decide(session, leg, now)
    proposal = voting.proposal_of(session, leg)
    passed = stages.proposals(session, leg, version=stages.under_review(leg))
    votes = {vote.seat: vote for vote in voting.counted(session, leg, now)}
    people = {seat.holder for seat in seats.seats} | {name for seat in seats.seats for name in seat.voters}
    near = conflicts.close_among(session, request, people)
    return {
        "needed": seats.needed,
        "can_decide": bool(seats),
        "proposal": _proposal(proposal) if proposal is not None else None,
        "carried_before": [_proposal(each) for stage, each in passed.items() if stage != leg.stage],
        "seats": [
            {
                "member": seat.holder,
                "chair": seat.chair,
                "may_vote": list(seat.voters),
                "barred": seat.barred,
                "same_institution": sorted(
                    {near[name] for name in (seat.holder, *seat.voters) if name in near}
                ),
                "vote": _vote(votes[seat.holder]) if seat.holder in votes else None,
            }
            for seat in seats.seats
        ],
    }


def _conditions(session: Session, who: Account, wanted: Wanted, now: datetime) -> list[ColumnElement[bool]]:
    # Only columns that the index of pages has, and few ids that are looked up once: nothing is read of legs that wait
    # but are on other pages. Her own requests are few.
    own_legs = select(LegRow.id).join(RequestRow, RequestRow.id == LegRow.request)
    conditions: list[ColumnElement[bool]] = [LegRow.id.not_in(own_legs.where(RequestRow.account == who.name))]
    if not membership.may_see_all(who):
        appointed = select(SubstituteRow.leg).where(
            SubstituteRow.account == who.name, SubstituteRow.leg.is_not(None)
        )
        own = sorted(committees.committees_of(session, who.name, now, of_legs=False))
        conditions.append(or_(LegRow.committee.in_(own), LegRow.id.in_(session.scalars(appointed).all())))
    # What is under review was sealed.
    conditions.append(LegRow.version > 0 if wanted.every_state or wanted.decided else membership.is_open())
    if wanted.decided:
        conditions.append(LegRow.state.in_(_DECIDED))
    for column, value in (
        (LegRow.committee, wanted.committee),
        (LegRow.node, wanted.node),
        (LegRow.verdict, wanted.verdict),
        (LegRow.request, wanted.request),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.overdue:
        conditions.append(and_(LegRow.due.is_not(None), LegRow.due <= now))
    return conditions


def _asked(session: Session, request: RequestRow, sealed: Request) -> dict[str, Any]:
    attached = {
        row.digest: row
        for row in session.scalars(select(AttachmentRow).where(AttachmentRow.request == request.id))
    }
    said: dict[str, Any] = sealed.model_dump(
        mode="json",
        include={
            "organisation",
            "organisation_kind",
            "country",
            "project",
            "purpose",
            "output_classes",
            "people",
            "funding",
            "publication_plan",
            "until",
            "minimum_datasets",
            "version",
        },
    )
    said["datasets"] = len(sealed.datasets)
    said["evidence"] = [
        {
            **each.model_dump(mode="json"),
            "file": attached[each.digest].name if each.digest in attached else None,
            "size_bytes": attached[each.digest].size_bytes if each.digest in attached else None,
        }
        for each in sealed.evidence
    ]
    return said


def _proposal(row: ProposalRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "stage": row.stage,
        "made_by": row.made_by,
        "at": iso(row.at),
        "terms": Terms.model_validate_json(json.dumps(row.terms)).model_dump(mode="json"),
    }


def _vote(vote: voting.Counted) -> dict[str, Any]:
    return {
        "word": vote.word.value,
        "by": vote.account,
        "at": iso(vote.at),
        "comment": vote.comment,
        "same_institution": vote.close_to,
    }


def committee_in_full(session: Session, committee: CommitteeRow, *, now: datetime) -> dict[str, Any]:
    """Return a committee with its rules, members, substitutes and scope."""
    return {
        "schema": "committee-view/1",
        **committee_row(session, committee),
        "remind_days": list(committee.remind_days),
        "names_voters": committee.names_voters,
        "created": iso(committee.created),
        "members": [
            {"account": each.account, "chair": each.chair, "since": iso(each.since)}
            for each in committees.members(session, committee.id)
        ],
        "substitutes": [
            {
                "account": each.account,
                "stands_for": each.stands_for,
                "leg": each.leg,
                "appointed_by": each.appointed_by,
                "since": iso(each.since),
                "until": iso(each.until) if each.until is not None else None,
            }
            for each in committees.substitutes(session, committee.id)
            if each.until is None or each.until > now
        ],
    }


def all_committees(session: Session, *, now: datetime) -> list[dict[str, Any]]:
    """Return all committees in full, for whoever runs the hub."""
    statement = select(CommitteeRow).where(CommitteeRow.dissolved.is_(None))
    rows = session.scalars(statement.order_by(CommitteeRow.created, CommitteeRow.id))
    return [committee_in_full(session, row, now=now) for row in rows]


def committee_row(session: Session, committee: CommitteeRow) -> dict[str, Any]:
    """Return one line of the list of committees."""
    sitting = committees.members(session, committee.id)
    return {
        "id": committee.id,
        "title": committee.title,
        "stage": committee.stage,
        "quorum": committee.quorum,
        "four_eyes": committee.four_eyes,
        "due_days": committee.due_days,
        "decides_about": [
            scope.dataset or f"all of {scope.node}" for scope in committees.scopes(session, committee.id)
        ],
        "seats": len(sitting),
        "chair": next((each.account for each in sitting if each.chair), None),
    }
