"""A graph as a page for people: one table for each thing that it is about, every address a link."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

import pyoxigraph as ox

from fairbank.catalogue.plain_page import framed
from fairbank.ontology import terms
from fairbank.ontology.profiles.namespaces import compact

HTML: Final = "text/html"
_NAMES: Final = (terms.DCT + "title", terms.FOAF + "name", "http://www.w3.org/2000/01/rdf-schema#label")
_Values = dict[str, list[ox.NamedNode | ox.Literal]]


def page(triples: Iterable[ox.Triple]) -> str:
    """Return the page; what the first triple is about comes first, and gives the page its title."""
    said: dict[str, _Values] = defaultdict(lambda: defaultdict(list))
    for triple in triples:
        if isinstance(triple.subject, ox.NamedNode) and isinstance(triple.object, (ox.NamedNode, ox.Literal)):
            said[triple.subject.value][triple.predicate.value].append(triple.object)
    title = next((_name(iri, values) for iri, values in said.items()), "Nothing")
    return framed(title, _parts(said))


def _parts(said: dict[str, _Values]) -> Iterator[str]:
    for number, (iri, values) in enumerate(said.items()):
        level = "h1" if number == 0 else "h2"
        yield f"<{level}>{escape(_name(iri, values))}</{level}>\n<p>{_link(iri, iri)}</p>\n"
        yield '<table><thead><tr><th scope="col">Property</th><th scope="col">Value</th></tr></thead><tbody>\n'
        for path, found in values.items():
            shown = "<br>".join(_value(each) for each in found)
            yield f"<tr><td>{_link(path, compact(path))}</td><td>{shown}</td></tr>\n"
        yield "</tbody></table>\n"
    yield "<p>The same as Turtle, JSON-LD, RDF/XML and N-Triples, by the <code>Accept</code> header.</p>\n"


def _name(iri: str, values: _Values) -> str:
    return next((values[name][0].value for name in _NAMES if values.get(name)), iri)


def _value(value: ox.NamedNode | ox.Literal) -> str:
    if isinstance(value, ox.NamedNode):
        return _link(value.value, compact(value.value))
    language = f' lang="{escape(value.language)}"' if value.language else ""
    return f"<span{language}>{escape(value.value)}</span>"


def _link(iri: str, text: str) -> str:
    # Only addresses of the web: what a document says must not become a script of this page.
    if not iri.startswith(("http://", "https://")):
        return escape(text)
    return f'<a href="{escape(iri)}">{escape(text)}</a>'
