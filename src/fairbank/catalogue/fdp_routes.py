"""The read routes of the FAIR Data Point: its root, catalogs, distributions, shapes and metadata about metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Depends, Query
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import (
    accounts,
    described,
    exports,
    fdp,
    fdp_meta,
    fdp_reading,
    negotiation,
    rdf_answers,
    records,
    schema_org,
    search,
    signposting,
)
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import DistributionNotFound
from fairbank.catalogue.fdp import Catalog
from fairbank.catalogue.store import DatasetRow
from fairbank.database import reading
from fairbank.ontology.profiles import shapes
from fairbank.ontology.profiles.facts import Facts, distributions
from fairbank.ontology.profiles.fdp import FDP
from fairbank.ontology.profiles.fdp_described import Kind
from fairbank.ontology.profiles.fdp_layers import CATALOG, LAYERS, POINT
from fairbank.ontology.profiles.listing import profile_named
from fairbank.ontology.profiles.rows import Profile

PAGE = 200
_JSON_LD = negotiation.GRAPH_FORMATS[2]
_LIMIT = Query(PAGE, ge=1, le=search.LARGEST_PAGE)
# Each child that is inline is read from the record that its node sealed, which takes time.
_INLINE = Query(50, ge=1, le=100)
_OFFSET = Query(0, ge=0, le=2**31 - 1)


def router(hub: Hub) -> APIRouter:
    """Return the routes below the root; the root itself shares its address with the page for browsers."""
    routes = APIRouter(tags=["fair data point"])
    for part in (_root_routes, _catalog_routes, _dataset_routes):
        part(routes, hub)
    return routes


def root(hub: Hub, request: Request) -> Response:
    """Return the document of the root, as RDF or in the words of schema.org.

    Raises:
        NotAcceptable: if the caller takes neither.
    """
    with reading(hub.engine) as session:
        found = fdp_reading.all_catalogs(session, hub, accounts.from_request(hub, request))
        point = fdp_reading.point(session, hub, found)
    links = [*signposting.of_point(point, [each.iri for each in found])]
    if schema_org.is_wanted(request):
        return rdf_answers.json(request, schema_org.point(point, found), media_type=_JSON_LD, links=links)
    return rdf_answers.rdf(request, fdp.point_triples(point, found), links=links)


def distribution(
    hub: Hub, request: Request, who: Account | None, *, node: str, dataset: str, name: str
) -> Response:
    """Return the document of one distribution, by the name after `#` in its IRI.

    Raises:
        DatasetNotFound: if the caller sees no such dataset.
        DistributionNotFound: if the dataset has no distribution of that name.
        NotAcceptable: if the caller takes no RDF.
    """
    with reading(hub.engine) as session:
        row = search.find(session, records.dataset_iri(hub, node, dataset), who)
        facts = fdp_reading.dataset_facts(session, hub, row)
    iri = facts.under(name)
    if iri not in distributions(facts):
        raise DistributionNotFound(
            f"{node}/{dataset} has no distribution {name[:80]!r}.",
            why="Those there are: "
            + ", ".join(each.partition("#")[2] for each in distributions(facts))
            + ".",
            todo="Name one of these.",
        )
    return rdf_answers.rdf(request, fdp.distribution_triples(facts, iri))


def _root_routes(routes: APIRouter, hub: Hub) -> None:
    anyone: Account | None = Depends(accounts.anyone(hub))

    @routes.head("/spec", include_in_schema=False)
    @routes.get("/spec")
    def spec(request: Request) -> Response:
        return _shapes(request, POINT)

    @routes.head("/expanded", include_in_schema=False)
    @routes.get("/expanded")
    def expanded(request: Request, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            found = fdp_reading.all_catalogs(session, hub, who)
            document = [*fdp.point_triples(fdp_reading.point(session, hub, found), found)]
            for catalog in found:
                document += fdp.catalog_metadata(catalog) if isinstance(catalog, Catalog) else ()
            triples = [*exports.as_triples(dict.fromkeys(document))]
            for row in described.shown(session, Kind.CATALOG):
                triples += described.described_triples(row)
        return rdf_answers.graph(request, triples)

    @routes.head("/meta", include_in_schema=False)
    @routes.get("/meta")
    def meta(request: Request, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            found = fdp_reading.all_catalogs(session, hub, who)
            return rdf_answers.json(
                request, fdp_meta.of_point(fdp_reading.point(session, hub, found), found, who)
            )

    @routes.head("/profile/{name}", include_in_schema=False)
    @routes.get("/profile/{name}")
    def profile(name: str, request: Request) -> Response:
        return _shapes(request, LAYERS.get(name) or profile_named(name))


def _catalog_routes(routes: APIRouter, hub: Hub) -> None:
    anyone: Account | None = Depends(accounts.anyone(hub))

    @routes.head("/catalog", include_in_schema=False)
    @routes.get("/catalog")
    def catalogs(request: Request, limit: int = _LIMIT, offset: int = _OFFSET, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            found = fdp_reading.all_catalogs(session, hub, who)
        page = found[offset : offset + limit]
        links = _pages(f"{hub.base_iri}/catalog", limit=limit, offset=offset, total=len(found))
        return rdf_answers.rdf(request, fdp.catalogs_triples(hub.base_iri, page), links=links)

    @routes.head("/catalog/{node}", include_in_schema=False)
    @routes.get("/catalog/{node}")
    def catalog(
        node: str, request: Request, limit: int = _LIMIT, offset: int = _OFFSET, who: Any = anyone
    ) -> Response:
        with reading(hub.engine) as session:
            found = fdp_reading.catalog(session, hub, node, who)
            page = fdp_reading.members(session, node, who, limit=limit, offset=offset)
            names = [row.iri for row in page]
        links = [
            *_pages(found.iri, limit=limit, offset=offset, total=found.datasets),
            *signposting.of_catalog(found, names),
        ]
        if schema_org.is_wanted(request):
            value = schema_org.catalog(found, names)
            return rdf_answers.json(request, value, media_type=_JSON_LD, links=links)
        return rdf_answers.rdf(request, fdp.catalog_triples(found, names), links=links)

    @routes.head("/catalog/{node}/spec", include_in_schema=False)
    @routes.get("/catalog/{node}/spec")
    def spec(node: str, request: Request, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            fdp_reading.catalog(session, hub, node, who)
        return _shapes(request, CATALOG)

    @routes.head("/catalog/{node}/expanded", include_in_schema=False)
    @routes.get("/catalog/{node}/expanded")
    def expanded(
        node: str, request: Request, limit: int = _INLINE, offset: int = _OFFSET, who: Any = anyone
    ) -> Response:
        with reading(hub.engine) as session:
            found = fdp_reading.catalog(session, hub, node, who)
            page = fdp_reading.members(session, node, who, limit=limit, offset=offset)
            document = [*fdp.catalog_triples(found, [row.iri for row in page])]
            for row in page:
                document += fdp.dataset_triples(fdp_reading.dataset_facts(session, hub, row))
        links = _pages(f"{found.iri}/expanded", limit=limit, offset=offset, total=found.datasets)
        return rdf_answers.rdf(request, document, links=links)

    @routes.head("/catalog/{node}/meta", include_in_schema=False)
    @routes.get("/catalog/{node}/meta")
    def meta(
        node: str, request: Request, limit: int = _LIMIT, offset: int = _OFFSET, who: Any = anyone
    ) -> Response:
        with reading(hub.engine) as session:
            found = fdp_reading.catalog(session, hub, node, who)
            page = fdp_reading.members(session, node, who, limit=limit, offset=offset)
            links = _pages(f"{found.iri}/meta", limit=limit, offset=offset, total=found.datasets)
            return rdf_answers.json(request, fdp_meta.of_catalog(found, page, who), links=links)


def _dataset_routes(routes: APIRouter, hub: Hub) -> None:
    anyone: Account | None = Depends(accounts.anyone(hub))
    below = "/datasets/{node}/{dataset}"

    def found(session: Session, node: str, dataset: str, who: Account | None) -> tuple[DatasetRow, Facts]:
        row = search.find(session, records.dataset_iri(hub, node, dataset), who)
        return row, fdp_reading.dataset_facts(session, hub, row)

    @routes.head(below + "/distributions", include_in_schema=False)
    @routes.get(below + "/distributions")
    def container(node: str, dataset: str, request: Request, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            _, facts = found(session, node, dataset, who)
        return rdf_answers.rdf(request, fdp.distributions_triples(facts))

    @routes.head(below + "/distributions/{name}", include_in_schema=False)
    @routes.get(below + "/distributions/{name}")
    def one(node: str, dataset: str, name: str, request: Request, who: Any = anyone) -> Response:
        return distribution(hub, request, who, node=node, dataset=dataset, name=name)

    @routes.head(below + "/spec", include_in_schema=False)
    @routes.get(below + "/spec")
    def spec(node: str, dataset: str, request: Request, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            search.find(session, records.dataset_iri(hub, node, dataset), who)
        return _shapes(request, FDP)

    @routes.head(below + "/expanded", include_in_schema=False)
    @routes.get(below + "/expanded")
    def expanded(node: str, dataset: str, request: Request, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            _, facts = found(session, node, dataset, who)
        document = [*fdp.dataset_triples(facts)]
        for iri in distributions(facts):
            document += fdp.distribution_triples(facts, iri)
        return rdf_answers.rdf(request, document)

    @routes.head(below + "/meta", include_in_schema=False)
    @routes.get(below + "/meta")
    def meta(node: str, dataset: str, request: Request, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            row, facts = found(session, node, dataset, who)
            catalog = fdp_reading.catalog(session, hub, node, who)
            return rdf_answers.json(request, fdp_meta.of_dataset(catalog, row, facts, who))


def _pages(iri: str, *, limit: int, offset: int, total: int) -> Iterator[str]:
    """Yield the links between the pages of a long list (RFC 8288; Linked Data Platform Paging 1.0)."""
    if offset + limit < total:
        yield f'<{iri}?limit={limit}&offset={offset + limit}>; rel="next"'
    if offset > 0:
        yield f'<{iri}?limit={limit}&offset={max(offset - limit, 0)}>; rel="prev"'


def _shapes(request: Request, profile: Profile) -> Response:
    return rdf_answers.turtle(request, shapes.turtle(profile).encode())
