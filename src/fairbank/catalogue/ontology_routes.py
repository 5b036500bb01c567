"""The routes of the ontology: the document that the IRI of each term leads to, and its version."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import negotiation, ontology_page, ontology_view, rdf_answers
from fairbank.catalogue.errors import NotAcceptable
from fairbank.ontology.errors import UnknownOntologyVersion
from fairbank.ontology.model.triples import LICENCE, ONTOLOGY, VERSION, VERSION_IRI

PATH: Final = "/ontology"
_HTML: Final = "text/html"
# The order decides a tie: who takes everything gets Turtle.
_OFFERED: Final = (*negotiation.GRAPH_FORMATS, _HTML, negotiation.XML)
_LINKS: Final = (
    f'<{ONTOLOGY}>; rel="canonical"',
    f'<{VERSION_IRI}>; rel="latest-version"',
    f'<{LICENCE}>; rel="license"',
)


def router() -> APIRouter:
    """Return the routes; they are the same at every hub of one version of the software."""
    routes = APIRouter(tags=["catalogue"])

    @routes.head(PATH, include_in_schema=False)
    @routes.get(PATH)
    def newest(request: Request) -> Response:
        return _document(request)

    @routes.head(PATH + "/{version}", include_in_schema=False)
    @routes.get(PATH + "/{version}")
    def of_a_version(version: str, request: Request) -> Response:
        if version != VERSION:
            raise UnknownOntologyVersion(
                f"There is no version {version[:40]!r} of the ontology here.",
                why=f"A hub serves the version that its records are written in, which is {VERSION}.",
                todo=f"Ask for {PATH}/{VERSION}, or for {PATH}, which is always the newest.",
            )
        return _document(request)

    return routes


def _document(request: Request) -> Response:
    chosen = negotiation.choose(rdf_answers.accepted(request), _OFFERED)
    if chosen is None:
        raise NotAcceptable(
            "None of the formats that you accept is offered.",
            why="The ontology comes as Turtle, N-Triples, JSON-LD, RDF/XML or HTML.",
            todo="Accept one of these.",
        )
    if chosen == _HTML:
        return rdf_answers.answer(
            request, ontology_page.page().encode(), "text/html; charset=utf-8", links=_LINKS
        )
    media_type = negotiation.GRAPH_FORMATS[-1] if chosen == negotiation.XML else chosen
    return rdf_answers.answer(request, ontology_view.written(media_type), media_type, links=_LINKS)
