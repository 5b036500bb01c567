"""The ontology is whole, says only what is known, and has a new version whenever it says something else."""

from __future__ import annotations

import re
from collections import Counter

import pyoxigraph as ox
import pytest
from rdflib import RDF, SKOS, Graph, URIRef

from fairbank.catalogue.ontology_view import written
from fairbank.ontology import terms
from fairbank.ontology._uberon import UBERON_IDS
from fairbank.ontology.conditions import CONDITIONS
from fairbank.ontology.data_use import TERMS as DATA_USES
from fairbank.ontology.mappings import MAPPINGS
from fairbank.ontology.model._concept_texts import CONCEPT_ROWS
from fairbank.ontology.model._term_texts import DEFINITION_ROWS, LABEL_ROWS
from fairbank.ontology.model._terms import DIMENSIONS, MEASURES, TERM_ROWS, VALUES_FROM
from fairbank.ontology.model.entries import LANGUAGES, PREFIXES, Concept, Kind, Scheme, TermEntry, rows, short
from fairbank.ontology.model.listing import CONCEPTS, SCHEMES, TERMS
from fairbank.ontology.model.triples import ONTOLOGY, VERSION, VERSION_IRI, Text, digest, triples
from fairbank.ontology.profiles.facts import Iri
from fairbank.ontology.record import CollectionKind, HowKnown
from fairbank.ontology.vocabulary import (
    BODY_PARTS,
    MANUFACTURERS,
    MODALITIES,
    OTHER_MANUFACTURER,
    THICKNESS_BANDS,
)

# What each version says. A version that was released keeps its digest for good; a change needs a new line.
DIGESTS = {
    "2.0.0": "sha256:66bc6c30cc0c06b422cea2f4df4ceabdaf357307bb0d41cb61e7877af83fe701",
    "2.1.0": "sha256:c0bf93898fe802d22ab0c21d5685731025ab6fda721d1b727923a079d693d07a",
    "2.2.0": "sha256:e6e94fa2575bf36212ca506606c29d550fc238de442efd43865f5d5b3a8df866",
    "2.3.0": "sha256:3a2c15ebd22c3050696bc88770316c75b5cb482e1548491c2f99fc63ca3afc73",
}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph().parse(data=written("text/turtle"), format="turtle")


def test_what_the_ontology_says_is_told_by_its_version() -> None:
    assert DIGESTS.get(VERSION) == digest(), (
        f"The ontology changed: raise VERSION in ontology/model/triples.py and add a line for it here: {digest()}"
    )


def test_the_digest_depends_on_every_triple(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    monkeypatch.setattr("fairbank.ontology.model.triples.TITLES", {"en": "Something else"})
    assert digest() != before


def test_the_header_says_version_licence_and_whose_ids_are_used(graph: Graph) -> None:
    header = URIRef(ONTOLOGY)
    said = {short(str(path)): str(value) for path, value in graph.predicate_objects(header)}
    assert said["owl:versionInfo"] == VERSION and said["owl:versionIRI"] == VERSION_IRI
    assert said["dct:license"] == "https://creativecommons.org/licenses/by/4.0/"
    rights = " ".join(str(each) for each in graph.objects(header, URIRef(terms.DCT + "rights")))
    for owner in ("Mondo", "Uberon", "Data Use Ontology", "DICOM", "CC BY 4.0", "CC BY 3.0"):
        assert owner in rights


def names_in_code() -> set[str]:
    values = [value for name, value in vars(terms).items() if name.isupper() and isinstance(value, str)]
    return {value for value in values if value.startswith(terms.FB) and value != terms.FB}


def test_every_term_in_the_code_is_defined_and_every_definition_is_in_the_code() -> None:
    assert {each.iri for each in TERMS.values()} == names_in_code()


def test_tables_of_terms_have_the_same_lines() -> None:
    names = [row[0] for row in rows(TERM_ROWS)]
    assert [row[0] for row in rows(LABEL_ROWS)] == names == [row[0] for row in rows(DEFINITION_ROWS)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("term", TERMS.values(), ids=lambda term: term.name)
def test_every_term_has_its_names_and_sentences(term: TermEntry) -> None:
    assert tuple(term.labels) == LANGUAGES and all(term.labels.values())
    assert tuple(term.definitions) == ("en", "de")
    assert all(re.fullmatch(r"[A-ZÄÖÜ].*\.", text) for text in term.definitions.values())
    assert term.name[0].isupper() is (term.kind is Kind.CLASS)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_every_scheme_has_its_names_and_sentences(scheme: Scheme) -> None:
    assert tuple(scheme.labels) == LANGUAGES and all(scheme.labels.values())
    assert tuple(scheme.definitions) == ("en", "de") and all(scheme.definitions.values())
    assert scheme.concepts


@pytest.mark.parametrize("concept", CONCEPTS.values(), ids=lambda concept: concept.name)
def test_every_concept_has_a_name_and_stands_below_concepts_of_its_scheme(concept: Concept) -> None:
    assert concept.labels["en"] and all(concept.labels.values()) and set(concept.labels) <= set(LANGUAGES)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*", concept.name), "a prefixed name needs no escape"
    kind = concept.name.partition("-")[0]
    assert all(name in CONCEPTS and name.startswith(f"{kind}-") for name in concept.broader)


def test_no_name_is_used_twice() -> None:
    names = [*TERMS, *SCHEMES, *(each.name for scheme in SCHEMES.values() for each in scheme.concepts)]
    assert [name for name, uses in Counter(names).items() if uses > 1] == []


def test_every_text_of_a_concept_is_one_of_a_concept() -> None:
    assert {row[0] for row in rows(CONCEPT_ROWS)} <= set(CONCEPTS)


def test_no_two_concepts_of_a_scheme_have_one_notation() -> None:
    for scheme in SCHEMES.values():
        notations = [each.notation for each in scheme.concepts if each.notation is not None]
        assert len(set(notations)) == len(notations), scheme.name


def test_every_word_that_a_record_may_hold_is_a_notation() -> None:
    words = {
        "modalities": set(MODALITIES),
        "bodyParts": set(BODY_PARTS),
        "manufacturers": {*MANUFACTURERS, OTHER_MANUFACTURER},
        "sliceThicknesses": set(THICKNESS_BANDS),
        "conditions": set(CONDITIONS),
        "collectionKinds": {each.value for each in CollectionKind},
        "waysOfKnowing": {each.value for each in HowKnown},
        "attributes": {each.distribution for each in MAPPINGS if each.distribution},
        "dataUses": set(DATA_USES),
    }
    assert {
        name: {each.notation for each in SCHEMES[name].concepts if each.notation is not None}
        for name in words
    } == words


def test_no_concept_is_broader_than_itself() -> None:
    def above(name: str) -> set[str]:
        direct = set(CONCEPTS[name].broader)
        return direct.union(*(above(each) for each in direct))

    assert [name for name in CONCEPTS if name in above(name)] == []


def test_properties_say_where_their_values_are_listed() -> None:
    assert set(VALUES_FROM) <= set(TERMS) and set(VALUES_FROM.values()) <= set(SCHEMES)
    assert {*DIMENSIONS, *MEASURES} <= set(TERMS)


def test_domains_and_ranges_are_terms_of_ours_or_of_a_known_namespace() -> None:
    for term in TERMS.values():
        for iri in (*term.broader, *term.close, *filter(None, (term.domain, term.range))):
            prefix, _, local = short(iri).partition(":")
            assert prefix in PREFIXES and local, iri
            assert prefix != "fb" or local in TERMS, iri
        if term.kind is Kind.CLASS:
            assert term.domain is None and term.range is None


def test_datatype_properties_have_datatypes() -> None:
    for term in TERMS.values():
        if term.kind is Kind.DATATYPE:
            assert term.range is not None and term.range.startswith(terms.XSD), term.name
        elif term.range is not None:
            assert not term.range.startswith(terms.XSD), term.name


def test_every_subject_is_ours_so_that_no_graph_says_it_again() -> None:
    assert {
        subject for subject, _, _ in triples() if subject != ONTOLOGY and not subject.startswith(terms.FB)
    } == set()


def test_every_link_into_our_namespace_leads_to_something() -> None:
    described = {subject for subject, _, _ in triples()}
    linked = {
        value.value
        for _, _, value in triples()
        if isinstance(value, Iri) and value.value.startswith(terms.FB)
    }
    properties = {path for _, path, _ in triples() if path.startswith(terms.FB)}
    assert linked | properties <= described


def test_matches_of_body_parts_and_conditions_are_their_ids(graph: Graph) -> None:
    obo = "http://purl.obolibrary.org/obo/"
    matched = {str(each) for path in (SKOS.exactMatch, SKOS.closeMatch) for each in graph.objects(None, path)}
    assert {obo + "MONDO_" + each.mondo for each in CONDITIONS.values()} <= matched
    assert {obo + "UBERON_" + each.removeprefix("~") for each in UBERON_IDS.values()} <= matched
    assert terms.dicom_code("CT") in matched and terms.snomed_code("816094009") in matched


def test_a_match_is_never_both_exact_and_close(graph: Graph) -> None:
    assert set(graph.subject_objects(SKOS.exactMatch)) & set(graph.subject_objects(SKOS.closeMatch)) == set()


def test_labels_of_a_language_are_one_a_concept(graph: Graph) -> None:
    labels = Counter((concept, label.language) for concept, label in graph.subject_objects(SKOS.prefLabel))
    assert [each for each, count in labels.items() if count > 1] == []


@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        ("text/turtle", "turtle"),
        ("application/n-triples", "nt"),
        ("application/rdf+xml", "xml"),
        ("application/ld+json", "json-ld"),
    ],
)
def test_every_format_says_the_same(graph: Graph, media_type: str, form: str) -> None:
    assert set(Graph().parse(data=written(media_type), format=form)) == set(graph)


def test_the_digest_is_of_the_triples_that_are_written() -> None:
    import hashlib

    lines = sorted(line + b"\n" for line in written("application/n-triples").splitlines())
    assert digest() == "sha256:" + hashlib.sha256(b"".join(lines)).hexdigest()


def test_there_are_no_blank_nodes_and_no_triple_twice() -> None:
    parsed = list(ox.parse(written("application/n-triples"), format=ox.RdfFormat.N_TRIPLES))
    assert len(parsed) == len({str(each) for each in parsed}) == len(triples())
    assert not any(isinstance(each, ox.BlankNode) for quad in parsed for each in (quad.subject, quad.object))


def test_texts_have_languages_that_are_spoken_of() -> None:
    assert {value.language for _, _, value in triples() if isinstance(value, Text)} == set(LANGUAGES)


def test_classes_and_properties_are_typed_for_owl(graph: Graph) -> None:
    for term in TERMS.values():
        types = {short(str(each)) for each in graph.objects(URIRef(term.iri), RDF.type)}
        assert types & {"owl:Class", "owl:ObjectProperty", "owl:DatatypeProperty"}, term.name
