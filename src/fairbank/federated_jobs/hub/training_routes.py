"""The hub's routes of trainings and models: what rounds came to, which settings sites signed, cards and states."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fairbank.catalogue import bodies
from fairbank.catalogue.accounts import Account, account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.nodes import NodeIdentity, signed_node
from fairbank.database import reading
from fairbank.federated_jobs.errors import JobNotFound, NotYetMerged
from fairbank.federated_jobs.hub import (
    model_registry,
    release_checks,
    site_settings,
    training_views,
    twins,
    views,
)
from fairbank.federated_jobs.hub.changing import changing
from fairbank.federated_jobs.hub.progress import manifest_of
from fairbank.federated_jobs.protocol import ModelStateWish
from fairbank.federated_jobs.release_check import ReleaseVoteWish
from fairbank.federated_jobs.training_settings import SiteSettings
from fairbank.ontology.wire import Wire


def add(routes: APIRouter, hub: Hub) -> None:
    """Add the routes to a router."""
    _of_nodes(routes, hub)
    _of_accounts(routes, hub)
    _of_release(routes, hub)


def _of_nodes(routes: APIRouter, hub: Hub) -> None:
    node_of, body_of = Depends(signed_node(hub)), Depends(bodies.body())

    @routes.post("/v1/jobs/{job_id}/sites/{node}/settings")
    def tell_settings(
        job_id: str, node: str, request: Request, who: NodeIdentity = node_of, body: bytes = body_of
    ) -> Response:
        if node != who.name:
            raise JobNotFound(
                "A node speaks only for itself.",
                why=f"The request is signed by the node {who.name!r}.",
                todo="Use the node's own name in the address.",
            )
        message = SiteSettings.parse(body)
        twins.heed(hub, node, twins.boot_in(request.headers.get(twins.HEADER)))
        with changing(hub) as session:
            deviates = site_settings.take_in(hub, session, job_id, node=node, message=message)
        hub.notifier.notify()
        if deviates:
            # After the transaction: that the site is out stays written down.
            raise site_settings.refused(deviates)
        return JSONResponse({"deviates": []})


def _of_accounts(routes: APIRouter, hub: Hub) -> None:
    anybody, body_of = Depends(account(hub)), Depends(bodies.body())

    @routes.get("/v1/jobs/{job_id}/training")
    def job_training(
        job_id: str, who: Account = anybody, rounds_from: Annotated[int, Query(ge=1, le=10_000)] = 1
    ) -> Response:
        with reading(hub.engine) as session:
            job = views.job_of(session, job_id, who.name)
            training_views.check_trains(manifest_of(job))
            return _json(training_views.training_record(hub, session, job, rounds_from=rounds_from))

    @routes.get("/v1/jobs/{job_id}/settings")
    def job_settings(job_id: str, who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            return _json(site_settings.settings_view(session, views.job_of(session, job_id, who.name)))

    @routes.get("/v1/models/{digest}/card")
    def model_card(digest: str, who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            model, _ = model_registry.model_of(session, digest, who.name)
            if model.card is None:
                raise NotYetMerged(
                    "This model has no card.",
                    why="It was registered before models had cards.",
                    todo="See 'fairbank model show' for its provenance; its weights can be fetched without a card.",
                )
            return Response(model.card, media_type="application/json")

    @routes.post("/v1/models/{digest}/state")
    def move_model(digest: str, who: Account = anybody, body: bytes = body_of) -> Response:
        wish = ModelStateWish.parse(body)
        with changing(hub) as session:
            model = model_registry.move(hub, session, digest, wish.state, who=who)
            answer = {"digest": model.digest, "state": model.state}
        hub.notifier.notify()
        return JSONResponse(answer)


def _of_release(routes: APIRouter, hub: Hub) -> None:
    anybody, body_of = Depends(account(hub)), Depends(bodies.body())

    @routes.get("/v1/models/{digest}/release")
    def release_check(digest: str, who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            return _json(release_checks.seen_check(session, digest, who))

    @routes.post("/v1/models/{digest}/release")
    def decide_release(digest: str, who: Account = anybody, body: bytes = body_of) -> Response:
        wish = ReleaseVoteWish.parse(body)
        with changing(hub) as session:
            stands = release_checks.vote(
                hub, session, digest, who=who, decision=wish.decision, because=wish.because
            )
        hub.notifier.notify()
        return _json(stands)


def _json(body: Wire) -> Response:
    return Response(body.to_bytes(), media_type="application/json")
