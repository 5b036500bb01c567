"""RDF that somebody sends: read into triples, bounded before and while it is read, and refused in words.

The parser's own limits are not enough: nested JSON-LD and XML make it recurse or take quadratic time, and entities of
a DTD grow without end. So both are looked through first, by parsers that cannot be led astray like this. Nothing is
fetched: a JSON-LD context is in the body or it is refused.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable
from typing import Any, Final
from xml.parsers import expat

import pyoxigraph as ox

from fairbank.catalogue.errors import DocumentRefused, RdfMalformed, RdfUnsupported
from fairbank.ontology import terms

LARGEST_BYTES: Final = 2**20
MOST_TRIPLES: Final = 5_000
LONGEST_TEXT: Final = 20_000
DEEPEST: Final = 100
MOST_CONTEXT_ENTRIES: Final = 500
TURTLE: Final = "text/turtle"
# Plain N3 as programs write it is Turtle; formulas and rules are no description.
_FORMATS: Final = {
    TURTLE: ox.RdfFormat.TURTLE,
    "application/x-turtle": ox.RdfFormat.TURTLE,
    "text/n3": ox.RdfFormat.TURTLE,
    "application/n-triples": ox.RdfFormat.N_TRIPLES,
    "application/ld+json": ox.RdfFormat.JSON_LD,
    "application/rdf+xml": ox.RdfFormat.RDF_XML,
}
# Datatypes whose literals are checked: what sorts, compares and filters by them would go wrong silently.
_CHECKED: Final = frozenset(
    terms.XSD + name
    for name in (
        "date", "dateTime", "gYear", "gYearMonth", "integer", "nonNegativeInteger", "positiveInteger", "int",
        "long", "decimal", "double", "float", "boolean", "duration",
    )
)  # fmt: skip
# What the library lets pass, though it is no value of the datatype.
_FORMS: Final = {
    terms.XSD + "dateTime": re.compile(r"-?\d{4,}-\d\d-\d\dT.+"),
    terms.XSD + "gYear": re.compile(r"-?\d{4,}(Z|[+-]\d\d:\d\d)?"),
    terms.XSD + "gYearMonth": re.compile(r"-?\d{4,}-\d\d(Z|[+-]\d\d:\d\d)?"),
}


def read(content: bytes, content_type: str | None, *, base_iri: str) -> list[ox.Triple]:
    """Return the triples of a body, each once, in its order; blank nodes as they are.

    Args:
        content_type: the header; Turtle without one.
        base_iri: what relative IRIs are relative to.

    Raises:
        RdfUnsupported: if the type is none of those that are read.
        RdfMalformed: if it cannot be parsed, with the line where it is known.
        DocumentRefused: if it is too long or too deep, a literal is not what it says it is, or not every format could
            hold it.
    """
    media_type, _, rest = (content_type or TURTLE).partition(";")
    form = _FORMATS.get(media_type.strip().lower())
    if form is None:
        raise RdfUnsupported(
            f"A body of the type {media_type.strip()[:80]!r} is not read here.",
            why=f"Metadata is taken as {', '.join(_FORMATS)}.",
            todo="Send one of these, and say which in Content-Type.",
        )
    _check_charset(rest)
    if form is ox.RdfFormat.JSON_LD:
        content = _checked_json(content)
    if form is ox.RdfFormat.RDF_XML:
        _check_xml(content)
    found: dict[ox.Triple, None] = {}
    try:
        for quad in ox.parse(content, format=form, base_iri=base_iri):
            found[_checked(quad)] = None
            if len(found) > MOST_TRIPLES:
                raise _refused(f"it has more than {MOST_TRIPLES} triples", "Describe less in one document.")
    except SyntaxError as err:
        raise _malformed(err.msg or "it is not of this format", line=err.lineno) from err
    _check_writable(found)
    return list(found)


def _check_charset(parameters: str) -> None:
    for each in parameters.split(";"):
        name, _, value = each.strip().lower().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise RdfUnsupported(
                f"A body in the charset {value[:40]!r} is not read here.",
                why="RDF is read as UTF-8.",
                todo="Send it as UTF-8.",
            )


def _checked(quad: ox.Quad) -> ox.Triple:
    if not isinstance(quad.graph_name, ox.DefaultGraph):
        raise _refused("it puts triples into named graphs", "Send the triples without a graph.")
    if isinstance(quad.subject, ox.Triple) or isinstance(quad.object, ox.Triple):
        raise _refused("it says something of a triple", "Leave quoted triples out.")
    if isinstance(quad.object, ox.Literal):
        _check_literal(quad.predicate.value, quad.object)
    return quad.triple


def _check_literal(path: str, literal: ox.Literal) -> None:
    if "\x00" in literal.value:
        raise _refused(f"a value of <{path}> holds the character NUL", "Take the character out.")
    if len(literal.value) > LONGEST_TEXT:
        raise _refused(f"a value of <{path}> is longer than {LONGEST_TEXT} characters", "Shorten it.")
    if literal.direction is not None:
        raise _refused(f"a value of <{path}> has a base direction", "Leave the direction of the text out.")
    datatype = literal.datatype.value
    if datatype in _CHECKED and not _is_value(literal.value, datatype):
        raise _refused(
            f"{literal.value[:60]!r}, a value of <{path}>, is no {datatype.removeprefix(terms.XSD)}",
            "Correct the value, or send it as plain text.",
        )


def _check_writable(triples: Iterable[ox.Triple]) -> None:
    """Refuse what the most limited of the formats cannot hold, or nobody could read it there."""
    try:
        # With namespaces: without, a prefix that has no name behind it would pass.
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.Parse(ox.serialize(triples, format=ox.RdfFormat.RDF_XML) or b"", True)
    except (OSError, ValueError, expat.ExpatError) as err:
        raise _refused(
            "it cannot be written as RDF/XML",
            "Let the names of properties and classes end as an XML name does, and leave control characters out.",
        ) from err


def _is_value(text: str, datatype: str) -> bool:
    form = _FORMS.get(datatype)
    if len(text) > 100 or (form is not None and not form.fullmatch(text)):
        return False
    # It takes a hub five megabytes, which only those need to which somebody writes RDF.
    from rdflib import Literal, URIRef

    with warnings.catch_warnings():
        # The library warns of what it cannot convert; that is what is asked here.
        warnings.simplefilter("ignore")
        return not Literal(text, datatype=URIRef(datatype)).ill_typed


def _checked_json(content: bytes) -> bytes:
    """Return the same JSON, written anew, so that what was looked through is what is parsed."""
    try:
        value = json.loads(content, parse_constant=_no_constant)
        _check_depth(value)
        return json.dumps(value).encode()
    except RecursionError as err:
        raise _too_deep() from err
    except json.JSONDecodeError as err:
        raise _malformed(err.msg, line=err.lineno) from err
    except ValueError as err:
        # Not UTF-8, or a number of thousands of digits.
        raise _malformed("it is not JSON in UTF-8", line=None) from err


def _no_constant(word: str) -> float:
    raise ValueError(word)


def _check_depth(value: Any) -> None:
    waiting: list[tuple[Any, int, bool]] = [(value, 1, False)]
    entries = 0
    while waiting:
        each, depth, in_context = waiting.pop()
        if depth > DEEPEST:
            raise _too_deep()
        if isinstance(each, list):
            waiting += [(part, depth + 1, in_context) for part in each]
        if isinstance(each, dict):
            entries += len(each) if in_context else 0
            if entries > MOST_CONTEXT_ENTRIES:
                raise _refused(
                    f"its contexts have more than {MOST_CONTEXT_ENTRIES} entries", "Define what is used only."
                )
            for name, part in each.items():
                if name == "@import" or (name == "@context" and _is_address(part)):
                    raise _refused(
                        "it names a context that is elsewhere", "Put the context itself into the document."
                    )
                waiting.append((part, depth + 1, in_context or name == "@context"))


def _is_address(context: Any) -> bool:
    return any(isinstance(each, str) for each in (context if isinstance(context, list) else [context]))


def _check_xml(content: bytes) -> None:
    parser = expat.ParserCreate()
    depth = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise _too_deep()

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*parts: object) -> None:
        raise _refused("it has a document type (DOCTYPE)", "Write namespaces in full instead of as entities.")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(content, True)
    except expat.ExpatError as err:
        raise _malformed(expat.ErrorString(err.code), line=err.lineno) from err


def _malformed(reason: str, *, line: int | None) -> RdfMalformed:
    place = f" in line {line}" if line else ""
    return RdfMalformed(
        f"The body cannot be read as RDF{place}: {reason[:200]}.",
        why="It is not of the format that its Content-Type names.",
        todo="Correct that place, or the Content-Type.",
    )


def _too_deep() -> DocumentRefused:
    return _refused(f"it is nested more than {DEEPEST} levels deep", "Write it flat.")


def _refused(reason: str, todo: str) -> DocumentRefused:
    return DocumentRefused(
        f"The document is refused: {reason}.",
        why="What is published has to be safe to read for everybody who asks.",
        todo=todo,
    )
