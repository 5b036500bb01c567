"""All classes, properties and concept schemes of the ontology, read from its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairbank.ontology.model import schemes
from fairbank.ontology.model._concept_texts import SCHEME_ROWS
from fairbank.ontology.model._term_texts import DEFINITION_ROWS, LABEL_ROWS
from fairbank.ontology.model._terms import TERM_ROWS
from fairbank.ontology.model.entries import LANGUAGES, Concept, Kind, Scheme, TermEntry, expand, rows

_TEXTS: Final = {name: dict(zip(LANGUAGES, texts, strict=True)) for name, *texts in rows(LABEL_ROWS)}
_DEFINITIONS: Final = {
    name: dict(zip(LANGUAGES[:2], texts, strict=True)) for name, *texts in rows(DEFINITION_ROWS)
}
# What EUCAIM calls the class of the values, where it has one (EUCAIM-DCAT-AP 2.0, Dataset.md).
_CLOSE_SCHEMES: Final[dict[str, tuple[str, ...]]] = {
    "modalities": ("eucaim:IMG1000009",),
    "bodyParts": ("eucaim:BP1000024",),
    "manufacturers": ("eucaim:IMG1000010",),
    "sexes": ("eucaim:COM1001396",),
    "collectionKinds": ("eucaim:SPEC1000002",),
}


def _term(row: list[str]) -> TermEntry:
    name, kind, broader, domain, value_range, close = row
    return TermEntry(
        name=name,
        kind=Kind(kind),
        labels=_TEXTS[name],
        definitions=_DEFINITIONS[name],
        broader=_iris(broader),
        domain=next(iter(_iris(domain)), None),
        range=next(iter(_iris(value_range)), None),
        close=_iris(close),
    )


def _iris(cell: str) -> tuple[str, ...]:
    return () if cell == "-" else tuple(expand(name) for name in cell.split())


def _scheme(row: list[str], concepts: Mapping[str, tuple[Concept, ...]]) -> Scheme:
    name, *labels = row[:7]
    return Scheme(
        name=name,
        labels=dict(zip(LANGUAGES, labels, strict=True)),
        definitions=dict(zip(LANGUAGES[:2], row[7:], strict=True)),
        concepts=concepts[name],
        close=tuple(expand(each) for each in _CLOSE_SCHEMES.get(name, ())),
        sources=schemes.SOURCES.get(name, ()),
    )


TERMS: Final[dict[str, TermEntry]] = {row[0]: _term(row) for row in rows(TERM_ROWS)}
SCHEMES: Final[dict[str, Scheme]] = {
    row[0]: _scheme(row, schemes.concepts_by_scheme()) for row in rows(SCHEME_ROWS)
}
CONCEPTS: Final[dict[str, Concept]] = {
    each.name: each for scheme in SCHEMES.values() for each in scheme.concepts
}
