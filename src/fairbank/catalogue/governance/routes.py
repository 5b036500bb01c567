"""Routes of access requests and grants: parse, call, answer."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue import accounts, bodies
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NotAllowed
from fairbank.catalogue.governance import grant_names, grants, legs, requests, views
from fairbank.catalogue.governance.drafting_routes import Limit, Words
from fairbank.catalogue.governance.listing import LARGEST_PAGE
from fairbank.catalogue.governance.parts import parts_of
from fairbank.catalogue.governance.store import LegRow, RequestRow, VersionRow
from fairbank.catalogue.governance.workflow import LEG, REQUEST, LegState
from fairbank.clock import iso
from fairbank.database import reading
from fairbank.ontology.signed_objects import Request, Visa
from fairbank.ontology.wire import Text, Wire
from fairbank.signing import open_sealed

# Others need a sealed version, terms, a vote, a document or a report, and have routes of their own.
OF_REQUESTS = frozenset({"pause", "resume", "withdraw"})
OF_LEGS = frozenset(
    {
        "assign",
        "take-up",
        "return",
        "accept-conditions",
        "refuse-conditions",
        "revoke",
        "complete",
        "withdraw",
    }
)
# So many are looked up together; fewer than any database takes in one statement.
_AT_ONCE = 500


class Command(Wire):
    """Why a command is given; what is not asked for may be empty."""

    schema_name = "command/1"

    note: Annotated[str, Field(max_length=4000)] = ""


class Revocation(Wire):
    """Why a grant is taken back."""

    schema_name = "revocation/1"

    reason: Text


def router(hub: Hub) -> APIRouter:
    """Return the routes under `/v1/requests` and `/v1/grants`."""
    routes = APIRouter(tags=["access"])
    _requests(routes, hub)
    _commands(routes, hub)
    _grants(routes, hub)
    return routes


def _requests(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body())
    anybody: Account = Depends(accounts.account(hub))

    @routes.post("/v1/requests", status_code=201)
    def submit(content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        row = requests.submit(hub, who, content)
        with reading(hub.engine) as session:
            return short(session, session.get_one(RequestRow, row.id))

    @routes.get("/v1/requests")
    def listing(after: Words = None, limit: Limit = LARGEST_PAGE, who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            page, following = requests.listed(session, who, mark=after, limit=limit)
            found = _shortened(session, page)
        return {"schema": "requests/1", "requests": found, "next": following}

    @routes.get("/v1/requests/{request_id}")
    def one(request_id: str, who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            return request_in_full(hub, session, who, requests.find(session, who, request_id))


def _commands(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body())
    anybody: Account = Depends(accounts.account(hub))

    @routes.post("/v1/requests/{request_id}/commands/{command}")
    def command(
        request_id: str, command: str, content: bytes = message, who: Account = anybody
    ) -> dict[str, Any]:
        _check_offered(command, OF_REQUESTS, REQUEST.commands())
        row = requests.command(hub, who, request_id, command, note=Command.parse(content).note)
        return {"id": row.id, "state": row.state}

    @routes.post("/v1/requests/{request_id}/legs/{leg_id}/commands/{command}")
    def leg_command(
        request_id: str, leg_id: str, command: str, content: bytes = message, who: Account = anybody
    ) -> dict[str, Any]:
        _check_offered(command, OF_LEGS, LEG.commands())
        leg = requests.leg_command(hub, who, request_id, leg_id, command, note=Command.parse(content).note)
        return {"request": leg.request, **leg_in_full(leg)}

    @routes.post("/v1/requests/{request_id}/withdraw")
    def withdraw(request_id: str, who: Account = anybody) -> dict[str, Any]:
        row = requests.command(hub, who, request_id, "withdraw")
        return {"id": row.id, "state": row.state}


def _grants(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body())
    anybody: Account = Depends(accounts.account(hub))

    @routes.get("/v1/grants")
    def listing(after: Words = None, limit: Limit = LARGEST_PAGE, who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            found, following = grants.grants(session, who, now=hub.clock.now(), mark=after, limit=limit)
            told = [grant_in_full(each) for each in found]
            named = grant_names.titles(
                session, (one["iri"] for each in told for one in each["visa"]["datasets"])
            )
        for each in told:
            each["titles"] = {one["iri"]: named[one["iri"]] for one in each["visa"]["datasets"]}
        return {"schema": "grants/1", "grants": told, "next": following}

    @routes.post("/v1/grants/{visa_id}/revoke")
    def revoke(visa_id: str, content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        ended = requests.revoke_grant(hub, who, visa_id, reason=Revocation.parse(content).reason)
        return {
            "id": visa_id,
            "state": LegState.REVOKED.value,
            "datasets": sorted(leg.dataset for leg in ended),
        }


def short(session: Session, row: RequestRow) -> dict[str, Any]:
    """Return a request as it stands in a list."""
    newest = session.get(VersionRow, (row.id, row.version)) if row.version else None
    return _short(row, legs.legs_of(session, row), newest)


def _shortened(session: Session, rows: list[RequestRow]) -> list[dict[str, Any]]:
    """Return requests as they stand in a list; what belongs to them is asked for by few queries."""
    found: list[dict[str, Any]] = []
    for at in range(0, len(rows), _AT_ONCE):
        some = rows[at : at + _AT_ONCE]
        ids = [row.id for row in some]
        held: dict[str, list[LegRow]] = {request: [] for request in ids}
        for leg in session.scalars(select(LegRow).where(LegRow.request.in_(ids)).order_by(LegRow.dataset)):
            held[leg.request].append(leg)
        versions = {
            (each.request, each.version): each
            for each in session.scalars(select(VersionRow).where(VersionRow.request.in_(ids)))
        }
        found += [_short(row, held[row.id], versions.get((row.id, row.version))) for row in some]
    return found


def _short(row: RequestRow, found: list[LegRow], newest: VersionRow | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "standing": standing(row, found),
        "title": row.title,
        "account": row.account,
        "version": row.version,
        "datasets": [leg.dataset for leg in found],
        "legs": {leg.dataset: leg.state for leg in found},
        "until": iso(newest.until) if newest is not None else None,
        "submitted": iso(row.submitted) if row.submitted is not None else None,
        "changed": iso(row.changed),
        "digest": newest.digest if newest is not None else None,
    }


def standing(row: RequestRow, found: list[LegRow]) -> str:
    """Return in words how a request stands: its own state, or the states of its datasets.

    Words of states in the order of the table, each with its number if they differ.
    """
    if row.state != "open" or not found:
        return row.state
    counted = {state: sum(leg.state == state for leg in found) for state in LEG.states}
    words = {LegState(state).words: number for state, number in counted.items() if number}
    if len(words) == 1:
        return next(iter(words))
    return ", ".join(f"{number} {word}" for word, number in words.items())


def request_in_full(hub: Hub, session: Session, who: Account, row: RequestRow) -> dict[str, Any]:
    """Return a request with what it asks for, its legs, its history and its visas."""
    answer: dict[str, Any] = {"schema": "request-view/1", **short(session, row)}
    found = legs.legs_of(session, row)
    answer["commands"] = sorted(
        OF_REQUESTS.intersection(REQUEST.open_to(row.state, parts_of(session, who, row, None)))
    )
    answer["legs"] = [
        leg_in_full(leg)
        | {
            "commands": sorted(
                OF_LEGS.intersection(legs.open_commands(leg, parts_of(session, who, row, leg)))
            )
        }
        for leg in found
    ]
    answer["matches"] = [
        {"dataset": leg.dataset, "verdict": leg.verdict, "explanations": leg.match} for leg in found
    ]
    # As far as it is for this reader: what a committee does among itself is not for the requester.
    answer["history"] = views.history(session, who, row, found)
    answer["grants"] = [grant_in_full(each) for each in grants.grants_of(session, row, now=hub.clock.now())]
    if row.version:
        answer |= _as_sealed(session, row)
    return answer


def leg_in_full(leg: LegRow) -> dict[str, Any]:
    """Return one dataset of a request: how far it has come, on which terms, and who has been awaited since when."""
    return {
        "id": leg.id,
        "dataset": leg.dataset,
        "node": leg.node,
        "state": leg.state,
        "words": LegState(leg.state).words,
        "version": leg.version,
        "pending_version": leg.pending_version,
        "pending_state": leg.pending_state,
        "stage": leg.stage,
        "committee": leg.committee,
        "since": iso(leg.since),
        "awaited_since": iso(leg.awaited_since) if leg.awaited_since is not None else None,
        "due": iso(leg.due) if leg.due is not None else None,
        "terms": leg.terms,
        "pending_terms": leg.pending_terms,
        "verdict": leg.verdict,
        "visa": leg.visa,
        "expires": iso(leg.expires) if leg.expires is not None else None,
    }


def grant_in_full(grant: grants.Grant) -> dict[str, Any]:
    """Return a grant with its visa, both read and exactly as sealed."""
    # Read without its schema: an older visa, of before datasets had terms of their own, is kept as evidence.
    visa: Any = open_sealed(grant.envelope, Visa.kind, trusted=None).payload
    return {
        "schema": "grant-view/1",
        "id": grant.visa_id,
        "digest": grant.digest,
        "request": grant.request_id,
        "account": grant.account,
        "state": grant.state,
        "datasets": sorted(grant.datasets),
        "expires": iso(grant.expires),
        "ended": iso(grant.ended) if grant.ended else None,
        "purpose": grant_names.purpose_told(visa["purpose"]),
        "visa": dict(visa),
        "envelope": json.loads(grant.envelope),
    }


def _as_sealed(session: Session, row: RequestRow) -> dict[str, Any]:
    newest = session.get_one(VersionRow, (row.id, row.version))
    request, _ = Request.open(newest.envelope, trusted=None)
    return {
        "organisation": request.organisation,
        "requester_key": request.requester_key,
        "purpose": request.purpose.model_dump(mode="json"),
        "output_classes": [each.value for each in request.output_classes],
        "minimum_datasets": request.minimum_datasets,
        "envelope": json.loads(newest.envelope),
    }


def _check_offered(command: str, offered: frozenset[str], known: list[str]) -> None:
    if command in known and command not in offered:
        raise NotAllowed(
            f"This cannot be done by a word alone: {command}.",
            why="It needs a sealed version, terms, a vote or a document, or the hub does it by itself.",
            todo=f"What can be done here: {', '.join(sorted(offered))}.",
        )
