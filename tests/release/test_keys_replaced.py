"""Keys of node and hub are replaced, with either side losing the answer; and a suspended node, at the hub's own app."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from fairbank import audit, audit_alarms, audit_checkpoints, audit_export
from fairbank.catalogue import hub_keys as hub_side
from fairbank.catalogue import nodes, records, routes, uploads
from fairbank.catalogue.context import KEY_FILE as KEY_OF_HUB
from fairbank.catalogue.context import NEXT_KEY_FILE as HUB_NEXT
from fairbank.catalogue.context import Hub, init_hub, open_hub
from fairbank.catalogue.errors import RootKeyElsewhere
from fairbank.catalogue.route_parts import join
from fairbank.catalogue.store import HubIdentity, NodeKeyRow
from fairbank.catalogue.store import NodeRow as KnownNode
from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.errors import RemoteError
from fairbank.federated_jobs.hub import node_logs
from fairbank.federated_jobs.node.hub_log import HubLog, anchors
from fairbank.ontology.key_succession import KeySuccession, Succession, sealed_by_both
from fairbank.ontology.outputs import DoorClass, OutputClass
from fairbank.ontology.record import DatasetRecord
from fairbank.ontology.signed_objects import GrantedDataset, Purpose, Selector, Visa
from fairbank.release import hub_keys, key_rotation
from fairbank.release.candidates import Candidate
from fairbank.release.disclosure import suppress_record
from fairbank.release.errors import (
    DecisionUntrusted,
    HubKeyChanged,
    HubUnreachable,
    KeyNotEnrolled,
    PersonNeeded,
    SuccessionUntrusted,
)
from fairbank.release.hub_client import HubClient, Retries
from fairbank.release.node import KEY_FILE, NEXT_KEY_FILE, Node, enrol, init_node, open_node
from fairbank.release.outbox import Outbox
from fairbank.release.outbox_review import Decision, decide
from fairbank.release.people import add_person, people, unlock
from fairbank.release.store import HubKeyRow, ReleaseRow
from fairbank.release.store import NodeKeyRow as OwnKeyRow
from fairbank.settings import Settings
from fairbank.signing import SigningKey
from fairbank.web.problems import add_handlers

CELLS = [("CT", "CHEST", 90, 40, 30)]
DAY = 86_400
PHRASE = "correct horse"
Make = Callable[..., DatasetRecord]


@pytest.fixture
def hub(tmp_path: Path, clock: FixedClock) -> Iterator[Hub]:
    made = init_hub(
        Settings(home=tmp_path / "hub", release_minimum_count=5), clock, public_base_iri="http://hub.test"
    )
    yield made
    made.queries.close()
    made.engine.dispose()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


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
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{free_port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def node(hub: Hub, address: str, clock: FixedClock, tmp_path: Path) -> Node:
    settings = Settings(home=tmp_path / "node", release_minimum_count=5)
    made = init_node(settings, clock, name="biobank-a")
    with writing(hub.engine) as session:
        token = nodes.invite(session, hub, actor="admin")
    enrol(made, hub_url=address, token=token, hub_key=hub.key.public.fingerprint)
    return open_node(settings, clock)


def clients(node: Node, *, lost: bool = False) -> Callable[[SigningKey], HubClient]:
    """Return what makes clients; with `lost` the hub's answer to a post never arrives."""

    def make(key: SigningKey) -> HubClient:
        assert node.enrolment is not None
        client = HubClient(
            node.enrolment.hub_url,
            key=key,
            clock=node.clock,
            retries=Retries(attempts=1),
            sleep=lambda s: None,
        )
        if lost:
            deliver = client.deliver

            def losing(method: str, path: str, **given: Any) -> Any:
                deliver(method, path, **given)
                raise HubUnreachable("The line broke.")

            client.deliver = losing  # type: ignore[method-assign]
        return client

    return make


def key_at(hub: Hub) -> str:
    with reading(hub.engine) as session:
        return session.get_one(KnownNode, "biobank-a").key_id


def ask(node: Node) -> dict[str, Any]:
    return clients(node)(node.key).get("/v1/node/grants")


# -- the node's key -----------------------------------------------------------------------------------------------


def test_a_node_replaces_its_key_and_both_sides_know(hub: Hub, node: Node) -> None:
    old = node.key.key_id
    done = key_rotation.rotate(node, client=clients(node))
    opened = open_node(node.settings, node.clock)
    assert key_at(hub) == opened.key.key_id == done.node.key.key_id != old
    assert opened.keys == (opened.key.key_id, old)
    assert not (node.settings.keys_path / NEXT_KEY_FILE).exists()
    assert ask(opened)["grants"] == []
    for engine, table in ((hub.engine, audit.HubAudit), (node.engine, audit.NodeAudit)):
        with reading(engine) as session:
            acts = [row.act for row in session.query(table)]
        assert "node.key-succession" in acts


def test_requests_under_the_old_key_pass_for_a_day_and_not_longer(
    hub: Hub, node: Node, clock: FixedClock
) -> None:
    key_rotation.rotate(node, client=clients(node))
    assert ask(node)["node"] == "biobank-a"
    clock.advance(DAY + 1)
    with pytest.raises(KeyNotEnrolled):
        ask(node)


@pytest.mark.parametrize("late", [False, True])
def test_a_rotation_whose_answer_was_lost_is_finished_by_the_next_try(
    hub: Hub, node: Node, clock: FixedClock, late: bool
) -> None:
    with pytest.raises(HubUnreachable):
        key_rotation.rotate(node, client=clients(node, lost=True))
    coming = SigningKey.load(node.settings.keys_path / NEXT_KEY_FILE).key_id
    assert key_at(hub) == coming
    still = open_node(node.settings, clock)
    assert still.key.key_id == node.key.key_id
    clock.advance(3 * DAY if late else 60)
    done = key_rotation.rotate(still, client=clients(still))
    assert (done.node.key.key_id, key_at(hub)) == (coming, coming)
    with reading(hub.engine) as session:
        assert [row.key_id for row in session.query(NodeKeyRow)] == [node.key.key_id]


def test_a_rotation_that_never_reached_the_hub_changes_nothing(hub: Hub, node: Node) -> None:
    def nobody(key: SigningKey) -> HubClient:
        return HubClient("http://127.0.0.1:9", key=key, clock=node.clock, retries=Retries(attempts=1))

    with pytest.raises(HubUnreachable):
        key_rotation.rotate(node, client=nobody)
    assert key_at(hub) == node.key.key_id
    assert open_node(node.settings, node.clock).key.key_id == node.key.key_id
    done = key_rotation.rotate(node, client=clients(node))
    assert key_at(hub) == done.node.key.key_id


def test_a_rotation_cut_off_before_the_files_moved_is_finished_when_the_node_opens(
    hub: Hub, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        key_rotation.rotate(node, client=clients(node))
    assert SigningKey.load(node.settings.keys_path / KEY_FILE).key_id == node.key.key_id
    opened = open_node(node.settings, node.clock)
    assert opened.key.key_id == key_at(hub) != node.key.key_id
    assert ask(opened)["grants"] == []


def test_an_agent_that_runs_meanwhile_goes_on_with_the_new_key(hub: Hub, node: Node) -> None:
    from fairbank.federated_jobs.node.agent import Agent

    class Nothing:
        def close(self) -> None: ...

    agent = Agent(node, client=clients(node)(node.key), runner=Nothing())  # type: ignore[arg-type]
    done = key_rotation.rotate(node, client=clients(node))
    agent._look_at_itself()
    assert agent._node.key.key_id == done.node.key.key_id
    assert agent._site.client._key.key_id == done.node.key.key_id
    assert agent._node.keys == (done.node.key.key_id, node.key.key_id)


def _succession(of: str, name: str, old: SigningKey, new: SigningKey, clock: FixedClock) -> Succession:
    words = KeySuccession(
        id=clock.new_id(), of=of, name=name, old=old.key_id, new=new.key_id, created=iso(clock.now())
    )
    return sealed_by_both(words, old, new)


@pytest.mark.parametrize("case", ["stranger's", "unproven", "another's", "used", "not succession"])
def test_the_hub_takes_no_key_that_the_present_one_did_not_seal(
    hub: Hub, node: Node, clock: FixedClock, case: str
) -> None:
    stranger, new = SigningKey.generate(), SigningKey.generate()
    genuine = _succession("node", "biobank-a", node.key, new, clock)
    by_stranger = _succession("node", "biobank-a", stranger, new, clock)
    sent = {
        "stranger's": by_stranger,
        "unproven": genuine.model_copy(update={"by_new": genuine.by_old}),
        "another's": _succession("node", "biobank-b", node.key, new, clock),
        "used": _succession("node", "biobank-a", node.key, node.key, clock),
        "not succession": genuine.model_copy(update={"by_old": "{}"}),
    }[case]
    with pytest.raises(RemoteError) as caught:
        clients(node)(node.key).deliver(
            "POST", key_rotation.PATH, body=sent.to_bytes(), content_type="application/json"
        )
    assert caught.value.remote_code == "FB-REL-035"
    assert key_at(hub) == node.key.key_id


def test_a_record_sealed_before_the_key_was_replaced_is_still_taken(
    hub: Hub, node: Node, make_record: Make
) -> None:
    record = suppress_record(make_record(CELLS, subjects=40), 5)
    candidate = Candidate(
        DoorClass.RECORD, "record-lungs", record.seal(node.key), "application/vnd.fairbank.record.v1+json"
    )
    with writing(node.engine) as session:
        release = Outbox(node).stage(session, candidate)
        Outbox(node).approve(session, release.id, by="curator")
    done = key_rotation.rotate(node, client=clients(node))
    outbox = Outbox(done.node, clients(done.node)(done.node.key))
    assert outbox.send(release.id)["state"] == "complete"
    with reading(done.node.engine) as session:
        assert len(outbox.published(session, "record-lungs")) == 1


def test_a_record_made_ready_in_the_database_does_not_leave(hub: Hub, node: Node, make_record: Make) -> None:
    add_person(node, "ada", PHRASE)
    ada = unlock(node, "ada", PHRASE)
    record = suppress_record(make_record(CELLS, subjects=40), 5)
    candidate = Candidate(
        DoorClass.RECORD, "record-lungs", record.seal(node.key), "application/vnd.fairbank.record.v1+json"
    )
    outbox = Outbox(node, clients(node)(node.key))
    with writing(node.engine) as session:
        release = outbox.stage(session, candidate)
    with pytest.raises(PersonNeeded):
        decide(node, release, Decision.APPROVE, by="curator", why="looked at")
    with writing(node.engine) as session:
        session.get_one(ReleaseRow, release.id).state = "ready"
    with pytest.raises(DecisionUntrusted):
        outbox.send(release.id)
    with writing(node.engine) as session:
        session.get_one(ReleaseRow, release.id).state = "held"
    decide(node, release, Decision.APPROVE, by="-", why="looked at", signer=ada)
    assert outbox.send(release.id)["state"] == "complete"


def test_people_brought_in_under_an_earlier_key_stay(hub: Hub, node: Node) -> None:
    add_person(node, "ada", PHRASE)
    with pytest.raises(PersonNeeded):
        key_rotation.rotate(node, client=clients(node))
    done = key_rotation.rotate(node, signer=unlock(node, "ada", PHRASE), client=clients(node))
    with reading(done.node.engine) as session:
        assert [one.name for one in people(session, done.node)] == ["ada"]


def test_a_key_written_into_the_database_as_an_earlier_one_is_no_word_of_the_node(
    tmp_path: Path, clock: FixedClock
) -> None:
    alone = init_node(Settings(home=tmp_path / "alone"), clock, name="alone")
    second = key_rotation.rotate(alone).node
    third = key_rotation.rotate(second).node
    thief = SigningKey.generate()
    mine = _succession("node", "alone", thief, SigningKey.generate(), clock)
    forged = [mine, mine.model_copy(update={"by_new": mine.by_old})]
    with writing(alone.engine) as session:
        for number, each in enumerate(forged):
            session.add(
                OwnKeyRow(key_id=f"{thief.key_id}{number}", succession=each.to_bytes(), succeeded=clock.now())
            )
    opened = open_node(alone.settings, clock)
    assert opened.keys == (third.key.key_id, second.key.key_id, alone.key.key_id)


def test_a_node_without_a_hub_replaces_its_key_by_itself(tmp_path: Path, clock: FixedClock) -> None:
    alone = init_node(Settings(home=tmp_path / "alone"), clock, name="alone")
    done = key_rotation.rotate(alone)
    assert open_node(alone.settings, clock).key.key_id == done.node.key.key_id != alone.key.key_id


# -- the hub's key ------------------------------------------------------------------------------------------------


def visa_by(key: SigningKey, clock: FixedClock) -> bytes:
    visa = Visa(
        id=clock.new_id(),
        hub="http://hub.test",
        request="sha256:" + "0" * 64,
        requester_key=SigningKey.generate().key_id,
        datasets=(
            GrantedDataset(
                iri="http://hub.test/datasets/biobank-a/ct",
                selector=Selector(),
                output_classes=(OutputClass.MEASUREMENTS,),
                maximum_runs=1,
                expires="2027-01-01T00:00:00.000Z",
            ),
        ),
        purpose=Purpose(data_use=("DUO:0000042",), statement="Research."),
        not_before=iso(clock.now()),
        created=iso(clock.now()),
    )
    return visa.seal(key)


def judged_by(node: Node, visa: bytes) -> bool:
    """Tell whether the key that a visa is judged by is the one that sealed it."""
    assert node.enrolment is not None
    with reading(node.engine) as session:
        key = hub_keys.key_for(session, node.enrolment, visa)
    _, sealed = Visa.open(visa, trusted=None)
    return sealed.signer == key


def test_a_node_follows_the_hub_s_key_by_its_succession(hub: Hub, node: Node, clock: FixedClock) -> None:
    old, before = hub.key, visa_by(hub.key, clock)
    new = hub_side.rotate(hub, actor="operator")
    assert open_hub(hub.settings, clock).key.key_id == new.key_id
    clock.advance(60)
    later = visa_by(new, clock)
    assert not judged_by(node, later)
    assert hub_keys.learn(node, clients(node)(node.key)) == new.key_id
    assert judged_by(node, later)
    # What the old key sealed in its time is good until its end; what it seals afterwards is not.
    assert judged_by(node, before)
    assert not judged_by(node, visa_by(old, clock))


def test_several_successions_are_followed_in_one_go(hub: Hub, node: Node, clock: FixedClock) -> None:
    first, visas = hub, []
    for _ in range(3):
        visas.append(visa_by(first.key, clock))
        clock.advance(60)
        new = hub_side.rotate(first, actor="operator")
        first = replace(first, key=new)
    assert hub_keys.learn(node, clients(node)(node.key)) == first.key.key_id
    assert all(judged_by(node, visa) for visa in visas)
    assert hub_keys.learn(node, clients(node)(node.key)) == first.key.key_id


def test_a_hub_key_that_the_old_one_did_not_seal_is_never_trusted(
    node: Node, hub: Hub, clock: FixedClock
) -> None:
    thief = SigningKey.generate()
    assert node.enrolment is not None
    genuine = _succession("hub", "http://hub.test", hub.key, thief, clock)
    for forged in (
        genuine.model_copy(update={"by_new": genuine.by_old}),
        _succession("hub", "http://other.test", hub.key, thief, clock),
        _succession("node", "http://hub.test", hub.key, thief, clock),
    ):
        with writing(node.engine) as session, pytest.raises(SuccessionUntrusted):
            hub_keys.learn_from(session, node, node.enrolment, {"successions": [forged.payload()]})
    unrelated = _succession("hub", "http://hub.test", SigningKey.generate(), thief, clock)
    with writing(node.engine) as session:
        hub_keys.learn_from(session, node, node.enrolment, {"successions": [unrelated.payload()]})
    assert not judged_by(node, visa_by(thief, clock))


def test_a_succession_changed_in_the_node_s_database_is_noticed(
    node: Node, hub: Hub, clock: FixedClock
) -> None:
    genuine = _succession("hub", "http://hub.test", hub.key, SigningKey.generate(), clock)
    broken = genuine.model_copy(update={"by_new": genuine.by_old})
    with writing(node.engine) as session:
        session.add(HubKeyRow(old=hub.key.key_id, new="-", succession=broken.to_bytes(), learnt=clock.now()))
    with pytest.raises(SuccessionUntrusted):
        judged_by(node, visa_by(hub.key, clock))


def test_a_hub_whose_rotation_was_cut_off_opens_with_the_new_key(
    hub: Hub, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        hub_side.rotate(hub, actor="operator")
    with reading(hub.engine) as session:
        named = session.get_one(HubIdentity, 1).key_id
    assert open_hub(hub.settings, clock).key.key_id == named != hub.key.key_id
    assert not (hub.settings.keys_path / HUB_NEXT).exists()


def test_who_enrols_again_after_the_hub_s_key_was_replaced_follows_it(
    hub: Hub, node: Node, address: str, clock: FixedClock
) -> None:
    assert node.enrolment is not None
    pinned = node.enrolment
    new = hub_side.rotate(hub, actor="operator")
    hub_keys.learn(node, clients(node)(node.key))
    with reading(node.engine) as session:
        assert hub_keys.newest(session, pinned) == new.key_id
    with writing(hub.engine) as session:
        token = nodes.invite(session, hub, actor="admin")
        session.delete(session.get_one(KnownNode, "biobank-a"))
    assert enrol(node, hub_url=address, token=token, client=clients(node)(node.key)).hub_key == pinned.hub_key
    with writing(hub.engine) as session:
        session.get_one(HubIdentity, 1).key_id = SigningKey.generate().key_id
    with pytest.raises(HubKeyChanged):
        enrol(node, hub_url=address, token="none", client=clients(node)(node.key))


# -- a hub that runs ----------------------------------------------------------------------------------------------


def test_a_hub_that_runs_seals_with_the_new_key_by_itself(hub: Hub, node: Node) -> None:
    running = open_hub(hub.settings, hub.clock)
    new = hub_side.rotate(hub, actor="operator")
    assert running.key.key_id != new.key_id
    with writing(running.engine) as session:
        assert hub_side.sealing_key(session, running, lasting=True).key_id == new.key_id
    told = clients(node)(node.key).get("/v1/hub")
    assert (told["key"], told["fingerprint"]) == (new.key_id, new.public.fingerprint)
    node_logs.seal(running, now=True)
    with reading(running.engine) as session:
        sealed = audit_checkpoints.newest(session, audit.HubAudit)
    assert sealed is not None and sealed.signer == new.key_id
    again = hub_side.rotate(running, actor="operator")
    with reading(running.engine) as session:
        assert hub_side.keys(session)[0] == again.key_id
        assert {*hub_side.keys(session)} == {hub.key.key_id, new.key_id, again.key_id}


def test_a_hub_that_runs_where_the_new_key_is_not_seals_nothing(
    hub: Hub, tmp_path: Path, clock: FixedClock
) -> None:
    elsewhere = replace(hub, settings=replace(hub.settings, home=tmp_path / "elsewhere"))
    new = hub_side.rotate(hub, actor="operator")
    with reading(hub.engine) as session:
        with pytest.raises(RootKeyElsewhere):
            hub_side.sealing_key(session, elsewhere)
        assert hub_side.named(session) == new.key_id
    node_logs.seal(elsewhere, now=True)
    with reading(hub.engine) as session:
        assert audit_checkpoints.newest(session, audit.HubAudit) is None
    new.save(elsewhere.settings.keys_path / KEY_OF_HUB)
    node_logs.seal(elsewhere, now=True)
    with reading(hub.engine) as session:
        assert audit_checkpoints.newest(session, audit.HubAudit) is not None


# -- audit logs across keys ---------------------------------------------------------------------------------------


def standing(node: Node) -> list[audit_alarms.Alarm]:
    with reading(node.engine) as session:
        return audit_alarms.alarms(session, audit.NodeAudit, standing=True)


def test_checkpoints_proofs_and_anchors_hold_when_both_keys_are_replaced(
    hub: Hub, node: Node, clock: FixedClock
) -> None:
    """Twice each: what was sealed under each key stays whole, and is compared with what the other side was shown."""
    first = HubLog(node, clients(node)(node.key))
    shown = []
    for _ in range(2):
        node_logs.seal(hub, now=True)
        first.look()
        shown.append(anchors(node))
        hub_side.rotate(hub, actor="operator")
        clock.advance(60)
        node = key_rotation.rotate(node, client=clients(node)).node
        first.go_on_as(node)
        first.seal_own(now=True)
    # Before anything asked for the succession: the look itself does.
    node_logs.seal(hub, now=True)
    late = HubLog(node, clients(node)(node.key))
    late.look()
    late.look()
    shown.append(anchors(node))
    assert standing(node) == []
    told_hub = node_logs.anchors_of(hub, "biobank-a")
    with reading(hub.engine) as session:
        owners = audit_checkpoints.sealing_keys(session, audit.HubAudit, now=hub_side.named(session))
        whole = audit_checkpoints.verify_whole(session, audit.HubAudit, trusted=owners)
        hashes = {row.seq: row.hash for row in session.query(audit.HubAudit)}
        witnesses = [*nodes.keys_of(session, "biobank-a")]
        for each in shown:
            told = audit_export.open_anchors(each, trusted=witnesses)
            assert told.checkpoints
            audit_export.check_anchors(told, tree=whole.tree, hashes=hashes.get, owners=owners)
    assert node.enrolment is not None
    with reading(node.engine) as session:
        mine = audit_checkpoints.sealing_keys(session, audit.NodeAudit, now=node.key.key_id)
        assert not mine & owners
        audit_checkpoints.verify_whole(session, audit.NodeAudit, trusted=mine)
        # What the hub seals with its newest key is known here, too.
        audit_export.open_anchors(told_hub, trusted=hub_keys.keys(session, node.enrolment))


def test_a_checkpoint_by_a_key_that_does_not_follow_from_the_pinned_one_is_an_alarm(
    hub: Hub, node: Node
) -> None:
    thief = SigningKey.generate()
    audit_checkpoints.keep(hub.engine, audit.HubAudit, key=thief, log=hub.base_iri, clock=hub.clock)
    HubLog(node, clients(node)(node.key)).look()
    assert [each.kind for each in standing(node)] == [audit_alarms.AlarmKind.UNPROVEN]


def test_what_a_node_released_under_an_earlier_key_is_in_its_anchors(
    hub: Hub, node: Node, clock: FixedClock
) -> None:
    with writing(hub.engine) as session:
        audit.record(
            session, audit.HubAudit, clock=clock, actor=node.key.key_id, act="release.receive", target="r",
            detail={"node_head": f"7:{audit.GENESIS}"},
        )  # fmt: skip
    key_rotation.rotate(node, client=clients(node))
    told = audit_export.open_anchors(node_logs.anchors_of(hub, "biobank-a"), trusted=None)
    assert audit.Head(7, audit.GENESIS) in told.heads


# -- suspension by the hub ----------------------------------------------------------------------------------------


def test_a_suspended_node_is_told_so_until_it_is_resumed(hub: Hub, node: Node) -> None:
    with writing(hub.engine) as session:
        nodes.suspend(session, hub, node="biobank-a", actor="admin")
        nodes.suspend(session, hub, node="biobank-a", actor="admin")
    with pytest.raises(RemoteError) as caught:
        ask(node)
    assert (caught.value.remote_code, "node_suspended" in caught.value.what) == ("FB-REL-036", True)
    with reading(hub.engine) as session:
        assert nodes.listing(session)[0].suspended is not None
    with writing(hub.engine) as session:
        nodes.resume(session, hub, node="biobank-a", actor="admin")
    assert ask(node)["grants"] == []
    with reading(hub.engine) as session:
        acts = [row.act for row in session.query(audit.HubAudit)]
    assert acts.count("node.suspend") == acts.count("node.resume") == 1
