"""A dataset about which everything is said that any profile asks for, and its documents as RDF graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest
from rdflib import Graph, URIRef
from rdflib import Literal as RdfLiteral

from fairbank.ontology.counts import Count
from fairbank.ontology.data_use_limits import DataUseLimits
from fairbank.ontology.profiles import shapes
from fairbank.ontology.profiles.facts import Facts, Iri, Triple
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.record import (
    AccessRights,
    Activity,
    ActivityKind,
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Stratum,
    Totals,
)
from fairbank.ontology.stewardship import Guideline, Organisation, Stewardship

BASE = "https://hub.test"
AN_IRI = "https://vocabulary.test/term"
SAID = Stewardship(
    **{
        name: (AN_IRI,)
        for name, field in Stewardship.model_fields.items()
        if field.default == () and name not in {"code_values", "conditions", "biorepositories", "biomarkers"}
    },
    contact_email="data@alpha.test",
    contact_page="https://alpha.test/contact",
    publisher_email="office@alpha.test",
    publisher_page="https://alpha.test",
    hdab=Organisation(name="Access body", email="access@body.test", page="https://body.test"),
    custodian=Organisation(name="Clinic", email="clinic@alpha.test", page="https://clinic.test"),
    population_coverage="People in screening.",
    retained_from=2020,
    retained_until=2040,
    code_values=("ICD-10: C34",),
    landing_page="https://alpha.test/lungs",
    accrual_periodicity=AN_IRI,
    temporal_resolution="P1Y",
    file_format=AN_IRI,
    availability=AN_IRI,
    health_activity=AN_IRI,
    condition=AN_IRI,
    interoperability_level=AN_IRI,
    conditions=("small-cell-lung-cancer", "lung-cancer"),
    annotation_guideline=Guideline(title="How lesions are drawn", page="https://alpha.test/guideline"),
    biorepositories=("bbmri-eric:ID:DE_alpha:collection:lungs", "https://alpha.test/samples"),
    omics_held=True,
    health_records_held=False,
    biomarkers=("suv", "ibsi-glcm"),
    planned_time_points=3,
    planned_follow_up="P5Y",
    data_use_limits=DataUseLimits(countries=("AT", "EEA"), months=24),
)


def complete_record(**changes: Any) -> DatasetRecord:
    values: dict[str, Any] = {
        "node": "alpha",
        "dataset": "lungs",
        "version": 3,
        "title": "Lung screening CT",
        "description": "Low-dose chest CT.",
        "keywords": ("lung", "screening"),
        "publisher": "Alpha Biobank",
        "contact": "Data access office",
        "licence": "CC BY 4.0",
        "collection_kind": CollectionKind.SCREENING,
        "data_use": ("DUO:0000006",),
        "minimum_count": 10,
        "totals": Totals(
            subjects=Count.exact(60),
            studies=Count.exact(70),
            series=Count.exact(160),
            instances=Count.exact(9000),
        ),
        "cube": (
            Stratum(
                modality="CT",
                body_part="CHEST",
                manufacturer="Siemens",
                slice_thickness="1-1.5",
                series=Count.exact(160),
                studies=Count.exact(70),
                subjects=Count.exact(60),
            ),
        ),
        "distributions": (
            Distribution(attribute="sex", value="F", how_known=HowKnown.HEADER, subjects=Count.exact(31)),
            Distribution(
                attribute="age-band", value="60-64", how_known=HowKnown.HEADER, subjects=Count.exact(40)
            ),
        ),
        "acquired_from": 2015,
        "acquired_to": 2019,
        "provenance": (
            Activity(
                kind=ActivityKind.HARVEST,
                tool="fairbank harvest",
                tool_version="0.1.0",
                agent="curator",
                started="2026-01-01T11:00:00.000Z",
                ended="2026-01-01T12:00:00.000Z",
            ),
        ),
        "stewardship": SAID,
        "created": "2026-01-01T12:00:00.000Z",
    }
    return DatasetRecord(**(values | changes))


def facts_of(profile: str, **changes: Any) -> Facts:
    """Return what is known of a dataset whose access right is the one that the profile is for."""
    suffix = profile.partition("r8-")[2].replace("-", "_").upper()
    right = AccessRights(suffix) if suffix else AccessRights.NON_PUBLIC
    record = complete_record(**({"access_rights": right} | changes))
    return Facts(record, BASE, "2026-01-02T00:00:00.000Z", profile)


def graph_of(triples: Iterable[Triple]) -> Graph:
    graph = Graph()
    for subject, path, value in triples:
        term = (
            URIRef(value.value)
            if isinstance(value, Iri)
            else RdfLiteral(value.value, datatype=URIRef(value.datatype))
        )
        graph.add((URIRef(subject), URIRef(path), term))
    return graph


@cache
def shapes_graph(profile: str) -> Graph:
    return Graph().parse(data=shapes.turtle(PROFILES[profile]), format="turtle")


@pytest.fixture
def facts() -> Callable[..., Facts]:
    return facts_of


@pytest.fixture
def graph() -> Callable[..., Graph]:
    return graph_of


@pytest.fixture
def shapes_of() -> Callable[[str], Graph]:
    return shapes_graph


@pytest.fixture
def everything_said() -> Stewardship:
    return SAID
