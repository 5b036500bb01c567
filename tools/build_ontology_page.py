"""Write docs/reference/ontology.md from the tables of the ontology.

    .venv/bin/python tools/build_ontology_page.py

A test compares the page with what this would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fairbank.ontology.mappings import MAPPINGS
from fairbank.ontology.model.entries import Concept, Kind, Scheme, TermEntry, short
from fairbank.ontology.model.listing import SCHEMES, TERMS
from fairbank.ontology.model.triples import ATTRIBUTIONS, ONTOLOGY, VERSION

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "ontology.md"

_HEAD = """\
# The ontology

Generated from the code by `tools/build_ontology_page.py`; change it there.

The terms that the RDF of a hub is written in, namespace `{namespace}` (`fb:`), version {version}, CC BY 4.0. A hub
serves them at `/ontology` and `/ontology/{version}` (Turtle by default, JSON-LD, RDF/XML, N-Triples, or a page for
browsers), and as the graph `BASE/graphs/ontology` of its SPARQL view, so names can be joined in a query:

```sparql
SELECT DISTINCT ?label WHERE {{
  ?cell fb:ofDataset ?dataset ; fb:bodyPart ?word .
  ?part skos:inScheme fb:bodyParts ; skos:notation ?word ; skos:prefLabel ?label .
  FILTER(lang(?label) = "fr")
}}
```

On the command line, without a hub: `fairbank ontology show`, `fairbank ontology lookup TEXT`, `fairbank ontology
export`.

A list of words is a SKOS concept scheme; `skos:notation` of a concept is the word that a record has. `skos:broader` is
a hierarchy of ours: of body parts one is part of the other, of conditions one is a kind of the other.
`skos:exactMatch` says that another vocabulary means the same, `skos:closeMatch` that it means nearly that; what is not
certain is left out. All names are given in English, those of terms, lists, conditions and common words also in German,
French, Spanish, Italian and Dutch. `fairbank catalogue export` leaves this graph out: it is the software's, not the
hub's.

Whose ids and codes are used:

"""


def ontology_page() -> str:
    """Return the Markdown of the page."""
    parts = [_HEAD.format(namespace=f"{ONTOLOGY}#", version=VERSION)]
    parts += [f"- {each}\n" for each in ATTRIBUTIONS]
    for title, kinds in (("Classes", {Kind.CLASS}), ("Properties", {Kind.OBJECT, Kind.DATATYPE})):
        parts += [
            f"\n## {title}\n\n",
            "| term | meaning | is a | of → to | close to |\n|---|---|---|---|---|\n",
        ]
        parts += [_term(each) for each in TERMS.values() if each.kind in kinds]
    parts += _mappings()
    for scheme in SCHEMES.values():
        parts += _scheme(scheme)
    return "".join(parts)


def _term(term: TermEntry) -> str:
    between = ""
    if term.domain or term.range:
        between = " → ".join(_codes((iri,)) if iri else "any" for iri in (term.domain, term.range))
    return (
        f"| `fb:{term.name}` | {term.definitions['en']} | {_codes(term.broader)} | {between} "
        f"| {_codes(term.close)} |\n"
    )


def _mappings() -> Iterator[str]:
    yield "\n## From DICOM\n\nWhich attribute of a header becomes what, and by which rule.\n\n"
    yield "| attribute | becomes | rule |\n|---|---|---|\n"
    for each in MAPPINGS:
        row = (
            f"row `{each.distribution}` of a distribution"
            if each.distribution
            else f"`{short(each.property)}`"
        )
        yield f"| ({each.tag}) {each.keyword} | {row} | {each.rule} |\n"


def _scheme(scheme: Scheme) -> Iterator[str]:
    yield f"\n## {scheme.labels['en'].capitalize()}\n\n`fb:{scheme.name}`. {scheme.definitions['en']}\n\n"
    yield "| word | label | broader | the same as | close to |\n|---|---|---|---|---|\n"
    yield from (_concept(each) for each in scheme.concepts)


def _concept(concept: Concept) -> str:
    word = f"`{concept.notation}`" if concept.notation is not None else "–"
    above = ", ".join(name.partition("-")[2] for name in concept.broader)
    return (
        f"| {word} | {concept.labels['en']} | {above} | {_codes(concept.exact)} | {_codes(concept.close)} |\n"
    )


def _codes(iris: tuple[str, ...]) -> str:
    return ", ".join(f"`{short(iri)}`" for iri in iris)


def main() -> None:
    """Write the page."""
    TARGET.write_text(ontology_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
