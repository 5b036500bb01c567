"""Clinical variables at the hub: JSON, RDF, words that find them, export profiles, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue.records import exposed
from fairbank.ontology.counts import Count
from fairbank.ontology.profiles.document import triples
from fairbank.ontology.profiles.facts import Facts, Literal
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.record import DatasetRecord
from fairbank.ontology.variables import CodeSystem, Variable, VariableKind, VariableValue

Make = Callable[..., Any]
PATH = "/datasets/alpha/lungs"
SMOKING = Variable(
    name="smoking",
    label="Tobacco smoking status",
    system=CodeSystem.LOINC,
    code="72166-2",
    kind=VariableKind.CODED,
    value_system=CodeSystem.SNOMED_CT,
    values=(VariableValue(code="77176002", label="Smoker"), VariableValue(code="8392000")),
    subjects=Count.below(10),
)


def test_json_says_each_variable_and_withholds_what_is_small(client: TestClient, published: Make) -> None:
    published("lungs", variables=(SMOKING,))
    assert client.get(PATH).json()["variables"] == [
        {
            "name": "smoking",
            "label": "Tobacco smoking status",
            "system": "LOINC",
            "code": "72166-2",
            "kind": "coded",
            "unit": None,
            "value_system": "SNOMED-CT",
            "values": [{"code": "77176002", "label": "Smoker"}, {"code": "8392000", "label": None}],
            "subjects": {"kind": "below-k", "k": 10},
        }
    ]


def test_rdf_says_it_and_sparql_finds_the_possible_values(client: TestClient, published: Make) -> None:
    published("lungs", variables=(SMOKING,))
    query = """SELECT ?kind ?below ?label WHERE {
        ?d fb:variable ?v . ?v a fb:Variable ; fb:variableKind ?kind ; fb:subjectCountBelow ?below ;
           fb:possibleValue ?value . ?value fb:codeSystem <http://snomed.info/sct> ; rdfs:label ?label }"""
    rows = client.get("/sparql", params={"query": query}).json()["results"]["bindings"]
    assert [{name: one["value"] for name, one in row.items()} for row in rows] == [
        {"kind": "coded", "below": "10", "label": "Smoker"}
    ]


@pytest.mark.parametrize("words", ["tobacco", "72166-2"])
def test_a_variable_is_found_by_its_label_and_code(client: TestClient, published: Make, words: str) -> None:
    published("lungs", variables=(SMOKING,))
    published("brains", title="Brains", description="MR.", keywords=())
    found = client.get("/search", params={"q": words}).json()["datasets"]
    assert [one["dataset"] for one in found] == ["lungs"]


@pytest.mark.parametrize("profile", [name for name in PROFILES if "health" in name or "eucaim" in name])
def test_health_profiles_say_the_codes(record_of: Make, profile: str) -> None:
    for variables, wanted in (((SMOKING,), ["LOINC: 72166-2"]), ((), [])):
        record = record_of("alpha", variables=variables)
        facts = Facts(record, "http://hub.test", "2026-01-02T00:00:00.000Z", profile)
        said = list(triples(PROFILES[profile], facts))
        codes = [told for _, path, told in said if path.endswith("#hasCodeValues")]
        assert [told.value for told in codes if isinstance(told, Literal)] == wanted


def test_an_older_version_keeps_its_own(client: TestClient, published: Make) -> None:
    published("lungs")
    published("lungs", version=2, variables=(SMOKING,))
    assert client.get(PATH, params={"version": 1}).json()["variables"] == []
    assert len(client.get(PATH, params={"version": 2}).json()["variables"]) == 1


def test_a_record_without_variables_is_what_an_older_hub_reads(record_of: Make) -> None:
    record: DatasetRecord = record_of("alpha")
    assert "variables" not in record.payload()
    assert "variables" in json.loads(record_of("alpha", variables=(SMOKING,)).to_bytes())


def test_a_small_count_of_a_variable_is_refused_by_the_hub(record_of: Make) -> None:
    small = SMOKING.model_copy(update={"subjects": Count.exact(9)})
    assert list(exposed(record_of("alpha", variables=(small,)))) == ["variables"]


def test_the_page_and_schema_org_name_the_variables(client: TestClient, published: Make) -> None:
    quantity = SMOKING.model_copy(
        update={"name": "psa", "kind": VariableKind.QUANTITY, "unit": "ng/mL", "values": ()}
    )
    published("lungs", variables=(SMOKING, quantity))
    assert SMOKING.label in client.get(PATH, headers={"Accept": "text/html"}).text
    said = client.get(PATH, params={"profile": "schema.org"}).json()
    assert said["variableMeasured"] == [
        {"@type": "PropertyValue", "name": SMOKING.label, "propertyID": "http://loinc.org|72166-2"},
        {
            "@type": "PropertyValue",
            "name": SMOKING.label,
            "propertyID": "http://loinc.org|72166-2",
            "unitText": "ng/mL",
        },
    ]
