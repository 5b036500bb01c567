"""The hub's routes of live counts: a requester asks and waits, a node fetches and answers."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fairbank.catalogue import bodies
from fairbank.catalogue.accounts import Account, Role, account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.nodes import NodeIdentity, signed_node
from fairbank.catalogue.notifier import Concern
from fairbank.database import reading, writing
from fairbank.federated_jobs.count_protocol import Asked, CountCall, CountClaim, CountReport, Counts
from fairbank.federated_jobs.errors import CountNotFound
from fairbank.federated_jobs.hub import asking, counts
from fairbank.federated_jobs.hub.grants import GrantLookup
from fairbank.federated_jobs.protocol import LONGEST_WAIT_S
from fairbank.ontology.wire import Wire


def add(routes: APIRouter, hub: Hub, grants: GrantLookup) -> None:
    """Add the routes of live counts."""
    node_of, body_of = Depends(signed_node(hub)), Depends(bodies.body())
    anybody, researcher = Depends(account(hub)), Depends(account(hub, Role.RESEARCHER))

    @routes.post("/v1/counts", status_code=201)
    def ask_for_counts(who: Account = researcher, body: bytes = body_of) -> Response:
        return _json(Asked(id=asking.take(hub, who, body, grants=grants)), status=201)

    @routes.get("/v1/counts/{question}")
    async def show_counts(
        question: str,
        who: Account = anybody,
        wait_s: Annotated[int, Query(ge=0, le=LONGEST_WAIT_S)] = 0,
        seen: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        return _json(await _changed(hub, question, who.name, wait_s=wait_s, seen=seen))

    @routes.post("/v1/nodes/{node}/counts")
    async def fetch_question(
        request: Request, node: str, who: NodeIdentity = node_of, body: bytes = body_of
    ) -> Response:
        _same_node(node, who)
        call = await _next_call(hub, request, who.name, CountClaim.parse(body).max_wait_s)
        return Response(status_code=204) if call is None else _json(call)

    @routes.post("/v1/counts/{question}/sites/{node}")
    def report_count(
        question: str, node: str, who: NodeIdentity = node_of, body: bytes = body_of
    ) -> Response:
        _same_node(node, who)
        message = CountReport.parse(body)
        with writing(hub.engine) as session:
            counts.report(hub, session, question, node=who.name, message=message)
        hub.notifier.notify(work=False)
        return JSONResponse({"question": question})


async def _next_call(hub: Hub, request: Request, node: str, wait_s: int) -> CountCall | None:
    deadline = time.monotonic() + min(wait_s, LONGEST_WAIT_S)
    while True:
        seen = hub.notifier.seen
        call = await run_in_threadpool(_call_if_any, hub, node)
        left_s = deadline - time.monotonic()
        if call is not None or left_s <= 0 or hub.notifier.closed:
            return call
        await hub.notifier.wait(seen, left_s, Concern.QUESTIONS)
        # What is handed to a node that has gone would be lost until it is handed out again.
        if await request.is_disconnected():
            return None


def _call_if_any(hub: Hub, node: str) -> CountCall | None:
    with reading(hub.engine) as session:
        if not counts.has_call(hub, session, node):
            return None
    with writing(hub.engine, lasting=False) as session:
        return counts.call_for(hub, session, node)


async def _changed(hub: Hub, question: str, name: str, *, wait_s: int, seen: int) -> Counts:
    deadline = time.monotonic() + wait_s
    while True:
        noticed = hub.notifier.seen
        found = await run_in_threadpool(_view, hub, question, name)
        left_s = deadline - time.monotonic()
        if found.complete or found.seen > seen or left_s <= 0 or hub.notifier.closed:
            return found
        await hub.notifier.wait(noticed, left_s)


def _view(hub: Hub, question: str, name: str) -> Counts:
    with reading(hub.engine) as session:
        return counts.counts(session, question, name)


def _same_node(named: str, who: NodeIdentity) -> None:
    if named != who.name:
        raise CountNotFound(
            "A node speaks only for itself.",
            why=f"The request is signed by the node {who.name!r}.",
            todo="Use the node's own name in the address.",
        )


def _json(body: Wire, *, status: int = 200) -> Response:
    return Response(body.to_bytes(), status_code=status, media_type="application/json")
