"""Answers with a document: chosen by Accept, with an ETag over its bytes, and 304 for who holds them already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from json import dumps
from typing import Any, Final

import pyoxigraph as ox
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import exports, graph_page, negotiation
from fairbank.catalogue.errors import NotAcceptable
from fairbank.catalogue.parameters import is_known
from fairbank.ontology.profiles.facts import Triple

# All that an answer depends on; `accepted` says why Content-Type is among it.
VARY: Final = "Accept, Content-Type, Authorization"
_PAGE: Final = f"{graph_page.HTML}; charset=utf-8"


def accepted(request: Request) -> str | None:
    """Return what a caller accepts; several lines of a list are one list (RFC 9110, section 5.3).

    Some clients accept everything, and write the format that they parse into `Content-Type`, though they send no
    body. Where it is the format of a graph, it is taken for their wish: any other answer would be as acceptable.
    """
    accept = ", ".join(request.headers.getlist("accept")) or None
    if accept not in (None, "*/*") or request.method not in ("GET", "HEAD"):
        return accept
    wish = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return f"{wish}, */*;q=0.9" if wish in negotiation.GRAPH_FORMATS else accept


def rdf(request: Request, document: Iterable[Triple], *, links: Iterable[str] = ()) -> Response:
    """Return triples, each once, in the RDF format that the caller likes best.

    Args:
        links: values of the `Link` header.

    Raises:
        NotAcceptable: if the caller takes none of the formats.
    """
    return graph(request, exports.as_triples(dict.fromkeys(document)), links=links)


def graph(request: Request, triples: Iterable[ox.Triple], *, links: Iterable[str] = ()) -> Response:
    """Return triples of the RDF library in the RDF format that the caller likes best, or as a page for a browser.

    Args:
        links: values of the `Link` header.

    Raises:
        NotAcceptable: if the caller takes none of the formats.
    """
    if prefers_page(request):
        return answer(request, graph_page.page(triples).encode(), _PAGE, links=links)
    chosen = graph_format(request)
    return answer(request, exports.serialized(triples, chosen), chosen, links=links)


def prefers_page(request: Request) -> bool:
    """Tell whether a caller would rather have a page than any format of a graph, as browsers do."""
    wish = accepted(request)
    return negotiation.choose(wish, (*negotiation.GRAPH_FORMATS, graph_page.HTML)) == graph_page.HTML


def graph_format(request: Request) -> str:
    """Return the RDF format that a caller likes best.

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
    return chosen


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
    tag = etag(content, media_type)
    headers: dict[str, str] = {"ETag": tag, "Vary": VARY, **_link(links)}
    if is_known(request.headers.get("if-none-match"), tag.strip('"')):
        return Response(status_code=304, headers=headers)
    # Set by hand: older clients know `text/turtle` only without a parameter.
    return Response(content, headers={**headers, "Content-Type": media_type})


def written(triples: Iterable[ox.Triple], media_type: str, *, status: int) -> Response:
    """Return what was just written, with the ETag that reading it in this format would give."""
    content = exports.serialized(triples, media_type)
    headers = {"ETag": etag(content, media_type), "Content-Type": media_type}
    return Response(content, status_code=status, headers=headers)


def etag(content: bytes, media_type: str) -> str:
    """Return the strong ETag of a document in a format."""
    digest = hashlib.sha256(media_type.encode() + b"\n" + content).hexdigest()
    return f'"sha256:{digest}"'


def _link(links: Iterable[str]) -> Mapping[str, str]:
    text = ", ".join(links)
    return {"Link": text} if text else {}
