"""Routes of what a requester writes and hands in: drafts, documents, comments, agreements, closing reports."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from fairbank.catalogue import accounts, bodies
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import (
    agreements,
    attachments,
    closing,
    comments,
    drafting,
    drafts,
    finishing,
    listing,
    permitted,
    views,
)
from fairbank.catalogue.governance.request_errors import DraftRefused
from fairbank.clock import iso
from fairbank.database import reading
from fairbank.ontology.signed_objects import EvidenceKind

# Each parameter has its own: one that were shared would take the first one's name.
Words = Annotated[str | None, Query(max_length=500)]
Limit = Annotated[int, Query(ge=1, le=listing.LARGEST_PAGE)]


def router(hub: Hub) -> APIRouter:
    """Return the routes below `/v1/requests` that write what belongs to a request, and the pages of lists."""
    routes = APIRouter(tags=["access"])
    _drafts(routes, hub)
    _documents(routes, hub)
    _words(routes, hub)
    _views(routes, hub)
    _lists(routes, hub)
    return routes


def _drafts(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body())
    anybody: Account = Depends(accounts.account(hub))

    @routes.post("/v1/requests/drafts", status_code=201)
    def create(content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        row = drafting.create(hub, who, drafts.Draft.parse(content))
        with reading(hub.engine) as session:
            return drafting.view(session, who, row)

    @routes.get("/v1/requests/{request_id}/draft")
    def one(request_id: str, who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            row = permitted.request_for(session, who, request_id, "edit")
            return drafting.view(session, who, row)

    @routes.post("/v1/requests/{request_id}/draft")
    def edit(request_id: str, content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        row = drafting.edit(hub, who, request_id, _pieces(content))
        with reading(hub.engine) as session:
            return drafting.view(session, who, row)

    @routes.delete("/v1/requests/{request_id}/draft")
    def discard(request_id: str, who: Account = anybody) -> dict[str, Any]:
        row = drafting.discard(hub, who, request_id)
        return {"id": row.id, "state": row.state}


def _documents(routes: APIRouter, hub: Hub) -> None:
    anybody: Account = Depends(accounts.account(hub))

    @routes.post("/v1/requests/{request_id}/documents", status_code=201)
    async def attach(
        request_id: str,
        request: Request,
        name: str = Query(min_length=1, max_length=500),
        kind: EvidenceKind | None = None,
        title: str | None = Query(default=None, min_length=1, max_length=200),
        valid_until: str | None = Query(default=None, max_length=40),
        who: Account = anybody,
    ) -> dict[str, Any]:
        await run_in_threadpool(attachments.check_may_attach, hub, who, request_id)
        incoming = await attachments.take(
            hub, request.stream(), announced=request.headers.get("content-length")
        )
        offered = attachments.Offered(name, kind, title, valid_until)
        found = await run_in_threadpool(attachments.attach, hub, who, request_id, incoming, offered)
        return {
            "digest": found.digest,
            "name": found.name,
            "media_type": found.media_type,
            "size_bytes": found.size_bytes,
        }

    @routes.get("/v1/requests/{request_id}/documents/{digest}", response_class=Response)
    def read(request_id: str, digest: str, who: Account = anybody) -> Response:
        found, path = attachments.find(hub, who, request_id, digest)
        return FileResponse(path, media_type=found.media_type, headers=attachments.download_headers(found))

    @routes.delete("/v1/requests/{request_id}/documents/{digest}")
    def detach(request_id: str, digest: str, who: Account = anybody) -> dict[str, Any]:
        attachments.detach(hub, who, request_id, digest)
        return {"digest": digest, "state": "taken out"}


def _words(routes: APIRouter, hub: Hub) -> None:
    message: bytes = Depends(bodies.body())
    anybody: Account = Depends(accounts.account(hub))

    @routes.post("/v1/requests/{request_id}/comments", status_code=201)
    def comment(request_id: str, content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        added = comments.add(hub, who, request_id, comments.Comment.parse(content))
        return {"id": added.id, "audience": added.audience, "at": iso(added.at)}

    @routes.post("/v1/requests/{request_id}/closing-report", status_code=201)
    def report(request_id: str, content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        kept = closing.hand_in(hub, who, request_id, closing.ClosingReport.parse(content))
        return {"id": request_id, "at": iso(kept.at)}

    @routes.post("/v1/requests/{request_id}/complete")
    def complete(request_id: str, who: Account = anybody) -> dict[str, Any]:
        done = finishing.complete(hub, who, request_id)
        return {"id": request_id, "legs": [{"dataset": dataset, "state": state} for dataset, state in done]}

    @routes.post("/v1/requests/{request_id}/countersign")
    def countersign(request_id: str, content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        wanted = agreements.Countersignature.parse(content)
        leg = finishing.countersign(hub, who, request_id, wanted)
        return {"id": leg.id, "dataset": leg.dataset, "state": leg.state}


def _views(routes: APIRouter, hub: Hub) -> None:
    anybody: Account = Depends(accounts.account(hub))

    @routes.get("/v1/requests/{request_id}/progress")
    def progress(request_id: str, who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            row, _ = permitted.request_seen(session, who, request_id)
            return views.full(session, who, row, hub.clock.now())

    @routes.get("/v1/requests/{request_id}/versions")
    def versions(request_id: str, who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            row, _ = permitted.request_seen(session, who, request_id)
            return {"schema": "request-versions/1", "versions": views.versions(session, row)}


def _lists(routes: APIRouter, hub: Hub) -> None:
    anybody: Account = Depends(accounts.account(hub))

    @routes.get("/v1/lists/requests")
    def requests(
        state: Words = None,
        dataset: Words = None,
        committee: Words = None,
        mine: bool = Query(default=False),
        q: Words = None,
        after: Words = None,
        limit: Limit = listing.USUAL_PAGE,
        counts: bool = False,
        who: Account = anybody,
    ) -> dict[str, Any]:
        wanted = listing.Filter(state, dataset, committee, mine, q)
        with reading(hub.engine) as session:
            page = listing.requests(session, who, wanted, mark=after, limit=limit)
            counted = listing.counts(session, who, wanted) if counts else None
        return {"schema": "request-page/1", "counts": counted, "requests": page.rows, "next": page.following}

    @routes.get("/v1/lists/legs")
    def legs(
        state: Words = None,
        dataset: Words = None,
        committee: Words = None,
        mine: bool = False,
        q: Words = None,
        after: Words = None,
        limit: Limit = listing.USUAL_PAGE,
        who: Account = anybody,
    ) -> dict[str, Any]:
        wanted = listing.Filter(state, dataset, committee, mine, q)
        with reading(hub.engine) as session:
            page = listing.legs(session, who, wanted, mark=after, limit=limit)
        return {"schema": "leg-page/1", "legs": page.rows, "next": page.following}

    @routes.get("/v1/lists/grants")
    def grants(
        after: Words = None, limit: Limit = listing.USUAL_PAGE, who: Account = anybody
    ) -> dict[str, Any]:
        with reading(hub.engine) as session:
            page = listing.grants(session, who, now=hub.clock.now(), runs=hub.runs, mark=after, limit=limit)
        return {"schema": "grant-page/1", "grants": page.rows, "next": page.following}


def _pieces(content: bytes) -> dict[str, Any]:
    """Return the pieces of a draft that a body names; what it sets to null is to be taken out."""
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict) or read.pop("schema", None) != drafts.Draft.schema_name:
        raise DraftRefused(
            "The draft was not changed: the body is no JSON object of this schema.",
            why=f"A body names its schema, {drafts.Draft.schema_name}.",
            todo="Send the pieces that change, with the schema.",
        )
    return read
