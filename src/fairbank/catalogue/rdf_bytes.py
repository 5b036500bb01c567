"""Triples as the bytes of an RDF format, or a refusal where a format cannot hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pyoxigraph import RdfFormat, Triple, serialize

from fairbank.catalogue.errors import NotAcceptable

# Control characters and what is no character (XML 1.0, section 2.2), in UTF-8; the engine writes them as they are.
_NOT_FOR_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")


def serialised(triples: Iterable[Triple], media_type: str, *, prefixes: Mapping[str, str]) -> bytes:
    """Return triples in one of the graph formats; prefixes are used in Turtle only.

    Raises:
        NotAcceptable: if it is XML that was asked for, and a text has a character that XML cannot hold.
    """
    named = dict(prefixes) if media_type == "text/turtle" else None
    content = serialize(triples, format=RdfFormat.from_media_type(media_type), prefixes=named) or b""
    if not media_type.endswith("+xml"):
        return content
    if _NOT_FOR_XML.search(content):
        raise NotAcceptable(
            "The document cannot be written as XML.",
            why="A text in it has a control character.",
            todo="Accept text/turtle, application/n-triples or application/ld+json.",
        )
    # A reader takes a bare carriage return for the end of a line (section 2.11).
    return content.replace(b"\r", b"&#13;")
