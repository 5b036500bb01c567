"""Programs that know nothing of the hub find their way by its headers, and search engines by schema.org."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue.context import Hub
from fairbank.catalogue.signposting import MOST_ITEMS
from fairbank.ontology.stewardship import Stewardship

Make = Callable[..., Any]
BASE = "http://hub.test"
LUNGS = f"{BASE}/datasets/alpha/lungs"
CATALOG = f"{BASE}/catalog/alpha"
LICENCE = "https://creativecommons.org/licenses/by/4.0/"
BY_ACCEPT = {"Accept": 'application/ld+json;profile="https://schema.org/"'}
FORMATS = ["text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml"]
ADDRESSES = ["/", "/catalog/alpha", "/datasets/alpha/lungs"]


@pytest.fixture
def web(hub: Hub, app_of: Make) -> TestClient:
    return TestClient(app_of(hub), base_url=BASE)


def signposts(answer: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in answer.headers["link"].split(", <"):
        target, _, rest = part.removeprefix("<").partition(">; rel=")
        found.setdefault(rest.split('"')[1], []).append(target)
    return found


@pytest.mark.parametrize("accept", ["application/json", "text/turtle"])
def test_a_dataset_says_where_everything_of_it_is(web: TestClient, released: Make, accept: str) -> None:
    released("lungs", licence=LICENCE)
    found = signposts(web.get("/datasets/alpha/lungs", headers={"Accept": accept}))
    assert found["cite-as"] == [LUNGS]
    assert found["collection"] == [CATALOG]
    assert found["item"] == [f"{LUNGS}#in-situ"]
    assert found["license"] == [LICENCE]
    assert "https://schema.org/Dataset" in found["type"]
    assert found["latest-version"] == [LUNGS], "the links between versions stay"


def test_a_licence_that_is_no_address_is_no_link(web: TestClient, released: Make) -> None:
    released("lungs", licence="CC BY 4.0")
    assert "license" not in signposts(web.get("/datasets/alpha/lungs"))


@pytest.mark.parametrize("address", ADDRESSES)
def test_each_description_that_is_named_can_be_read(web: TestClient, released: Make, address: str) -> None:
    released("lungs")
    links = web.get(address, headers={"Accept": "text/turtle"}).headers["link"].split(", <")
    named = [part for part in links if 'rel="describedby"' in part]
    types = [part.partition('type="')[2].partition('"')[0] for part in named]
    assert types == [*FORMATS, "application/ld+json"]
    for part, media_type in zip(named, types, strict=True):
        target = part.removeprefix("<").partition(">")[0]
        answer = web.get(target.removeprefix(BASE), headers={"Accept": media_type})
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)


def test_a_catalog_names_its_datasets_while_they_are_few(web: TestClient, released: Make) -> None:
    released("lungs", "brains")
    turtle = {"Accept": "text/turtle"}
    found = signposts(web.get("/catalog/alpha", headers=turtle))
    assert found["item"] == [f"{BASE}/datasets/alpha/brains", LUNGS]
    assert found["collection"] == [f"{BASE}/"]
    assert "item" not in signposts(web.get("/catalog/alpha?limit=1", headers=turtle)), (
        "a part is not the whole"
    )
    released(*(f"set-{number}" for number in range(MOST_ITEMS)))
    assert "item" not in signposts(web.get("/catalog/alpha", headers=turtle))


@pytest.mark.parametrize("address", ADDRESSES)
def test_schema_org_comes_by_profile_and_by_accept(web: TestClient, released: Make, address: str) -> None:
    released("lungs")
    asked = web.get(f"{address}?profile=schema.org")
    assert asked.headers["content-type"] == "application/ld+json"
    assert asked.json()["@context"] == "https://schema.org/"
    assert asked.json() == web.get(address, headers=BY_ACCEPT).json()
    plain = web.get(address, headers={"Accept": "application/ld+json"})
    assert "schema.org" not in plain.text, "without the profile it is the document in RDF"
    known = web.get(address, headers={**BY_ACCEPT, "If-None-Match": asked.headers["etag"]})
    assert known.status_code == 304
    turtle = web.get(f"{address}?profile=schema.org", headers={"Accept": "text/turtle"})
    assert turtle.status_code == 406


def test_a_wish_for_another_format_wins_over_schema_org(web: TestClient, released: Make) -> None:
    released("lungs")
    accept = f"text/turtle, {BY_ACCEPT['Accept']};q=0.5"
    answer = web.get("/datasets/alpha/lungs", headers={"Accept": accept})
    assert answer.headers["content-type"] == "text/turtle"


def test_a_dataset_in_words_of_schema_org(web: TestClient, released: Make) -> None:
    released("lungs", licence=LICENCE)
    said = web.get("/datasets/alpha/lungs?profile=schema.org").json()
    assert (said["@type"], said["@id"], said["name"]) == ("Dataset", LUNGS, "Lung screening CT")
    assert said["description"] == "Low-dose chest CT of a screening programme."
    assert (said["keywords"], said["version"], said["license"]) == (["lung", "screening"], "1", LICENCE)
    assert said["temporalCoverage"] == "2015/2019"
    assert said["publisher"]["name"] == "Alpha Biobank"
    assert said["includedInDataCatalog"]["@id"] == CATALOG
    assert said["conditionsOfAccess"].endswith("/access-right/NON_PUBLIC")
    assert [each["@id"] for each in said["distribution"]] == [f"{LUNGS}#in-situ"]


def test_schema_org_says_what_a_dataset_is_about(web: TestClient, released: Make) -> None:
    released("lungs", stewardship=Stewardship(conditions=("copd",)))
    released("brains")
    found = web.get("/datasets/alpha/lungs?profile=schema.org").json()
    assert [(each["@type"], each["sameAs"]) for each in found["about"]] == [
        ("MedicalCondition", "http://purl.obolibrary.org/obo/MONDO_0005002")
    ]
    assert "about" not in web.get("/datasets/alpha/brains?profile=schema.org").json()


def test_catalog_and_root_in_words_of_schema_org(web: TestClient, released: Make) -> None:
    released("lungs")
    catalog = web.get("/catalog/alpha?profile=schema.org").json()
    assert (catalog["@type"], catalog["name"]) == ("DataCatalog", "Alpha")
    assert catalog["dataset"] == [{"@type": "Dataset", "@id": LUNGS}]
    root = web.get("/?profile=schema.org").json()
    assert [each["@id"] for each in root["hasPart"]] == [catalog["@id"]]
    assert catalog["isPartOf"]["@id"] == root["@id"]
