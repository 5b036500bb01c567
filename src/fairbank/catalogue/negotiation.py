"""Formats, and choosing one by the Accept header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

ROW_FORMATS = (
    "application/sparql-results+json",
    "application/sparql-results+xml",
    "text/csv",
    "text/tab-separated-values",
)
GRAPH_FORMATS = ("text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml")
# The names by which https://www.w3.org/ns/formats/ knows them.
W3C_NAMES = {
    "application/sparql-results+json": "SPARQL_Results_JSON",
    "application/sparql-results+xml": "SPARQL_Results_XML",
    "text/csv": "SPARQL_Results_CSV",
    "text/tab-separated-values": "SPARQL_Results_TSV",
    "text/turtle": "Turtle",
    "application/n-triples": "N-Triples",
    "application/ld+json": "JSON-LD",
    "application/rdf+xml": "RDF_XML",
}
JSON = "application/json"
XML = "application/xml"
_ALIASES = {"application/x-turtle": "text/turtle"}


class ExportFormat(StrEnum):
    """How the whole view is written to a file."""

    NQUADS = "nquads"
    TURTLE = "turtle"


def choose(accept: str | None, offered: Sequence[str]) -> str | None:
    """Return the offered media type that the caller likes best; the first offered wins a tie; None if none will do.

    >>> choose("text/turtle;q=0.5, application/ld+json", GRAPH_FORMATS), choose(None, GRAPH_FORMATS)
    ('application/ld+json', 'text/turtle')
    """
    if not accept or not accept.strip():
        return offered[0]
    wishes = [_wish(part) for part in accept.split(",")[:50]]
    best: tuple[float, str | None] = (0.0, None)
    for media_type in offered:
        quality = _quality(media_type, wishes)
        if quality > best[0]:
            best = (quality, media_type)
    return best[1]


def row_format(accept: str | None) -> str | None:
    """Return the format of SELECT and ASK answers; plain JSON and XML mean the results format of that name."""
    chosen = choose(accept, (*ROW_FORMATS, JSON, XML))
    return {JSON: ROW_FORMATS[0], XML: ROW_FORMATS[1]}.get(str(chosen), chosen)


def graph_format(accept: str | None) -> str | None:
    """Return the format of a graph; plain XML means RDF/XML."""
    chosen = choose(accept, (*GRAPH_FORMATS, XML))
    return GRAPH_FORMATS[-1] if chosen == XML else chosen


def _wish(part: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return _ALIASES.get(media_type, media_type), min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return media_type, 0.0


def _quality(media_type: str, wishes: list[tuple[str, float]]) -> float:
    ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
    for wanted in ranges:
        found = [quality for wish, quality in wishes if wish == wanted]
        if found:
            return max(found)
    return 0.0
