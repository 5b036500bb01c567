"""The routes of datasets and their versions: parse, call, answer."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, Query
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from fairbank.catalogue import (
    accounts,
    bodies,
    exports,
    fdp,
    fdp_reading,
    graph_page,
    history,
    listing,
    negotiation,
    nodes,
    profile_routes,
    rdf_answers,
    records,
    schema_org,
    search,
    signposting,
    withdrawal,
)
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NotAcceptable, ParameterRefused
from fairbank.catalogue.governance import expiry
from fairbank.catalogue.measured import MeasuredBiomarker, in_json
from fairbank.catalogue.measured import triples as measured_triples
from fairbank.catalogue.nodes import NodeIdentity
from fairbank.catalogue.parameters import is_known, whole_number
from fairbank.catalogue.record_rows import Edition
from fairbank.catalogue.store import DatasetRow, VersionRow
from fairbank.catalogue.wire import Withdrawal
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.ontology.profiles.facts import Facts
from fairbank.ontology.record import DatasetRecord
from fairbank.signing import payload_type

SEALED_RECORD = payload_type(DatasetRecord.kind)
_LISTED_IN = (negotiation.JSON, *negotiation.GRAPH_FORMATS)
_OFFERED = (negotiation.JSON, *negotiation.GRAPH_FORMATS, SEALED_RECORD, graph_page.HTML)


def router(hub: Hub) -> APIRouter:
    """Return the routes of datasets and their versions."""
    routes = APIRouter(tags=["catalogue"])
    anyone: Account | None = Depends(accounts.anyone(hub))
    message: bytes = Depends(bodies.body(64 * 1024))
    manager: Account = Depends(accounts.account(hub))
    signed: NodeIdentity = Depends(nodes.signed_node(hub, limit_bytes=64 * 1024))

    @routes.get("/datasets")
    def datasets(
        request: Request, limit: str | None = None, offset: str | None = None, who: Any = anyone
    ) -> Response:
        return listed(hub, request, who, limit=limit, offset=offset)

    @routes.head("/datasets/{node}/{dataset}", include_in_schema=False)
    @routes.get("/datasets/{node}/{dataset}")
    def dataset(
        node: str,
        dataset: str,
        request: Request,
        version: str | None = None,
        profile: str | None = Query(None, max_length=100),
        who: Any = anyone,
    ) -> Response:
        number = whole_number(version, name="version", least=1) if version is not None else None
        with reading(hub.engine) as session:
            row = search.find(session, records.dataset_iri(hub, node, dataset), who)
            # Only the newest version is the dataset, and so a part of the FAIR Data Point.
            facts = fdp_reading.dataset_facts(session, hub, row) if number is None else None
            if facts and schema_org.is_wanted(request):
                value, links = schema_org.dataset(facts), [*signposting.of_dataset(facts)]
                return rdf_answers.json(request, value, media_type="application/ld+json", links=links)
            if profile is not None:
                _check_newest(number)
                return profile_routes.document(hub, session, row, profile=profile, request=request)
            # What jobs have measured since is of the dataset, and of none of its versions.
            found = hub.measured.in_dataset(session, row.iri) if number is None else ()
            return _version(session, request, row, number=number, facts=facts, measured=found)

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

    @routes.put("/v1/datasets/{dataset}/withdrawal")
    def withdraw(dataset: str, content: bytes = message, node: NodeIdentity = signed) -> dict[str, Any]:
        wish = Withdrawal.parse(content)
        return _withdraw(hub, records.dataset_iri(hub, node.name, dataset), wish, actor=node.key_id)

    @routes.put("/v1/datasets/{node}/{dataset}/withdrawal")
    def withdraw_any(
        node: str, dataset: str, content: bytes = message, who: Account = manager
    ) -> dict[str, Any]:
        wish = Withdrawal.parse(content)
        return _withdraw(hub, records.dataset_iri(hub, node, dataset), wish, actor=who.name)

    return routes


def listed(
    hub: Hub,
    request: Request,
    who: Account | None,
    *,
    limit: str | None,
    offset: str | None,
    offered: Sequence[str] = _LISTED_IN,
) -> Response:
    """Return a page of the list of all datasets, in the format of those offered that the caller likes best.

    Raises:
        NotAcceptable: if the caller takes none of them.
        ParameterRefused: if a bound is no number, out of its range, or beyond the end of the list.
    """
    chosen = negotiation.choose(rdf_answers.accepted(request), offered)
    if chosen is None:
        raise _not_offered(f"The list of datasets comes as {', '.join(offered)}.")
    # In RDF the list comes in pages always; JSON without bounds is the whole list, as it has been from the first.
    if chosen != negotiation.JSON and limit is None:
        limit = str(listing.USUAL_PAGE)
    with reading(hub.engine) as session:
        page = listing.read_page(session, who, limit=limit, offset=offset)
        headers = {
            "Vary": rdf_answers.VARY,
            "Link": listing.page_links(page, hub.base_iri),
            "Fairbank-Total": str(page.total),
        }
        if chosen == negotiation.JSON:
            return JSONResponse(listing.as_json(page), headers=headers)
        content = listing.as_rdf(page, hub.base_iri, chosen)
        # Older clients know `text/turtle` only without a parameter.
        return Response(content, headers={**headers, "Content-Type": chosen})


def _version(
    session: Session,
    request: Request,
    row: DatasetRow,
    *,
    number: int | None,
    facts: Facts | None,
    measured: Sequence[MeasuredBiomarker],
) -> Response:
    """Answer with a version of a dataset, or that the caller has it already.

    Args:
        number: of the version; None for the newest, which is the dataset itself.
        facts: what its document says beyond what SPARQL sees, where it is the dataset itself.
        measured: the biomarkers that jobs measured in it.
    """
    chosen = negotiation.choose(rdf_answers.accepted(request), _OFFERED)
    if chosen is None:
        raise _not_offered(
            "A dataset comes as JSON, Turtle, N-Triples, JSON-LD, RDF/XML, as a page, or as the node sealed it."
        )
    found = history.find_version(session, row, row.version if number is None else number)
    signposts = signposting.of_dataset(facts) if facts else ()
    tag = found.digest
    if measured and chosen != SEALED_RECORD:
        tag += f"-{zlib.crc32(repr(measured).encode()):08x}"
    headers = {
        "ETag": f'"{tag}"',
        "Vary": rdf_answers.VARY,
        "Link": ", ".join((history.version_links(session, row, found), *signposts)),
    }
    if is_known(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    if chosen == SEALED_RECORD:
        return Response(found.envelope, media_type=chosen, headers=headers)
    edition = _edition(session, row, found, itself=number is None, named=chosen == negotiation.JSON)
    if chosen == negotiation.JSON:
        full = {**search.in_full(edition), "measured": in_json(measured)}
        return JSONResponse(full, headers=headers)
    beyond = fdp.dataset_triples(facts) if facts else ()
    layer = exports.as_triples((*beyond, *measured_triples(row.iri, measured)))
    if chosen == graph_page.HTML:
        return HTMLResponse(graph_page.page(search.triples_of(edition, also=layer)), headers=headers)
    content = search.as_rdf(edition, chosen, also=layer)
    # Older clients know `text/turtle` only without a parameter.
    return Response(content, headers={**headers, "Content-Type": chosen})


def _edition(session: Session, row: DatasetRow, found: VersionRow, *, itself: bool, named: bool) -> Edition:
    """Return a version as rows: of the dataset itself, or of one version under the dataset's name or its own IRI."""
    if itself:
        return history.newest_edition(session, row)
    # JSON says the version by its number; in RDF each version is a thing with an IRI of its own.
    return history.edition_of(session, row, found, iri=row.iri if named else None)


def _check_newest(number: int | None) -> None:
    if number is not None:
        raise ParameterRefused(
            "version and profile cannot be asked for together.",
            why="A profile's document describes the dataset, and that is its newest version.",
            todo="Leave one of them out.",
        )


def _not_offered(why: str) -> NotAcceptable:
    return NotAcceptable(
        "None of the formats that you accept is offered.", why=why, todo="Accept one of these."
    )


def _withdraw(hub: Hub, iri: str, wish: Withdrawal, *, actor: str) -> dict[str, Any]:
    with writing(hub.engine) as session:
        row = withdrawal.withdraw(session, hub, iri=iri, reason=wish.reason, actor=actor)
        assert row.withdrawn is not None
        answer = {"iri": iri, "withdrawn": iso(row.withdrawn), "reason": wish.reason.value}
        # In the same transaction: what was granted of it ends with it.
        expiry.dataset_withdrawn(hub, session, iri)
    hub.notifier.notify()
    return answer
