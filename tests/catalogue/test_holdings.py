"""What a dataset says beside its images, at the hub: JSON, RDF, SPARQL, words that find it, and older versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import holdings
from fairbank.ontology import terms
from fairbank.ontology.conditions import CONDITIONS
from fairbank.ontology.data_use_limits import DataUseLimits
from fairbank.ontology.profiles.document import triples
from fairbank.ontology.profiles.facts import Facts, Iri
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.record import DatasetRecord
from fairbank.ontology.stewardship import Guideline, Stewardship

Make = Callable[..., Any]
PATH = "/datasets/alpha/lungs"
IRI = "http://hub.test/datasets/alpha/lungs"
SAID = Stewardship(
    conditions=("small-cell-lung-cancer", "copd"),
    annotation_guideline=Guideline(title="How lesions are drawn", page="https://alpha.test/guideline"),
    biorepositories=("bbmri-eric:ID:DE_BMBH:collection:lungs", "https://alpha.test/samples"),
    omics_held=True,
    health_records_held=False,
    biomarkers=("suv", "ibsi-glcm"),
    planned_time_points=3,
    planned_follow_up="P5Y",
    data_use_limits=DataUseLimits(countries=("AT",), months=24),
)


def test_a_dataset_s_json_says_it_with_names_and_addresses(client: TestClient, published: Make) -> None:
    published("lungs", stewardship=SAID)
    answer = client.get(PATH).json()
    assert answer["conditions"][0] == {
        "word": "small-cell-lung-cancer",
        "label": "Small cell lung cancer",
        "iri": "http://purl.obolibrary.org/obo/MONDO_0008433",
    }
    assert answer["annotation_guideline"] == {
        "title": "How lesions are drawn",
        "page": "https://alpha.test/guideline",
    }
    assert answer["biorepositories"] == list(SAID.biorepositories)
    assert (answer["omics_held"], answer["health_records_held"]) == (True, False)
    assert [(each["name"], each["code"], bool(each["iri"])) for each in answer["biomarkers"]] == [
        ("suv", "DCM:126400", True),
        ("ibsi-glcm", "IBSI:LFYI", False),
    ]
    assert (answer["planned_time_points"], answer["planned_follow_up"]) == (3, "P5Y")
    assert answer["data_use_limits"] == [
        {"code": "DUO:0000022", "label": "geographical restriction", "value": "AT"},
        {"code": "DUO:0000025", "label": "time limit on use", "value": "24"},
    ]
    listed = client.get("/datasets").json()["datasets"][0]
    assert listed["conditions"] == answer["conditions"]


def test_what_nobody_said_is_null_or_empty_and_in_no_triple(client: TestClient, published: Make) -> None:
    published("lungs")
    answer = client.get(PATH).json()
    assert answer["conditions"] == answer["biorepositories"] == answer["biomarkers"] == []
    assert answer["data_use_limits"] == []
    for name in ("annotation_guideline", "omics_held", "health_records_held", "planned_time_points"):
        assert answer[name] is None
    turtle = client.get(PATH, headers={"Accept": "application/n-triples"}).text
    for path in (terms.DCT + "subject", terms.OMICS_HELD, terms.BIOREPOSITORY, terms.IMAGING_BIOMARKER):
        assert path not in turtle


@pytest.mark.parametrize("profile", list(PROFILES))
def test_the_view_and_every_profile_say_the_same_of_it(record_of: Make, profile: str) -> None:
    record: DatasetRecord = record_of("alpha", stewardship=SAID)
    facts = Facts(record, "http://hub.test", "2026-01-02T00:00:00.000Z", profile)
    view = set(holdings.triples(IRI, list(SAID.conditions), holdings.kept(SAID)))
    assert len(view) == 27
    assert view <= set(triples(PROFILES[profile], facts))


def test_sparql_finds_a_dataset_by_condition_biomarker_and_biorepository(
    client: TestClient, published: Make
) -> None:
    published("lungs", stewardship=SAID)
    published("brains")
    query = f"""SELECT ?d ?label ?id WHERE {{
        ?d dct:subject <{CONDITIONS["copd"].iri}> ; fb:omicsHeld true ; fb:plannedTimePoints ?n ;
           fb:imagingBiomarker ?b ; fb:biorepository/dct:identifier ?id .
        ?b skos:exactMatch dcm:126400 ; rdfs:label ?label . FILTER (?n >= 3) }}"""
    rows = client.get("/sparql", params={"query": query}).json()["results"]["bindings"]
    assert [{name: each["value"] for name, each in row.items()} for row in rows] == [
        {"d": IRI, "label": "Standardized Uptake Value", "id": SAID.biorepositories[0]}
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("small cell lung cancer", True),
        ("Kleinzelliger Lungenkrebs", True),
        ("sclc", True),
        ("respiratory disease", True),
        ("Standardized Uptake", True),
        ("BMBH", True),
        ("melanoma", False),
    ],
)
def test_words_find_a_condition_by_its_names_and_what_it_is_a_kind_of(
    client: TestClient, published: Make, words: str, found: bool
) -> None:
    published("lungs", stewardship=SAID)
    published("brains", title="Brains", description="MR.", keywords=())
    answer = client.get("/search", params={"q": words}).json()
    assert [each["dataset"] for each in answer["datasets"]] == (["lungs"] if found else [])


def test_a_facet_of_conditions_has_labels(client: TestClient, published: Make) -> None:
    published("lungs", stewardship=SAID)
    facet = client.get("/search").json()["facets"]["condition"]
    assert {"value": "lung-disease", "datasets": 1, "label": CONDITIONS["lung-disease"].label} in facet


def test_each_version_says_what_its_record_said(client: TestClient, published: Make) -> None:
    published("lungs", stewardship=Stewardship(conditions=("copd",)))
    published("lungs", version=2, stewardship=SAID)
    published("lungs", version=3)
    words = [
        [each["word"] for each in client.get(PATH, params={"version": version}).json()["conditions"]]
        for version in (1, 2, 3)
    ]
    assert words == [["copd"], list(SAID.conditions), []]
    old = client.get(PATH, params={"version": 2}, headers={"Accept": "application/n-triples"}).text
    graph = list(ox.parse(old, format=ox.RdfFormat.N_TRIPLES))
    subject = ox.NamedNode(f"{IRI}?version=2#annotation-guideline")
    assert ox.Triple(
        subject, ox.NamedNode(terms.FOAF + "page"), ox.NamedNode("https://alpha.test/guideline")
    ) in {each.triple for each in graph}


def test_a_word_that_the_hub_does_not_know_is_shown_as_it_is() -> None:
    assert holdings.conditions_in_json(["new-disease"]) == [
        {"word": "new-disease", "label": "new-disease", "iri": None}
    ]
    assert holdings.in_json({"biomarkers": ["phlogiston"]})["biomarkers"] == [
        {"name": "phlogiston", "label": "phlogiston", "code": None, "iri": None}
    ]
    assert holdings.words(Stewardship(conditions=("new-disease",), biomarkers=("phlogiston",))) == (
        "new-disease phlogiston "
    )
    assert not list(holdings.triples(IRI, ["new-disease"], {"biomarkers": ["phlogiston"]}))


def test_the_iri_of_a_condition_is_an_iri(record_of: Make) -> None:
    assert all(Iri(each.iri).value.startswith("http") for each in CONDITIONS.values())
