"""RDF files judged by the export profiles: what is none is told in words, and nothing passes by saying nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import document_files
from fairbank.catalogue.document_files import cards
from fairbank.catalogue.errors import DocumentEmpty, DocumentTooLarge, DocumentUnsound, RdfFileRefused
from fairbank.errors import FairbankError
from fairbank.ontology.errors import UnknownProfile
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.stewardship import Organisation, Stewardship

Make = Callable[..., Any]
HEAD = """@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
DATASET = HEAD + '<https://x.test/d> a dcat:Dataset ; dct:title "T" .'
ENDINGS = {
    ".ttl": "text/turtle", ".nt": "application/n-triples", ".jsonld": "application/ld+json",
    ".rdf": "application/rdf+xml",
}  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Make:
    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.mark.parametrize("profile", list(PROFILES))
def test_the_hub_s_own_document_is_judged_as_the_hub_judges_it(
    client: TestClient, released: Make, write: Make, profile: str
) -> None:
    released("lungs", stewardship=Stewardship(hdab=Organisation(name="Body", email="a@body.test")))
    wanted = client.get("/datasets/alpha/lungs/quality", params={"profile": profile}).json()["profiles"][0]
    for ending, media_type in ENDINGS.items():
        answer = client.get(
            "/datasets/alpha/lungs", params={"profile": profile}, headers={"Accept": media_type}
        )
        found = cards(write(f"lungs{ending}", answer.content), profile=profile)[0]
        for each in (*found["properties"], *wanted["properties"]):
            # Only the hub knows why a count is not there.
            each["note"] = ""
        order = lambda each: (each["resource"], each["subject"], each["property"])  # noqa: E731
        assert sorted(found.pop("properties"), key=order) == sorted(wanted["properties"], key=order)
        assert found == {name: value for name, value in wanted.items() if name != "properties"}


def test_each_missing_property_names_who_can_fill_it(write: Make) -> None:
    card = cards(write("d.ttl", DATASET), profile="eucaim-dcat-ap-2.0")[0]
    fillers = {each["property"]: (each["filler"], each["field"]) for each in card["properties"]}
    assert fillers["dct:identifier"] == ("computed", "")
    assert fillers["eucaim:hasImageModality"] == ("source", "")
    assert fillers["dcat:theme"] == ("constant", "")
    assert fillers["eucaim:hasCondition"] == ("curator", "conditions, condition")
    assert card["violations"] > 10
    assert all(each["filler"] for each in card["properties"])
    assert all(each["field"] for each in card["properties"] if each["filler"] == "curator")


def test_every_row_of_every_profile_names_who_can_fill_it(write: Make) -> None:
    path = write("d.ttl", DATASET)
    assert [card["profile"] for card in cards(path, profile=None)] == list(PROFILES)
    with pytest.raises(UnknownProfile):
        cards(path, profile="healthdcat-ap-r5")


@pytest.mark.parametrize(
    ("body", "note"),
    [
        ("dcat:contactPoint [ a <http://www.w3.org/2006/vcard/ns#Kind> ]", "has to be an IRI"),
        ("dcat:contactPoint <https://x.test/c>", "has to be described in the document as a vcard:Kind"),
        ('dct:issued "2020-01-01"^^xsd:date', "has to be of the type xsd:dateTime"),
        ('dct:keyword "k" ; dcat:version "1", "2"', "at most 1"),
        ("dct:accessRights <https://x.test/open>", "allowed: http://publications.europa.eu/"),
        ("dct:description <https://x.test/text>", "has to be a text or number, not an IRI"),
    ],
)
def test_a_value_that_does_not_fit_is_told_why(write: Make, body: str, note: str) -> None:
    path = write("d.ttl", f"{HEAD}<https://x.test/d> a dcat:Dataset ; {body} .")
    properties = cards(path, profile="dcat-ap-3.0.1")[0]["properties"]
    unfit = [each for each in properties if each["state"] == "unfit"]
    assert len(unfit) == 1 and unfit[0]["note"].startswith(note) and unfit[0]["severity"] == "violation"


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("empty.ttl", "", DocumentEmpty, "nothing"),
        ("empty.jsonld", "{}", DocumentEmpty, "nothing"),
        ("prefixes.ttl", HEAD, DocumentEmpty, "nothing"),
        ("other.ttl", "<urn:a> <urn:b> 1 .", DocumentEmpty, "1 statements, and none"),
        ("page.ttl", "<!DOCTYPE html><html></html>", RdfFileRefused, "line 1"),
        ("page.rdf", "<!DOCTYPE html><html></html>", RdfFileRefused, "RDF/XML"),
        ("image.ttl", b"\x89PNG\r\n\x1a\n\x00\x00", RdfFileRefused, "line 1"),
        ("archive.jsonld", b"PK\x03\x04\xff\xfe", RdfFileRefused, "JSON-LD"),
        ("text.json", "{}", RdfFileRefused, ".jsonld"),
        ("half.ttl", DATASET[:-3], RdfFileRefused, "line 3"),
        ("deep.jsonld", '{"@id": "urn:a", "urn:b": ' + "[" * 50_000, RdfFileRefused, "JSON-LD"),
        ("nul.ttl", DATASET.replace('"T"', '"T\x00"'), DocumentUnsound, "dct:title of https://x.test/d holds a NUL"),
        ("nul.ttl", DATASET.replace('"T"', '"\\u0000"'), DocumentUnsound, "holds a NUL"),
        (
            "date.ttl",
            DATASET.replace('"T"', '"2023-02-30"^^xsd:date'),
            DocumentUnsound,
            "dct:title of https://x.test/d is not a value of its type xsd:date",
        ),
        ("date.ttl", DATASET.replace('"T"', '"soon"^^xsd:dateTime, "x"^^xsd:gYear, "y"^^xsd:boolean, "z"^^xsd:integer'),
         DocumentUnsound, "(and 1 more)"),
    ],
)  # fmt: skip
def test_what_is_no_description_is_refused_in_words(
    write: Make, name: str, content: str | bytes, error: type[FairbankError], words: str
) -> None:
    path = write(name, content)
    with pytest.raises(error) as refused:
        cards(path, profile="fdp-1.2")
    assert words in f"{refused.value.what} {refused.value.why}"
    assert str(path) in refused.value.what and refused.value.todo


def test_a_huge_file_is_refused_before_it_is_read(write: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("huge.nt", b"")
    os.truncate(path, document_files.LARGEST_BYTES + 1)
    monkeypatch.setattr(ox, "parse", lambda **_: pytest.fail("it was read"))
    with pytest.raises(DocumentTooLarge) as refused:
        cards(path, profile="fdp-1.2")
    assert str(document_files.LARGEST_BYTES) in refused.value.why


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ttl")
    (tmp_path / "folder.ttl").mkdir()
    for name in ("pipe.ttl", "folder.ttl", "none.ttl"):
        with pytest.raises(RdfFileRefused):
            cards(tmp_path / name, profile="fdp-1.2")


def test_named_graphs_and_triples_about_triples_are_taken_for_what_they_say(write: Make) -> None:
    path = write("d.trig", HEAD + '<urn:g> { <https://x.test/d> a dcat:Dataset ; dct:title "T" . }')
    plain = write("d.ttl", DATASET + " << <urn:s> <urn:p> <urn:o> >> <urn:said> 1 .")
    for each in (path, plain):
        missing = [
            p["property"]
            for p in cards(each, profile="dcat-ap-3.0.1")[0]["properties"]
            if p["state"] == "missing"
        ]
        assert "dct:description" in missing and "dct:title" not in missing
