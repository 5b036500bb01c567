"""Datasets by the export profiles over HTTP: documents, shapes, scorecards, and who may see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import records
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.records import Visibility
from fairbank.database import writing
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.stewardship import Organisation, Stewardship

Make = Callable[..., Any]
LUNGS = "http://hub.test/datasets/alpha/lungs"
R8 = "healthdcat-ap-r8-non-public"
FORMATS = ("text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml")
ENOUGH = Stewardship(
    contact_email="data@alpha.test",
    publisher_page="https://alpha.test",
    hdab=Organisation(name="Access body", email="access@body.test"),
    dataset_types=("https://vocabulary.test/images",),
)


@pytest.mark.parametrize("profile", list(PROFILES))
def test_a_document_is_the_same_in_every_format(client: TestClient, released: Make, profile: str) -> None:
    released("lungs", stewardship=ENOUGH)
    found = set()
    for media_type in FORMATS:
        answer = client.get(
            "/datasets/alpha/lungs", params={"profile": profile}, headers={"Accept": media_type}
        )
        assert answer.headers["content-type"] == media_type
        parsed = ox.parse(answer.content, format=ox.RdfFormat.from_media_type(media_type))
        found.add(frozenset(quad.triple for quad in parsed))
    assert len(found) == 1 and len(found.pop()) > 20


def test_turtle_comes_when_nothing_is_asked_for_and_json_does_not(client: TestClient, released: Make) -> None:
    released("lungs")
    answer = client.get("/datasets/alpha/lungs", params={"profile": "fdp-1.2"}, headers={"Accept": "*/*"})
    assert answer.headers["content-type"] == "text/turtle"
    assert "<http://hub.test/profiles/fdp-1.2>" in answer.text
    refused = client.get(
        "/datasets/alpha/lungs", params={"profile": "fdp-1.2"}, headers={"Accept": "application/json"}
    )
    assert (refused.status_code, refused.json()["code"]) == (406, "FB-CAT-042")


@pytest.mark.parametrize("path", ["/datasets/alpha/lungs", "/datasets/alpha/lungs/quality"])
def test_an_unknown_profile_is_refused_with_those_there_are(
    client: TestClient, released: Make, path: str
) -> None:
    released("lungs")
    answer = client.get(path, params={"profile": "healthdcat-ap-r5"})
    assert (answer.status_code, answer.json()["code"]) == (404, "FB-ONT-003")
    assert all(name in answer.json()["why"] for name in PROFILES)


def test_the_scorecard_says_what_is_left_and_who_can_fill_it(client: TestClient, released: Make) -> None:
    released("lungs")
    answer = client.get("/datasets/alpha/lungs/quality").json()
    assert [card["profile"] for card in answer["profiles"]] == list(PROFILES)
    card = client.get("/datasets/alpha/lungs/quality", params={"profile": R8}).json()["profiles"][0]
    missing = [
        (each["property"], each["filler"], each["field"])
        for each in card["properties"]
        if each["severity"] == "violation" and each["state"] != "met"
    ]
    assert missing == [
        ("healthdcatap:hdab", "curator", "hdab"),
        ("dct:type", "curator", "dataset_types"),
        ("cv:contactPoint", "curator", "publisher_email, publisher_page"),
        ("vcard:hasEmail or vcard:hasURL", "curator", "contact_email, contact_page"),
    ]
    assert card["violations"] == 4


def test_what_the_curator_says_leaves_no_violation(client: TestClient, released: Make) -> None:
    released("lungs", stewardship=ENOUGH)
    card = client.get("/datasets/alpha/lungs/quality", params={"profile": R8}).json()["profiles"][0]
    assert card["violations"] == 0 and card["warnings"] > 0


def test_a_withheld_count_is_given_as_the_reason(client: TestClient, released: Make, record_of: Make) -> None:
    from fairbank.ontology.counts import Count
    from fairbank.ontology.record import Totals

    below = Count.below(10)
    released("lungs", totals=Totals(subjects=below, studies=below, series=below, instances=below))
    card = client.get("/datasets/alpha/lungs/quality", params={"profile": R8}).json()["profiles"][0]
    notes = {each["property"]: each["note"] for each in card["properties"]}
    assert "fewer than 10" in notes["healthdcatap:numberOfUniqueIndividuals"]


def test_a_hidden_dataset_has_neither_document_nor_scorecard(
    hub: Hub, client: TestClient, released: Make, person_named: Make
) -> None:
    released("lungs")
    with writing(hub.engine) as session:
        records.set_visibility(session, hub, iri=LUNGS, visibility=Visibility.HIDDEN, actor="admin")
    member = person_named("carla", Role.ADMIN)
    document, card = "/datasets/alpha/lungs?profile=fdp-1.2", "/datasets/alpha/lungs/quality"
    for path, seen in ((document, "text/turtle"), (card, "*/*")):
        assert client.get(path, headers={"Accept": seen}).status_code == 404
        assert client.get(path, headers={"Accept": seen, **member.headers}).status_code == 200


def test_profiles_are_listed_and_give_their_shapes(client: TestClient) -> None:
    listed = client.get("/profiles").json()["profiles"]
    assert [each["name"] for each in listed] == list(PROFILES)
    for each in listed:
        answer = client.get(f"/profiles/{each['name']}")
        assert answer.headers["content-type"] == "text/turtle"
        shapes = ox.parse(answer.content, format=ox.RdfFormat.TURTLE)
        asked = [quad for quad in shapes if quad.predicate.value.endswith("shacl#minCount")]
        assert len(asked) == each["mandatory"] + each["recommended"] + each["optional"]
    assert client.get("/profiles/none").json()["code"] == "FB-ONT-003"
