"""The catalogue's routes: parse, call, answer. Bodies are read once and parsed by their schema."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Depends, Query
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

import fairbank
from fairbank import audit
from fairbank.catalogue import (
    access,
    access_routes,
    accounts,
    bodies,
    dataset_routes,
    facet_reading,
    fdp_addresses,
    fdp_routes,
    fdp_tokens,
    fdp_write_routes,
    index_ping,
    nodes,
    ontology_routes,
    profile_routes,
    projector,
    records,
    search_routes,
    sparql_routes,
)
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import UnknownNode
from fairbank.catalogue.nodes import NodeIdentity
from fairbank.catalogue.route_parts import join
from fairbank.catalogue.visibility import visible_graphs
from fairbank.catalogue.wire import Invitation, VisibilityChange
from fairbank.clock import iso
from fairbank.database import reading, writing

log = logging.getLogger("fairbank.catalogue")
_SWEEP_S = 15.0
_AUDIT_PAGE = 1_000


def router(hub: Hub) -> APIRouter:
    """Return all routes of the catalogue but those of uploads, which the assembly adds with its receivers."""
    routes = APIRouter()
    join(
        routes,
        # First what is asked most: an address is compared with one route after the other.
        _query_routes(hub),
        search_routes.router(hub),
        _hub_routes(hub),
        _node_routes(hub),
        _account_routes(hub),
        _dataset_routes(hub),
        _audit_routes(hub),
        dataset_routes.router(hub),
        access_routes.router(hub),
        profile_routes.router(hub),
        fdp_tokens.router(hub),
        # Before what nodes publish: an address that holds a UUID is never a node's.
        fdp_write_routes.router(hub),
        fdp_routes.router(hub),
        ontology_routes.router(),
        fdp_addresses.router(hub),
    )
    return routes


def background(hub: Hub) -> list[Callable[[], Awaitable[None]]]:
    """Return what has to run beside the routes: notifier, projector, end of grants, facets, the word to indexes."""

    async def project() -> None:
        await projector.run(hub)

    async def sweep() -> None:
        try:
            while True:
                try:
                    await asyncio.to_thread(access.expire_due, hub)
                except Exception:
                    # Whether a visa holds is asked of the clock as well, so a missed sweep gives nobody more time.
                    log.exception("grants that are due could not be ended")
                await asyncio.sleep(_SWEEP_S)
        finally:
            hub.queries.close()

    async def warm() -> None:
        # What the first search would have to read otherwise; whoever asks meanwhile reads it for itself.
        await asyncio.to_thread(facet_reading.read_ahead, hub.engine)

    async def tell_indexes() -> None:
        await index_ping.run(hub)

    return [hub.notifier.poll, project, sweep, warm, tell_indexes]


def _hub_routes(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["hub"])

    @routes.get("/healthz")
    def healthz() -> dict[str, Any]:
        with reading(hub.engine) as session:
            audit.head(session, audit.HubAudit)
        # Still 200: all but the newest changes can be asked for.
        return (
            {"status": "degraded", "problems": [hub.view.problem]} if hub.view.problem else {"status": "ok"}
        )

    @routes.get("/v1/hub")
    def about() -> dict[str, Any]:
        return {
            "schema": "hub/1",
            "version": fairbank.__version__,
            "base_iri": hub.base_iri,
            "key": hub.key.key_id,
            "fingerprint": hub.key.public.fingerprint,
            "protocol": [1],
            "chunk_bytes": hub.settings.jobs_chunk_bytes,
            "time": iso(hub.clock.now()),
        }

    return routes


def _node_routes(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["nodes"])
    message: bytes = Depends(bodies.body())
    admin: Account = Depends(accounts.account(hub, Role.ADMIN))
    signed: NodeIdentity = Depends(nodes.signed_node(hub, limit_bytes=bodies.MESSAGE_BYTES))

    @routes.post("/v1/invitations", status_code=201)
    def invite(content: bytes = message, who: Account = admin) -> dict[str, Any]:
        wish = Invitation.parse(content)
        with writing(hub.engine) as session:
            token = nodes.invite(session, hub, actor=who.name, node=wish.node)
        return {"schema": "invited/1", "token": token, "days": nodes.INVITATION_DAYS}

    @routes.post("/v1/enrolments", status_code=201)
    def enrol(request: Request, content: bytes = message) -> dict[str, Any]:
        wish = nodes.Enrolment.parse(content)
        signature = nodes.verify_signature(hub, request, content)
        if signature.key_id != wish.key:
            raise UnknownNode(
                "The enrolment is signed with another key than it names.",
                why="The signature proves that the node holds the key it enrols with.",
                todo="Enrol from the node itself.",
            )
        with writing(hub.engine) as session:
            nodes.remember_nonce(session, signature, now=hub.clock.now())
        return nodes.enrol(hub, wish).payload()

    @routes.get("/v1/nodes")
    @routes.get("/nodes", include_in_schema=False)
    def listing() -> dict[str, Any]:
        with reading(hub.engine) as session:
            found = [
                {
                    "name": node.name,
                    "title": node.title,
                    "key": node.key_id,
                    "datasets": node.datasets,
                    "enrolled": iso(node.enrolled),
                    "last_seen": iso(node.last_seen),
                }
                for node in nodes.listing(session)
            ]
        return {"schema": "nodes/1", "nodes": found}

    @routes.delete("/v1/nodes/{node}", status_code=204)
    def shut_out(node: str, who: Account = admin) -> Response:
        with writing(hub.engine) as session:
            nodes.shut_out(session, hub, node=node, actor=who.name)
        hub.notifier.notify()
        return Response(status_code=204)

    @routes.put("/v1/datasets/{dataset}/visibility")
    def show_or_hide(dataset: str, content: bytes = message, node: NodeIdentity = signed) -> dict[str, Any]:
        change = VisibilityChange.parse(content)
        iri = records.dataset_iri(hub, node.name, dataset)
        return _set_visibility(hub, iri, change, actor=node.key_id)

    return routes


def _account_routes(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["accounts"])
    message: bytes = Depends(bodies.body(64 * 1024))
    admin: Account = Depends(accounts.account(hub, Role.ADMIN))
    anybody: Account = Depends(accounts.account(hub))

    @routes.post("/v1/login")
    def login(request: Request, content: bytes = message) -> dict[str, Any]:
        wish = accounts.Login.parse(content)
        origin = request.client.host if request.client else "unknown"
        issued = accounts.login(hub, name=wish.name, password=wish.password, origin=origin)
        return {
            "schema": "token/1",
            "token": issued.token,
            "account": issued.account.name,
            "roles": sorted(issued.account.roles),
            "expires": iso(issued.expires),
        }

    @routes.post("/v1/logout", status_code=204)
    def logout(request: Request, who: Account = anybody) -> Response:
        accounts.logout(hub, request.headers["authorization"].partition(" ")[2].strip())
        return Response(status_code=204)

    @routes.get("/v1/whoami")
    def whoami(who: Account = anybody) -> dict[str, Any]:
        return _account(who)

    @routes.post("/v1/accounts", status_code=201)
    def create(content: bytes = message, who: Account = admin) -> dict[str, Any]:
        wish = accounts.NewAccount.parse(content)
        with writing(hub.engine) as session:
            made = accounts.create_account(
                session,
                hub,
                name=wish.name,
                password=wish.password,
                roles=wish.roles,
                organisation=wish.organisation,
                actor=who.name,
            )
        return _account(made)

    @routes.get("/v1/accounts")
    def listing(who: Account = admin) -> dict[str, Any]:
        with reading(hub.engine) as session:
            found = [_account(each) for each in accounts.accounts(session)]
        return {"schema": "accounts/1", "accounts": found}

    @routes.post("/v1/accounts/key")
    def register_key(content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        key = accounts.register_key(hub, who, content)
        return {"schema": "account-key/1", "account": who.name, "key": key}

    return routes


def _dataset_routes(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["catalogue"])
    message: bytes = Depends(bodies.body())
    admin: Account = Depends(accounts.account(hub, Role.ADMIN))

    @routes.put("/v1/datasets/{node}/{dataset}/visibility")
    def show_or_hide(
        node: str, dataset: str, content: bytes = message, who: Account = admin
    ) -> dict[str, Any]:
        change = VisibilityChange.parse(content)
        return _set_visibility(hub, records.dataset_iri(hub, node, dataset), change, actor=who.name)

    return routes


def _query_routes(hub: Hub) -> APIRouter:
    def visible(who: Account | None) -> list[str]:
        with reading(hub.engine) as session:
            return visible_graphs(session, hub.base_iri, who)

    endpoint = sparql_routes.Endpoint(
        iri=hub.base_iri + sparql_routes.PATH,
        pool=hub.queries,
        visible=visible,
        caller=accounts.anyone(hub),
    )
    return sparql_routes.router(endpoint)


def _audit_routes(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["audit"])
    admin: Account = Depends(accounts.account(hub, Role.ADMIN))

    @routes.get("/v1/audit/head")
    def head() -> dict[str, Any]:
        with reading(hub.engine) as session:
            newest = audit.head(session, audit.HubAudit)
        return {"schema": "audit-head/1", "seq": newest.seq, "hash": newest.hash}

    @routes.get("/v1/audit")
    def entries(
        after: int = Query(0, ge=0), limit: int = Query(200, ge=1, le=_AUDIT_PAGE), who: Account = admin
    ) -> dict[str, Any]:
        with reading(hub.engine) as session:
            statement = select(audit.HubAudit).where(audit.HubAudit.seq > after)
            rows = session.scalars(statement.order_by(audit.HubAudit.seq).limit(limit))
            return {"schema": "audit/1", "entries": [_entry(row) for row in rows]}

    return routes


def _entry(entry: audit.HubAudit) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": iso(entry.at),
        "actor": entry.actor,
        "act": entry.act,
        "target": entry.target,
        "detail": entry.detail,
        "hash": entry.hash,
    }


def _account(who: Account) -> dict[str, Any]:
    return {
        "schema": "whoami/1",
        "account": who.name,
        "roles": sorted(who.roles),
        "organisation": who.organisation,
        "key": who.key_id,
    }


def _set_visibility(hub: Hub, iri: str, change: VisibilityChange, *, actor: str) -> dict[str, Any]:
    with writing(hub.engine) as session:
        records.set_visibility(session, hub, iri=iri, visibility=change.visibility, actor=actor)
    hub.notifier.notify()
    return {"iri": iri, "visibility": change.visibility.value}
