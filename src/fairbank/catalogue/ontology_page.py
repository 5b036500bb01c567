"""The ontology as a page for people: each term at an anchor of its name, so that its IRI leads to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from html import escape

from fairbank.catalogue.plain_page import framed
from fairbank.ontology.model.entries import Concept, Kind, Scheme, TermEntry, short
from fairbank.ontology.model.listing import SCHEMES, TERMS
from fairbank.ontology.model.triples import ATTRIBUTIONS, DESCRIPTIONS, LICENCE, ONTOLOGY, TITLES, VERSION


@lru_cache(maxsize=1)
def page() -> str:
    """Return the whole page."""
    return framed(TITLES["en"], _parts())


def _parts() -> Iterator[str]:
    yield f"<h1>{escape(TITLES['en'])}</h1>\n<p>{escape(DESCRIPTIONS['en'])}</p>\n"
    yield f"<p>Namespace <code>{ONTOLOGY}#</code>, version {VERSION}, "
    yield f'licence <a href="{LICENCE}">CC BY 4.0</a>. '
    yield "The same as Turtle, JSON-LD, RDF/XML and N-Triples, by the <code>Accept</code> header.</p>\n<ul>"
    yield from (f"<li>{escape(each)}</li>" for each in ATTRIBUTIONS)
    yield "</ul>\n"
    for title, kinds in (("Classes", (Kind.CLASS,)), ("Properties", (Kind.OBJECT, Kind.DATATYPE))):
        yield f"<h2>{title}</h2>\n<table><thead><tr><th>Term</th><th>Names</th><th>Meaning</th><th>Is a</th>"
        yield "<th>Of → to</th><th>Close to</th></tr></thead><tbody>\n"
        yield from (_term(each) for each in TERMS.values() if each.kind in kinds)
        yield "</tbody></table>\n"
    for scheme in SCHEMES.values():
        yield from _scheme(scheme)


def _term(term: TermEntry) -> str:
    between = " → ".join(_iris([iri] if iri else []) for iri in (term.domain, term.range))
    meaning = "<br>".join(
        f'<span lang="{lang}">{escape(text)}</span>' for lang, text in term.definitions.items()
    )
    return (
        f'<tr id="{term.name}"><td><code>fb:{term.name}</code></td><td>{_names(term.labels)}</td><td>{meaning}</td>'
        f"<td>{_iris(term.broader)}</td><td>{between if term.kind is not Kind.CLASS else ''}</td>"
        f"<td>{_iris(term.close)}</td></tr>\n"
    )


def _scheme(scheme: Scheme) -> Iterator[str]:
    yield f'<h2 id="{scheme.name}">{escape(scheme.labels["en"].capitalize())}</h2>\n'
    yield f"<p><code>fb:{scheme.name}</code>. {escape(scheme.definitions['en'])}</p>\n"
    yield "<table><thead><tr><th>Word</th><th>Names</th><th>Broader</th><th>The same as</th><th>Close to</th></tr>"
    yield "</thead><tbody>\n"
    yield from (_concept(each) for each in scheme.concepts)
    yield "</tbody></table>\n"


def _concept(concept: Concept) -> str:
    word = f"<code>{escape(concept.notation)}</code>" if concept.notation is not None else "–"
    above = ", ".join(f'<a href="#{name}">{escape(name.partition("-")[2])}</a>' for name in concept.broader)
    return (
        f'<tr id="{concept.name}"><td>{word}</td><td>{_names(concept.labels)}</td><td>{above}</td>'
        f"<td>{_iris(concept.exact)}</td><td>{_iris(concept.close)}</td></tr>\n"
    )


def _names(labels: Mapping[str, str]) -> str:
    return "; ".join(
        f'<span lang="{lang}" title="{lang}">{escape(text)}</span>' for lang, text in labels.items()
    )


def _iris(iris: Iterable[str]) -> str:
    return ", ".join(f'<a href="{escape(iri)}">{escape(short(iri))}</a>' for iri in iris)
