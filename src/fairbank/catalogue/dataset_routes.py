"""The routes of datasets and their versions: parse, call, answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fairbank.catalogue import accounts, history, negotiation, records, search
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NotAcceptable
from fairbank.catalogue.parameters import is_known, whole_number
from fairbank.database import reading
from fairbank.ontology.record import DatasetRecord
from fairbank.signing import payload_type

SEALED_RECORD = payload_type(DatasetRecord.kind)
_OFFERED = (negotiation.JSON, *negotiation.GRAPH_FORMATS, SEALED_RECORD)


def router(hub: Hub) -> APIRouter:
    """Return the routes of datasets and their versions."""
    routes = APIRouter(tags=["catalogue"])
    anyone: Account | None = Depends(accounts.anyone(hub))

    @routes.get("/datasets")
    def listing(who: Any = anyone) -> dict[str, Any]:
        with reading(hub.engine) as session:
            return {"schema": "datasets/1", "datasets": search.listing(session, who)}

    @routes.get("/datasets/{node}/{dataset}")
    def dataset(
        node: str, dataset: str, request: Request, version: str | None = None, who: Any = anyone
    ) -> Response:
        number = whole_number(version, name="version", least=1) if version is not None else None
        with reading(hub.engine) as session:
            row = search.find(session, records.dataset_iri(hub, node, dataset), who)
            chosen = negotiation.choose(request.headers.get("accept"), _OFFERED)
            if chosen is None:
                raise NotAcceptable(
                    "None of the formats that you accept is offered.",
                    why="A dataset comes as JSON, Turtle, N-Triples, JSON-LD, RDF/XML, or as the node sealed it.",
                    todo="Accept one of these.",
                )
            found = history.find_version(session, row, row.version if number is None else number)
            headers = {
                "ETag": f'"{found.digest}"',
                "Vary": "Accept, Authorization",
                "Link": history.version_links(session, row, found),
            }
            if is_known(request.headers.get("if-none-match"), found.digest):
                return Response(status_code=304, headers=headers)
            if chosen == SEALED_RECORD:
                return Response(found.envelope, media_type=chosen, headers=headers)
            if number is None:
                edition = history.newest_edition(session, row)
            else:
                # JSON says the version by its number; in RDF each version is a thing with an IRI of its own.
                named = row.iri if chosen == negotiation.JSON else None
                edition = history.edition_of(session, row, found, iri=named)
            if chosen == negotiation.JSON:
                return JSONResponse(search.in_full(edition), headers=headers)
            return Response(search.as_rdf(edition, chosen), media_type=chosen, headers=headers)

    @routes.get("/datasets/{node}/{dataset}/versions")
    def versions(node: str, dataset: str, who: Any = anyone) -> dict[str, Any]:
        with reading(hub.engine) as session:
            row = search.find(session, records.dataset_iri(hub, node, dataset), who)
            return {
                "schema": "versions/1",
                "iri": row.iri,
                "newest": row.version,
                "versions": history.versions(session, row),
            }

    return routes
