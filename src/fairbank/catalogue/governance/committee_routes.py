"""Routes of committees, their reviews and notices: parse, call, answer."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from fairbank.catalogue import accounts, bodies
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import (
    addresses,
    casting,
    letters,
    mail,
    membership,
    notices,
    packets,
    reviews,
)
from fairbank.clock import iso
from fairbank.database import reading, writing

# A letter or meeting file holds what people wrote: nothing in it may run, and nothing be fetched.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class PaperFormat(StrEnum):
    """How a letter or a meeting file is answered."""

    JSON = "json"
    HTML = "html"
    TEXT = "text"


class PacketFormat(StrEnum):
    """How a meeting file is answered."""

    JSON = "json"
    HTML = "html"


def router(hub: Hub) -> APIRouter:
    """Return the routes under `/v1/committees`, `/v1/reviews` and `/v1/notices`."""
    routes = APIRouter(tags=["committees"])
    _committees(routes, hub)
    _members(routes, hub)
    _reviews(routes, hub)
    _votes(routes, hub)
    _notices(routes, hub)
    return routes


def _committees(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body(64 * 1024))
    anybody: Account = Depends(accounts.account(hub))
    admin: Account = Depends(accounts.account(hub, Role.ADMIN))

    @routes.post("/v1/committees", status_code=201)
    def create(content: bytes = message, who: Account = admin) -> dict[str, Any]:
        wish = membership.NewCommittee.parse(content)
        with writing(hub.engine) as session:
            made = membership.create(session, hub, wish, actor=who.name)
            return reviews.committee_in_full(session, made, now=hub.clock.now())

    @routes.get("/v1/committees")
    def listing(who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            found = membership.visible_committees(session, who, hub.clock.now())
            rows = [reviews.committee_row(session, each) for each in found]
        return {"schema": "committees/1", "committees": rows}

    @routes.get("/v1/committees/{committee}")
    def one(committee: str, who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            found = membership.find_visible(session, who, committee, hub.clock.now())
            return reviews.committee_in_full(session, found, now=hub.clock.now())

    @routes.post("/v1/committees/{committee}/dissolve", status_code=204)
    def dissolve(committee: str, who: Account = admin) -> Response:
        with writing(hub.engine) as session:
            membership.dissolve(session, hub, committee, actor=who.name)
        hub.notifier.notify()
        return Response(status_code=204)

    @routes.post("/v1/committees/{committee}/scopes")
    def add_scope(committee: str, content: bytes = message, who: Account = admin) -> dict[str, Any]:
        wish = membership.Scope.parse(content)
        with writing(hub.engine) as session:
            membership.add_scope(session, hub, committee, wish, actor=who.name)
        hub.notifier.notify()
        return {"committee": committee, "decides_about": wish.dataset or f"all of {wish.node}"}

    @routes.post("/v1/committees/{committee}/scopes/remove", status_code=204)
    def remove_scope(committee: str, content: bytes = message, who: Account = admin) -> Response:
        wish = membership.Scope.parse(content)
        with writing(hub.engine) as session:
            membership.remove_scope(session, hub, committee, wish, actor=who.name)
        return Response(status_code=204)

    @routes.get("/v1/committees/{committee}/packet", response_model=None)
    def packet(committee: str, format: PacketFormat = PacketFormat.JSON, who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            made = packets.packet(session, hub, who, committee)
        if format is PacketFormat.HTML:
            return HTMLResponse(packets.as_html(made), headers=_HEADERS)
        return JSONResponse(made, headers=_HEADERS)


def _members(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body(64 * 1024))
    anybody: Account = Depends(accounts.account(hub))
    admin: Account = Depends(accounts.account(hub, Role.ADMIN))

    @routes.put("/v1/committees/{committee}/members/{account}")
    def add(committee: str, account: str, content: bytes = message, who: Account = admin) -> dict[str, Any]:
        wish = membership.Membership.parse(content)
        with writing(hub.engine) as session:
            row = membership.add_member(session, hub, committee, account, chair=wish.chair, actor=who.name)
        hub.notifier.notify()
        return {"committee": committee, "account": row.account, "chair": row.chair}

    @routes.delete("/v1/committees/{committee}/members/{account}", status_code=204)
    def remove(committee: str, account: str, who: Account = admin) -> Response:
        with writing(hub.engine) as session:
            membership.remove_member(session, hub, committee, account, actor=who.name)
        hub.notifier.notify()
        return Response(status_code=204)

    @routes.post("/v1/committees/{committee}/delegations", status_code=201)
    def delegate(committee: str, content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        wish = membership.Delegation.parse(content)
        with writing(hub.engine) as session:
            membership.find_visible(session, who, committee, hub.clock.now())
            row = membership.delegate(session, hub, who, committee, wish)
        hub.notifier.notify()
        return {"account": row.account, "since": iso(row.since), "until": wish.until}

    @routes.delete("/v1/committees/{committee}/delegations")
    def take_back(committee: str, who: Account = anybody) -> dict[str, Any]:
        with writing(hub.engine) as session:
            membership.find_visible(session, who, committee, hub.clock.now())
            ended = membership.end_delegations(session, hub, who, committee)
        hub.notifier.notify()
        return {"ended": ended}

    @routes.post("/v1/committees/{committee}/test-notice")
    def test_notice(committee: str, who: Account = anybody) -> dict[str, Any]:
        mail.check(hub.settings)
        with writing(hub.engine) as session:
            membership.find_visible(session, who, committee, hub.clock.now())
            membership.check_chair_or_admin(session, who, committee)
            keys = notices.write_test(session, hub, committee, actor=who.name)
        mail.send_waiting(hub)
        with reading(hub.engine) as session:
            return {"schema": "sent/1", "sent": notices.how_sent(session, keys)}


def _reviews(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body(256 * 1024))
    anybody: Account = Depends(accounts.account(hub))

    @routes.get("/v1/reviews")
    def listing(
        committee: str | None = None,
        node: str | None = None,
        verdict: str | None = None,
        request: str | None = None,
        mine: bool = False,
        overdue: bool = False,
        all: bool = False,
        limit: int = Query(100, ge=1, le=500),
        offset: int = Query(0, ge=0, le=1_000_000),
        who: Account = anybody,
    ) -> dict[str, Any]:
        wanted = reviews.Wanted(
            committee=committee,
            node=node,
            verdict=verdict,
            request=request,
            mine=mine,
            overdue=overdue,
            every_state=all,
            limit=limit,
            offset=offset,
        )
        with reading(hub.engine) as session:
            rows = reviews.listing(session, who, wanted, now=hub.clock.now())
        return {"schema": "reviews/1", "reviews": rows}

    @routes.get("/v1/reviews/{leg}")
    def one(leg: str, who: Account = anybody) -> dict[str, Any]:
        now = hub.clock.now()
        with reading(hub.engine) as session:
            return reviews.in_full(session, who, reviews.find(session, who, leg, now=now), now=now)

    @routes.post("/v1/reviews/{leg}/substitutes", status_code=201)
    def appoint(leg: str, content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        wish = membership.Substitution.parse(content)
        with writing(hub.engine) as session:
            found = reviews.find(session, who, leg, now=hub.clock.now())
            row = membership.appoint(session, hub, who, found, wish)
        hub.notifier.notify()
        return {"id": leg, "account": row.account, "stands_for": row.stands_for}

    @routes.post("/v1/reviews/{leg}/conflict")
    def conflict(leg: str, content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        wish = membership.ConflictDeclared.parse(content)
        with writing(hub.engine) as session:
            found = reviews.find(session, who, leg, now=hub.clock.now())
            membership.declare_conflict(session, hub, who, found, reason=wish.reason)
        hub.notifier.notify()
        return {"request": found.request, "account": who.name}

    @routes.get("/v1/reviews/{leg}/letter", response_model=None)
    def letter(leg: str, format: PaperFormat = PaperFormat.JSON, who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            made = letters.letter(session, hub, who, leg)
        if format is PaperFormat.HTML:
            return HTMLResponse(letters.as_html(made), headers=_HEADERS)
        if format is PaperFormat.TEXT:
            return PlainTextResponse(letters.as_text(made), headers=_HEADERS)
        return JSONResponse(letters.as_payload(made), headers=_HEADERS)


def _votes(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body(256 * 1024))
    member: Account = Depends(accounts.account(hub, Role.COMMITTEE))

    @routes.post("/v1/reviews/votes")
    def vote(content: bytes = message, who: Account = member) -> dict[str, Any]:
        results = casting.vote_on_each(hub, who, casting.Votes.parse(content))
        return {"schema": "voted/1", "results": [_result(each) for each in results]}

    @routes.post("/v1/reviews/approvals")
    def approve(content: bytes = message, who: Account = member) -> dict[str, Any]:
        results = casting.approve_each(hub, who, casting.Approval.parse(content))
        return {"schema": "voted/1", "results": [_result(each) for each in results]}

    @routes.post("/v1/reviews/{leg}/proposal", status_code=201)
    def propose(leg: str, content: bytes = message, who: Account = member) -> dict[str, Any]:
        terms = casting.ProposedTerms.parse(content).terms
        with writing(hub.engine) as session:
            row = casting.propose(session, hub, who, leg, terms)
        hub.notifier.notify()
        return {"schema": "proposed/1", "id": row.id, "leg": row.leg, "stage": row.stage, "terms": row.terms}


def _notices(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body(64 * 1024))
    anybody: Account = Depends(accounts.account(hub))

    @routes.get("/v1/notices")
    def mine(limit: int = Query(200, ge=1, le=1000), who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            rows = [
                {
                    "id": each.id,
                    "request": each.request,
                    "subject": each.subject,
                    "text": each.text,
                    "made": iso(each.made),
                    "sent": iso(each.sent) if each.sent is not None else None,
                    "problem": each.problem,
                }
                for each in notices.of_account(session, who.name, limit=limit)
            ]
        return {"schema": "notices/1", "notices": rows}

    @routes.put("/v1/notices/address")
    def address(content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        wish = addresses.Address.parse(content)
        with writing(hub.engine) as session:
            addresses.set_email(session, hub, name=who.name, address=wish, actor=who.name)
        return {"account": who.name, "email": wish.email}


def _result(result: casting.Result) -> dict[str, Any]:
    return {
        "id": result.id,
        "status": result.status,
        "state": result.state,
        "outcome": result.outcome,
        "error": result.error.problem() if result.error is not None else None,
    }
