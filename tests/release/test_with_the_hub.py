"""The door against the hub's own routes, over a real socket: what the fake hub of the other tests promises is true."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from fairbank.catalogue import nodes, records, routes, uploads
from fairbank.catalogue.context import Hub, init_hub
from fairbank.catalogue.route_parts import join
from fairbank.clock import FixedClock, SystemClock
from fairbank.database import reading, writing
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.record import DatasetRecord
from fairbank.release import ledger
from fairbank.release.candidates import Candidate
from fairbank.release.disclosure import suppress_record
from fairbank.release.errors import KeyNotEnrolled, NodeClockOff, ReleaseConflict
from fairbank.release.hub_client import HubClient
from fairbank.release.node import Node, enrol, init_node, open_node
from fairbank.release.outbox import Outbox
from fairbank.release.releases import Release
from fairbank.settings import Settings
from fairbank.signing import SigningKey
from fairbank.web.problems import add_handlers

CELLS = [("CT", "CHEST", 90, 40, 30), ("MR", "BRAIN", 50, 30, 20)]
Make = Callable[..., DatasetRecord]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    settings = Settings(home=tmp_path / "hub", jobs_chunk_bytes=65_536, release_minimum_count=5)
    made = init_hub(settings, SystemClock(), public_base_iri="http://hub.test")
    yield made
    made.queries.close()
    made.engine.dispose()


@pytest.fixture
def address(hub: Hub, free_port: int) -> Iterator[str]:
    app = FastAPI()
    add_handlers(app)
    receivers = {DoorClass.RECORD: records.RecordReceiver(hub)}
    may_read = [lambda session, reader, digest: True]
    join(app.router, routes.router(hub), uploads.router(hub, receivers=receivers, may_read=may_read))
    server = uvicorn.Server(uvicorn.Config(app, port=free_port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{free_port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def node(hub: Hub, address: str, tmp_path: Path) -> Node:
    # Pieces as small as the setting allows would need a record of megabytes; a copy of the settings may go below.
    settings = Settings(home=tmp_path / "node", release_minimum_count=5, jobs_chunk_bytes=300)
    made = init_node(settings, SystemClock(), name="biobank-a", title="Biobank A")
    with writing(hub.engine) as session:
        token = nodes.invite(session, hub, actor="admin")
    enrol(made, hub_url=address, token=token, hub_key=hub.key.public.fingerprint)
    return open_node(settings, SystemClock())


def staged(node: Node, make_record: Make, **changes: object) -> Release:
    record = suppress_record(make_record(CELLS, subjects=40, **changes), 5)
    candidate = Candidate(
        DoorClass.RECORD, "record-lungs", record.seal(node.key), "application/vnd.fairbank.record.v1+json"
    )
    outbox = Outbox(node)
    with writing(node.engine) as session:
        release = outbox.stage(session, candidate)
        return outbox.approve(session, release.id, by="curator")


def test_a_record_reaches_the_catalogue_in_pieces(hub: Hub, node: Node, make_record: Make) -> None:
    release = staged(node, make_record)
    assert release.size_bytes > 3 * node.settings.jobs_chunk_bytes
    client = HubClient.of(node)
    answer = Outbox(node, client).send(release.id)
    assert answer["state"] == "complete"
    listed = client.get("/datasets")
    assert "Lungs" in str(listed)
    with reading(node.engine) as session:
        assert ledger.bytes_by_class(session)[DoorClass.RECORD].size_bytes == release.size_bytes


def test_a_release_that_the_hub_has_is_not_sent_again(hub: Hub, node: Node, make_record: Make) -> None:
    release = staged(node, make_record)
    outbox = Outbox(node, HubClient.of(node))
    outbox._complete = lambda release_id: None  # type: ignore[method-assign]  # the node dies before it notes the answer
    outbox.send(release.id)
    again = Outbox(node, HubClient.of(node))
    assert again.send(release.id) == {"state": "complete"}


def test_half_an_upload_is_finished(hub: Hub, node: Node, make_record: Make) -> None:
    release = staged(node, make_record)
    client = HubClient.of(node)
    deliver, sent = client.deliver, []

    def dying(method: str, path: str, **given: object):
        if method == "PUT" and len(sent) == 2:
            raise RuntimeError("killed")
        if method == "PUT":
            sent.append(given["body"])
        return deliver(method, path, **given)

    client.deliver = dying  # type: ignore[method-assign]  # the node dies in the middle
    with pytest.raises(RuntimeError):
        Outbox(node, client).send(release.id)
    client.deliver = lambda method, path, **given: (  # type: ignore[method-assign]  # what is sent is counted
        sent.append(given.get("body", b"")),
        deliver(method, path, **given),
    )[1]
    assert Outbox(node, client).send(release.id)["state"] == "complete"
    assert sum(len(piece) for piece in sent) == release.size_bytes


def test_what_the_hub_keeps_can_be_fetched_by_digest(node: Node, make_record: Make, tmp_path: Path) -> None:
    release = staged(node, make_record)
    client = HubClient.of(node)
    Outbox(node, client).send(release.id)
    (tmp_path / "copy.part").write_bytes((node.outbox_path / release.digest[7:]).read_bytes()[:100])
    fetched = client.download(release.digest, tmp_path / "copy")
    assert fetched.stat().st_size == release.size_bytes


def test_a_node_with_a_wrong_key_is_told_so(node: Node) -> None:
    other = HubClient.of(replace(node, key=SigningKey.generate()))
    with pytest.raises(KeyNotEnrolled):
        other.deliver("HEAD", f"/v1/releases/{node.clock.new_id()}")
    with pytest.raises(KeyNotEnrolled):
        other.deliver("PUT", f"/v1/releases/{node.clock.new_id()}", body=b"x", content_type="text/plain")


def test_a_node_with_a_clock_off_by_an_hour_is_told_so_at_each_try(node: Node, make_record: Make) -> None:
    release = staged(node, make_record)
    late = FixedClock(node.clock.now())
    late.advance(-3600)
    wrong = replace(node, clock=late)
    for _ in range(2):
        with pytest.raises(NodeClockOff, match="clocks differ"):
            Outbox(wrong, HubClient.of(wrong)).send(release.id)
    assert Outbox(node, HubClient.of(node)).send(release.id)["state"] == "complete"


def test_an_older_record_of_a_restored_node_is_a_conflict_and_changes_nothing(
    hub: Hub, node: Node, make_record: Make
) -> None:
    outbox = Outbox(node, HubClient.of(node))
    outbox.send(staged(node, make_record, version=2).id)
    old = staged(node, make_record, version=1)
    with pytest.raises(Exception, match=r"version|other bytes") as refused:
        outbox.send(old.id)
    assert not isinstance(refused.value, KeyNotEnrolled)
    assert isinstance(refused.value, ReleaseConflict) or getattr(refused.value, "remote_code", "").startswith(
        "FB-CAT"
    )


def test_a_node_withdraws_its_dataset_by_one_word_that_the_ledger_shows(
    hub: Hub, node: Node, make_record: Make
) -> None:
    from fairbank.harvest.datasets import Description, define_dataset
    from fairbank.harvest.errors import UnknownDataset
    from fairbank.harvest.withdrawal import withdraw_dataset
    from fairbank.ontology.record import CollectionKind
    from fairbank.ontology.withdrawal import WithdrawalReason

    client = HubClient.of(node)
    Outbox(node, client).send(staged(node, make_record).id)
    (listed,) = client.get("/datasets")["datasets"]
    with pytest.raises(UnknownDataset):
        withdraw_dataset(node, listed["dataset"], WithdrawalReason.ERROR)
    said = Description("Lungs", "Chest CT.", CollectionKind.TEST, data_use=("DUO:0000042",))
    define_dataset(node, listed["dataset"], project="thorax", description=said)
    answer = withdraw_dataset(node, listed["dataset"], WithdrawalReason.CONSENT_WITHDRAWN)
    assert (answer["iri"], answer["reason"]) == (listed["iri"], "consent_withdrawn")
    assert client.get("/datasets")["datasets"] == []
    with reading(node.engine) as session:
        entry = ledger.entries(session, limit=1)[0]
        body = ledger.content(entry, node.outbox_path)
    assert body == b'{"schema":"withdrawal/1","reason":"consent_withdrawn"}'
    assert entry.name == f"PUT /v1/datasets/{listed['dataset']}/withdrawal"


def test_the_commands_withdraw_a_dataset_and_list_its_versions(
    node: Node, address: str, make_record: Make, fairbank: Callable[..., Any]
) -> None:
    from fairbank.harvest.datasets import Description, define_dataset
    from fairbank.ontology.record import CollectionKind

    Outbox(node, HubClient.of(node)).send(staged(node, make_record).id)

    def run(*words: str) -> Any:
        return fairbank("--hub", address, "dataset", *words, home=node.settings.home)

    (listed,) = json.loads(run("list", "--format", "json").ok().out)
    name = listed["iri"].rpartition("/")[2]
    (version,) = json.loads(run("versions", listed["iri"], "--format", "json").ok().out)
    assert version["version"] == 1 and version["signed_by"] == node.key.key_id
    shown = run("show", f"biobank-a/{name}", "--version", "1", "--format", "json").ok().out
    assert json.loads(shown)["digest"] == version["digest"]
    run("show", f"biobank-a/{name}", "--version", "2").refused("FB-CAT-070", "no version 2")
    run("withdraw", name, "--reason", "moved").refused(name)
    said = Description("Lungs", "Chest CT.", CollectionKind.TEST, data_use=("DUO:0000042",))
    define_dataset(node, name, project="thorax", description=said)
    run("withdraw", name, "--reason", "bored").refused("bored", code=2)
    assert "moved" in run("withdraw", name, "--reason", "moved").ok().out
    run("versions", f"biobank-a/{name}").refused("FB-CAT-072", "withdrawn on", "moved")
