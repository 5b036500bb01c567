from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from fairbank.clock import FixedClock
from fairbank.database import reading
from fairbank.ontology.outputs import DoorClass
from fairbank.release import ledger
from fairbank.release.errors import (
    BadAnswer,
    BadNodeName,
    HubKeyChanged,
    NodeExists,
    NoNode,
    NotEnrolled,
    ReleaseBytesLost,
)
from fairbank.release.hub_client import HubClient
from fairbank.release.node import Node, enrol, init_node, open_node
from fairbank.settings import Settings
from fairbank.signing import KeyFileError, PublicKey, SigningKey

TOKEN = "fbi_secret-of-the-administrator"


@pytest.fixture
def fresh(settings: Settings, clock: FixedClock) -> Node:
    return init_node(settings, clock, name="biobank-a", title="Biobank A")


def test_a_node_s_key_is_made_once_and_only_the_node_reads_it(fresh: Node) -> None:
    file = fresh.settings.keys_path / "node.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((fresh.settings.home / "node.db").stat().st_mode) == 0o600
    again = init_node(fresh.settings, fresh.clock, name="biobank-a")
    assert again.key.key_id == fresh.key.key_id


def test_a_home_folder_holds_one_node(fresh: Node) -> None:
    with pytest.raises(NodeExists, match="biobank-a"):
        init_node(fresh.settings, fresh.clock, name="biobank-b")


@pytest.mark.parametrize("name", ["", "Biobank", "a b", "../a", "-a", "x" * 64])
def test_a_name_that_is_no_part_of_an_address_is_refused(
    settings: Settings, clock: FixedClock, name: str
) -> None:
    with pytest.raises(BadNodeName):
        init_node(settings, clock, name=name)


def test_an_empty_home_holds_no_node(settings: Settings, clock: FixedClock) -> None:
    with pytest.raises(NoNode):
        open_node(settings, clock)
    assert not settings.home.exists()


def test_a_key_that_others_can_read_is_refused(fresh: Node) -> None:
    (fresh.settings.keys_path / "node.pem").chmod(0o644)
    with pytest.raises(KeyFileError, match="0644"):
        open_node(fresh.settings, fresh.clock)


def test_a_set_up_that_was_killed_half_way_is_finished_by_the_next(
    settings: Settings, clock: FixedClock
) -> None:
    SigningKey.generate().save(settings.keys_path / "node.pem")
    with pytest.raises(NoNode):
        open_node(settings, clock)
    assert init_node(settings, clock, name="biobank-a").name == "biobank-a"


def test_enrolling_pins_the_hub_s_key(fresh: Node, hub, connect: Callable[[Node], HubClient]) -> None:
    enrolment = enrol(fresh, hub_url="http://hub.test/", token=TOKEN, client=connect(fresh))
    assert enrolment.hub_key == hub.key.key_id
    assert open_node(fresh.settings, fresh.clock).enrolment == enrolment


def test_enrolling_tells_name_title_key_and_token(fresh: Node, hub, connect) -> None:
    enrol(fresh, hub_url="http://hub.test", token=TOKEN, client=connect(fresh))
    assert json.loads(hub.bodies[0][2]) == {
        "schema": "enrolment/1", "node": "biobank-a", "title": "Biobank A", "key": fresh.key.key_id, "token": TOKEN,
        "place": {"results": ["any"], "updates": ["any"], "peers": ["any"]},
    }  # fmt: skip


def test_the_ledger_notes_the_enrolment_without_its_token(fresh: Node, connect) -> None:
    enrol(fresh, hub_url="http://hub.test", token=TOKEN, client=connect(fresh))
    with reading(fresh.engine) as session:
        entry = ledger.entries(session)[0]
    assert (entry.door_class, entry.name, entry.state) == (
        DoorClass.CONTROL, "POST /v1/enrolments", ledger.EntryState.SENT,
    )  # fmt: skip
    with pytest.raises(ReleaseBytesLost):
        ledger.content(entry, fresh.outbox_path)
    database = b"".join(path.read_bytes() for path in fresh.settings.home.glob("node.db*"))
    assert TOKEN.encode() not in database


def test_a_key_that_the_administrator_told_is_checked_before_the_token_is_sent(
    fresh: Node, hub, connect
) -> None:
    other = PublicKey.parse(SigningKey.generate().key_id).fingerprint
    with pytest.raises(HubKeyChanged):
        enrol(fresh, hub_url="http://hub.test", token=TOKEN, hub_key=other, client=connect(fresh))
    assert hub.bodies == []


def test_the_fingerprint_that_the_administrator_told_is_enough(fresh: Node, hub, connect) -> None:
    told = PublicKey.parse(hub.key.key_id).fingerprint
    assert enrol(fresh, hub_url="http://hub.test", token=TOKEN, hub_key=told, client=connect(fresh))


def test_a_hub_with_another_root_key_is_refused(fresh: Node, hub, connect) -> None:
    enrol(fresh, hub_url="http://hub.test", token=TOKEN, client=connect(fresh))
    enrolled = open_node(fresh.settings, fresh.clock)
    old, hub.key = hub.key.key_id, SigningKey.generate()
    with pytest.raises(HubKeyChanged):
        enrol(enrolled, hub_url="http://hub.test", token=TOKEN, client=connect(enrolled))
    kept = open_node(fresh.settings, fresh.clock).enrolment
    assert kept is not None and kept.hub_key == old


def test_something_that_is_no_hub_gets_no_token(fresh: Node, hub, connect) -> None:
    import httpx

    hub.faults = [lambda _: httpx.Response(200, json={"hello": "world"})]
    with pytest.raises(BadAnswer):
        enrol(fresh, hub_url="http://hub.test", token=TOKEN, client=connect(fresh))
    assert hub.bodies == []


def test_a_node_without_a_hub_has_no_connection(fresh: Node) -> None:
    with pytest.raises(NotEnrolled):
        HubClient.of(fresh)


def test_an_enrolled_node_connects_to_its_hub(node: Node) -> None:
    client = HubClient.of(node)
    assert client.base_url == "http://hub.test"
    client.close()


def test_the_authority_of_the_settings_is_the_one_that_is_trusted(node: Node, tmp_path: Path) -> None:
    import dataclasses

    trustme = pytest.importorskip("trustme")
    pem = tmp_path / "authority.pem"
    trustme.CA().cert_pem.write_to_path(str(pem))
    settings = dataclasses.replace(node.settings, hub_authority=str(pem))
    HubClient.of(dataclasses.replace(node, settings=settings)).close()
