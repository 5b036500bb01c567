"""The kinds of entry that the ontology has, and the values that its triples are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns

LANGUAGES: Final = ("en", "de", "fr", "es", "it", "nl")
OWL: Final = "http://www.w3.org/2002/07/owl#"
PREFIXES: Final[dict[str, str]] = {
    **ns.PREFIXES,
    "owl": OWL,
    "obo": "http://purl.obolibrary.org/obo/",
    "linkeddicom": "https://johanvansoest.nl/ontologies/LinkedDicom/",
}


class Kind(StrEnum):
    """What a term is."""

    CLASS = "class"
    OBJECT = "object"
    DATATYPE = "datatype"


@dataclass(frozen=True, slots=True)
class TermEntry:
    """A class or property.

    Attributes:
        name: its local name in `fb:`.
        labels, definitions: texts by language.
        broader: IRIs of the classes or properties that hold it.
        domain, range: IRIs; None where none is true for all uses.
        close: IRIs of terms of others that are close to it.
    """

    name: str
    kind: Kind
    labels: Mapping[str, str]
    definitions: Mapping[str, str]
    broader: tuple[str, ...] = ()
    domain: str | None = None
    range: str | None = None
    close: tuple[str, ...] = ()

    @property
    def iri(self) -> str:
        """Return its IRI."""
        return terms.FB + self.name


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept of a scheme.

    Attributes:
        name: its local name in `fb:`.
        notation: the value that records and the RDF view have; None for one that is never a value.
        broader: local names of broader concepts of the same scheme.
        exact, close: IRIs of concepts of others.
        other_names: spellings that mean it.
        icd10: code or range of ICD-10.
    """

    name: str
    labels: Mapping[str, str]
    notation: str | None
    broader: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    close: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()
    icd10: str | None = None

    @property
    def iri(self) -> str:
        """Return its IRI."""
        return terms.FB + self.name


@dataclass(frozen=True, slots=True)
class Scheme:
    """A concept scheme: a closed list of words, with what each means."""

    name: str
    labels: Mapping[str, str]
    definitions: Mapping[str, str]
    concepts: tuple[Concept, ...]
    close: tuple[str, ...] = ()
    sources: tuple[str, ...] = field(default=())

    @property
    def iri(self) -> str:
        """Return its IRI."""
        return terms.FB + self.name


def rows(table: str) -> list[list[str]]:
    """Return the cells of a table that is written as text, a line each, `|` between."""
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def expand(name: str) -> str:
    """Return the IRI of a name with a prefix.

    >>> expand("dcat:Dataset")
    'http://www.w3.org/ns/dcat#Dataset'
    """
    prefix, _, local = name.partition(":")
    return PREFIXES[prefix] + local


def short(iri: str) -> str:
    """Return an IRI with a prefix, where it has one.

    >>> short("https://w3id.org/fairbank/terms#modality"), short("https://example.org/")
    ('fb:modality', 'https://example.org/')
    """
    # The longest namespace is the nearest: MONDO's lies within that of the OBO library.
    for prefix, namespace in sorted(PREFIXES.items(), key=lambda each: -len(each[1])):
        if iri.startswith(namespace) and iri != namespace:
            return f"{prefix}:{iri.removeprefix(namespace)}"
    return iri
