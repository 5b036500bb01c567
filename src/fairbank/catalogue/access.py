"""Access requests, the committee's decisions, and visas.

A request is sealed by its requester, so the committee decides on exactly what was asked. Approval makes a visa, sealed
with the hub's key, that ends by itself. What may follow what is the table `TRANSITIONS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import (
    DatasetMirrored,
    DecisionRefused,
    GrantNotFound,
    RequestNotFound,
    RequestRefused,
    WrongState,
)
from fairbank.catalogue.idc.mirror import is_mirrored
from fairbank.catalogue.store import DatasetRow, DecisionRow, RequestDatasetRow, RequestRow, VisaRow
from fairbank.catalogue.visibility import visible
from fairbank.catalogue.withdrawal import withdrawn_among
from fairbank.clock import iso, parse_iso
from fairbank.database import writing
from fairbank.ontology import data_use
from fairbank.ontology.signed_objects import Request, Selector, Visa, VisaDataset
from fairbank.ontology.wire import Moment, Slug, Text, Wire
from fairbank.signing import sha256_digest

LONGEST_DAYS = 5 * 366
CLOCK_SLACK_S = 24 * 3600
FIRST_RUNS = 100


class RequestState(StrEnum):
    """Where a request stands; before `submitted` it is a draft with its requester."""

    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    GRANTED = "granted"
    DECLINED = "declined"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Act(StrEnum):
    """What can be done to a request."""

    SUBMIT = "submit"
    TAKE_UP = "take-up"
    APPROVE = "approve"
    DECLINE = "decline"
    RETURN = "return"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"
    REVOKE = "revoke"


_S, _A = RequestState, Act
TRANSITIONS: dict[tuple[RequestState, Act], RequestState] = {
    (_S.SUBMITTED, _A.TAKE_UP): _S.IN_REVIEW,
    (_S.SUBMITTED, _A.WITHDRAW): _S.WITHDRAWN,
    (_S.IN_REVIEW, _A.APPROVE): _S.GRANTED,
    (_S.IN_REVIEW, _A.DECLINE): _S.DECLINED,
    (_S.IN_REVIEW, _A.RETURN): _S.RETURNED,
    (_S.IN_REVIEW, _A.WITHDRAW): _S.WITHDRAWN,
    (_S.GRANTED, _A.EXPIRE): _S.EXPIRED,
    (_S.GRANTED, _A.REVOKE): _S.REVOKED,
}


class DecisionWord(StrEnum):
    """What a committee member decides."""

    APPROVE = "approve"
    DECLINE = "decline"
    RETURN = "return"


class Decision(Wire):
    """A committee member's decision; an approval names its end."""

    schema_name = "decision/1"

    decision: DecisionWord
    until: Moment | None = None
    tool_families: tuple[Slug, ...] = ()
    maximum_runs: Annotated[int, Field(ge=1, le=10_000)] = FIRST_RUNS
    conditions: tuple[Text, ...] = ()
    comment: str = ""


class Revocation(Wire):
    """Why a grant is taken back."""

    schema_name = "revocation/1"

    reason: Text


@dataclass(frozen=True, slots=True)
class Match:
    """How the purpose of a request fits the data-use terms of one dataset, term by term."""

    dataset: str
    verdict: str
    explanations: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """A visa and whether it holds now."""

    visa_id: str
    digest: str
    envelope: bytes
    request_id: str
    request_envelope: bytes
    account: str
    expires: datetime
    ended: datetime | None
    ended_because: str | None

    @property
    def holds(self) -> bool:
        """Tell whether it was neither revoked nor has expired."""
        return self.ended is None


def submit(hub: Hub, who: Account, envelope: bytes) -> RequestRow:
    """Take a request that its requester sealed with her registered key.

    Raises:
        BadEnvelope: if it is not sealed with that key.
        RequestRefused: if she has no key, it is not hers, its time is wrong, or a dataset does not exist.
        DatasetMirrored: if it names a dataset of a mirror, behind which no biobank is.
    """
    if who.key_id is None:
        raise _refused("your account has no registered key")
    request, sealed = Request.open(envelope, trusted=[who.key_id])
    now = hub.clock.now()
    _check_request(request, who, now)
    with writing(hub.engine) as session:
        if session.get(RequestRow, request.id) is not None:
            raise _refused("a request with this id exists already")
        datasets = sorted(set(request.datasets))
        known = set(session.scalars(select(DatasetRow.iri).where(DatasetRow.iri.in_(datasets), visible(who))))
        if missing := [iri for iri in datasets if iri not in known]:
            raise _refused(f"{len(missing)} of its datasets cannot be found, the first is {missing[0]}")
        if mirrored := next((iri for iri in datasets if is_mirrored(hub, iri)), None):
            raise DatasetMirrored.of(mirrored)
        row = RequestRow(
            id=request.id,
            digest=sealed.digest,
            envelope=envelope,
            account=who.name,
            title=request.title,
            state=RequestState.SUBMITTED.value,
            until=parse_iso(request.until),
            submitted=now,
            changed=now,
        )
        session.add(row)
        session.flush()
        session.add_all(RequestDatasetRow(request=request.id, dataset=iri) for iri in datasets)
        _note(session, hub, row, act=Act.SUBMIT, actor=who.name, comment="")
    hub.notifier.notify()
    return row


def decide(hub: Hub, who: Account, request_id: str, decision: Decision) -> RequestRow:
    """Take a committee member's decision; an approval seals the visa in the same transaction.

    Raises:
        DecisionRefused: if it is her own request, or the end of an approval is missing, past, or too late.
        WrongState: if the request is decided already.
    """
    with writing(hub.engine) as session:
        row = _request(session, request_id, who)
        if row.account == who.name:
            raise DecisionRefused(
                "This is your own request.",
                why="Nobody decides on what she asked for herself.",
                todo="Leave it to another member of the committee.",
            )
        if row.state == RequestState.SUBMITTED.value:
            _move(session, hub, row, act=Act.TAKE_UP, actor=who.name, comment="")
        act = Act(decision.decision.value)
        _move(session, hub, row, act=act, actor=who.name, comment=decision.comment)
        if act is Act.APPROVE:
            _grant(session, hub, row, decision)
    hub.notifier.notify()
    return row


def take_up(hub: Hub, who: Account, request_id: str) -> RequestRow:
    """Begin the review of a request."""
    with writing(hub.engine) as session:
        row = _request(session, request_id, who)
        _move(session, hub, row, act=Act.TAKE_UP, actor=who.name, comment="")
    return row


def withdraw(hub: Hub, who: Account, request_id: str) -> RequestRow:
    """Take back one's own request before it is decided.

    Raises:
        RequestNotFound: if it is not one's own.
        WrongState: if it is decided already.
    """
    with writing(hub.engine) as session:
        row = _request(session, request_id, who)
        if row.account != who.name:
            raise _not_found()
        _move(session, hub, row, act=Act.WITHDRAW, actor=who.name, comment="")
    return row


def revoke(hub: Hub, who: Account, visa_id: str, *, reason: str) -> None:
    """Take a grant back; what runs under it is stopped by those who hear the event `grant.revoked`.

    Raises:
        GrantNotFound: if there is none.
        WrongState: if it has ended already.
    """
    with writing(hub.engine) as session:
        visa = session.get(VisaRow, visa_id)
        if visa is None:
            raise GrantNotFound("There is no such grant.", why="", todo="See 'fairbank grant list'.")
        row = session.get_one(RequestRow, visa.request)
        _move(session, hub, row, act=Act.REVOKE, actor=who.name, comment=reason)
        _end(session, hub, visa, because="revoked", actor=who.name)
    hub.notifier.notify()


def expire_due(hub: Hub) -> int:
    """End the grants whose time has come and return how many; the hub does this by the clock."""
    now = hub.clock.now()
    due_now = select(VisaRow).where(VisaRow.ended.is_(None), VisaRow.expires <= now)
    with writing(hub.engine) as session:
        due = list(session.scalars(due_now))
        for visa in due:
            row = session.get_one(RequestRow, visa.request)
            _move(session, hub, row, act=Act.EXPIRE, actor="hub", comment="")
            _end(session, hub, visa, because="expired", actor="hub")
    if due:
        hub.notifier.notify()
    return len(due)


def requests(session: Session, who: Account) -> list[RequestRow]:
    """Return one's own requests, for the committee all, newest first."""
    statement = select(RequestRow).order_by(RequestRow.submitted.desc(), RequestRow.id)
    if not who.has(Role.COMMITTEE):
        statement = statement.where(RequestRow.account == who.name)
    return list(session.scalars(statement))


def find_request(session: Session, who: Account, request_id: str) -> RequestRow:
    """Return a request that one may see.

    Raises:
        RequestNotFound: if there is none, or it is somebody else's.
    """
    return _request(session, request_id, who)


def history(session: Session, request_id: str) -> list[DecisionRow]:
    """Return what happened to a request, oldest first."""
    statement = select(DecisionRow).where(DecisionRow.request == request_id)
    return list(session.scalars(statement.order_by(DecisionRow.at, DecisionRow.id)))


def state_of(session: Session, row: RequestRow, now: datetime) -> RequestState:
    """Return the state by the clock: a grant has expired when its time is over, whether or not that was noted yet."""
    state = RequestState(row.state)
    if state is RequestState.GRANTED:
        visa = session.scalar(select(VisaRow).where(VisaRow.request == row.id))
        if visa is not None and visa.expires <= now:
            return RequestState.EXPIRED
    return state


def matches(session: Session, row: RequestRow) -> list[Match]:
    """Return how the purpose fits the data-use terms of each dataset; this only explains, it grants nothing."""
    request, _ = Request.open(row.envelope, trusted=None)
    named = select(RequestDatasetRow.dataset).where(RequestDatasetRow.request == row.id)
    datasets = session.scalars(select(DatasetRow).where(DatasetRow.iri.in_(named)).order_by(DatasetRow.iri))
    found = []
    for dataset in datasets:
        judged = data_use.match(request.purpose.data_use, dataset.data_use)
        explanations = tuple(
            {"code": each.code, "label": each.label, "verdict": each.verdict.word, "reason": each.reason}
            for each in judged.explanations
        )
        found.append(Match(dataset.iri, judged.verdict.word, explanations))
    return found


def grants(session: Session, who: Account, *, now: datetime) -> list[Grant]:
    """Return one's own grants, for the committee all, newest first."""
    statement = select(VisaRow, RequestRow).join(RequestRow, RequestRow.id == VisaRow.request)
    if not who.has(Role.COMMITTEE):
        statement = statement.where(VisaRow.account == who.name)
    rows = session.execute(statement.order_by(VisaRow.granted.desc(), VisaRow.id))
    return [_as_grant(visa, request, now) for visa, request in rows]


def find_grant(session: Session, visa_digest: str, *, now: datetime) -> Grant | None:
    """Return the grant of a visa by the digest of its payload; None if this hub issued none such."""
    row = session.execute(
        select(VisaRow, RequestRow)
        .join(RequestRow, RequestRow.id == VisaRow.request)
        .where(VisaRow.digest == visa_digest)
    ).first()
    return _as_grant(row[0], row[1], now) if row is not None else None


def grant_of(session: Session, row: RequestRow, *, now: datetime) -> Grant | None:
    """Return the grant that a request led to, if any."""
    visa = session.scalar(select(VisaRow).where(VisaRow.request == row.id))
    return _as_grant(visa, row, now) if visa is not None else None


def _check_request(request: Request, who: Account, now: datetime) -> None:
    if request.requester_account != who.name or request.requester_key != who.key_id:
        raise _refused("it names another account or key")
    if abs((now - parse_iso(request.created)).total_seconds()) > CLOCK_SLACK_S:
        raise _refused("it was made more than a day from now")
    until = parse_iso(request.until)
    if not now < until <= now + timedelta(days=LONGEST_DAYS):
        raise _refused("its end is past, or more than five years away")


def _grant(session: Session, hub: Hub, row: RequestRow, decision: Decision) -> None:
    now = hub.clock.now()
    until = parse_iso(decision.until) if decision.until is not None else None
    if until is None or not now < until <= row.until:
        raise DecisionRefused(
            "The approval's end is missing, past, or later than was asked for.",
            why="A grant ends by itself, and never gives more than the requester asked for.",
            todo=f"Name an end after now and not after {iso(row.until)}.",
        )
    request, _ = Request.open(row.envelope, trusted=None)
    if gone := withdrawn_among(session, set(request.datasets)):
        raise DecisionRefused(
            f"{len(gone)} of the request's datasets were withdrawn, the first is {gone[0]}.",
            why="No visa is made for what its biobank has withdrawn.",
            todo="Return the request, so that it can be made anew without them.",
        )
    # Not-before is a minute ago: a node whose clock is a little behind can use the visa at once.
    visa = Visa(
        id=hub.clock.new_id(),
        hub=hub.base_iri,
        request=row.digest,
        requester_key=request.requester_key,
        datasets=tuple(VisaDataset(iri=iri, selector=Selector()) for iri in sorted(set(request.datasets))),
        purpose=request.purpose,
        output_classes=request.output_classes,
        tool_families=decision.tool_families,
        conditions=decision.conditions,
        not_before=iso(now - timedelta(seconds=60)),
        expires=iso(until),
        maximum_runs=decision.maximum_runs,
        created=iso(now),
    )
    envelope = visa.seal(hub.key)
    opened, sealed = Visa.open(envelope, trusted=[hub.key.key_id])
    session.add(
        VisaRow(
            id=opened.id,
            digest=sealed.digest,
            envelope=envelope,
            request=row.id,
            account=row.account,
            expires=until,
            granted=now,
        )
    )
    events.append(
        session,
        events.HubEvent,
        clock=hub.clock,
        kind="grant.made",
        subject=opened.id,
        detail={"visa": sealed.digest, "request": row.id},
    )


def _end(session: Session, hub: Hub, visa: VisaRow, *, because: str, actor: str) -> None:
    visa.ended, visa.ended_because = hub.clock.now(), because
    events.append(
        session,
        events.HubEvent,
        clock=hub.clock,
        kind=f"grant.{because}",
        subject=visa.id,
        detail={"visa": visa.digest, "request": visa.request, "actor": actor},
    )


def _move(session: Session, hub: Hub, row: RequestRow, *, act: Act, actor: str, comment: str) -> None:
    after = TRANSITIONS.get((RequestState(row.state), act))
    if after is None:
        raise WrongState(
            f"This cannot be done to a request that is {row.state.replace('_', ' ')}: {act.value}.",
            why="What may follow what is fixed, so that a decision stays a decision.",
            todo="Look at the request's history; to ask again, submit a new request.",
        )
    row.state = after.value
    row.changed = hub.clock.now()
    _note(session, hub, row, act=act, actor=actor, comment=comment)


def _note(session: Session, hub: Hub, row: RequestRow, *, act: Act, actor: str, comment: str) -> None:
    session.add(
        DecisionRow(
            id=hub.clock.new_id(),
            request=row.id,
            act=act.value,
            actor=actor,
            comment=comment,
            at=hub.clock.now(),
        )
    )
    # The comment is in the history; the log commits to it without repeating it.
    detail = {"state": row.state, "digest": row.digest, "comment": sha256_digest(comment.encode())}
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act=f"request.{act.value}",
        target=row.id,
        detail=detail,
    )
    events.append(
        session,
        events.HubEvent,
        clock=hub.clock,
        kind="request.changed",
        subject=row.id,
        detail={"state": row.state},
    )


def _request(session: Session, request_id: str, who: Account) -> RequestRow:
    row = session.get(RequestRow, request_id)
    if row is None or (row.account != who.name and not who.has(Role.COMMITTEE)):
        raise _not_found()
    return row


def _as_grant(visa: VisaRow, request: RequestRow, now: datetime) -> Grant:
    ended, because = visa.ended, visa.ended_because
    if ended is None and visa.expires <= now:
        ended, because = visa.expires, "expired"
    return Grant(
        visa_id=visa.id,
        digest=visa.digest,
        envelope=visa.envelope,
        request_id=request.id,
        request_envelope=request.envelope,
        account=visa.account,
        expires=visa.expires,
        ended=ended,
        ended_because=because,
    )


def _not_found() -> RequestNotFound:
    return RequestNotFound(
        "There is no such request, or you may not see it.",
        why="Which of the two is not told.",
        todo="See 'fairbank request list'.",
    )


def _refused(reason: str) -> RequestRefused:
    return RequestRefused(
        f"The request was not accepted: {reason}.",
        why="A request is sealed with its requester's registered key and names datasets of this catalogue.",
        todo="Correct it and submit it again.",
    )
