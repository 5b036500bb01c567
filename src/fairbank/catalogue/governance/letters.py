"""The letter about a decision: what was decided, on which terms, why, by whom, and how to object.

Who decided is said by committee and numbers of votes; names stand in it only where a committee's rules say so. The
numbers are those of the moment of the decision, whoever has left since.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import casting, conflicts, markup, reviews, stages
from fairbank.catalogue.governance.committee_errors import NothingDecided
from fairbank.catalogue.governance.counting import Word
from fairbank.catalogue.governance.granted_terms import combined, cut
from fairbank.catalogue.governance.store import (
    CommitteeRow,
    ConflictRow,
    LegRow,
    MemberRow,
    ProposalRow,
    RequestHistoryRow,
    RequestRow,
    ScopeRow,
    SubstituteRow,
    VoteRow,
)
from fairbank.catalogue.governance.terms import Terms
from fairbank.catalogue.plain_page import framed
from fairbank.catalogue.store import AccountRow, DatasetRow
from fairbank.clock import iso

_GRANTS = ("approve", "approve-with-conditions")
_DECISIONS = {
    "approve": "granted",
    "approve-with-conditions": "granted on conditions",
    "decline": "declined",
    "send-back": "returned for correction",
    "return": "returned for correction",
    "revoke": "taken back",
    "lapse": "taken back",
}
_WORDS = {
    "approve": Word.APPROVE,
    "approve-with-conditions": Word.APPROVE,
    "decline": Word.DECLINE,
    "send-back": Word.RETURN,
}


@dataclass(frozen=True, slots=True)
class Votes:
    """How a committee voted in one stage."""

    stage: str
    committee: str
    at: datetime
    numbers: dict[str, int]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """A decision about one dataset of a request.

    Attributes:
        decided: in words, such as `declined`.
        terms: on what terms, None where nothing was granted.
        reasons: what those who decided so wrote for the requester, without names.
    """

    hub: str
    request: str
    title: str
    account: str
    organisation: str
    dataset: str
    dataset_title: str
    decided: str
    at: datetime
    terms: Terms | None
    reasons: tuple[str, ...]
    votes: tuple[Votes, ...]
    objection: str


def letter(session: Session, hub: Hub, who: Account, leg_id: str) -> Letter:
    """Return the letter about the newest decision on a dataset of a request, for its requester and its committee.

    Raises:
        ReviewNotFound: if there is no such leg, or she has nothing to do with it.
        NothingDecided: if there is no decision yet.
    """
    leg = session.get(LegRow, leg_id)
    if leg is None:
        raise casting.not_found()
    request = session.get_one(RequestRow, leg.request)
    if request.account != who.name:
        reviews.find(session, who, leg_id, now=hub.clock.now())
    return _of(session, hub, leg, request)


def _of(session: Session, hub: Hub, leg: LegRow, request: RequestRow) -> Letter:
    decision = _newest_decision(session, leg)
    if decision is None:
        raise NothingDecided(
            "There is no decision about this dataset yet.",
            why="A letter says what was decided, by whom and why.",
            todo="'fairbank request show' says who is awaited, and since when.",
        )
    version = _version_at(session, leg, decision.at)
    sealed = conflicts.sealed_request(session, request.id, version)
    dataset = session.get(DatasetRow, leg.dataset)
    votes, said = _votes(session, leg, version, decision)
    reasons = tuple(text for text in ([decision.note] if decision.command not in _WORDS else said) if text)
    return Letter(
        hub=hub.base_iri,
        request=request.id,
        title=request.title,
        account=request.account,
        organisation=sealed.organisation if sealed is not None else "",
        dataset=leg.dataset,
        dataset_title=dataset.title if dataset is not None else leg.dataset,
        decided=_DECISIONS[decision.command],
        at=decision.at,
        terms=_terms(session, leg, version) if decision.command in _GRANTS else None,
        reasons=reasons,
        votes=votes,
        objection=hub.settings.letter_objection,
    )


def as_text(made: Letter) -> str:
    """Return a letter as plain text."""
    lines = [
        f"{made.at:%Y-%m-%d}",
        "",
        f"To {made.account}, {made.organisation}",
        f"Your request: {made.title} ({made.request})",
        f"Dataset: {made.dataset_title} ({made.dataset})",
        "",
        f"Access was {made.decided}.",
    ]
    if made.terms is not None:
        lines += ["", "Terms", *(f"- {name}: {value}" for name, value in _terms_in_words(made.terms).items())]
    if made.reasons:
        lines += ["", "Reasons", *(f"- {reason}" for reason in made.reasons)]
    if made.votes:
        lines += ["", "Decided by", *(f"- {_in_words(votes)}" for votes in made.votes)]
    return "\n".join([*lines, "", "How to object", made.objection, "", made.hub, ""])


def as_html(made: Letter) -> str:
    """Return a letter as one HTML file of its own."""
    parts = [
        markup.heading(f"Access was {made.decided}", level=1),
        markup.fields(
            {
                "Date": f"{made.at:%Y-%m-%d}",
                "To": f"{made.account}, {made.organisation}",
                "Request": f"{made.title} ({made.request})",
                "Dataset": f"{made.dataset_title} ({made.dataset})",
            }
        ),
    ]
    if made.terms is not None:
        parts += [markup.heading("Terms"), markup.fields(_terms_in_words(made.terms))]
    if made.reasons:
        parts += [markup.heading("Reasons"), markup.items(made.reasons)]
    if made.votes:
        parts += [markup.heading("Decided by"), markup.items(_in_words(votes) for votes in made.votes)]
    parts += [markup.heading("How to object"), markup.paragraph(made.objection), markup.paragraph(made.hub)]
    return framed(f"{made.title}: {made.decided}", parts, alone=True)


def as_payload(made: Letter) -> dict[str, object]:
    """Return a letter for programs."""
    return {
        "schema": "letter/1",
        "hub": made.hub,
        "request": made.request,
        "title": made.title,
        "account": made.account,
        "dataset": made.dataset,
        "decided": made.decided,
        "at": iso(made.at),
        "terms": made.terms.model_dump(mode="json") if made.terms is not None else None,
        "reasons": list(made.reasons),
        "votes": [
            {
                "stage": each.stage,
                "committee": each.committee,
                "at": iso(each.at),
                "numbers": each.numbers,
                "names": list(each.names),
            }
            for each in made.votes
        ],
        "objection": made.objection,
        "text": as_text(made),
    }


def _newest_decision(session: Session, leg: LegRow) -> RequestHistoryRow | None:
    statement = select(RequestHistoryRow).where(
        RequestHistoryRow.leg == leg.id, RequestHistoryRow.command.in_(tuple(_DECISIONS))
    )
    return session.scalar(
        statement.order_by(RequestHistoryRow.at.desc(), RequestHistoryRow.id.desc()).limit(1)
    )


def _version_at(session: Session, leg: LegRow, at: datetime) -> int:
    """Return the version that a decision was about: that of the last proposal before it, else the present one."""
    statement = select(ProposalRow.version).where(ProposalRow.leg == leg.id, ProposalRow.at <= at)
    found = session.scalar(statement.order_by(ProposalRow.at.desc(), ProposalRow.id.desc()).limit(1))
    return found if found is not None else stages.under_review(leg)


def _terms(session: Session, leg: LegRow, version: int) -> Terms | None:
    """Return the terms of a decision about a version, also where another version is in force since, or still is."""
    kept = {leg.version: leg.terms} | {leg.pending_version: leg.pending_terms}
    if kept.get(version) is not None:
        return Terms.model_validate_json(json.dumps(kept[version]))
    made = stages.proposals(session, leg, version=version).values()
    sealed = conflicts.sealed_request(session, leg.request, version)
    if not made or sealed is None:
        return None
    return cut(combined(Terms.model_validate_json(json.dumps(each.terms)) for each in made), sealed)


def _votes(
    session: Session, leg: LegRow, version: int, decision: RequestHistoryRow
) -> tuple[tuple[Votes, ...], list[str]]:
    """Return how each stage voted that led to a decision, and what those of its last one wrote who decided it."""
    word = _WORDS.get(decision.command)
    if word is None:
        return (), []
    found, said = [], []
    passed = stages.proposals(session, leg, version=version)
    ends = _ends(session, leg, decision)
    for stage, proposal in passed.items():
        # A stage ends when the leg passes to the next one; an earlier version may have passed it before.
        left = [at for at in ends if at >= proposal.at]
        at = left[0] if left and stage != list(passed)[-1] else decision.at
        votes = _counted_then(session, proposal, at)
        committee = _committee_then(session, leg, stage, votes)
        found.append(
            Votes(
                stage=stage,
                committee=committee.title if committee is not None else "",
                at=at,
                numbers=dict(sorted(Counter(vote.word for vote in votes).items())),
                names=tuple(sorted(f"{vote.account}: {vote.word}" for vote in votes))
                if committee is not None and committee.names_voters
                else (),
            )
        )
        said = [vote.comment for vote in votes if vote.word == word.value and vote.comment]
    return tuple(found), said


def _ends(session: Session, leg: LegRow, decision: RequestHistoryRow) -> list[datetime]:
    """Return when stages were passed before a decision, in order."""
    passed = session.scalars(
        select(RequestHistoryRow.at)
        .where(
            RequestHistoryRow.leg == leg.id,
            RequestHistoryRow.command == "next-stage",
            RequestHistoryRow.at <= decision.at,
        )
        .order_by(RequestHistoryRow.at, RequestHistoryRow.id)
    )
    return list(passed)


def _counted_then(session: Session, proposal: ProposalRow, at: datetime) -> list[VoteRow]:
    """Return the votes on a proposal that counted at a moment: one per seat, the member's own before a stand-in's."""
    statement = (
        select(VoteRow)
        .join(AccountRow, AccountRow.name == VoteRow.account)
        .where(
            VoteRow.proposal == proposal.id,
            VoteRow.at <= at,
            or_(AccountRow.disabled.is_(None), AccountRow.disabled > at),
        )
    )
    conflicted = set(
        session.scalars(
            select(ConflictRow.account)
            .join(LegRow, LegRow.request == ConflictRow.request)
            .where(LegRow.id == proposal.leg, ConflictRow.at <= at)
        )
    )
    by_seat: dict[str, VoteRow] = {}
    for vote in session.scalars(statement.order_by(VoteRow.at, VoteRow.id)):
        seat = vote.stands_for or vote.account
        before = by_seat.get(seat)
        own_before = before is not None and before.stands_for is None
        if vote.account in conflicted or (own_before and vote.stands_for):
            continue
        if _sat(session, seat, proposal.stage, at):
            by_seat[seat] = vote
    # Of a person who voted for several seats one after the other, her last is counted.
    last = {vote.account: vote for vote in sorted(by_seat.values(), key=lambda vote: (vote.at, vote.id))}
    return [vote for vote in by_seat.values() if last[vote.account] is vote]


def _sat(session: Session, account: str, stage: str, at: datetime) -> bool:
    """Tell whether somebody had a seat in a committee of a stage at a moment."""
    rows = session.execute(
        select(MemberRow.since, MemberRow.until)
        .join(CommitteeRow, CommitteeRow.id == MemberRow.committee)
        .where(MemberRow.account == account, CommitteeRow.stage == stage)
        .union_all(
            select(SubstituteRow.since, SubstituteRow.until).where(
                SubstituteRow.account == account, SubstituteRow.stands_for.is_(None)
            )
        )
    )
    return any(since <= at and (until is None or until > at) for since, until in rows)


def _committee_then(session: Session, leg: LegRow, stage: str, votes: list[VoteRow]) -> CommitteeRow | None:
    """Return the committee of a stage: by who voted in it, for its scope may have changed since."""
    if leg.stage == stage and leg.committee is not None:
        return session.get(CommitteeRow, leg.committee)
    seats = [vote.stands_for or vote.account for vote in votes]
    statement = (
        select(CommitteeRow)
        .join(MemberRow, MemberRow.committee == CommitteeRow.id)
        .join(ScopeRow, ScopeRow.committee == CommitteeRow.id)
        .where(CommitteeRow.stage == stage, MemberRow.account.in_(seats), ScopeRow.node == leg.node)
    )
    return session.scalar(statement.order_by(ScopeRow.dataset.desc(), CommitteeRow.id).limit(1))


def _in_words(votes: Votes) -> str:
    numbers = ", ".join(f"{number} {word}" for word, number in votes.numbers.items())
    names = f" ({'; '.join(votes.names)})" if votes.names else ""
    return f"{votes.committee} ({votes.stage}), {votes.at:%Y-%m-%d}: {numbers}{names}"


def _terms_in_words(terms: Terms) -> dict[str, str]:
    said = {
        "until": terms.until[:10],
        "runs at most": str(terms.maximum_runs),
        "outputs": ", ".join(each.value for each in terms.output_classes) or "as asked",
        "tools": ", ".join((*terms.tool_families, *terms.tool_digests)) or "any that the site approves",
        "conditions": "; ".join(terms.conditions),
    }
    if terms.agreement is not None:
        said["agreement"] = f"{terms.agreement.title}, to be countersigned by {terms.agreement.countersigner}"
    return {name: value for name, value in said.items() if value}
