"""The list of datasets is walked page by page, in JSON and RDF alike, and holds what the caller may see."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import records, withdrawal
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.records import Visibility
from fairbank.database import writing
from fairbank.ontology.withdrawal import WithdrawalReason

Make = Callable[..., Any]
BASE = "http://hub.test"
FORMATS = ("text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml")
DCAT, DCT = "http://www.w3.org/ns/dcat#", "http://purl.org/dc/terms/"
NAMES = [f"set-{number}" for number in range(5)]


# In the order of the list.
SEVEN = [f"{BASE}/datasets/alpha/{name}" for name in NAMES] + [
    f"{BASE}/datasets/beta/{name}" for name in ("apple", "zebra")
]


def release_seven(released: Make) -> None:
    """Publish five datasets of one node and two of another."""
    released("zebra", "apple", node="beta")
    released(*reversed(NAMES))


@pytest.fixture
def seven(released: Make) -> list[str]:
    release_seven(released)
    return SEVEN


@pytest.fixture(scope="module")
def listing(shared_hub: Make) -> TestClient:
    """A hub with those seven, which no test may change."""
    shared = shared_hub()
    release_seven(shared.publish)
    client: TestClient = shared.client
    return client


def links(answer: Any) -> dict[str, str]:
    found = re.findall(r'<([^>]*)>; rel="([^"]*)"', answer.headers["link"])
    assert len({relation for _, relation in found}) == len(found)
    return {relation: target for target, relation in found}


def listed(answer: Any) -> list[str]:
    """The datasets of a page, whatever its format."""
    assert answer.status_code == 200, answer.text
    media_type = answer.headers["content-type"].partition(";")[0]
    if media_type == "application/json":
        return [each["iri"] for each in answer.json()["datasets"]]
    quads = list(ox.parse(answer.content, format=ox.RdfFormat.from_media_type(media_type)))
    subject = ox.NamedNode(f"{BASE}/datasets")
    return sorted(
        {q.object.value for q in quads if q.subject == subject and q.predicate.value == DCAT + "dataset"}
    )


def walk(client: TestClient, start: str, relation: str, accept: str, **headers: str) -> list[list[str]]:
    pages, address = [], start
    while address:
        answer = client.get(address, headers={"Accept": accept, **headers})
        pages.append(listed(answer))
        address = links(answer).get(relation, "")
        assert len(pages) < 20
    return pages


@pytest.mark.parametrize("accept", ["application/json", *FORMATS])
def test_following_the_links_gives_each_dataset_once(listing: TestClient, accept: str) -> None:
    for limit in (1, 2, 3, 6, 7, 8, 500):
        forwards = walk(listing, f"/datasets?limit={limit}", "next", accept)
        assert [iri for page in forwards for iri in page] == SEVEN
        assert all(len(page) == limit for page in forwards[:-1]) and 0 < len(forwards[-1]) <= limit
        ends = links(listing.get(f"/datasets?limit={limit}", headers={"Accept": accept}))
        assert "prev" not in ends
        assert walk(listing, ends["last"], "prev", accept) == forwards[::-1]
        assert listed(listing.get(ends["first"], headers={"Accept": accept})) == forwards[0]


def test_a_caller_without_bounds_gets_the_whole_list_as_json(listing: TestClient) -> None:
    answer = listing.get("/datasets")
    assert listed(answer) == SEVEN
    assert set(answer.json()) == {"schema", "total", "datasets"} and answer.json()["total"] == 7
    assert links(answer) == {"canonical": f"{BASE}/datasets"}


def test_a_page_says_where_it_is(listing: TestClient) -> None:
    answer = listing.get("/datasets", params={"limit": 2, "offset": 3})
    told = answer.json()
    assert (told["total"], told["limit"], told["offset"]) == (7, 2, 3)
    assert answer.headers["fairbank-total"] == "7"
    assert listed(answer) == SEVEN[3:5]
    assert links(answer) == {
        "canonical": f"{BASE}/datasets",
        "type": "http://www.w3.org/ns/ldp#Page",
        "first": f"{BASE}/datasets?limit=2&offset=0",
        "last": f"{BASE}/datasets?limit=2&offset=6",
        "prev": f"{BASE}/datasets?limit=2&offset=1",
        "next": f"{BASE}/datasets?limit=2&offset=5",
    }


@pytest.mark.parametrize("media_type", FORMATS)
def test_rdf_is_a_catalogue_in_pages(listing: TestClient, media_type: str) -> None:
    answer = listing.get("/datasets", headers={"Accept": media_type})
    assert answer.headers["content-type"].startswith(media_type) and "last" in links(answer)
    triples = {q.triple for q in ox.parse(answer.content, format=ox.RdfFormat.from_media_type(media_type))}
    about = {t.predicate.value: t.object for t in triples if t.subject == ox.NamedNode(SEVEN[1])}
    assert about[DCT + "title"].value == "Lung screening CT"
    assert about[DCAT + "version"].value == "1"
    modified = about[DCT + "modified"]
    assert (modified.value[:19], modified.datatype.value.rpartition("#")[2]) == (
        "2026-01-01T12:00:00",
        "dateTime",
    )
    kinds = {
        t.object.value
        for t in triples
        if t.subject.value == f"{BASE}/datasets" and "type" in t.predicate.value
    }
    assert kinds == {f"{DCAT}Catalog"}
    detail = listing.get(SEVEN[1], headers={"Accept": "application/n-triples"})
    told = {q.triple for q in ox.parse(detail.content, format=ox.RdfFormat.N_TRIPLES)}
    assert {t for t in triples if t.subject == ox.NamedNode(SEVEN[1])} <= told


def test_an_empty_catalogue_is_an_empty_page(client: TestClient) -> None:
    for accept in ("application/json", *FORMATS):
        answer = client.get("/datasets", params={"limit": 5}, headers={"Accept": accept})
        assert listed(answer) == []
        assert links(answer)["first"] == links(answer)["last"] and not {"next", "prev"} & set(links(answer))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"limit": "-1"}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "abc"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"limit": "9" * 40}, "limit"),
        ({"limit": "5", "offset": "-1"}, "offset"),
        ({"offset": "1.5"}, "offset"),
        ({"offset": "8"}, "7 datasets"),
        ({"limit": "5", "offset": "99999999999999999999"}, "offset"),
    ],
)
def test_a_bound_that_cannot_be_is_refused_in_words(
    listing: TestClient, parameters: dict[str, str], words: str
) -> None:
    for accept in ("application/json", "text/turtle"):
        answer = listing.get("/datasets", params=parameters, headers={"Accept": accept})
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (400, "FB-CAT-071")
        assert words in problem["title"] + problem["why"] and problem["todo"]


def test_the_end_itself_is_an_empty_page(listing: TestClient) -> None:
    answer = listing.get("/datasets", params={"offset": 7})
    assert listed(answer) == [] and "next" not in links(answer) and "prev" in links(answer)


def test_a_format_that_is_not_offered_is_refused(client: TestClient) -> None:
    answer = client.get("/datasets", headers={"Accept": "image/png"})
    assert (answer.status_code, answer.json()["code"]) == (406, "FB-CAT-042")


@pytest.mark.parametrize("accept", ["application/json", "text/turtle"])
def test_the_list_and_its_total_hold_what_the_caller_may_see(
    hub: Hub, client: TestClient, seven: list[str], person_named: Make, accept: str
) -> None:
    with writing(hub.engine) as session:
        records.set_visibility(session, hub, iri=seven[0], visibility=Visibility.HIDDEN, actor="admin")
        withdrawal.withdraw(session, hub, iri=seven[2], reason=WithdrawalReason.ERROR, actor="admin")
    member = person_named("carla", Role.ADMIN)
    for headers, wanted in (
        ({}, [seven[1], *seven[3:]]),
        (member.headers, [*seven[:2], *seven[3:]]),
    ):
        pages = walk(client, "/datasets?limit=2", "next", accept, **headers)
        assert [iri for page in pages for iri in page] == wanted
        answer = client.get("/datasets?limit=1", headers={"Accept": accept, **headers})
        assert answer.headers["fairbank-total"] == str(len(wanted))
        assert answer.headers["vary"] == "Accept, Content-Type, Authorization"
        assert links(answer)["last"] == f"{BASE}/datasets?limit=1&offset={len(wanted) - 1}"
