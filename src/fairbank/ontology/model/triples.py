"""The ontology as triples: OWL for classes and properties, SKOS for the lists of words.

Every subject is an IRI of `fb:` and there are no blank nodes, so making it again gives the same triples, and no other
graph of a hub says any of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.mappings import MAPPINGS
from fairbank.ontology.model._terms import DIMENSIONS, MEASURES, VALUES_FROM
from fairbank.ontology.model.entries import OWL, Concept, Kind, Scheme, TermEntry
from fairbank.ontology.model.listing import SCHEMES, TERMS
from fairbank.ontology.profiles.facts import Iri, Literal

# Raised with every change of what the ontology says; a test keeps the digest of each version.
# First number: a term went or means something else; second: something was added; third: words only.
VERSION: Final = "2.3.0"
ONTOLOGY: Final = terms.FB.removesuffix("#")
VERSION_IRI: Final = f"{ONTOLOGY}/{VERSION}"
LICENCE: Final = "https://creativecommons.org/licenses/by/4.0/"
TITLES: Final = {"en": "Terms of fairbank", "de": "Begriffe von fairbank"}
DESCRIPTIONS: Final = {
    "en": "What a federation of imaging biobanks says about datasets, their counts, provenance and quality.",
    "de": "Was eine Föderation von Bildgebungs-Biobanken über Datensätze sagt: Zählungen, Herkunft und Qualität.",
}
# Whose ids the matches are, and under which licence they may be used.
ATTRIBUTIONS: Final = (
    "Ids of conditions: Mondo Disease Ontology, Monarch Initiative, "
    "http://purl.obolibrary.org/obo/mondo.owl, CC BY 4.0.",
    "Ids of body parts: Uberon multi-species anatomy ontology, Uberon contributors, "
    "http://purl.obolibrary.org/obo/uberon.owl, CC BY 3.0.",
    "Ids and labels of data-use terms: Data Use Ontology, GA4GH, http://purl.obolibrary.org/obo/duo.owl, CC BY 4.0.",
    "Codes and their meanings: DICOM PS3.16, NEMA. SNOMED CT codes are those that the DICOM standard prints; the "
    "hierarchy of SNOMED CT is not used.",
    "ICD-10, World Health Organization: codes only.",
)
_SKOS: Final = terms.SKOS
_MATCHES: Final = (("exactMatch", "exact"), ("closeMatch", "close"))


@dataclass(frozen=True, slots=True)
class Text:
    """A literal in a language."""

    value: str
    language: str


Value = Iri | Literal | Text
Triple = tuple[str, str, Value]


def triples() -> tuple[Triple, ...]:
    """Return all triples of the ontology, each once."""
    return tuple(dict.fromkeys(_triples()))


def digest() -> str:
    """Return the SHA-256 of the triples as sorted N-Triples, by which a version is told from another."""
    lines = sorted(_line(triple) for triple in triples())
    return "sha256:" + hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def _triples() -> Iterator[Triple]:
    yield from _header()
    for term in TERMS.values():
        yield from _term(term)
    for scheme in SCHEMES.values():
        yield from _scheme(scheme)


def _header() -> Iterator[Triple]:
    yield ONTOLOGY, terms.TYPE, Iri(OWL + "Ontology")
    yield ONTOLOGY, OWL + "versionIRI", Iri(VERSION_IRI)
    yield ONTOLOGY, OWL + "versionInfo", Literal(VERSION)
    yield ONTOLOGY, terms.DCT + "license", Iri(LICENCE)
    yield ONTOLOGY, terms.DCT + "creator", Literal("The fairbank authors")
    yield from _texts(ONTOLOGY, terms.DCT + "title", TITLES)
    yield from _texts(ONTOLOGY, terms.DCT + "description", DESCRIPTIONS)
    for attribution in ATTRIBUTIONS:
        yield ONTOLOGY, terms.DCT + "rights", Text(attribution, "en")


def _term(term: TermEntry) -> Iterator[Triple]:
    is_class = term.kind is Kind.CLASS
    types = {
        Kind.CLASS: (OWL + "Class", terms.RDFS + "Class"),
        Kind.OBJECT: (OWL + "ObjectProperty", terms.RDF + "Property"),
        Kind.DATATYPE: (OWL + "DatatypeProperty", terms.RDF + "Property"),
    }
    for each in types[term.kind]:
        yield term.iri, terms.TYPE, Iri(each)
    if term.name in DIMENSIONS:
        yield term.iri, terms.TYPE, Iri(terms.QB + "DimensionProperty")
    if term.name in MEASURES:
        yield term.iri, terms.TYPE, Iri(terms.QB + "MeasureProperty")
    yield term.iri, terms.RDFS + "isDefinedBy", Iri(ONTOLOGY)
    yield from _texts(term.iri, terms.LABEL, term.labels)
    yield from _texts(term.iri, _SKOS + "definition", term.definitions)
    yield term.iri, terms.RDFS + "comment", Text(term.definitions["en"], "en")
    for parent in term.broader:
        yield term.iri, terms.RDFS + ("subClassOf" if is_class else "subPropertyOf"), Iri(parent)
    for word, iri in (("domain", term.domain), ("range", term.range)):
        if iri is not None:
            yield term.iri, terms.RDFS + word, Iri(iri)
    for iri in term.close:
        yield term.iri, _SKOS + "closeMatch", Iri(iri)
    if term.name in VALUES_FROM:
        yield term.iri, terms.VALUES_FROM, Iri(terms.FB + VALUES_FROM[term.name])
    for mapping in MAPPINGS:
        if mapping.property == term.iri and mapping.distribution is None:
            yield term.iri, terms.DICOM_ATTRIBUTE, Literal(_attribute(mapping.tag, mapping.keyword))


def _scheme(scheme: Scheme) -> Iterator[Triple]:
    yield scheme.iri, terms.TYPE, Iri(_SKOS + "ConceptScheme")
    yield scheme.iri, terms.RDFS + "isDefinedBy", Iri(ONTOLOGY)
    yield from _texts(scheme.iri, _SKOS + "prefLabel", scheme.labels)
    yield from _texts(scheme.iri, _SKOS + "definition", scheme.definitions)
    for iri in scheme.close:
        yield scheme.iri, _SKOS + "closeMatch", Iri(iri)
    for source in scheme.sources:
        yield scheme.iri, terms.DCT + "source", Iri(source)
    for concept in scheme.concepts:
        yield from _concept(scheme, concept)


def _concept(scheme: Scheme, concept: Concept) -> Iterator[Triple]:
    iri = concept.iri
    yield iri, terms.TYPE, Iri(_SKOS + "Concept")
    yield iri, _SKOS + "inScheme", Iri(scheme.iri)
    yield from _texts(iri, _SKOS + "prefLabel", concept.labels)
    if concept.notation is not None:
        yield iri, _SKOS + "notation", Literal(concept.notation)
    for name in concept.broader:
        yield iri, _SKOS + "broader", Iri(terms.FB + name)
    if not concept.broader:
        yield iri, _SKOS + "topConceptOf", Iri(scheme.iri)
    for path, field in _MATCHES:
        for match in getattr(concept, field):
            yield iri, _SKOS + path, Iri(match)
    for name in concept.other_names:
        yield iri, _SKOS + "hiddenLabel", Literal(name)
    if concept.icd10 is not None:
        yield iri, terms.ICD10_CODE, Literal(concept.icd10)
    for mapping in MAPPINGS:
        if mapping.distribution is not None and mapping.distribution == concept.notation:
            yield iri, terms.DICOM_ATTRIBUTE, Literal(_attribute(mapping.tag, mapping.keyword))


def _texts(subject: str, path: str, texts: Mapping[str, str]) -> Iterator[Triple]:
    for language, text in texts.items():
        yield subject, path, Text(text, language)


def _attribute(tag: str, keyword: str) -> str:
    return f"({tag}) {keyword}"


def _line(triple: Triple) -> str:
    subject, path, value = triple
    return f"<{subject}> <{path}> {_written(value)} ."


def _written(value: Value) -> str:
    if isinstance(value, Iri):
        return f"<{value.value}>"
    quoted = value.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    if isinstance(value, Text):
        return f'"{quoted}"@{value.language}'
    return f'"{quoted}"' if value.datatype == terms.XSD + "string" else f'"{quoted}"^^<{value.datatype}>'
