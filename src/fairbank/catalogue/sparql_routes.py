"""The routes of a SPARQL endpoint: the hub's, and that of files on one's own machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import bodies, negotiation, service_description, sparql
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.errors import NotAcceptable
from fairbank.catalogue.query_pool import QueryPool
from fairbank.catalogue.query_turns import caller_of

PATH = "/sparql"
_LONGEST_BODY = 2**20


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a SPARQL endpoint needs to know.

    Attributes:
        iri: the address at which it is reached, for its description.
        visible: tells which graphs a caller may see, asked anew for each query.
        caller: the FastAPI dependency that tells who asks; None for somebody unknown.
        default_is_union: whether the default graph is the union of all visible graphs, or one of its own that
            everybody may see.
    """

    iri: str
    pool: QueryPool
    visible: Callable[[Account | None], Sequence[str]]
    caller: Callable[..., Account | None]
    default_is_union: bool = True


def router(endpoint: Endpoint) -> APIRouter:
    """Return the routes of the SPARQL 1.1 Protocol, queries only, and of the service description."""
    routes = APIRouter(tags=["catalogue"])
    content_of: bytes = Depends(bodies.body(_LONGEST_BODY))
    caller: Account | None = Depends(endpoint.caller)

    def answer(request: Request, asking: sparql.Asking, who: Account | None) -> Response:
        found = sparql.ask(
            endpoint.pool,
            asking,
            visible=endpoint.visible(who),
            accept=_accepted(request),
            default_is_union=endpoint.default_is_union,
            caller=caller_of(who.name if who else None, request.client.host if request.client else None),
        )
        headers = {
            "Cache-Control": "no-cache",
            "Vary": "Accept, Authorization",
            "Fairbank-Rows": str(found.rows),
        }
        return Response(found.content, media_type=found.media_type, headers=headers)

    @routes.head(PATH, include_in_schema=False)
    @routes.get(PATH)
    def query_by_get(request: Request, who: Any = caller) -> Response:
        if not request.scope["query_string"]:
            return _description(endpoint, _accepted(request))
        return answer(request, sparql.from_get(request.scope["query_string"]), who)

    @routes.post(PATH)
    def query_by_post(request: Request, content: bytes = content_of, who: Any = caller) -> Response:
        content_type = request.headers.get("content-type", "")
        return answer(request, sparql.from_post(request.scope["query_string"], content_type, content), who)

    return routes


def _description(endpoint: Endpoint, accept: str | None) -> Response:
    chosen = negotiation.graph_format(accept)
    if chosen is None:
        raise NotAcceptable(
            "The description of this endpoint is not offered in a format that you accept.",
            why="It is RDF: Turtle, N-Triples, JSON-LD or RDF/XML.",
            todo="Accept one of these, or send a query in the parameter 'query'.",
        )
    description = service_description.describe(endpoint.iri, default_is_union=endpoint.default_is_union)
    content = service_description.written(description, chosen)
    return Response(content, media_type=chosen, headers={"Vary": "Accept"})


def _accepted(request: Request) -> str | None:
    # Several lines of a list are one list (RFC 9110, section 5.3).
    return ", ".join(request.headers.getlist("accept")) or None
