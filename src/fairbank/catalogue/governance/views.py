"""A request as one person sees it: where each dataset stands, what happens next, and nothing that is not for her.

What committees say among themselves (their comments, who proposed, voted or declared what) is left out for everybody
whom it is not meant for, before anything is put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.governance import (
    agreements,
    amending,
    attachments,
    closing,
    comments,
    conflicts,
    drafts,
    voting,
)
from fairbank.catalogue.governance.legs import open_commands
from fairbank.catalogue.governance.next_steps import Next, Standing, minimum, of_leg, of_request
from fairbank.catalogue.governance.parts import parts_of
from fairbank.catalogue.governance.store import (
    CommitteeRow,
    LegRow,
    RequestHistoryRow,
    RequestRow,
    VersionRow,
)
from fairbank.catalogue.governance.workflow import REQUEST, LegState, Part, RequestState
from fairbank.catalogue.store import DatasetRow
from fairbank.clock import iso
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Request

# What a committee does before it has decided; it is told by its letter, and to others not at all.
_AMONG_THEMSELVES = frozenset({"propose", "vote", "appoint", "declare-conflict"})
_COMMITTEE = frozenset({Part.MEMBER, Part.CHAIR})
_READS_ALL = _COMMITTEE | {Part.ADMIN, Part.AUDITOR}
_IN_REVIEW = frozenset({LegState.IN_REVIEW.value, LegState.TRIAGE.value})


def full(session: Session, who: Account, row: RequestRow, now: datetime) -> dict[str, Any]:
    """Return all that somebody of a request may know about it; the caller has checked that she is."""
    parts = parts_of(session, who, row, None)
    legs = list(session.scalars(select(LegRow).where(LegRow.request == row.id).order_by(LegRow.dataset)))
    request = newest(session, row)
    told = legs_told(session, row, legs, request, now)
    lacks = drafts.lacking(drafts.changed(row.draft, {})) if row.version == 0 else []
    step = of_request(
        RequestState(row.state),
        row.changed,
        [each["_next"] for each in told],
        missing=sum(each.needed for each in lacks),
    )
    fewest = minimum(row.minimum_datasets, [LegState(leg.state) for leg in legs])
    return {
        "schema": "request-progress/1",
        "id": row.id,
        "state": row.state,
        "title": row.title,
        "account": row.account,
        "version": row.version,
        "submitted": iso(row.submitted) if row.submitted else None,
        "changed": iso(row.changed),
        "you": sorted(part.value for part in parts),
        "commands": REQUEST.open_to(row.state, frozenset(part.value for part in parts)),
        "next": next_told(step),
        "minimum": {
            "needed": fewest.needed,
            "granted": fewest.granted,
            "undecided": fewest.undecided,
            "word": fewest.word.value,
            "sentence": fewest.sentence,
        }
        if legs
        else None,
        "legs": [
            {key: value for key, value in each.items() if key != "_next"}
            | {"commands": _commands(session, who, row, leg)}
            for each, leg in zip(told, legs, strict=True)
        ],
        "asked": asked(request) if request is not None else None,
        "documents": attachments.listed(session, row),
        "comments": comments.seen(session, who, row),
        "history": history(session, who, row, legs),
        "closing_report": closing.view(session, row.id),
    }


def legs_told(
    session: Session, row: RequestRow, legs: Sequence[LegRow], request: Request | None, now: datetime
) -> list[dict[str, Any]]:
    """Return each leg for people, with what happens next (under `_next` as it is, under `next` as JSON)."""
    held = {leg.committee for leg in legs if leg.committee}
    committees = select(CommitteeRow.id, CommitteeRow.title).where(CommitteeRow.id.in_(held))
    datasets = select(DatasetRow.iri, DatasetRow.title).where(
        DatasetRow.iri.in_([leg.dataset for leg in legs])
    )
    # Ids are UUIDs and IRIs, so both go into one mapping.
    titles = {each[0]: each[1] for statement in (committees, datasets) for each in session.execute(statement)}
    return [_leg(session, row, leg, titles, request, now) for leg in legs]


def newest(session: Session, row: RequestRow) -> Request | None:
    """Return the newest sealed version of a request, None for a draft."""
    return sealed(session, row.id, row.version)


def sealed(session: Session, request_id: str, version: int) -> Request | None:
    """Return one sealed version of a request, None if there is none such."""
    kept = session.get(VersionRow, (request_id, version))
    return Request.open(kept.envelope, trusted=None)[0] if kept is not None else None


def versions(session: Session, row: RequestRow) -> list[dict[str, Any]]:
    """Return the sealed versions of a request, oldest first, each with what it changed."""
    rows = list(
        session.scalars(select(VersionRow).where(VersionRow.request == row.id).order_by(VersionRow.version))
    )
    told: list[dict[str, Any]] = []
    before: Request | None = None
    for each in rows:
        request, _ = Request.open(each.envelope, trusted=None)
        changes = amending.compare(before, request) if before is not None else None
        told.append(
            {
                "version": each.version,
                "digest": each.digest,
                "received": iso(each.received),
                "until": iso(each.until),
                "changes": amending.sentences(changes) if changes else [],
                "concerned": sorted(changes.concerned) if changes else sorted(set(request.datasets)),
            }
        )
        before = request
    return told


def asked(request: Request) -> dict[str, Any]:
    """Return what a sealed request asks for, without its ids and keys."""
    payload = request.payload()
    hidden = {"schema", "id", "requester_key", "requester_account", "amends", "created"}
    return {key: value for key, value in payload.items() if key not in hidden}


def history(session: Session, who: Account, row: RequestRow, legs: Sequence[LegRow]) -> list[dict[str, Any]]:
    """Return what happened to a request, oldest first, as far as it is for this reader.

    The requester, whatever else she is, reads neither what a committee did before it had decided nor who of it acted;
    nor does whoever has a conflict of interest, nor the committee of another biobank.
    """
    barred = conflicts.barred(session, row, who.name) is not None
    reads = {leg.id: not barred and bool(parts_of(session, who, row, leg) & _READS_ALL) for leg in legs}
    datasets = {leg.id: leg.dataset for leg in legs}
    rows = session.scalars(
        select(RequestHistoryRow)
        .where(RequestHistoryRow.request == row.id)
        .order_by(RequestHistoryRow.at, RequestHistoryRow.id)
    )
    return [
        {
            "at": iso(each.at),
            "command": each.command,
            "leg": each.leg,
            "dataset": datasets.get(each.leg) if each.leg else None,
            "actor": each.actor
            if each.role not in _COMMITTEE or reads.get(each.leg or "")
            else f"the {each.role}",
            "role": each.role,
            "state": each.state,
            "note": each.note,
        }
        for each in rows
        if each.command not in _AMONG_THEMSELVES or reads.get(each.leg or "")
    ]


def next_told(step: Next) -> dict[str, Any]:
    """Return what happens next as JSON."""
    return {
        "sentence": step.sentence,
        "awaited": step.awaited.value if step.awaited else None,
        "since": iso(step.since),
        "due": iso(step.due) if step.due else None,
    }


def standing(
    session: Session,
    row: RequestRow,
    leg: LegRow,
    titles: Mapping[str, str],
    request: Request | None,
    now: datetime,
) -> Standing:
    """Return what has to be known of a leg to say what happens next."""
    review = leg.pending_state or leg.state
    agreement = agreements.required(leg) if review == LegState.CONDITIONS_ACCEPTED.value else None
    voted_on = review in _IN_REVIEW and leg.committee is not None
    wanted = [each.value for each in request.output_classes] if request is not None else []
    classes = (leg.terms or {}).get("output_classes") or wanted
    return Standing(
        state=LegState(leg.state),
        since=leg.since,
        awaited_since=leg.awaited_since,
        due=leg.due,
        stage=leg.stage,
        committee=titles.get(leg.committee) if leg.committee else None,
        countersigner=agreement.countersigner if agreement and agreements.due(session, leg) else None,
        unreachable=voted_on and voting.outcome(session, leg, now).word == "unreachable",
        pending=LegState(leg.pending_state) if leg.pending_state else None,
        paused=row.state == RequestState.PAUSED.value,
        download=OutputClass.DOWNLOAD.value in classes,
        expires=leg.expires,
    )


def _leg(
    session: Session,
    row: RequestRow,
    leg: LegRow,
    titles: Mapping[str, str],
    request: Request | None,
    now: datetime,
) -> dict[str, Any]:
    step = of_leg(standing(session, row, leg, titles, request, now))
    return {
        "id": leg.id,
        "dataset": leg.dataset,
        "dataset_title": titles.get(leg.dataset, leg.dataset),
        "node": leg.node,
        "state": leg.state,
        "words": LegState(leg.state).words,
        "version": leg.version,
        "pending_version": leg.pending_version,
        "pending_state": leg.pending_state,
        "stage": leg.stage,
        "committee": titles.get(leg.committee) if leg.committee else None,
        "since": iso(leg.since),
        "due": iso(leg.due) if leg.due else None,
        "expires": iso(leg.expires) if leg.expires else None,
        "verdict": leg.verdict,
        "match": list(leg.match),
        "terms": leg.terms,
        "pending_terms": leg.pending_terms,
        "agreement": agreements.view(session, leg),
        "visa": leg.visa,
        "next": next_told(step),
        "_next": step,
    }


def _commands(session: Session, who: Account, row: RequestRow, leg: LegRow) -> list[str]:
    return open_commands(leg, parts_of(session, who, row, leg))
