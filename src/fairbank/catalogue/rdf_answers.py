"""Answers with a document: chosen by Accept, with an ETag over its bytes, and 304 for who holds them already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from json import dumps
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import exports, negotiation
from fairbank.catalogue.errors import NotAcceptable
from fairbank.catalogue.parameters import is_known
from fairbank.ontology.profiles.facts import Triple


def accepted(request: Request) -> str | None:
    """Return what a caller accepts; several lines of a list are one list (RFC 9110, section 5.3)."""
    return ", ".join(request.headers.getlist("accept")) or None


def rdf(request: Request, document: Iterable[Triple], *, links: Iterable[str] = ()) -> Response:
    """Return triples in the RDF format that the caller likes best.

    Args:
        links: values of the `Link` header.

    Raises:
        NotAcceptable: if the caller takes none of the formats.
    """
    chosen = negotiation.graph_format(accepted(request))
    if chosen is None:
        raise NotAcceptable(
            "None of the formats that you accept is offered.",
            why="This document comes as Turtle, N-Triples, JSON-LD or RDF/XML.",
            todo="Accept one of these.",
        )
    return answer(request, exports.written(dict.fromkeys(document), chosen), chosen, links=links)


def turtle(request: Request, content: bytes) -> Response:
    """Return shapes, which are written in Turtle only.

    Raises:
        NotAcceptable: if the caller does not take Turtle.
    """
    offered = (negotiation.GRAPH_FORMATS[0],)
    if negotiation.choose(accepted(request), offered) is None:
        raise NotAcceptable(
            "None of the formats that you accept is offered.",
            why="Shapes come as Turtle.",
            todo="Accept text/turtle.",
        )
    return answer(request, content, offered[0])


def json(
    request: Request,
    value: Mapping[str, Any],
    *,
    media_type: str = negotiation.JSON,
    links: Iterable[str] = (),
) -> Response:
    """Return a JSON document as JSON, or as the kind of JSON that it is.

    Raises:
        NotAcceptable: if the caller takes neither.
    """
    chosen = negotiation.choose(accepted(request), tuple(dict.fromkeys((media_type, negotiation.JSON))))
    if chosen is None:
        raise NotAcceptable(
            "None of the formats that you accept is offered.",
            why=f"This document comes as {media_type}.",
            todo="Accept that.",
        )
    return answer(request, dumps(value, ensure_ascii=False).encode(), chosen, links=links)


def answer(request: Request, content: bytes, media_type: str, *, links: Iterable[str] = ()) -> Response:
    """Return bytes with their ETag, or 304 for who holds them already."""
    digest = "sha256:" + hashlib.sha256(media_type.encode() + b"\n" + content).hexdigest()
    headers: dict[str, str] = {"ETag": f'"{digest}"', "Vary": "Accept, Authorization", **_link(links)}
    if is_known(request.headers.get("if-none-match"), digest):
        return Response(status_code=304, headers=headers)
    # Set by hand: older clients know `text/turtle` only without a parameter.
    return Response(content, headers={**headers, "Content-Type": media_type})


def _link(links: Iterable[str]) -> Mapping[str, str]:
    text = ", ".join(links)
    return {"Link": text} if text else {}
