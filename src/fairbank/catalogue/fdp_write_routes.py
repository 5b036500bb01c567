"""The routes by which people write to the FAIR Data Point, and read what they wrote: parse, call, answer.

Addresses and bodies are those of the reference implementation: `POST /catalog`, `PUT /dataset/{id}`, `PUT
/dataset/{id}/meta/state`. The ids of what is described are UUIDs, so these addresses are never a node's.
"""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import (
    accounts,
    bodies,
    described,
    fdp_meta,
    fdp_writing,
    negotiation,
    rdf_answers,
    rdf_bodies,
    schema_org,
    shacl_gate,
    signposting,
)
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import RdfMalformed, ShapesViolated
from fairbank.catalogue.fdp_document import Place
from fairbank.catalogue.fdp_writing import Sent
from fairbank.catalogue.shacl_gate import Result
from fairbank.catalogue.store import DescribedRow
from fairbank.database import reading, writing
from fairbank.ontology.profiles import shapes
from fairbank.ontology.profiles.fdp_described import DESCRIBED, Kind

_MESSAGE_BYTES: Final = 64 * 1024


def router(hub: Hub) -> APIRouter:
    """Return the routes; they have to come before those that read what nodes publish."""
    routes = APIRouter(tags=["fair data point"])
    for kind in Kind:
        _reading(routes, hub, kind)
        _writing(routes, hub, kind)
    _harvested(routes, hub)
    return routes


def _reading(routes: APIRouter, hub: Hub, kind: Kind) -> None:
    anyone: Account | None = Depends(accounts.anyone(hub))
    at = f"/{kind.value}/{{resource:uuid}}"

    @routes.head(at, include_in_schema=False)
    @routes.get(at)
    def resource(resource: UUID, request: Request, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            row = described.find(session, fdp_writing.iri_of(hub, kind, str(resource)), who)
            document = described.document(session, row)
            items = [child.iri for child in described.children(session, row) if child.shown]
        links = [*signposting.of_described(row, items)]
        if schema_org.is_wanted(request):
            value = schema_org.described(row, items)
            return rdf_answers.json(request, value, media_type="application/ld+json", links=links)
        return rdf_answers.graph(request, document, links=links)

    @routes.head(f"{at}/expanded", include_in_schema=False)
    @routes.get(f"{at}/expanded")
    def expanded(resource: UUID, request: Request, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            row = described.find(session, fdp_writing.iri_of(hub, kind, str(resource)), who)
            return rdf_answers.graph(request, described.expanded(session, row))

    @routes.head(f"{at}/spec", include_in_schema=False)
    @routes.get(f"{at}/spec")
    def spec(resource: UUID, request: Request, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            described.find(session, fdp_writing.iri_of(hub, kind, str(resource)), who)
        return rdf_answers.turtle(request, shapes.turtle(DESCRIBED[kind]).encode())

    @routes.head(f"{at}/meta", include_in_schema=False)
    @routes.get(f"{at}/meta")
    def meta(resource: UUID, request: Request, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            row = described.find(session, fdp_writing.iri_of(hub, kind, str(resource)), who)
            above = described.above(session, row)
            below = [each for each in described.children(session, row) if described.sees(who, each)]
            return rdf_answers.json(request, fdp_meta.of_described(row, above, below, who))

    @routes.get(f"{at}/meta/state")
    def state(resource: UUID, who: Any = anyone) -> dict[str, str]:
        with reading(hub.engine) as session:
            return _state(described.find(session, fdp_writing.iri_of(hub, kind, str(resource)), who))


def _writing(routes: APIRouter, hub: Hub, kind: Kind) -> None:
    admin: Account = Depends(accounts.account(hub, Role.ADMIN))
    document: bytes = Depends(bodies.body(rdf_bodies.LARGEST_BYTES))
    message: bytes = Depends(bodies.body(_MESSAGE_BYTES))
    at = f"/{kind.value}/{{resource:uuid}}"

    @routes.post(f"/{kind.value}", status_code=201)
    def create(request: Request, who: Account = admin, content: bytes = document) -> Response:
        place = Place(kind, fdp_writing.iri_of(hub, kind, hub.clock.new_id()), hub.base_iri)
        try:
            sent = _sent(request, content, place.iri)
            with writing(hub.engine) as session:
                row = fdp_writing.create(session, hub, who, place=place, sent=sent)
                answer = _written(hub, request, row, status=201)
        except ShapesViolated as error:
            return _report(request, error)
        hub.notifier.notify()
        answer.headers["Location"] = place.iri
        return answer

    @routes.put(at)
    def replace(
        resource: UUID, request: Request, who: Account = admin, content: bytes = document
    ) -> Response:
        iri = fdp_writing.iri_of(hub, kind, str(resource))
        condition = fdp_writing.matching(request.headers.get("if-match"))
        try:
            sent = _sent(request, content, iri)
            with writing(hub.engine) as session:
                row = fdp_writing.replace(session, hub, who, iri=iri, sent=sent, condition=condition)
                session.flush()
                answer = _written(hub, request, row, status=200, document=described.document(session, row))
        except ShapesViolated as error:
            return _report(request, error)
        hub.notifier.notify()
        return answer

    @routes.delete(at, status_code=204)
    def delete(resource: UUID, request: Request, who: Account = admin) -> Response:
        iri = fdp_writing.iri_of(hub, kind, str(resource))
        condition = fdp_writing.matching(request.headers.get("if-match"))
        with writing(hub.engine) as session:
            fdp_writing.delete(session, hub, who, iri=iri, condition=condition)
        hub.notifier.notify()
        return Response(status_code=204)

    @routes.put(f"{at}/meta/state")
    def publish(resource: UUID, who: Account = admin, content: bytes = message) -> dict[str, str]:
        iri = fdp_writing.iri_of(hub, kind, str(resource))
        wanted = _wanted(content)
        with writing(hub.engine) as session:
            row = fdp_writing.publish(session, hub, who, iri=iri, wanted=wanted)
        hub.notifier.notify()
        return _state(row)


def _harvested(routes: APIRouter, hub: Hub) -> None:
    """Add the routes that say that what nodes publish is not written here."""
    admin: Account = Depends(accounts.account(hub, Role.ADMIN))

    def dataset(who: Account = admin) -> Response:
        raise fdp_writing.refuse_harvested("dataset")

    def catalog(who: Account = admin) -> Response:
        raise fdp_writing.refuse_harvested("catalog")

    of_datasets = ("/datasets/{node}/{dataset}", "/dataset/{node}/{dataset}")
    for path, refusal in (*((each, dataset) for each in of_datasets), ("/catalog/{node}", catalog)):
        routes.add_api_route(path, refusal, methods=["PUT"])
        routes.add_api_route(path, refusal, methods=["DELETE"])
        routes.add_api_route(f"{path}/meta/state", refusal, methods=["PUT"])


def _sent(request: Request, content: bytes, iri: str) -> Sent:
    return Sent(rdf_bodies.read(content, request.headers.get("content-type"), base_iri=iri))


def _written(hub: Hub, request: Request, row: DescribedRow, *, status: int, document: Any = None) -> Response:
    """Return what was written, in the format that the caller likes best; Turtle if none will do."""
    chosen = negotiation.graph_format(rdf_answers.accepted(request)) or rdf_bodies.TURTLE
    triples = document if document is not None else described.new_document(row)
    return rdf_answers.written(triples, chosen, status=status)


def _report(request: Request, error: ShapesViolated) -> Response:
    """Return the validation report where the caller names an RDF format; otherwise the error is a problem.

    Raises:
        ShapesViolated: if the caller names none.
    """
    accept = rdf_answers.accepted(request) or ""
    named = [each for each in negotiation.GRAPH_FORMATS if each in accept]
    chosen = negotiation.choose(accept, ("application/problem+json", *named)) if named else None
    if chosen not in named:
        raise error
    found = [each for each in error.results if isinstance(each, Result)]
    headers = {"Content-Type": str(chosen), "Cache-Control": "no-store"}
    return Response(
        shacl_gate.report(found, str(chosen)), status_code=error.kind.http_status, headers=headers
    )


def _wanted(content: bytes) -> str:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    wanted = said.get("current") if isinstance(said, dict) else None
    if not isinstance(wanted, str):
        raise RdfMalformed(
            "The body does not say a state.",
            why='It is JSON with the key "current".',
            todo='Send {"current": "PUBLISHED"}.',
        )
    return wanted


def _state(row: DescribedRow) -> dict[str, str]:
    return {"current": row.state}
