"""Nodes enrol once, and each of their requests is admitted by its signature, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import nodes
from fairbank.catalogue.context import Hub, init_hub, open_hub
from fairbank.catalogue.errors import HubExists, HubNotInitialised, InvitationRefused, NodeNameTaken
from fairbank.catalogue.store import NonceRow
from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.ontology.places import NodePlace
from fairbank.settings import Settings
from fairbank.signing import SigningKey

Make = Callable[..., Any]
PROBE = "/v1/releases/00000000-0000-7000-8000-000000000001"


def wish(node: Any, token: str) -> nodes.Enrolment:
    return nodes.Enrolment(node=node.name, key=node.key.key_id, token=token, title="A node")


def token_for(hub: Hub, **named: Any) -> str:
    with writing(hub.engine) as session:
        return nodes.invite(session, hub, actor="admin", **named)


def test_a_hub_is_made_once(hub: Hub, settings: Settings) -> None:
    with pytest.raises(HubExists):
        init_hub(settings, hub.clock, public_base_iri="http://other.test")


def test_an_opened_hub_keeps_its_key_and_its_base(hub: Hub, settings: Settings) -> None:
    again = open_hub(settings, hub.clock)
    assert (again.key.key_id, again.base_iri) == (hub.key.key_id, "http://hub.test")
    again.engine.dispose()


def test_a_home_without_a_hub_is_refused(tmp_path: Any, settings: Settings, clock: FixedClock) -> None:
    with pytest.raises(HubNotInitialised):
        open_hub(settings, clock)


@pytest.mark.parametrize("base", ["ftp://x", "http://x/?q", "hub.test", "http://x y"])
def test_a_base_that_is_no_address_is_refused(settings: Settings, clock: FixedClock, base: str) -> None:
    with pytest.raises(HubNotInitialised):
        init_hub(settings, clock, public_base_iri=base)


def test_the_key_and_the_blobs_are_private(hub: Hub, settings: Settings) -> None:
    assert (settings.keys_path / "hub.pem").stat().st_mode & 0o777 == 0o600
    assert hub.blobs.stat().st_mode & 0o077 == 0


def test_a_node_enrols_over_http_and_learns_the_hub_s_key(
    hub: Hub, client: TestClient, node_named: Make
) -> None:
    node = node_named("alpha", enrolled=False)
    answer = node.send("POST", "/v1/enrolments", wish(node, token_for(hub)).to_bytes())
    assert answer.status_code == 201
    assert answer.json()["hub_key"] == hub.key.key_id
    assert [each["name"] for each in client.get("/v1/nodes").json()["nodes"]] == ["alpha"]


def test_an_enrolment_signed_with_another_key_is_refused(hub: Hub, node_named: Make) -> None:
    node = node_named("alpha", enrolled=False)
    body = wish(node, token_for(hub)).to_bytes()
    node.key = SigningKey.generate()
    assert node.send("POST", "/v1/enrolments", body).json()["code"] == "FB-CAT-012"


def test_a_token_works_once(hub: Hub, node_named: Make) -> None:
    token = token_for(hub)
    nodes.enrol(hub, wish(node_named("alpha", enrolled=False), token))
    with pytest.raises(InvitationRefused):
        nodes.enrol(hub, wish(node_named("beta", enrolled=False), token))


def test_an_enrolment_whose_answer_was_lost_can_be_repeated(hub: Hub, node_named: Make) -> None:
    same = wish(node_named("alpha", enrolled=False), token_for(hub))
    assert nodes.enrol(hub, same) == nodes.enrol(hub, same)


def test_an_old_token_is_refused(hub: Hub, clock: FixedClock, node_named: Make) -> None:
    token = token_for(hub)
    clock.advance(8 * 86_400)
    with pytest.raises(InvitationRefused):
        nodes.enrol(hub, wish(node_named("alpha", enrolled=False), token))


def test_a_token_for_a_name_serves_no_other(hub: Hub, node_named: Make) -> None:
    with pytest.raises(InvitationRefused):
        nodes.enrol(hub, wish(node_named("beta", enrolled=False), token_for(hub, node="alpha")))


def test_a_name_belongs_to_one_node(hub: Hub, node_named: Make) -> None:
    node_named("alpha")
    with pytest.raises(NodeNameTaken):
        nodes.enrol(hub, wish(node_named("alpha", enrolled=False), token_for(hub)))


def test_the_token_is_not_in_the_database(hub: Hub, settings: Settings) -> None:
    token = token_for(hub)
    files = [path.read_bytes() for path in settings.home.glob("hub.db*")]
    assert (files or settings.hub_database) and not any(token.encode() in content for content in files)


def test_an_enrolled_node_is_admitted(node_named: Make) -> None:
    answer = node_named("alpha").send("HEAD", PROBE)
    assert answer.status_code == 404  # admitted; there is no such upload


def test_a_request_without_signature_is_refused(client: TestClient) -> None:
    assert client.head(PROBE).status_code == 401


def test_a_replayed_request_is_refused(client: TestClient, node_named: Make) -> None:
    node = node_named("alpha")
    path = "/v1/blobs/sha256:" + "0" * 64
    headers = node.signed("GET", path)
    assert client.get(path, headers=headers).json()["code"] == "FB-CAT-033"
    replayed = client.get(path, headers=headers)
    assert (replayed.status_code, replayed.json()["code"]) == (409, "FB-CORE-016")


def test_a_key_that_is_not_enrolled_is_refused(node_named: Make) -> None:
    node = node_named("alpha")
    node.key = SigningKey.generate()
    answer = node.send("GET", "/v1/blobs/sha256:" + "0" * 64)
    assert (answer.status_code, answer.json()["code"]) == (401, "FB-CAT-012")


@pytest.mark.parametrize("offset_s", [3600, -3600])
def test_a_clock_off_by_an_hour_is_refused_with_what_to_do(node_named: Make, offset_s: int) -> None:
    node = node_named("alpha")
    node.clock.advance(offset_s)
    answer = node.send("GET", "/v1/blobs/sha256:" + "0" * 64)
    assert (answer.status_code, answer.json()["code"]) == (401, "FB-CORE-015")
    assert "3600 s" in answer.json()["title"] and "NTP" in answer.json()["todo"]


def test_a_changed_body_is_refused(client: TestClient, node_named: Make) -> None:
    node = node_named("alpha")
    path = "/v1/datasets/lungs/visibility"
    headers = node.signed("PUT", path, b'{"schema":"visibility/1","visibility":"hidden"}')
    answer = client.put(path, content=b'{"schema":"visibility/1","visibility":"public"}', headers=headers)
    assert answer.json()["code"] == "FB-CORE-014"


def test_a_changed_path_is_refused(client: TestClient, node_named: Make) -> None:
    node = node_named("alpha")
    headers = node.signed("GET", "/v1/blobs/sha256:" + "0" * 64)
    answer = client.get("/v1/blobs/sha256:" + "1" * 64, headers=headers)
    assert answer.json()["code"] == "FB-CORE-014"


def test_behind_a_proxy_the_outer_host_is_what_was_signed(client: TestClient, node_named: Make) -> None:
    node = node_named("alpha")
    path = "/v1/blobs/sha256:" + "0" * 64
    headers = node.signed("GET", path)
    inner = client.get(f"http://inside.test:9000{path}", headers={**headers, "Host": "hub.test"})
    assert inner.json()["code"] == "FB-CAT-033"


def test_nonces_are_forgotten_when_their_signatures_are_too_old(
    hub: Hub, clock: FixedClock, node_named: Make
) -> None:
    node = node_named("alpha")
    node.send("HEAD", PROBE)
    clock.advance(300)
    node.clock.advance(300)
    node.send("HEAD", PROBE)
    with reading(hub.engine) as session:
        assert session.query(NonceRow).count() == 1


def test_a_node_that_was_shut_out_is_refused(hub: Hub, node_named: Make) -> None:
    node = node_named("alpha")
    with writing(hub.engine) as session:
        nodes.shut_out(session, hub, node="alpha", actor="admin")
    assert node.send("HEAD", PROBE).status_code == 401


def test_a_body_that_is_too_large_is_refused_unread(
    client: TestClient, node_named: Make, settings: Settings
) -> None:
    answer = node_named("alpha").release(b"x" * (settings.jobs_chunk_bytes + 1), door_class="result")
    assert (answer.status_code, answer.json()["code"]) == (413, "FB-CAT-013")


def test_a_body_without_a_length_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/login", content=iter([b"{}"]))
    assert answer.json()["code"] == "FB-CAT-014"


def test_unknown_keys_of_a_body_are_refused(hub: Hub, node_named: Make) -> None:
    node = node_named("alpha", enrolled=False)
    body = wish(node, token_for(hub)).to_bytes().replace(b'"node"', b'"colour":"red","node"')
    assert node.send("POST", "/v1/enrolments", body).json()["code"] == "FB-ONT-002"


def test_countries_are_what_nodes_told_of_themselves(hub: Hub, node_named: Make) -> None:
    for name, place in {"alpha": NodePlace(country="FR"), "beta": NodePlace(), "gamma": None}.items():
        node_named(name)
        if place is not None:
            with writing(hub.engine) as session:
                nodes.tell_place(hub, session, node=name, place=place)
    with reading(hub.engine) as session:
        told = nodes.countries_of(session, ["alpha", "beta", "gamma", "nobody"])
    assert told == {"alpha": "FR", "beta": None, "gamma": None, "nobody": None}
