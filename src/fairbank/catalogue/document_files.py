"""RDF documents that somebody has in a file, read whole to be judged by the export profiles, without a hub.

What is no description is refused in words before anything is judged: a document that says nothing about a dataset lacks
nothing either, and would pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyoxigraph as ox

from fairbank.catalogue.errors import DocumentEmpty, DocumentTooLarge, DocumentUnsound, RdfFileRefused
from fairbank.catalogue.exports import card
from fairbank.catalogue.rdf_files import RdfFile, quads
from fairbank.ontology import terms
from fairbank.ontology.profiles.facts import Iri, Literal, Term, Triple
from fairbank.ontology.profiles.judging import BLANK, Said, judge
from fairbank.ontology.profiles.lexical import is_of_type
from fairbank.ontology.profiles.listing import PROFILES, profile_named
from fairbank.ontology.profiles.namespaces import compact

# A description of a dataset has some kilobytes; this is room for thousands of them.
LARGEST_BYTES: Final = 32 * 2**20
_SHOWN: Final = 3


def cards(path: Path, *, profile: str | None) -> list[dict[str, Any]]:
    """Return the scorecards of a file, of one profile or of all; named graphs count as one document.

    Raises:
        UnknownProfile: if there is no such profile.
        RdfFileRefused: if it cannot be read as RDF.
        DocumentTooLarge: if it is too large to be read whole.
        DocumentEmpty: if it describes no dataset.
        DocumentUnsound: if it holds a NUL or a text that is not of its own datatype.
    """
    chosen = list(PROFILES.values()) if profile is None else [profile_named(profile)]
    said = Said(_read(path))
    return [card(each, tuple(judge(each, said))) for each in chosen]


def _read(path: Path) -> Sequence[Triple]:
    if path.exists() and not path.is_file():
        raise RdfFileRefused(
            f"{path} is no file.",
            why="A description is read from one file, of which the size is known before.",
            todo="Name a file.",
        )
    if path.is_file() and (size := path.stat().st_size) > LARGEST_BYTES:
        raise DocumentTooLarge(
            f"The file {path} has {size} bytes.",
            why=f"Descriptions of datasets are read whole, and {LARGEST_BYTES} bytes are the most.",
            todo="Give the description of one dataset, without its images, tables or the whole catalogue.",
        )
    triples = list(dict.fromkeys(_triples(path)))
    if not any(path_ == terms.TYPE and value == Iri(terms.DCAT + "Dataset") for _, path_, value in triples):
        what = (
            f"{len(triples)} statements, and none says that something is a dcat:Dataset"
            if triples
            else "nothing"
        )
        raise DocumentEmpty(
            f"The file {path} describes no dataset.",
            why=f"It says {what}.",
            todo="Check that it is the right file; a dataset is what has the type dcat:Dataset.",
        )
    if faults := [fault for each in triples if (fault := _fault(each))]:
        more = f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
        raise DocumentUnsound(
            f"The file {path} holds values that are none: {'; '.join(faults[:_SHOWN])}{more}.",
            why="A reader cannot tell what is meant by them, and many refuse the whole document.",
            todo="Correct them where they come from.",
        )
    return triples


def _triples(path: Path) -> Iterator[Triple]:
    for quad in quads(RdfFile(path)):
        # A triple about a triple says nothing that a profile asks for.
        if isinstance(quad.subject, ox.Triple) or isinstance(quad.object, ox.Triple):
            continue
        yield _name(quad.subject), quad.predicate.value, _term(quad.object)


def _term(value: ox.NamedNode | ox.BlankNode | ox.Literal) -> Term:
    return Literal(value.value, value.datatype.value) if isinstance(value, ox.Literal) else Iri(_name(value))


def _name(node: ox.NamedNode | ox.BlankNode) -> str:
    return BLANK + node.value if isinstance(node, ox.BlankNode) else node.value


def _fault(triple: Triple) -> str:
    subject, path, value = triple
    if not isinstance(value, Literal):
        return ""
    if "\0" in value.value:
        return f"{compact(path)} of {subject} holds a NUL"
    if not is_of_type(value.value, value.datatype):
        return f"{compact(path)} of {subject} is not a value of its type {compact(value.datatype)}"
    return ""
