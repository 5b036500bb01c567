from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from fairbank import audit
from fairbank.audit import NodeAudit
from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.events import NodeEvent, pending
from fairbank.ontology.outputs import DoorClass, OutputClass
from fairbank.ontology.record import DatasetRecord
from fairbank.ontology.signed_objects import Output
from fairbank.release import ledger
from fairbank.release.candidates import Candidate, Column, ColumnKind
from fairbank.release.disclosure import suppress_record
from fairbank.release.errors import (
    GateRefused,
    HubUnreachable,
    NotEnrolled,
    ReleaseBytesLost,
    ReleaseConflict,
    ReleaseStateError,
    UnknownRelease,
)
from fairbank.release.hub_client import HubClient
from fairbank.release.ledger import EntryState
from fairbank.release.node import Node, open_node
from fairbank.release.outbox import Outbox
from fairbank.release.outbox_files import sweep
from fairbank.release.releases import Release, ReleaseState
from fairbank.release.rounding import round_record
from fairbank.signing import sha256_digest

JOB = "01900000-0000-7000-8000-000000000001"
JSON = "application/json"
MEGABYTE = 1 << 20


def rows(count: int, *, value: float = 1.5) -> bytes:
    import json

    listed = [{"row": f"s{number:06d}-{'a' * 32}", "mean": value} for number in range(count)]
    return json.dumps({"schema": "rows/1", "tool": "t", "version": "1.0", "rows": listed}).encode()


def result(content: bytes | Path, *, subjects: int = 7, round_: int = 0) -> Candidate:
    return Candidate(
        DoorClass.RESULT, "table", content, JSON, job=JOB, round=round_, subjects=subjects,
        limits=Output(
            name="table", output_class=OutputClass.MEASUREMENTS, media_type=JSON, maximum_bytes=MEGABYTE
        ),
        columns=(Column("row", ColumnKind.ROW_ID), Column("mean", ColumnKind.NUMBER)),
    )  # fmt: skip


def staged(outbox: Outbox, node: Node, candidate: Candidate) -> Release:
    with writing(node.engine) as session:
        return outbox.stage(session, candidate)


def states(node: Node) -> list[tuple[DoorClass, EntryState]]:
    with reading(node.engine) as session:
        return [(entry.door_class, entry.state) for entry in ledger.entries(session)]


def test_a_result_is_staged_sent_and_read_back(outbox: Outbox, node: Node, hub) -> None:
    content = rows(7)
    release = staged(outbox, node, result(content))
    with reading(node.engine) as session:
        before = ledger.entries(session)[0]
    assert (before.state, ledger.content(before, node.outbox_path)) == (EntryState.PENDING, content)
    assert hub.bodies == []

    outbox.send(release.id)

    with reading(node.engine) as session:
        after = ledger.entries(session)[0]
    assert (after.state, ledger.content(after, node.outbox_path)) == (EntryState.SENT, content)
    assert after.left is not None and after.destination == "http://hub.test"
    assert bytes(hub.uploads[release.id].content) == content


def test_an_upload_says_what_it_is(outbox: Outbox, node: Node, hub) -> None:
    release = staged(outbox, node, result(rows(7), round_=3))
    with reading(node.engine) as session:
        head = audit.head(session, NodeAudit)
    outbox.send(release.id)
    sent = hub.uploads[release.id].headers
    assert {name: sent[name] for name in sent if name.startswith("fairbank") or name == "content-type"} == {
        "fairbank-class": "result", "fairbank-digest": release.digest, "fairbank-output": "table",
        "fairbank-job": JOB, "fairbank-round": "3", "content-type": JSON,
        "fairbank-audit": f"{head.seq}:{head.hash}",
    }  # fmt: skip


def test_the_same_bytes_again_are_the_same_release(outbox: Outbox, node: Node) -> None:
    first = staged(outbox, node, result(rows(7)))
    assert staged(outbox, node, result(rows(7))).id == first.id
    assert len(states(node)) == 1


def test_other_bytes_in_the_same_place_are_a_conflict(outbox: Outbox, node: Node) -> None:
    staged(outbox, node, result(rows(7)))
    with pytest.raises(ReleaseConflict):
        staged(outbox, node, result(rows(7, value=2.5)))
    assert len(states(node)) == 1


def test_a_transaction_that_fails_leaves_nothing_to_send(outbox: Outbox, node: Node) -> None:
    with pytest.raises(RuntimeError, match="killed"), writing(node.engine) as session:
        outbox.stage(session, result(rows(7)))
        raise RuntimeError("killed")
    assert outbox.pending() == []
    assert states(node) == []


def test_staging_again_after_a_failed_transaction_works_and_sweeping_spares_it(
    outbox: Outbox, node: Node
) -> None:
    with pytest.raises(RuntimeError), writing(node.engine) as session:
        outbox.stage(session, result(rows(8)))
        raise RuntimeError
    release = staged(outbox, node, result(rows(7)))
    assert sweep(node.outbox_path, in_use=frozenset({release.digest})) == 1
    assert outbox.send(release.id) == {"state": "complete"}


def test_what_the_gate_refuses_is_not_staged_and_can_be_noted(outbox: Outbox, node: Node) -> None:
    candidate = result(rows(7), subjects=4)
    with pytest.raises(GateRefused) as refused:
        staged(outbox, node, candidate)
    assert states(node) == []
    with writing(node.engine) as session:
        outbox.note_refusal(session, candidate, refused.value)
    with reading(node.engine) as session:
        entry = ledger.entries(session)[0]
    assert entry.state is EntryState.REFUSED
    assert entry.reasons == ("The output was computed on fewer than 5 subjects.",)


def test_the_bytes_lie_where_only_the_node_reads_them(outbox: Outbox, node: Node) -> None:
    release = staged(outbox, node, result(rows(7)))
    file = node.outbox_path / release.digest.removeprefix("sha256:")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(node.outbox_path.stat().st_mode) == 0o700


def test_a_file_of_the_nodes_own_is_moved_and_becomes_private(
    outbox: Outbox, node: Node, tmp_path: Path
) -> None:
    product = tmp_path / "product"
    product.write_bytes(rows(7))
    product.chmod(0o644)
    release = staged(outbox, node, replace(result(rows(7)), content=product, movable=True))
    kept = node.outbox_path / release.digest.removeprefix("sha256:")
    assert not product.exists()
    assert (kept.read_bytes(), stat.S_IMODE(kept.stat().st_mode)) == (rows(7), 0o600)


def test_a_file_that_was_moved_and_refused_is_noted_and_gone(
    outbox: Outbox, node: Node, tmp_path: Path
) -> None:
    product = tmp_path / "product"
    product.write_bytes(rows(7))
    candidate = replace(result(rows(7), subjects=4), content=product, movable=True)
    with pytest.raises(GateRefused) as refused:
        staged(outbox, node, candidate)
    with writing(node.engine) as session:
        outbox.note_refusal(session, candidate, refused.value)
    with reading(node.engine) as session:
        entry = ledger.entries(session)[0]
    assert (entry.digest, entry.size_bytes) == (sha256_digest(rows(7)), len(rows(7)))
    assert list(node.outbox_path.iterdir()) == []


def test_a_link_is_neither_copied_nor_moved(outbox: Outbox, node: Node, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(rows(7))
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    for movable in (True, False):
        with pytest.raises(OSError):
            staged(outbox, node, replace(result(rows(7)), content=tmp_path / "link", movable=movable))


def test_bytes_changed_after_the_gate_are_never_sent(outbox: Outbox, node: Node, hub) -> None:
    release = staged(outbox, node, result(rows(7)))
    (node.outbox_path / release.digest.removeprefix("sha256:")).write_bytes(rows(8))
    with pytest.raises(ReleaseBytesLost):
        outbox.send(release.id)
    assert hub.bodies == []


def test_a_worker_s_link_is_not_followed(outbox: Outbox, node: Node, tmp_path: Path) -> None:
    link = tmp_path / "result.json"
    link.symlink_to(node.settings.keys_path / "node.pem")
    with pytest.raises(OSError, match="symbolic"):
        staged(outbox, node, result(link))


def test_a_file_is_taken_as_it_was_when_staged(outbox: Outbox, node: Node, hub, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_bytes(rows(7))
    release = staged(outbox, node, result(file))
    file.write_bytes(rows(9))
    outbox.send(release.id)
    assert bytes(hub.uploads[release.id].content) == rows(7)


# -- the way to the hub breaks -----------------------------------------------------------------------------------


def big(outbox: Outbox, node: Node) -> Release:
    return staged(outbox, node, result(rows(7000)))


def test_a_large_release_goes_in_pieces(outbox: Outbox, node: Node, hub) -> None:
    release = big(outbox, node)
    assert release.size_bytes > 3 * node.settings.jobs_chunk_bytes
    outbox.send(release.id)
    assert bytes(hub.uploads[release.id].content) == rows(7000)
    assert max(len(body) for _, _, body in hub.bodies) == node.settings.jobs_chunk_bytes


def test_an_upload_goes_on_where_it_stopped(outbox: Outbox, node: Node, hub) -> None:
    release = big(outbox, node)
    hub.faults = [lambda _: None, lambda _: None, hub.lose_request]
    outbox.send(release.id)
    assert bytes(hub.uploads[release.id].content) == rows(7000)
    assert sum(len(body) for _, _, body in hub.bodies) == release.size_bytes


def test_after_a_drop_an_upload_goes_on_in_small_pieces(
    outbox: Outbox, node: Node, hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairbank.release.uploads._AFTER_A_DROP_BYTES", 10_000)
    release = big(outbox, node)
    hub.faults = [lambda _: None, lambda _: None, hub.lose_request]
    outbox.send(release.id)
    sizes = [len(body) for _, _, body in hub.bodies]
    assert sizes[:2] == [65_536, 65_536]
    assert max(sizes[2:]) == 10_000
    assert bytes(hub.uploads[release.id].content) == rows(7000)


def test_a_piece_that_arrived_without_its_answer_is_not_sent_twice(outbox: Outbox, node: Node, hub) -> None:
    release = big(outbox, node)
    hub.faults = [hub.lose_answer]
    outbox.send(release.id)
    assert sum(len(body) for _, _, body in hub.bodies) == release.size_bytes


def test_a_last_answer_that_was_lost_is_asked_for(outbox: Outbox, node: Node, hub) -> None:
    release = staged(outbox, node, result(rows(7)))
    hub.faults = [hub.lose_answer]
    assert outbox.send(release.id) == {"state": "complete"}
    assert len(hub.bodies) == 1
    assert outbox.release(release.id).state is ReleaseState.SENT


def test_a_restarted_node_goes_on_with_the_same_bytes(
    outbox: Outbox, node: Node, hub, clock: FixedClock, connect: Callable[[Node], HubClient]
) -> None:
    release = big(outbox, node)
    hub.faults = [lambda _: None, *[hub.lose_request] * 99]
    with pytest.raises(HubUnreachable):
        outbox.send(release.id)
    hub.faults = []
    again = open_node(node.settings, clock)
    assert [sending.error for sending in Outbox(again, connect(again)).send_pending()] == [None]
    assert bytes(hub.uploads[release.id].content) == rows(7000)
    assert sum(len(body) for _, _, body in hub.bodies) == release.size_bytes


def test_a_hub_that_lost_half_an_upload_gets_it_again(outbox: Outbox, node: Node, hub) -> None:
    release = big(outbox, node)

    def forget(request: httpx.Request) -> None:
        hub.uploads[release.id].content = hub.uploads[release.id].content[:10]

    hub.faults = [lambda _: None, forget]
    outbox.send(release.id)
    assert bytes(hub.uploads[release.id].content) == rows(7000)


def test_other_bytes_at_the_hub_are_a_conflict_and_stay_there(outbox: Outbox, node: Node, hub) -> None:
    release = staged(outbox, node, result(rows(7)))
    hub.unique[(JOB, "0", "table")] = "sha256:" + "0" * 64
    with pytest.raises(ReleaseConflict):
        outbox.send(release.id)
    assert outbox.release(release.id).state is ReleaseState.READY


def test_an_unreachable_hub_loses_nothing(outbox: Outbox, node: Node, hub) -> None:
    release = staged(outbox, node, result(rows(7)))
    hub.faults = [hub.refuse_connection] * 99
    with pytest.raises(HubUnreachable, match="does not answer"):
        outbox.send(release.id)
    assert [waiting.id for waiting in outbox.pending()] == [release.id]


def test_one_refused_release_does_not_hold_up_the_next(outbox: Outbox, node: Node, hub) -> None:
    staged(outbox, node, result(rows(7)))
    second = staged(outbox, node, result(rows(7), round_=1))
    hub.unique[(JOB, "0", "table")] = "sha256:" + "0" * 64
    errors = [type(sending.error) for sending in outbox.send_pending()]
    assert errors == [ReleaseConflict, type(None)]
    assert outbox.release(second.id).state is ReleaseState.SENT


def test_sending_twice_sends_once(outbox: Outbox, node: Node, hub) -> None:
    release = staged(outbox, node, result(rows(7)))
    outbox.send(release.id)
    outbox.send(release.id)
    assert len(hub.bodies) == 1


# -- the curator's say -------------------------------------------------------------------------------------------


def held(outbox: Outbox, node: Node) -> Release:
    with writing(node.engine) as session:
        return outbox.stage(session, result(rows(7)), hold=True)


def test_a_held_release_waits_for_the_curator(outbox: Outbox, node: Node, hub) -> None:
    release = held(outbox, node)
    assert outbox.send_pending() == []
    with pytest.raises(ReleaseStateError):
        outbox.send(release.id)
    with writing(node.engine) as session:
        outbox.approve(session, release.id, by="curator")
    outbox.send(release.id)
    assert hub.uploads[release.id].complete


def test_a_withheld_release_never_leaves(outbox: Outbox, node: Node, hub) -> None:
    release = held(outbox, node)
    with writing(node.engine) as session:
        outbox.withhold(session, release.id, by="curator")
    with pytest.raises(ReleaseStateError):
        outbox.send(release.id)
    with pytest.raises(ReleaseStateError), writing(node.engine) as session:
        outbox.approve(session, release.id, by="curator")
    assert states(node) == [(DoorClass.RESULT, EntryState.WITHHELD)]
    assert hub.bodies == []


def test_what_has_left_cannot_be_withheld(outbox: Outbox, node: Node) -> None:
    release = staged(outbox, node, result(rows(7)))
    outbox.send(release.id)
    with pytest.raises(ReleaseStateError), writing(node.engine) as session:
        outbox.withhold(session, release.id, by="curator")


def test_other_rooms_learn_what_left_from_the_events(outbox: Outbox, node: Node) -> None:
    release = staged(outbox, node, result(rows(7)))
    outbox.send(release.id)
    with reading(node.engine) as session:
        found = [
            (event.kind, event.subject, event.detail["job"]) for event in pending(session, NodeEvent, "t")
        ]
    assert found == [("release.sent", release.id, JOB)]


def test_an_unknown_release_is_said_to_be_unknown(outbox: Outbox) -> None:
    with pytest.raises(UnknownRelease):
        outbox.send(JOB)


# -- records and accounts ----------------------------------------------------------------------------------------


def record(node: Node, made: DatasetRecord, k: int = 5) -> Candidate:
    envelope = suppress_record(made, k).seal(node.key)
    return Candidate(DoorClass.RECORD, "record-lungs", envelope, "application/vnd.dsse.envelope+json")


def test_each_version_of_a_record_is_a_release(
    outbox: Outbox, node: Node, make_record: Callable[..., DatasetRecord]
) -> None:
    cells = [("CT", "CHEST", 90, 40, 30)]
    first = staged(outbox, node, record(node, make_record(cells, subjects=30)))
    second = staged(outbox, node, record(node, make_record(cells, subjects=30, version=2)))
    assert (first.round, second.round, first.job) == (1, 2, None)


def test_a_node_rehearses_without_a_hub(node: Node, make_record: Callable[..., DatasetRecord]) -> None:
    alone = Outbox(node)
    release = staged(alone, node, record(node, make_record([("CT", "CHEST", 90, 40, 30)], subjects=30)))
    with writing(node.engine) as session:
        alone.approve(session, release.id, by="curator")
    with pytest.raises(NotEnrolled):
        alone.send(release.id)
    assert [type(sending.error) for sending in alone.send_pending()] == [NotEnrolled]
    assert [waiting.id for waiting in alone.pending()] == [release.id]


def test_the_first_record_of_a_dataset_waits_whatever_the_site_lets_leave(
    outbox: Outbox, node: Node, make_record: Callable[..., DatasetRecord]
) -> None:
    cells = [("CT", "CHEST", 90, 40, 30)]
    free = replace(node, settings=replace(node.settings, release_automatic_approval="record"))
    open_ = Outbox(free)
    first = staged(open_, node, record(node, make_record(cells, subjects=30)))
    early = staged(open_, node, record(node, make_record(cells, subjects=30, version=2)))
    assert (first.state, early.state) == (ReleaseState.HELD, ReleaseState.HELD)
    with writing(node.engine) as session:
        open_.approve(session, first.id, by="curator")
    later = staged(open_, node, record(node, make_record(cells, subjects=30, version=3)))
    assert later.state is ReleaseState.READY
    strict = staged(outbox, node, record(node, make_record(cells, subjects=30, version=4)))
    assert strict.state is ReleaseState.HELD


def test_a_record_that_was_kept_back_was_not_the_first(
    outbox: Outbox, node: Node, make_record: Callable[..., DatasetRecord]
) -> None:
    cells = [("CT", "CHEST", 90, 40, 30)]
    free = Outbox(replace(node, settings=replace(node.settings, release_automatic_approval="record")))
    first = staged(free, node, record(node, make_record(cells, subjects=30)))
    with writing(node.engine) as session:
        free.withhold(session, first.id, by="curator", why="a wrong title")
    again = staged(free, node, record(node, make_record(cells, subjects=30, version=2)))
    assert again.state is ReleaseState.HELD


def test_the_gate_compares_a_record_with_all_before_it(
    outbox: Outbox, node: Node, make_record: Callable[..., DatasetRecord]
) -> None:
    free = Outbox(replace(node, settings=replace(node.settings, release_publication_interval_days=0)))

    def stage(version: int, people: int) -> None:
        made = make_record([("CT", "CHEST", 9 * people, people, people)], subjects=people, version=version)
        staged(free, node, record(node, made))

    stage(1, 30)
    with pytest.raises(GateRefused, match="earlier record"):
        stage(2, 31)
    stage(2, 60)
    with pytest.raises(GateRefused, match="earlier record"):
        stage(3, 31)
    stage(3, 30)


def test_the_gate_lets_counts_change_only_when_it_is_due(
    outbox: Outbox, node: Node, make_record: Callable[..., DatasetRecord]
) -> None:
    staged(outbox, node, record(node, make_record([("CT", "CHEST", 90, 40, 30)], subjects=30)))
    with pytest.raises(GateRefused, match="due"):
        staged(
            outbox, node, record(node, make_record([("CT", "CHEST", 300, 90, 90)], subjects=90, version=2))
        )
    assert isinstance(node.clock, FixedClock)


def test_the_gate_asks_for_the_rounding_of_the_site(
    outbox: Outbox, node: Node, make_record: Callable[..., DatasetRecord]
) -> None:
    made = make_record([("CT", "CHEST", 90, 45, 30)], subjects=30)
    strict = Outbox(replace(node, settings=replace(node.settings, release_rounding_base=5)))
    with pytest.raises(GateRefused, match="rounded"):
        staged(strict, node, record(node, made))
    claimed = suppress_record(made, 5).model_copy(update={"rounded_to": 7})
    candidate = Candidate(DoorClass.RECORD, "record-lungs", claimed.seal(node.key), "application/json")
    with pytest.raises(GateRefused, match="rounded as the record says"):
        staged(outbox, node, candidate)
    staged(strict, node, record(node, round_record(made, 5)))


def test_what_is_ready_can_be_made_to_wait(
    outbox: Outbox, node: Node, make_record: Callable[..., DatasetRecord]
) -> None:
    release = staged(outbox, node, result(rows(7)))
    with writing(node.engine) as session:
        assert outbox.hold(session, release.id, by="curator", why="a look first").state is ReleaseState.HELD
    with pytest.raises(ReleaseStateError):
        outbox.send(release.id)


def test_the_ledger_counts_what_left_by_class(
    outbox: Outbox, node: Node, make_record: Callable[..., DatasetRecord]
) -> None:
    sent = staged(outbox, node, result(rows(7)))
    outbox.send(sent.id)
    staged(outbox, node, record(node, make_record([("CT", "CHEST", 90, 40, 30)], subjects=30)))
    with reading(node.engine) as session:
        totals = ledger.bytes_by_class(session)
    assert totals == {DoorClass.RESULT: ledger.Traffic(1, sent.size_bytes)}


def test_the_audit_log_tells_the_life_of_a_release(outbox: Outbox, node: Node) -> None:
    from sqlalchemy import select

    from fairbank.audit import NodeAudit, verify

    outbox.send(staged(outbox, node, result(rows(7))).id)
    with reading(node.engine) as session:
        acts = [row.act for row in session.scalars(select(NodeAudit).order_by(NodeAudit.seq))]
        verify(session, NodeAudit)
    assert acts == ["node.init", "release.stage", "release.send"]


def test_no_test_of_the_door_left_a_readable_key(node: Node) -> None:
    assert stat.S_IMODE(os.stat(node.settings.keys_path / "node.pem").st_mode) == 0o600
