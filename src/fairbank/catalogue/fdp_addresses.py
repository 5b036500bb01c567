"""The addresses that clients of FAIR Data Points build themselves: `/fdp`, `/dataset/ID`, `/distribution/ID`.

An IRI of ours is an address already, and a client that follows links needs no other. Some join the type of a resource
and its id instead, as the reference implementation names its own: here they find the same documents, never as the JSON
of ours.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import (
    accounts,
    dataset_routes,
    exports,
    fdp,
    fdp_reading,
    fdp_routes,
    history,
    negotiation,
    rdf_answers,
    records,
    search,
    signposting,
)
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.database import reading


def router(hub: Hub) -> APIRouter:
    """Return the routes of these addresses."""
    routes = APIRouter(tags=["fair data point"])
    anyone: Account | None = Depends(accounts.anyone(hub))

    @routes.head("/fdp", include_in_schema=False)
    @routes.get("/fdp")
    def root(request: Request) -> Response:
        return fdp_routes.root(hub, request)

    @routes.get("/dataset")
    def datasets(
        request: Request, limit: str | None = None, offset: str | None = None, who: Any = anyone
    ) -> Response:
        return dataset_routes.listed(
            hub, request, who, limit=limit, offset=offset, offered=negotiation.GRAPH_FORMATS
        )

    @routes.head("/dataset/{node}/{dataset}", include_in_schema=False)
    @routes.get("/dataset/{node}/{dataset}")
    def dataset(node: str, dataset: str, request: Request, who: Any = anyone) -> Response:
        chosen = rdf_answers.graph_format(request)
        with reading(hub.engine) as session:
            row = search.find(session, records.dataset_iri(hub, node, dataset), who)
            facts = fdp_reading.dataset_facts(session, hub, row)
            layer = exports.as_triples(fdp.dataset_triples(facts))
            content = search.as_rdf(history.newest_edition(session, row), chosen, also=layer)
        links = [f'<{row.iri}>; rel="canonical"', *signposting.of_dataset(facts)]
        return rdf_answers.answer(request, content, chosen, links=links)

    @routes.head("/distribution/{node}/{dataset}/{name}", include_in_schema=False)
    @routes.get("/distribution/{node}/{dataset}/{name}")
    def distribution(node: str, dataset: str, name: str, request: Request, who: Any = anyone) -> Response:
        return fdp_routes.distribution(hub, request, who, node=node, dataset=dataset, name=name)

    return routes
