"""`fairbank ontology`: the terms that datasets are described in, and the lists of words; needs no hub."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, show_fields, show_rows
from fairbank.ontology.model.entries import Concept, Scheme, TermEntry, short
from fairbank.ontology.model.listing import SCHEMES, TERMS
from fairbank.ontology.model.lookup import Entry, lookup, named

app = typer.Typer(
    no_args_is_help=True, help="See, look up and export the terms that datasets are described in."
)


class RdfFormat(StrEnum):
    """How the ontology is written."""

    TURTLE = "turtle"
    NTRIPLES = "ntriples"
    JSONLD = "jsonld"
    RDFXML = "rdfxml"


_MEDIA_TYPES = {
    RdfFormat.TURTLE: "text/turtle",
    RdfFormat.NTRIPLES: "application/n-triples",
    RdfFormat.JSONLD: "application/ld+json",
    RdfFormat.RDFXML: "application/rdf+xml",
}


@app.command()
def show(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a term, a list of words or a word, such as modality or conditions."),
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show a term, or all words of a list; without a name, all terms and lists.

    Example: fairbank ontology show conditions
    """
    if name is None:
        everything: list[Entry] = [*TERMS.values(), *SCHEMES.values()]
        rows = [{"name": each.name, "is": _kind(each), "meaning": _meaning(each)} for each in everything]
        show_rows(rows, columns=("name", "is", "meaning"), format=format)
        return
    entry = named(name)
    if isinstance(entry, Scheme):
        rows = [_row(each) for each in entry.concepts]
        show_rows(rows, columns=("word", "label", "broader", "same_as"), format=format)
        return
    show_fields(_fields(entry), format=format)


@app.command("lookup")
def look_up(
    text: Annotated[
        str, typer.Argument(help="A name in any language, a word, a spelling, a code or an IRI.")
    ],
    format: FormatOption = Format.TABLE,
) -> None:
    """Show what a name, word, code or spelling means.

    Example: fairbank ontology lookup Lungenkrebs
    """
    rows = [
        {
            "name": each.entry.name,
            "is": _kind(each.entry),
            "label": each.entry.labels["en"],
            "found_by": each.by,
        }
        for each in lookup(text)
    ]
    show_rows(rows, columns=("name", "is", "label", "found_by"), format=format)


@app.command()
def export(
    form: Annotated[RdfFormat, typer.Option("--format", help="How it is written.")] = RdfFormat.TURTLE,
) -> None:
    """Write the whole ontology to standard output.

    Example: fairbank ontology export --format turtle > fairbank.ttl
    """
    from fairbank.catalogue.ontology_view import written

    sys.stdout.buffer.write(written(_MEDIA_TYPES[form]))


def _kind(entry: Entry) -> str:
    if isinstance(entry, TermEntry):
        return "class" if entry.kind.value == "class" else "property"
    return "list" if isinstance(entry, Scheme) else "word"


def _meaning(entry: TermEntry | Scheme | Concept) -> str:
    return entry.labels["en"] if isinstance(entry, Concept) else entry.definitions["en"]


def _row(concept: Concept) -> dict[str, str]:
    return {
        "word": concept.notation or "",
        "label": concept.labels["en"],
        "broader": ", ".join(name.partition("-")[2] for name in concept.broader),
        "same_as": ", ".join(short(iri) for iri in concept.exact),
    }


def _fields(entry: TermEntry | Concept) -> dict[str, str]:
    labels = {f"label ({language})": text for language, text in entry.labels.items()}
    if isinstance(entry, Concept):
        said = {"same_as": _short(entry.exact), "close_to": _short(entry.close), "ICD-10": entry.icd10 or ""}
        also = {"broader": ", ".join(entry.broader), "spellings": ", ".join(entry.other_names)}
        return {"iri": entry.iri, "word": entry.notation or "", **labels, **also, **said}
    between = {name: short(iri) for name, iri in (("of", entry.domain), ("to", entry.range)) if iri}
    meanings = {f"meaning ({language})": text for language, text in entry.definitions.items()}
    is_a = {"is_a": _short(entry.broader), "close_to": _short(entry.close)}
    return {"iri": entry.iri, "is": entry.kind.value, **labels, **meanings, **between, **is_a}


def _short(iris: tuple[str, ...]) -> str:
    return ", ".join(short(iri) for iri in iris)
