"""Every version of a dataset is read as it was sealed, is linked to its neighbours, and is hidden with the dataset."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyoxigraph as ox
import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from fairbank.catalogue import history, records, search
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.description import edition_quads
from fairbank.catalogue.errors import VersionNotFound
from fairbank.catalogue.records import Visibility
from fairbank.catalogue.store import DatasetRow, VersionRow
from fairbank.database import reading, writing
from fairbank.ontology.record import DatasetRecord
from fairbank.signing import BadEnvelope

Make = Callable[..., Any]
LUNGS = "http://hub.test/datasets/alpha/lungs"
PATH = "/datasets/alpha/lungs"
FORMATS = ("text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml")
SEALED = "application/vnd.fairbank.record.v1+json"
DCAT = "http://www.w3.org/ns/dcat#"


@pytest.fixture
def three(released: Make, cell_of: Make) -> Any:
    """Versions 1, 2 and 4: another title each time, and fewer cells."""
    released("lungs", title="First title")
    released("lungs", version=2, title="Second title", cube=(cell_of(), cell_of("MR", subjects=None)))
    return released("lungs", version=4, title="Fourth title", cube=(cell_of(),), keywords=("fewer",))


def links(answer: Any) -> dict[str, str]:
    return {
        relation: target
        for target, relation in re.findall(r'<([^>]*)>; rel="([^"]*)"', answer.headers["link"])
    }


def triples(answer: Any, media_type: str) -> set[Any]:
    return {quad.triple for quad in ox.parse(answer.content, format=ox.RdfFormat.from_media_type(media_type))}


@pytest.mark.parametrize(
    ("version", "title", "cells"), [(1, "First title", 3), (2, "Second title", 2), (4, "Fourth title", 1)]
)
def test_each_version_is_answered_as_it_was(
    client: TestClient, three: Any, version: int, title: str, cells: int
) -> None:
    answer = client.get(PATH, params={"version": version}).json()
    assert (answer["version"], answer["title"], len(answer["cube"])) == (version, title, cells)
    assert answer["iri"] == LUNGS


def test_without_a_number_comes_the_newest(client: TestClient, three: Any) -> None:
    newest, by_number = client.get(PATH).json(), client.get(PATH, params={"version": 4}).json()
    assert newest["title"] == "Fourth title" and newest == by_number


def test_rows_and_sealed_record_give_the_same_description(hub: Hub, three: Any) -> None:
    with reading(hub.engine) as session:
        row = session.get_one(DatasetRow, LUNGS)
        stored = history.newest_edition(session, row)
        version = history.find_version(session, row, 4)
        read = history.edition_of(session, row, version, iri=LUNGS)
        links_and_issue = {
            f"{DCAT}{name}" for name in ("hasCurrentVersion", "isVersionOf", "previousVersion")
        }
        links_and_issue.add("http://purl.org/dc/terms/issued")
        one, other = (
            {quad for quad in edition_quads(each) if quad.predicate.value not in links_and_issue}
            for each in (stored, read)
        )
        assert one == other and len(one) > 50
        assert search.in_full(stored) == search.in_full(read)


def test_an_old_version_comes_in_every_format(client: TestClient, three: Any) -> None:
    found = []
    for media_type in FORMATS:
        answer = client.get(PATH, params={"version": 2}, headers={"Accept": media_type})
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(media_type)
        found.append(triples(answer, media_type))
    assert all(each == found[0] for each in found) and len(found[0]) > 50
    titles = {
        str(triple.object.value) for triple in found[0] if triple.predicate.value.endswith("terms/title")
    }
    assert "Second title" in titles and "Fourth title" not in titles


def test_an_old_version_comes_as_it_was_sealed(client: TestClient, three: Any) -> None:
    envelope = client.get(PATH, params={"version": 1}, headers={"Accept": SEALED}).content
    record, _ = DatasetRecord.open(envelope, trusted=[three.key.key_id])
    assert (record.version, record.title) == (1, "First title")


def test_in_rdf_a_version_is_a_thing_of_its_own(client: TestClient, three: Any) -> None:
    answer = client.get(PATH, params={"version": 2}, headers={"Accept": "application/n-triples"})
    found = triples(answer, "application/n-triples")
    assert {triple.subject.value.partition("#")[0] for triple in found} == {f"{LUNGS}?version=2"}
    said = {(triple.predicate.value.removeprefix(DCAT), triple.object.value) for triple in found}
    assert ("isVersionOf", LUNGS) in said and ("previousVersion", f"{LUNGS}?version=1") in said
    newest = triples(client.get(PATH, headers={"Accept": "application/n-triples"}), "application/n-triples")
    assert (f"{DCAT}hasCurrentVersion", f"{LUNGS}?version=4") in {
        (triple.predicate.value, triple.object.value) for triple in newest
    }


def test_what_is_said_about_a_version_does_not_change_when_a_newer_one_comes(
    client: TestClient, released: Make
) -> None:
    released("lungs")
    first = {
        media_type: client.get(PATH, params={"version": 1}, headers={"Accept": media_type})
        for media_type in FORMATS
    }
    released("lungs", version=2, title="Other")
    for media_type, before in first.items():
        after = client.get(PATH, params={"version": 1}, headers={"Accept": media_type})
        assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
        assert "successor-version" in links(after) and "successor-version" not in links(before)


def test_headers_lead_to_the_neighbours(client: TestClient, three: Any) -> None:
    middle = links(client.get(PATH, params={"version": 2}))
    assert middle == {
        "latest-version": LUNGS,
        "version-history": f"{LUNGS}/versions",
        "predecessor-version": f"{LUNGS}?version=1",
        "successor-version": f"{LUNGS}?version=4",
    }
    assert "predecessor-version" not in links(client.get(PATH, params={"version": 1}))
    newest = links(client.get(PATH))
    assert newest["predecessor-version"] == f"{LUNGS}?version=2" and "successor-version" not in newest


def test_the_versions_are_listed(client: TestClient, three: Any) -> None:
    answer = client.get(f"{PATH}/versions").json()
    assert (answer["iri"], answer["newest"]) == (LUNGS, 4)
    assert [each["version"] for each in answer["versions"]] == [4, 2, 1]
    assert {each["signed_by"] for each in answer["versions"]} == {three.key.key_id}
    for each in answer["versions"]:
        address = each["iri"].removeprefix("http://hub.test")
        assert client.get(address).json()["digest"] == each["digest"]
        assert client.get(address).headers["etag"] == f'"{each["digest"]}"'


@pytest.mark.parametrize("wanted", [None, 1])
def test_who_holds_a_version_is_not_sent_it_again(client: TestClient, three: Any, wanted: int | None) -> None:
    asked = {"version": wanted} if wanted else {}
    etag = client.get(PATH, params=asked).headers["etag"]
    for told in (etag, f'W/{etag}, "other"', "*"):
        answer = client.get(PATH, params=asked, headers={"If-None-Match": told})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    other = client.get(PATH, params={"version": 2}).headers["etag"]
    assert client.get(PATH, params=asked, headers={"If-None-Match": other}).status_code == 200


@pytest.mark.parametrize(
    ("version", "status", "code"),
    [
        ("3", 404, "FB-CAT-070"),
        ("2147483647", 404, "FB-CAT-070"),
        *((word, 400, "FB-CAT-071") for word in ("abc", "0", "-1", "", "1.0", "²", "9" * 30, "2147483648")),
    ],
)
def test_a_version_that_is_not_there_is_refused_in_words(
    client: TestClient, three: Any, version: str, status: int, code: str
) -> None:
    answer = client.get(PATH, params={"version": version})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert problem["title"] and problem["why"] and problem["todo"]


def test_a_hidden_dataset_has_no_version_that_anybody_sees(
    hub: Hub, client: TestClient, three: Any, person_named: Make
) -> None:
    with writing(hub.engine) as session:
        records.set_visibility(session, hub, iri=LUNGS, visibility=Visibility.HIDDEN, actor="admin")
    etag = f'"{_digest(hub, 1)}"'
    for address in (PATH, f"{PATH}?version=1", f"{PATH}?version=99", f"{PATH}/versions"):
        for headers in ({}, {"Accept": SEALED}, {"If-None-Match": etag}):
            answer = client.get(address, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "FB-CAT-041")
            assert "link" not in answer.headers and "etag" not in answer.headers
    member = person_named("carla", Role.ADMIN)
    assert client.get(f"{PATH}?version=1", headers=member.headers).status_code == 200


def test_an_envelope_that_was_changed_in_the_database_is_not_shown(hub: Hub, three: Any) -> None:
    with writing(hub.engine) as session:
        envelope = session.get_one(VersionRow, (LUNGS, 2)).envelope
        session.execute(
            update(VersionRow)
            .where(VersionRow.iri == LUNGS, VersionRow.version == 1)
            .values(envelope=envelope[:-40] + b"A" * 20 + envelope[-20:])
        )
    with reading(hub.engine) as session, pytest.raises(BadEnvelope):
        row = session.get_one(DatasetRow, LUNGS)
        history.edition_of(session, row, session.get_one(VersionRow, (LUNGS, 1)))


def test_a_version_of_another_dataset_is_not_found(hub: Hub, released: Make) -> None:
    released("lungs")
    released("brains", version=7)
    with reading(hub.engine) as session, pytest.raises(VersionNotFound):
        history.find_version(session, session.get_one(DatasetRow, LUNGS), 7)


def _digest(hub: Hub, version: int) -> str:
    with reading(hub.engine) as session:
        return session.get_one(VersionRow, (LUNGS, version)).digest


def test_a_record_of_wider_bands_is_still_shown_and_found(
    client: TestClient, released: Make, cell_of: Make
) -> None:
    released("lungs", cube=(cell_of(slice_thickness="1.5-3"),))
    assert client.get(PATH).json()["cube"][0]["slice_thickness"] == "1.5-3"
    answer = client.get("/search", params={"slice_thickness": "1.5-3"}).json()
    assert [each["dataset"] for each in answer["datasets"]] == ["lungs"]
    assert answer["facets"]["slice_thickness"] == [{"value": "1.5-3", "datasets": 1}]
