"""Routes of the export profiles: which there are, their shapes, and how complete a dataset is by them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Query
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import accounts, exports, rdf_answers, records, search
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.store import DatasetRow
from fairbank.database import reading
from fairbank.ontology.profiles import shapes
from fairbank.ontology.profiles.listing import profile_named


def router(hub: Hub) -> APIRouter:
    """Return the routes of the export profiles."""
    routes = APIRouter(tags=["catalogue"])
    anyone: Account | None = Depends(accounts.anyone(hub))

    @routes.get("/profiles")
    def listing() -> dict[str, Any]:
        return {"schema": "profiles/1", "profiles": list(exports.profiles())}

    @routes.get("/profiles/{name}")
    def shapes_of(name: str, request: Request) -> Response:
        return rdf_answers.turtle(request, shapes.turtle(profile_named(name)).encode())

    @routes.get("/datasets/{node}/{dataset}/quality")
    def quality(
        node: str, dataset: str, profile: str | None = Query(None, max_length=100), who: Any = anyone
    ) -> dict[str, Any]:
        with reading(hub.engine) as session:
            row = search.find(session, records.dataset_iri(hub, node, dataset), who)
            return exports.quality(session, hub, row, profile=profile)

    return routes


def document(hub: Hub, session: Session, row: DatasetRow, *, profile: str, request: Request) -> Response:
    """Return a dataset's document in a profile, in the RDF format that the caller likes best.

    Raises:
        UnknownProfile: if there is no such profile.
        NotAcceptable: if the caller takes none of the RDF formats.
    """
    return rdf_answers.rdf(request, exports.document(session, hub, row, profile=profile))
