"""A node is told of the visas over its own datasets, as they were sealed, and believes them by their signatures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.catalogue.granting import a_committee, a_request, account_of, grant_all, submit

from fairbank.catalogue import hub_keys
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import grants
from fairbank.catalogue.governance.store import RequestRow
from fairbank.database import writing
from fairbank.ontology.person_objects import CountersignWord
from fairbank.ontology.signed_objects import Visa
from fairbank.release import grants as site_grants
from fairbank.release.errors import GrantUntrusted
from fairbank.release.node import Enrolment, Node, init_node
from fairbank.release.people import add_person, unlock
from fairbank.settings import Settings

Make = Callable[..., Any]
LUNGS = "http://hub.test/datasets/alpha/lungs"


class Asked:
    """The hub's answers to a node, through the test's client."""

    def __init__(self, node: Any, client: Any) -> None:
        self.node, self.client, self.change = node, client, lambda answer: answer

    def get(self, path: str) -> dict[str, Any]:
        if path == "/v1/hub":
            return self.client.get(path).json()
        return self.change(self.node.send("GET", path).json())


@pytest.fixture
def alpha(released: Make) -> Any:
    return released("lungs")


@pytest.fixture
def carla(hub: Hub, person_named: Make, alpha: Any) -> Any:
    made = person_named("carla", Role.COMMITTEE)
    a_committee(hub, ["alpha"], ["carla"])
    return made


@pytest.fixture
def granted(hub: Hub, person_named: Make, carla: Any) -> str:
    rita = person_named("rita", Role.RESEARCHER)
    request_id = submit(hub, rita, a_request(hub, rita, [LUNGS]))
    grant_all(hub, account_of(hub, carla), request_id, conditions=(), tool_families=("measure",))
    return request_id


@pytest.fixture
def site(hub: Hub, tmp_path: Path) -> Node:
    made = init_node(Settings(home=tmp_path / "site"), hub.clock, name="alpha")
    return replace(made, enrolment=Enrolment("http://hub.test", hub.key.key_id, hub.base_iri, "alpha"))


@pytest.fixture
def asked(alpha: Any, client: Any) -> Asked:
    return Asked(alpha, client)


def test_a_node_is_told_of_its_own_grants_and_of_no_others(
    hub: Hub, granted: str, alpha: Any, node_named: Make
) -> None:
    (told,) = alpha.send("GET", "/v1/node/grants").json()["grants"]
    visa, _ = Visa.open(told["visa"].encode(), trusted=[hub.key.key_id])
    assert ([one.iri for one in visa.datasets], told["state"]) == ([LUNGS], "holds")
    assert node_named("beta").send("GET", "/v1/node/grants").json()["grants"] == []


def test_who_is_no_node_is_told_nothing(granted: str, client: Any) -> None:
    assert client.get("/v1/node/grants").status_code == 401


def test_what_ended_is_told_as_ended(hub: Hub, granted: str, alpha: Any) -> None:
    hub.clock.advance(40 * 86_400)
    alpha.clock.advance(40 * 86_400)
    (told,) = alpha.send("GET", "/v1/node/grants").json()["grants"]
    assert told["state"] == "ended"


def test_a_site_fetches_verifies_and_countersigns(granted: str, site: Node, asked: Asked) -> None:
    assert site_grants.fetch(site, asked) == 1  # type: ignore[arg-type]
    (grant,) = site_grants.grants(site)
    assert (grant.request.requester_account, grant.words) == ("rita", {LUNGS: None})
    add_person(site, "ada", "correct horse")
    ada = unlock(site, "ada", "correct horse")
    site_grants.say(site, grant, LUNGS, CountersignWord.COUNTERSIGNED, reason="looked at", signer=ada)
    assert site_grants.find(site, grant.visa.id).words == {LUNGS: CountersignWord.COUNTERSIGNED}


def test_a_visa_with_another_request_beside_it_is_not_kept(
    hub: Hub, granted: str, site: Node, asked: Asked, person_named: Make
) -> None:
    rita = person_named("mallory", Role.RESEARCHER)
    other = a_request(hub, rita, [LUNGS]).seal(rita.key).decode()
    asked.change = lambda answer: {
        **answer, "grants": [{**each, "request": other} for each in answer["grants"]]
    }  # fmt: skip
    with pytest.raises(GrantUntrusted):
        site_grants.fetch(site, asked)  # type: ignore[arg-type]
    assert site_grants.grants(site) == []


def test_after_the_hub_s_key_was_replaced_old_and_new_visas_are_believed(
    hub: Hub, granted: str, site: Node, asked: Asked
) -> None:
    new = hub_keys.rotate(hub, actor="operator")
    hub.clock.advance(60)
    asked.node.clock.advance(60)
    with writing(hub.engine) as session:
        row = grants.seal(hub, session, session.get_one(RequestRow, granted))
    assert Visa.open(row.envelope, trusted=None)[1].signer == new.key_id
    assert site_grants.fetch(site, asked) == 2  # type: ignore[arg-type]
    newest, first = site_grants.grants(site)
    assert newest.visa.supersedes == first.digest
    assert (newest.state, first.state) == ("holds", "ended")


def test_an_administrator_suspends_and_resumes_a_node(
    hub: Hub, alpha: Any, client: Any, person_named: Make
) -> None:
    anna, rita = person_named("anna", Role.ADMIN), person_named("rita", Role.RESEARCHER)
    path = "/v1/nodes/alpha/suspension"
    assert client.put(path, headers=rita.headers).status_code == 403
    assert client.put(path, headers=anna.headers).status_code == 204
    refused = alpha.send("GET", "/v1/node/grants")
    assert (refused.status_code, refused.json()["code"]) == (403, "FB-REL-036")
    (listed,) = client.get("/v1/nodes").json()["nodes"]
    assert listed["suspended"] is not None
    assert client.get("/datasets/alpha/lungs", headers={"Accept": "application/json"}).status_code == 200
    assert client.delete(path, headers=anna.headers).status_code == 204
    assert alpha.send("GET", "/v1/node/grants").status_code == 200
