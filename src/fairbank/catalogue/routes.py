"""The catalogue's routes: parse, call, answer. Bodies are read once and parsed by their schema."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

import fairbank
from fairbank import audit
from fairbank.catalogue import (
    account_routes,
    accounts,
    audit_routes,
    blobs,
    bodies,
    dataset_routes,
    facet_reading,
    fdp_addresses,
    fdp_routes,
    fdp_tokens,
    fdp_write_routes,
    hub_keys,
    index_ping,
    node_routes,
    nodes,
    ontology_routes,
    profile_routes,
    projector,
    records,
    search_routes,
    sparql_routes,
)
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import UnknownNode
from fairbank.catalogue.governance import committee_routes, drafting_routes, expiry
from fairbank.catalogue.governance import routes as governance_routes
from fairbank.catalogue.governance.reminders import Reminders
from fairbank.catalogue.governance.retention import Sweeper
from fairbank.catalogue.nodes import NodeIdentity
from fairbank.catalogue.route_parts import join
from fairbank.catalogue.visibility import visible_graphs
from fairbank.catalogue.wire import Invitation, VisibilityChange
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.signing import PublicKey

log = logging.getLogger("fairbank.catalogue")
_SWEEP_S = 15.0


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
        node_routes.router(hub),
        account_routes.router(hub),
        _dataset_routes(hub),
        audit_routes.router(hub),
        dataset_routes.router(hub),
        governance_routes.router(hub),
        committee_routes.router(hub),
        drafting_routes.router(hub),
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
    """Return what has to run beside the routes: notifier, projector, clocks, notices, facets, the word to indexes."""

    async def project() -> None:
        await projector.run(hub)

    async def sweep() -> None:
        try:
            while True:
                try:
                    await asyncio.to_thread(expiry.sweep, hub)
                except Exception:
                    # Whether a visa holds is asked of the clock as well, so a missed sweep gives nobody more time.
                    log.exception("requests that are due could not be moved")
                await asyncio.sleep(_SWEEP_S)
        finally:
            hub.queries.close()

    async def remind() -> None:
        reminders = Reminders(hub)
        while True:
            try:
                await asyncio.to_thread(reminders.sweep)
            except Exception:
                # Nothing is lost: what was not written or sent is found again the next time.
                log.exception("notices that are due could not be written or sent")
            await asyncio.sleep(_SWEEP_S)

    async def forget() -> None:
        sweeper = Sweeper(hub)
        while True:
            try:
                await asyncio.to_thread(sweeper.sweep)
                await asyncio.to_thread(blobs.forget_abandoned, hub)
            except Exception:
                # Found again the next time.
                log.exception("what has been kept as long as it may could not be deleted")
            await asyncio.sleep(_SWEEP_S)

    async def warm() -> None:
        # What the first search would have to read otherwise; whoever asks meanwhile reads it for itself.
        await asyncio.to_thread(facet_reading.read_ahead, hub.engine)

    async def tell_indexes() -> None:
        await index_ping.run(hub)

    return [hub.notifier.poll, project, sweep, remind, forget, warm, tell_indexes]


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
        with reading(hub.engine) as session:
            key = PublicKey.parse(hub_keys.named(session))
            successions = [each.payload() for each in hub_keys.successions(session)]
        return {
            "schema": "hub/1",
            "version": fairbank.__version__,
            "base_iri": hub.base_iri,
            "key": key.key_id,
            "country": hub.settings.hub_country or None,
            "fingerprint": key.fingerprint,
            "protocol": [1],
            "chunk_bytes": hub.settings.jobs_chunk_bytes,
            "time": iso(hub.clock.now()),
            "successions": successions,
        }

    return routes


def _node_routes(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["nodes"])
    message: bytes = Depends(bodies.body())
    admin: Account = Depends(accounts.account(hub))
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
    def listing(response: Response) -> dict[str, Any]:
        # At one of the two a browser gets a page.
        response.headers["Vary"] = "Accept"
        with reading(hub.engine) as session:
            found = [
                {
                    "name": node.name,
                    "title": node.title,
                    "key": node.key_id,
                    "datasets": node.datasets,
                    "enrolled": iso(node.enrolled),
                    "last_seen": iso(node.last_seen),
                    "suspended": iso(node.suspended) if node.suspended else None,
                    "country": node.country,
                    "transfers": node.transfers,
                    "training": node.training,
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


def _dataset_routes(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["catalogue"])
    message: bytes = Depends(bodies.body())
    admin: Account = Depends(accounts.account(hub))

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


def _set_visibility(hub: Hub, iri: str, change: VisibilityChange, *, actor: str) -> dict[str, Any]:
    with writing(hub.engine) as session:
        records.set_visibility(session, hub, iri=iri, visibility=change.visibility, actor=actor)
    hub.notifier.notify()
    return {"iri": iri, "visibility": change.visibility.value}
