"""One request: how far it is and for whom it waits, what was asked, said and done; and a committee’s decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.responses import Response

from fairbank.catalogue import permissions
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import (
    agreements,
    casting,
    comments,
    finishing,
    permitted,
    requests,
    reviews,
    views,
)
from fairbank.catalogue.governance.committees import OPEN_STATES
from fairbank.catalogue.governance.counting import Word
from fairbank.catalogue.governance.grant_names import purpose_told
from fairbank.catalogue.governance.routes import OF_LEGS, OF_REQUESTS
from fairbank.catalogue.governance.store import LegRow, RequestRow
from fairbank.catalogue.governance.terms import Terms
from fairbank.catalogue.governance.workflow import LEG, LegState, RequestState
from fairbank.catalogue.permissions import Action
from fairbank.clock import iso, parse_iso
from fairbank.database import reading
from fairbank.errors import FairbankError, Kind
from fairbank.web import once
from fairbank.web.languages import mark
from fairbank.web.once import Bound
from fairbank.web.pages.page import Once, Page
from fairbank.web.pages.visits import Visit
from fairbank.web.request_words import COMMANDS, REASONS

_COMMENT: Final = "comment"
# Commands that decide: who may only write requests gives none of them.
_DECIDING: Final = frozenset({"take-up", "return", "assign", "revoke"})


class DecisionUnclear(FairbankError):
    """A form that decides does not say what."""

    code = "FB-WEB-035"
    kind = Kind.REFUSED


@dataclass(frozen=True, slots=True)
class Seat:
    """A seat of the committee and what it has said, for those who may read it."""

    member: str
    chair: bool
    word: str
    comment: str
    barred: bool
    near: bool


@dataclass(frozen=True, slots=True)
class Box:
    """The decision about one collection, for a member of its committee."""

    leg: str
    title: str
    version: int
    can_decide: bool
    conflict: str
    needed: int
    seats: tuple[Seat, ...]
    proposal: str
    terms: Mapping[str, Any]
    once: Once


@dataclass(frozen=True, slots=True)
class Leg:
    """One collection of a request.

    Attributes:
        agreement: title, who countersigns and when it was done; None where the terms require none.
        countersigns: whether the reader can countersign it now.
        commands: those that the reader can give now.
        permit: what jobs run under.
    """

    id: str
    address: str
    title: str
    node: str
    state: str
    pending: str
    committee: str
    stage: str
    since: datetime
    due: datetime | None
    expires: datetime | None
    verdict: str
    match: tuple[Mapping[str, Any], ...]
    conditions: tuple[str, ...]
    agreement: Mapping[str, Any] | None
    countersigns: bool
    commands: tuple[str, ...]
    once: Once
    permit: str


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the track: done, the present one, or yet to come."""

    name: str
    done: bool
    here: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """`request.html`."""

    id: str
    title: str
    state: str
    account: str
    version: int
    digest: str
    now: datetime
    since: datetime
    track: tuple[Step, ...]
    mine: bool
    draft: bool
    legs: tuple[Leg, ...]
    boxes: tuple[Box, ...]
    needed: int
    granted: int
    minimum: str
    asked: Mapping[str, Any] | None
    purpose: str
    until: datetime | None
    changes: tuple[str, ...]
    documents: tuple[Mapping[str, Any], ...]
    comments: tuple[Mapping[str, Any], ...]
    writes: bool
    writes_to_committee: bool
    history: tuple[Mapping[str, Any], ...]
    report: Mapping[str, Any] | None
    commands: tuple[str, ...]
    once: Once
    once_comment: Once


def show(hub: Hub, visit: Visit) -> Progress:
    """Put the page together."""
    who = visit.account
    with reading(hub.engine) as session:
        row, parts = permitted.request_seen(session, who, visit.given["request_id"])
        told = views.full(session, who, row, visit.now)
        newest: Mapping[str, Any] = (
            views.versions(session, row)[-1] if row.version else {"digest": "", "changes": ()}
        )
        asked = told["asked"]
        return Progress(
            **{name: told[name] for name in ("id", "title", "state", "account", "version")},
            digest=newest.get("digest", ""),
            now=visit.now,
            since=row.submitted or row.changed,
            track=_track(told),
            mine=row.account == who.name,
            draft=row.state == RequestState.DRAFT.value,
            legs=tuple(_leg(hub, visit, session, each) for each in told["legs"]),
            boxes=_boxes(hub, visit, session, who, told["legs"]),
            needed=told["minimum"]["needed"] if told["minimum"] else 0,
            granted=told["minimum"]["granted"] if told["minimum"] else 0,
            minimum=told["minimum"]["word"] if told["minimum"] else "",
            asked=asked,
            purpose=purpose_told(asked["purpose"])["words"] if asked else "",
            until=parse_iso(asked["until"]) if asked else None,
            changes=tuple(newest["changes"] if row.version > 1 else ()),
            documents=tuple(told["documents"]),
            comments=tuple(_dated(each) for each in told["comments"]),
            writes=_COMMENT in told["commands"],
            writes_to_committee=row.account != who.name and bool({"member", "chair", "admin"} & parts),
            history=tuple(_dated(each) for each in reversed(told["history"])),
            report=told["closing_report"],
            commands=tuple(sorted(OF_REQUESTS.intersection(told["commands"]))),
            once=once.token(hub, visit, _of_request(row)),
            once_comment=once.token(hub, visit, _of_comment(row.id)),
        )


def decide(hub: Hub, visit: Visit) -> Response:
    """Vote on one collection; a vote on what has changed since is refused, and a second click does nothing more."""
    permissions.check(visit.account, Action.REVIEW)
    leg = _seen_leg(hub, visit)
    word, comment = _said(visit)
    given = visit.form.get("proposal") or None

    def do() -> str:
        terms = _terms(visit) if word is Word.APPROVE and given is None else None
        casting.decide(hub, visit.account, leg.id, word=word, comment=comment, proposal=given, terms=terms)
        return f"/requests/{leg.request}"

    return once.act(hub, visit, _of_vote(leg), do)


def command(hub: Hub, visit: Visit) -> Response:
    """Give a command to the request or to one collection of it."""
    word, note = visit.form.get("command", ""), visit.form.get("note", "").strip()
    if word in _DECIDING:
        permissions.check(visit.account, Action.REVIEW)
    request = visit.given["request_id"]
    if visit.form.get("leg"):
        leg = _seen_leg(hub, visit)
        _offered(word, OF_LEGS)
        return once.act(hub, visit, _of_leg(leg), lambda: _after(hub, visit, request, leg.id, word, note))
    _offered(word, OF_REQUESTS)
    with reading(hub.engine) as session:
        row, _ = permitted.request_seen(session, visit.account, request)
    return once.act(hub, visit, _of_request(row), lambda: _after(hub, visit, request, "", word, note))


def countersign(hub: Hub, visit: Visit) -> Response:
    """Countersign the agreement about one collection, by the document that was read."""
    request, leg = visit.given["request_id"], _seen_leg(hub, visit)
    try:
        wanted = agreements.Countersignature(leg=leg.id, digest=visit.form.get("digest", ""))
    except ValidationError as err:
        raise _unclear(mark("No document was chosen.")) from err

    def do() -> str:
        finishing.countersign(hub, visit.account, request, wanted)
        return f"/requests/{request}"

    return once.act(hub, visit, _of_leg(leg), do)


def comment(hub: Hub, visit: Visit) -> Response:
    """Write a message to everybody of the request, or to the committee only."""
    request = visit.given["request_id"]
    try:
        said = comments.Comment(
            text=visit.form.get("text", "").strip(),
            audience=comments.Audience(visit.form.get("audience", "everybody")),
        )
    except (ValidationError, ValueError) as err:
        raise _unclear(mark("The message is empty, or too long.")) from err

    def do() -> str:
        comments.add(hub, visit.account, request, said)
        return f"/requests/{request}#messages"

    return once.act(hub, visit, _of_comment(request), do)


def _after(hub: Hub, visit: Visit, request: str, leg: str, word: str, note: str) -> str:
    if leg:
        requests.leg_command(hub, visit.account, request, leg, word, note=note)
    else:
        requests.command(hub, visit.account, request, word, note=note)
    return f"/requests/{request}"


def _seen_leg(hub: Hub, visit: Visit) -> LegRow:
    with reading(hub.engine) as session:
        row, _ = permitted.request_seen(session, visit.account, visit.given["request_id"])
        return permitted.leg_of(session, row, visit.form.get("leg", ""))


def _said(visit: Visit) -> tuple[Word, str]:
    word, reason = visit.form.get("word", ""), visit.form.get("reason", "")
    text = visit.form.get("why", "").strip()
    if word not in set(Word) or (reason and reason not in REASONS):
        raise _unclear(mark("No verdict was chosen."))
    if word in (Word.DECLINE, Word.RETURN) and not text and reason in ("", "other"):
        raise _unclear(mark("Who declines or sends back says why."))
    # What was chosen is kept in the words of the hub's letters, which are English.
    chosen = REASONS[reason] if reason and reason != "other" else ""
    return Word(word), " ".join(each for each in (chosen, text) if each)


def _terms(visit: Visit) -> Terms:
    form = visit.form
    lines = tuple(each.strip() for each in form.get("conditions", "").splitlines() if each.strip())
    try:
        last = datetime.combine(datetime.fromisoformat(form.get("until", "")).date(), time(23, 59, 59), UTC)
        asked = form.get("until-asked", "")
        # The day that was asked for is meant to its moment, and not beyond.
        until = asked if asked and parse_iso(asked).date() == last.date() else iso(last)
        return Terms(until=until, maximum_runs=int(form.get("runs", "100")), conditions=lines)
    except (ValidationError, ValueError) as err:
        raise _unclear(mark("The terms need a day on which they end, and a number of runs.")) from err


def _unclear(what: str) -> DecisionUnclear:
    return DecisionUnclear(
        what, why="Nothing was decided, and nothing was sent.", todo="Complete it and send it again."
    )


def _offered(word: str, offered: frozenset[str]) -> None:
    if word not in offered:
        raise _unclear(mark("This is nothing that a form can ask for."))


def _of_vote(leg: LegRow) -> Bound:
    state = f"{leg.state} {leg.pending_state} {leg.version} {leg.pending_version} {leg.stage} {leg.proposal}"
    return Bound(f"vote {leg.id}", state)


def _of_leg(leg: LegRow) -> Bound:
    return Bound(f"leg {leg.id}", f"{leg.state} {leg.pending_state} {leg.version} {leg.pending_version}")


def _of_request(row: RequestRow) -> Bound:
    return Bound(f"request {row.id}", f"{row.state} {row.version}")


def _of_comment(request: str) -> Bound:
    return Bound(f"comment {request}", "")


def _leg(hub: Hub, visit: Visit, session: Session, told: dict[str, Any]) -> Leg:
    row = session.get_one(LegRow, told["id"])
    terms = told["pending_terms"] or told["terms"] or {}
    return Leg(
        id=row.id,
        address=told["dataset"].removeprefix(hub.base_iri),
        title=told["dataset_title"] or told["dataset"],
        node=row.node,
        state=row.state,
        pending=row.pending_state or "",
        committee=told["committee"] or "",
        stage=row.stage or "",
        since=row.awaited_since or row.since,
        due=row.due if (row.pending_state or row.state) in OPEN_STATES else None,
        expires=row.expires,
        verdict=row.verdict,
        match=tuple(told["match"]),
        conditions=tuple(terms.get("conditions", ())),
        agreement=_dated(told["agreement"], "countersigned") if told["agreement"] else None,
        countersigns=_countersigns(session, visit, row),
        commands=tuple(each for each in COMMANDS if each in OF_LEGS and each in told["commands"]),
        once=once.token(hub, visit, _of_leg(row)),
        permit=row.visa or "" if row.state == LegState.ACTIVE.value else "",
    )


def _countersigns(session: Session, visit: Visit, leg: LegRow) -> bool:
    agreement = agreements.required(leg)
    return (
        agreement is not None
        and agreement.countersigner == visit.account.name
        and (leg.pending_state or leg.state) == LegState.CONDITIONS_ACCEPTED.value
        and agreements.due(session, leg)
    )


def _boxes(
    hub: Hub, visit: Visit, session: Session, who: Account, legs: list[dict[str, Any]]
) -> tuple[Box, ...]:
    if not permissions.allow(who, Action.REVIEW):
        return ()
    found = []
    for each in legs:
        if (each["pending_state"] or each["state"]) not in OPEN_STATES:
            continue
        try:
            leg = reviews.find(session, who, each["id"], now=visit.now)
        except FairbankError:
            continue
        told = reviews.in_full(session, who, leg, now=visit.now)
        found.append(_box(told, who, once.token(hub, visit, _of_vote(leg))))
    return tuple(found)


def _box(told: dict[str, Any], who: Account, token: Once) -> Box:
    seats = told.get("seats", [])
    proposal = told.get("proposal") or {}
    return Box(
        leg=told["id"],
        title=told["dataset_title"] or told["dataset"],
        version=told["version"],
        can_decide=any(who.name in seat["may_vote"] for seat in seats),
        conflict=told["conflict"] or "",
        needed=told.get("needed", 0),
        seats=tuple(
            Seat(
                member=seat["member"],
                chair=seat["chair"],
                word=seat["vote"]["word"] if seat["vote"] else "",
                comment=seat["vote"]["comment"] if seat["vote"] else "",
                barred=seat["barred"] is not None,
                near=bool(seat["same_institution"]),
            )
            for seat in seats
        ),
        proposal=proposal.get("id", ""),
        terms=_dated(proposal.get("terms", {}), "until"),
        once=token,
    )


def _dated(told: dict[str, Any], field: str = "at") -> dict[str, Any]:
    return {**told, field: parse_iso(told[field])} if told.get(field) else dict(told)


def _track(told: dict[str, Any]) -> tuple[Step, ...]:
    """Return how far a request is: it is at a step as long as one of its collections is."""
    names = ("draft", "sent", "review", "granted", "ended")
    states = [each["state"] for each in told["legs"]]
    if told["state"] == RequestState.DRAFT.value:
        at = 0
    elif told["state"] in (RequestState.WITHDRAWN.value, RequestState.CLOSED.value):
        at = 4
    elif any(state in ("draft", "submitted") for state in states):
        at = 1
    elif any(state not in LEG.last and state != "active" for state in states):
        at = 2
    else:
        at = 3
    return tuple(Step(name, place < at, place == at) for place, name in enumerate(names))


PAGE = Page(
    name="request",
    path="/requests/{request_id}",
    context=Progress,
    show=show,
    acts={"decide": decide, "command": command, "comment": comment, "countersign": countersign},
)
