"""Imaging facts at the hub: every attribute that a node counts is found, shown, and described in RDF."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rdflib import RDF, Graph, Literal, URIRef
from starlette.testclient import TestClient

from fairbank.ontology import shapes, terms
from fairbank.ontology.attributes import ATTRIBUTES
from fairbank.ontology.counts import Count
from fairbank.ontology.record import Distribution, HowKnown

ROWS = {name: attribute.words[0] if attribute.words else "2019" for name, attribute in ATTRIBUTES.items()}


@pytest.fixture
def lungs(released: Callable[..., Any]) -> None:
    released(
        "lungs",
        distributions=tuple(
            Distribution(attribute=name, value=value, how_known=HowKnown.HEADER, subjects=Count.exact(20))
            for name, value in ROWS.items()
        ),
    )


@pytest.mark.parametrize("attribute", ROWS)
def test_a_dataset_is_found_by_each_attribute(client: TestClient, lungs: None, attribute: str) -> None:
    chosen = client.get("/search", params={"holds": f"{attribute}={ROWS[attribute]}"}).json()
    assert [each["dataset"] for each in chosen["datasets"]] == ["lungs"]
    assert client.get("/search", params={"holds": f"{attribute}=none of these"}).json()["count"] == 0


def test_each_attribute_is_a_row_in_rdf_that_conforms(client: TestClient, lungs: None) -> None:
    from pyshacl import validate

    answer = client.get("/datasets/alpha/lungs", headers={"Accept": "text/turtle"})
    graph = Graph().parse(data=answer.text, format="turtle")
    said = {
        (str(graph.value(row, URIRef(terms.ATTRIBUTE))), str(graph.value(row, URIRef(terms.ATTRIBUTE_VALUE))))
        for row in graph.subjects(RDF.type, URIRef(terms.DISTRIBUTION_ROW))
        if graph.value(row, URIRef(terms.SUBJECT_COUNT)) == Literal(20)
    }
    assert said == set(ROWS.items())
    conforms, _, report = validate(graph, shacl_graph=Graph().parse(data=shapes.turtle(), format="turtle"))
    assert conforms, report
