"""Triples as bytes, in one of the formats of a graph.

Turtle is written in ASCII, other letters as escapes. It goes out as `text/turtle` without a charset, because older
clients compare that text exactly; and a widespread HTTP library reads any `text/…` without a charset as ISO-8859-1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import pyoxigraph as ox

from fairbank.catalogue.errors import NotAcceptable

TURTLE: Final = "text/turtle"
# Control characters and what is no character (XML 1.0, section 2.2), in UTF-8; the engine writes them as they are.
_NOT_FOR_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_FOREIGN = re.compile(r"[^\x00-\x7f]")


def written(triples: Iterable[ox.Triple], media_type: str, *, prefixes: Mapping[str, str]) -> bytes:
    """Return triples in one of the graph formats.

    Args:
        media_type: of the format.
        prefixes: short names of namespaces, which only Turtle has.

    Raises:
        NotAcceptable: if it is XML that was asked for, and a text has a character that XML cannot hold.

    Source: Turtle 1.1, section 6.4 (escapes stand in strings and in whole IRIs, not in short names).

    >>> name = ox.Triple(ox.NamedNode("urn:a"), ox.NamedNode("urn:name"), ox.Literal("Hôpital"))
    >>> written([name], "text/turtle", prefixes={}).decode()
    '<urn:a> <urn:name> "H\\\\u00F4pital" .\\n'
    """
    graph = list(triples)
    form = ox.RdfFormat.from_media_type(media_type)
    if media_type.endswith("+xml"):
        return _xml(ox.serialize(graph, format=form) or b"")
    if media_type != TURTLE:
        return ox.serialize(graph, format=form) or b""
    content = ox.serialize(graph, format=form, prefixes=dict(prefixes)) or b""
    if content.isascii():
        return content
    if any(not iri.isascii() for triple in graph for iri in _iris(triple)):
        content = ox.serialize(graph, format=form) or b""
    return _FOREIGN.sub(_escaped, content.decode()).encode()


def _xml(content: bytes) -> bytes:
    if _NOT_FOR_XML.search(content):
        raise NotAcceptable(
            "The document cannot be written as XML.",
            why="A text in it has a control character.",
            todo="Accept text/turtle, application/n-triples or application/ld+json.",
        )
    # A reader takes a bare carriage return for the end of a line (XML 1.0, section 2.11).
    return content.replace(b"\r", b"&#13;")


def _iris(triple: ox.Triple) -> Iterable[str]:
    for term in triple:
        if isinstance(term, ox.NamedNode):
            yield term.value
        elif isinstance(term, ox.Literal):
            yield term.datatype.value


def _escaped(letter: re.Match[str]) -> str:
    number = ord(letter[0])
    return f"\\u{number:04X}" if number < 0x10000 else f"\\U{number:08X}"
