"""fairclient and fairdatapoint-client, as they come, create, publish, change and delete on a live hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from rdflib import Graph, Namespace, URIRef
from rdflib.namespace import DCTERMS
from tests.peers.conftest import ADMIN, PASSWORD

from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import Role
from fairbank.database import writing

pytestmark = pytest.mark.peers
LDP = Namespace("http://www.w3.org/ns/ldp#")
KINDS = ("catalog", "dataset", "distribution")
Driver = Callable[..., Any]


@pytest.fixture(scope="module")
def made(live: Any, driver: Driver) -> dict[str, str]:
    """What fairclient created and published, each by its IRI, and a draft."""
    found: dict[str, str] = driver("publish", live.url, ADMIN, PASSWORD)
    return found


def read(iri: str) -> Graph:
    """Return what a stranger reads at an IRI."""
    answer = httpx.get(iri, headers={"Accept": "text/turtle"})
    assert answer.status_code == 200, answer.text
    return Graph().parse(data=answer.text, format="turtle")


def members(iri: str) -> set[str]:
    return {str(each) for each in read(iri).objects(URIRef(iri), LDP.contains)}


def test_what_fairclient_published_is_read_by_strangers(made: dict[str, str]) -> None:
    titles = {kind: str(read(made[kind]).value(URIRef(made[kind]), DCTERMS.title)) for kind in KINDS}
    assert titles == {"catalog": "Ailleurs – été", "dataset": "Études", "distribution": "Fichiers"}


def test_what_it_published_is_in_the_containers(live: Any, made: dict[str, str]) -> None:
    assert made["catalog"] in members(f"{live.url}/")
    assert members(made["catalog"]) == {made["dataset"]}
    assert members(made["dataset"]) == {made["distribution"]}


def test_a_container_leads_fairdatapoint_client_to_what_fairclient_published(
    live: Any, driver: Driver, made: dict[str, str]
) -> None:
    seen = driver("walk", live.url)
    assert made["distribution"] in seen["distributions"]
    assert {made["catalog"], made["dataset"]} <= set(seen["seen"])


def test_its_author_reads_a_draft_and_nobody_else(live: Any, made: dict[str, str]) -> None:
    assert made["draft_status"] == 200
    assert httpx.get(made["draft"]).status_code == 404
    for address in ("/datasets", "/dataset", "/search?q=canary", "/expanded"):
        assert "canary" not in httpx.get(f"{live.url}{address}").text


def test_fairclient_finds_a_dataset_by_its_author_s_identifier(
    live: Any, driver: Driver, made: dict[str, str]
) -> None:
    assert driver("find", live.url, "my own dataset", made["catalog"]) == made["dataset"]


def test_fairclient_changes_what_is_published_and_deletes(live: Any, driver: Driver) -> None:
    made = driver("publish", live.url, ADMIN, PASSWORD)
    driver("change", live.url, ADMIN, PASSWORD, made["catalog"], made["dataset"], made["distribution"])
    assert str(read(made["dataset"]).value(URIRef(made["dataset"]), DCTERMS.title)) == "Études, revues"
    assert httpx.get(made["distribution"]).status_code == 410
    assert members(made["dataset"]) == set()


def test_fairclient_s_user_is_told_why_something_is_refused(live: Any, driver: Driver) -> None:
    wrong_password, untitled, harvested, orphan = driver("refused", live.url, ADMIN, PASSWORD)
    assert wrong_password[0] == 401
    assert untitled[0] == 400 and "title" in untitled[1]
    assert harvested[0] == 403 and "node" in harvested[1]
    assert orphan[0] == 400 and "isPartOf" in orphan[1]


def test_who_may_not_write_is_told_so(live: Any, driver: Driver) -> None:
    with writing(live.hub.engine) as session:
        accounts.create_account(session, live.hub, name="rita", password=PASSWORD, roles=[Role.RESEARCHER])
    answers = driver("refused", live.url, "rita", PASSWORD)
    assert [status for status, _ in answers] == [401, 403, 403, 403]


def test_fairdatapoint_client_creates_changes_and_deletes_in_three_formats(live: Any, driver: Driver) -> None:
    found = driver("write", live.url, ADMIN, PASSWORD)
    assert found["seen"] == [f"{word} {kind}" for kind in KINDS for word in ("One", "Another")]
    assert found["gone"] == ["distribution", "dataset", "catalog"]
