"""Routes of access requests, decisions and grants: parse, call, answer."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session

from fairbank.catalogue import access, accounts, bodies
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.store import RequestRow
from fairbank.clock import iso
from fairbank.database import reading
from fairbank.ontology.signed_objects import Request, Visa


def router(hub: Hub) -> APIRouter:
    """Return the routes under `/v1/requests` and `/v1/grants`."""
    routes = APIRouter(tags=["access"])
    _requests(routes, hub)
    _grants(routes, hub)
    return routes


def _requests(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body())
    anybody: Account = Depends(accounts.account(hub))
    member: Account = Depends(accounts.account(hub, Role.COMMITTEE))

    @routes.post("/v1/requests", status_code=201)
    def submit(content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        row = access.submit(hub, who, content)
        return {"id": row.id, "state": row.state, "digest": row.digest}

    @routes.get("/v1/requests")
    def listing(who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            found = [_short(hub, session, row) for row in access.requests(session, who)]
        return {"schema": "requests/1", "requests": found}

    @routes.get("/v1/requests/{request_id}")
    def one(request_id: str, who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            return request_in_full(hub, session, access.find_request(session, who, request_id))

    @routes.post("/v1/requests/{request_id}/review")
    def take_up(request_id: str, who: Account = member) -> dict[str, Any]:
        row = access.take_up(hub, who, request_id)
        return {"id": row.id, "state": row.state}

    @routes.post("/v1/requests/{request_id}/withdraw")
    def withdraw(request_id: str, who: Account = anybody) -> dict[str, Any]:
        row = access.withdraw(hub, who, request_id)
        return {"id": row.id, "state": row.state}

    @routes.post("/v1/requests/{request_id}/decision")
    def decide(request_id: str, content: bytes = message, who: Account = member) -> dict[str, Any]:
        row = access.decide(hub, who, request_id, access.Decision.parse(content))
        with reading(hub.engine) as session:
            return request_in_full(hub, session, row)


def _grants(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body())
    anybody: Account = Depends(accounts.account(hub))
    member: Account = Depends(accounts.account(hub, Role.COMMITTEE))

    @routes.get("/v1/grants")
    def grants(who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            found = [grant_in_full(each) for each in access.grants(session, who, now=hub.clock.now())]
        return {"schema": "grants/1", "grants": found}

    @routes.post("/v1/grants/{visa_id}/revoke")
    def revoke(visa_id: str, content: bytes = message, who: Account = member) -> dict[str, Any]:
        access.revoke(hub, who, visa_id, reason=access.Revocation.parse(content).reason)
        return {"id": visa_id, "state": access.RequestState.REVOKED.value}


def request_in_full(hub: Hub, session: Session, row: RequestRow) -> dict[str, Any]:
    """Return a request with what it asks for, how that fits the data-use terms, its history, and its grant."""
    request, _ = Request.open(row.envelope, trusted=None)
    grant = access.grant_of(session, row, now=hub.clock.now())
    return {
        "schema": "request-view/1",
        **_short(hub, session, row),
        "organisation": request.organisation,
        "requester_key": request.requester_key,
        "purpose": request.purpose.model_dump(mode="json"),
        "output_classes": [each.value for each in request.output_classes],
        "matches": [
            {"dataset": each.dataset, "verdict": each.verdict, "explanations": list(each.explanations)}
            for each in access.matches(session, row)
        ],
        "history": [
            {"act": each.act, "actor": each.actor, "comment": each.comment, "at": iso(each.at)}
            for each in access.history(session, row.id)
        ],
        "envelope": json.loads(row.envelope),
        "grant": grant_in_full(grant) if grant is not None else None,
    }


def grant_in_full(grant: access.Grant) -> dict[str, Any]:
    """Return a grant with its visa, both read and exactly as sealed."""
    visa, _ = Visa.open(grant.envelope, trusted=None)
    return {
        "schema": "grant-view/1",
        "id": grant.visa_id,
        "digest": grant.digest,
        "request": grant.request_id,
        "account": grant.account,
        "state": "holds" if grant.holds else grant.ended_because,
        "expires": iso(grant.expires),
        "ended": iso(grant.ended) if grant.ended else None,
        "visa": visa.payload(),
        "envelope": json.loads(grant.envelope),
    }


def _short(hub: Hub, session: Session, row: RequestRow) -> dict[str, Any]:
    request, _ = Request.open(row.envelope, trusted=None)
    return {
        "id": row.id,
        "state": access.state_of(session, row, hub.clock.now()).value,
        "title": row.title,
        "account": row.account,
        "datasets": sorted(request.datasets),
        "until": iso(row.until),
        "submitted": iso(row.submitted),
        "changed": iso(row.changed),
        "digest": row.digest,
    }
