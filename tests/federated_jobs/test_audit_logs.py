"""Hub and nodes watch each other's audit logs: what was rewritten, cut off or forked is found, and work stops."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.engine import Engine

from fairbank import audit, audit_alarms, audit_checkpoints, audit_export
from fairbank.audit import GENESIS, Head, HubAudit, NodeAudit
from fairbank.audit_alarms import AlarmKind
from fairbank.audit_checkpoints import CheckpointBroken
from fairbank.audit_export import AnchorsDiffer
from fairbank.database import reading, writing
from fairbank.federated_jobs.errors import HubLogForked
from fairbank.federated_jobs.hub import node_logs
from fairbank.federated_jobs.hub.leases import lease_next
from fairbank.federated_jobs.hub.store import AnchorRow
from fairbank.federated_jobs.node import hub_log
from fairbank.federated_jobs.node.hub_log import HubLog
from fairbank.federated_jobs.node.store import HubCheckpointRow
from fairbank.federated_jobs.protocol import Claim


@pytest.fixture
def fed(start):
    return start("east", "north")


def done(fed: Any, *, rounds: int = 2) -> str:
    job = fed.submit(fed.manifest(fed.visa(), rounds=rounds))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    for _ in range(rounds + 1):
        fed.settle()
        fed.close_rounds()
    return str(job)


def log_of(engine: Engine, table: audit.AuditTable) -> list[Any]:
    with reading(engine) as session:
        return list(session.scalars(select(table).order_by(table.seq)))


def more(fed: Any, count: int = 1, *, act: str = "test.act") -> None:
    with writing(fed.hub.engine) as session:
        for number in range(count):
            audit.record(session, HubAudit, clock=fed.clock, actor="a", act=act, target=str(number))


def rewrite(engine: Engine, *, start: int, until: int | None = None, actor: str = "eve") -> None:
    """Rewrite a log from one entry on with all its hashes, as somebody who owns the database can; perhaps cut it."""
    with writing(engine) as session:
        for act in ("update", "delete", "insert"):
            session.execute(text(f"DROP TRIGGER IF EXISTS audit_refuses_{act}"))
        kept = session.execute(
            text("SELECT * FROM audit WHERE seq < :start ORDER BY seq DESC"), {"start": start}
        )
        previous = row.hash if (row := kept.first()) else GENESIS
        table = HubAudit if engine.url.database and engine.url.database.endswith("hub.db") else NodeAudit
        rows = list(session.scalars(select(table).where(table.seq >= start).order_by(table.seq)))
        session.execute(delete(table).where(table.seq >= start))
        session.expunge_all()
        columns = table.__table__
        for each in rows if until is None else [row for row in rows if row.seq <= until]:
            from fairbank.clock import iso
            from fairbank.signing import canonical

            entry = audit.entry_bytes(
                seq=each.seq, at=iso(each.at), actor=actor, act=each.act, target=each.target,
                detail=canonical(each.detail).decode(), previous=previous,
            )  # fmt: skip
            digest = audit.entry_hash(entry)
            session.connection().execute(
                columns.insert(),
                {"seq": each.seq, "at": each.at, "actor": actor, "act": each.act, "target": each.target,
                 "detail": each.detail, "previous": previous, "hash": digest},
            )  # fmt: skip
            previous = digest
    forget_tree(engine)


def forget_tree(engine: Engine) -> None:
    """A hub that was started anew on another database has another tree."""
    audit_checkpoints._TREES.pop(engine, None)


def watch(fed: Any, name: str) -> HubLog:
    site = fed.sites[name]
    return HubLog(site.node, site.client())


def alarms(engine: Engine, table: audit.AuditTable) -> list[audit_alarms.Alarm]:
    with reading(engine) as session:
        return audit_alarms.alarms(session, table, standing=True)


def hear(fed: Any, log: HubLog, head: Head) -> None:
    with writing(log._node.engine) as session:
        log.note(session, head)


def head_of(engine: Engine, table: audit.AuditTable) -> Head:
    with reading(engine) as session:
        return audit.head(session, table)


# What is exchanged


def test_each_release_states_the_head_of_the_node_s_log_and_the_hub_logs_it(fed):
    done(fed)
    received = [entry for entry in log_of(fed.hub.engine, HubAudit) if entry.act == "release.receive"]
    own = {
        site.node.key.key_id: {f"{entry.seq}:{entry.hash}" for entry in log_of(site.node.engine, NodeAudit)}
        for site in fed.sites.values()
    }
    assert received
    assert all(entry.detail["node_head"] in own[entry.actor] for entry in received)


def test_each_claim_states_the_newest_head_of_the_hub_that_the_node_was_shown(fed):
    done(fed)
    own = {entry.seq: entry.hash for entry in log_of(fed.hub.engine, HubAudit)}
    with reading(fed.hub.engine) as session:
        shown = [(row.hub_seq, row.hub_hash) for row in session.scalars(select(AnchorRow)) if row.hub_seq]
    assert shown
    assert all(own[seq] == told for seq, told in shown)


def test_a_look_keeps_the_hub_s_checkpoint_and_says_so_in_the_node_s_log(fed):
    done(fed)
    node_logs.seal(fed.hub, now=True)
    site, log = fed.sites["east"], watch(fed, "east")
    log.look()
    with reading(site.node.engine) as session:
        kept = session.scalars(select(HubCheckpointRow)).one()
    entry = log_of(site.node.engine, NodeAudit)[-1]
    assert (entry.act, entry.detail["seq"], entry.detail["hash"]) == ("anchor.see", kept.size, kept.head)
    assert alarms(site.node.engine, NodeAudit) == []


def test_later_checkpoints_are_shown_to_extend_the_earlier_ones(fed):
    log = watch(fed, "east")
    for number in range(1, 5):
        more(fed, 3 * number)
        hear(fed, log, head_of(fed.hub.engine, HubAudit))
        more(fed, 2)
        node_logs.seal(fed.hub, now=True)
        log.look()
        log.look()
    with reading(fed.sites["east"].node.engine) as session:
        assert len(session.scalars(select(HubCheckpointRow)).all()) == 4
    assert not log.alarmed


def test_the_hub_notes_in_its_own_log_what_nodes_stated_but_not_every_time(fed):
    done(fed)
    node_logs.look(fed.hub)
    noted = log_of(fed.hub.engine, HubAudit)[-1]
    assert noted.act == "anchor.see"
    assert set(noted.detail["nodes"]) == {"east", "north"}
    node_logs.look(fed.hub)
    assert log_of(fed.hub.engine, HubAudit)[-1].seq == noted.seq


# A hub whose log does not fit


def test_a_hub_that_states_another_entry_of_the_same_number_is_not_worked_for(fed):
    done(fed)
    site = fed.sites["east"]
    seen = site.agent._hub_log.seen
    rewrite(fed.hub.engine, start=seen.seq, until=seen.seq)
    fed.submit(fed.manifest(fed.visa(), rounds=1))
    job = fed.submit(fed.manifest(fed.visa(), rounds=1))
    hear(fed, site.agent._hub_log, Head(seen.seq, head_of(fed.hub.engine, HubAudit).hash))
    with pytest.raises(HubLogForked):
        site.agent.step()
    with pytest.raises(HubLogForked):
        site.agent.resume()
    alarm = alarms(site.node.engine, NodeAudit)[0]
    assert (alarm.kind, alarm.detail["seen_head"]) == (AlarmKind.REWRITTEN, seen.hash)
    assert job not in {call[0] for call in site.runner.calls}
    assert log_of(site.node.engine, NodeAudit)[-1].act == "audit.alarm"


def test_a_hub_that_went_back_to_an_older_log_is_not_worked_for_until_a_person_says_so(fed):
    job = fed.submit(fed.manifest(fed.visa(), rounds=1))
    fed.settle()
    site = fed.sites["east"]
    seen = site.agent._hub_log.seen
    assert seen is not None
    rewrite(fed.hub.engine, start=seen.seq - 1, until=seen.seq - 1)
    site.approve(job)
    fed.sites["north"].approve(job)
    short = head_of(fed.hub.engine, HubAudit)
    hear(fed, site.agent._hub_log, Head(seen.seq - 1, short.hash))
    with pytest.raises(HubLogForked):
        site.agent.step()
    fed.clock.advance(60)
    with writing(site.node.engine) as session:
        alarm = alarms(site.node.engine, NodeAudit)[0]
        assert alarm.kind is AlarmKind.SHORTENED
        audit_alarms.clear(
            session, NodeAudit, clock=fed.clock, alarm_id=alarm.id, by="curator", why="restored from a backup"
        )
    fed.clock.advance(60)
    fed.settle()
    assert alarms(site.node.engine, NodeAudit) == []
    assert [call[0] for call in site.runner.calls] == [job]
    cleared = [entry for entry in log_of(site.node.engine, NodeAudit) if entry.act == "audit.clear"]
    assert cleared[0].actor == "curator"
    assert "restored" not in str(cleared[0].detail)


def test_a_hub_that_rewrote_what_it_once_stated_cannot_prove_its_log(fed):
    log, site = watch(fed, "east"), fed.sites["east"]
    hear(fed, log, head_of(fed.hub.engine, HubAudit))
    more(fed, 5)
    rewrite(fed.hub.engine, start=2)
    hear(fed, log, head_of(fed.hub.engine, HubAudit))
    assert not log.alarmed
    node_logs.seal(fed.hub, now=True)
    log.look()
    assert log.alarmed
    assert alarms(site.node.engine, NodeAudit)[0].kind is AlarmKind.UNPROVEN


def test_a_hub_that_rewrote_what_it_once_sealed_cannot_prove_its_log(fed):
    log = watch(fed, "east")
    more(fed, 3)
    node_logs.seal(fed.hub, now=True)
    log.look()
    more(fed, 5)
    rewrite(fed.hub.engine, start=4)
    node_logs.seal(fed.hub, now=True)
    log.look()
    alarm = alarms(fed.sites["east"].node.engine, NodeAudit)[0]
    assert alarm.kind is AlarmKind.UNPROVEN
    assert "seen_head" in alarm.detail


def test_a_hub_that_seals_a_shorter_log_than_before_is_found(fed):
    log = watch(fed, "east")
    more(fed, 6)
    node_logs.seal(fed.hub, now=True)
    log.look()
    size = head_of(fed.hub.engine, HubAudit).seq
    rewrite(fed.hub.engine, start=size - 2, until=size - 1, actor="a")
    with writing(fed.hub.engine) as session:
        for act in ("update", "delete", "insert"):
            session.execute(text(f"DROP TRIGGER audit_checkpoints_refuses_{act}"))
        session.execute(text("DELETE FROM audit_checkpoints"))
    node_logs.seal(fed.hub, now=True)
    log.look()
    assert alarms(fed.sites["east"].node.engine, NodeAudit)[0].kind is AlarmKind.SHORTENED


def test_a_checkpoint_that_the_hub_s_key_did_not_seal_is_an_alarm(fed, monkeypatch):
    more(fed, 2)
    other = fed.sites["north"].node
    audit_checkpoints.keep(fed.hub.engine, HubAudit, key=other.key, log=fed.hub.base_iri, clock=fed.clock)
    log = watch(fed, "east")
    log.look()
    assert alarms(fed.sites["east"].node.engine, NodeAudit)[0].kind is AlarmKind.UNPROVEN


def test_a_hub_that_does_not_answer_or_is_older_is_no_alarm(fed):
    log = watch(fed, "east")
    log.look_if_due(idle=True)
    assert not log.alarmed
    fed.server.should_exit = True
    fed.thread.join(timeout=20)
    fed.clock.advance(3600)
    log.look_if_due(idle=True)
    assert not log.alarmed


def test_the_hub_is_looked_at_when_idle_and_between_rounds_only_after_an_hour(fed, monkeypatch):
    looks: list[int] = []
    log = watch(fed, "east")
    monkeypatch.setattr(log, "look", lambda: looks.append(1))
    log.look_if_due(idle=False)
    assert len(looks) == 0
    log.look_if_due(idle=True)
    log.look_if_due(idle=True)
    assert len(looks) == 1
    fed.clock.advance(11 * 60)
    log.look_if_due(idle=False)
    assert len(looks) == 1
    fed.clock.advance(60 * 60)
    log.look_if_due(idle=False)
    assert len(looks) == 2


# A forked hub


@pytest.fixture
def forked(fed, tmp_path) -> Iterator[Any]:
    """Two nodes that were shown different logs of one hub."""
    more(fed, 3)
    hear(fed, watch(fed, "east"), head_of(fed.hub.engine, HubAudit))
    node_logs.seal(fed.hub, now=True)
    watch(fed, "east").look()
    rewrite(fed.hub.engine, start=3)
    with writing(fed.hub.engine) as session:
        for act in ("update", "delete", "insert"):
            session.execute(text(f"DROP TRIGGER audit_checkpoints_refuses_{act}"))
        session.execute(text("DELETE FROM audit_checkpoints"))
    hear(fed, watch(fed, "north"), head_of(fed.hub.engine, HubAudit))
    node_logs.seal(fed.hub, now=True)
    watch(fed, "north").look()
    return fed


def test_two_nodes_that_compare_what_they_were_shown_find_the_fork(forked):
    sites = [forked.sites[name] for name in ("east", "north")]
    assert all(alarms(site.node.engine, NodeAudit) == [] for site in sites)
    shown = [audit_export.open_anchors(hub_log.anchors(site.node), trusted=None) for site in sites]
    fork = audit_export.forks(shown)[0]
    assert {fork.first, fork.second} == {"east", "north"}
    hub_log.tell_fork(sites[0].node, fork)
    with pytest.raises(HubLogForked):
        sites[0].restart().step()


def test_the_checkpoints_of_a_forked_hub_convict_it_by_its_own_key(forked):
    roots = set()
    for name in ("east", "north"):
        told = audit_export.open_anchors(hub_log.anchors(forked.sites[name].node), trusted=None)
        for envelope in told.checkpoints:
            sealed = audit_checkpoints.Checkpoint.open(envelope, trusted=[forked.hub.key.key_id])
            roots.add((sealed.size, sealed.root))
    assert len({size for size, _ in roots}) < len(roots)


def test_what_a_node_was_shown_finds_a_hub_s_rewritten_log(forked):
    told = audit_export.open_anchors(hub_log.anchors(forked.sites["east"].node), trusted=None)
    own = {entry.seq: entry.hash for entry in log_of(forked.hub.engine, HubAudit)}
    with reading(forked.hub.engine) as session:
        tree = audit_checkpoints.tree_of(forked.hub.engine, session, HubAudit)
    with pytest.raises(AnchorsDiffer, match="east"):
        audit_export.check_anchors(told, tree=tree, hashes=own.get, owners=[forked.hub.key.key_id])
    with pytest.raises(CheckpointBroken):
        audit_export.check_anchors(
            audit_export.Anchors(told.log, told.seen_by, (), told.checkpoints, told.created, told.signer),
            tree=tree, hashes=own.get, owners=[forked.hub.key.key_id],
        )  # fmt: skip


def test_sides_that_were_shown_the_same_log_do_not_contradict_each_other(fed):
    done(fed)
    node_logs.seal(fed.hub, now=True)
    for name in fed.sites:
        watch(fed, name).look()
    shown = [
        audit_export.open_anchors(hub_log.anchors(site.node), trusted=[site.node.key.key_id])
        for site in fed.sites.values()
    ]
    assert all(told.heads and told.checkpoints for told in shown)
    assert audit_export.forks(shown) == []


# A node whose log does not fit


def test_a_node_s_log_that_was_cut_short_is_found_by_what_the_hub_was_shown(fed):
    done(fed)
    site = fed.sites["east"]
    told = audit_export.open_anchors(node_logs.anchors_of(fed.hub, "east"), trusted=[fed.hub.key.key_id])
    whole = {entry.seq: entry.hash for entry in log_of(site.node.engine, NodeAudit)}
    tree = audit_checkpoints.Tree()
    assert audit_export.check_anchors(told, tree=tree, hashes=whole.get, owners=()) == len(told.heads) > 2
    cut = {seq: digest for seq, digest in whole.items() if seq < told.heads[-1].seq}
    with pytest.raises(AnchorsDiffer, match="cut off"):
        audit_export.check_anchors(told, tree=tree, hashes=cut.get, owners=())


def claimed(fed: Any, name: str, head: Head, **fields: Any) -> None:
    fed.submit(fed.manifest(fed.visa(), rounds=1))
    message = Claim(max_wait_s=0, audit_seq=head.seq, audit_hash=head.hash, **fields)
    with writing(fed.hub.engine) as session:
        assert lease_next(fed.hub, session, name, message) is not None


def test_a_node_that_states_another_entry_of_the_same_number_is_an_alarm_at_the_hub(fed):
    claimed(fed, "east", Head(7, "sha256:" + "a" * 64))
    claimed(fed, "east", Head(7, "sha256:" + "b" * 64))
    alarm = alarms(fed.hub.engine, HubAudit)[0]
    assert (alarm.log, alarm.kind) == ("east", AlarmKind.REWRITTEN)


def test_a_node_that_went_back_is_an_alarm_at_the_hub_but_a_late_claim_is_not(fed):
    claimed(fed, "east", Head(9, "sha256:" + "a" * 64))
    fed.clock.advance(30)
    claimed(fed, "east", Head(8, "sha256:" + "b" * 64))
    node_logs.look(fed.hub)
    assert alarms(fed.hub.engine, HubAudit) == []
    fed.clock.advance(300)
    claimed(fed, "east", Head(6, "sha256:" + "c" * 64))
    node_logs.look(fed.hub)
    assert alarms(fed.hub.engine, HubAudit)[0].kind is AlarmKind.SHORTENED


def test_a_node_that_was_shown_another_log_of_this_hub_is_an_alarm_once_and_can_be_cleared(fed):
    claimed(fed, "east", Head(1, "sha256:" + "a" * 64), hub_audit_seq=2, hub_audit_hash="sha256:" + "f" * 64)
    node_logs.look(fed.hub)
    node_logs.look(fed.hub)
    found = alarms(fed.hub.engine, HubAudit)
    assert [each.kind for each in found] == [AlarmKind.FORKED]
    fed.clock.advance(1)
    with writing(fed.hub.engine) as session:
        audit_alarms.clear(
            session, HubAudit, clock=fed.clock, alarm_id=found[0].id, by="admin", why="looked into it"
        )
    node_logs.look(fed.hub)
    assert alarms(fed.hub.engine, HubAudit) == []


# Checkpoints


def test_checkpoints_are_sealed_every_so_many_entries_and_every_hour(fed):
    node_logs.seal(fed.hub)
    first = _newest(fed)
    more(fed, 10)
    node_logs.seal(fed.hub)
    assert _newest(fed).size == first.size
    fed.clock.advance(timedelta(hours=1) / timedelta(seconds=1))
    node_logs.seal(fed.hub)
    assert _newest(fed).size == first.size + 10
    more(fed, audit_checkpoints.EVERY_ENTRIES)
    node_logs.seal(fed.hub)
    assert _newest(fed).size == first.size + 10 + audit_checkpoints.EVERY_ENTRIES
    node_logs.seal(fed.hub, now=True)
    with reading(fed.hub.engine) as session:
        assert len(audit_checkpoints.kept(session, HubAudit)) == 3


def test_a_node_seals_its_own_log_when_it_stops(fed):
    site = fed.sites["east"]
    import threading

    stop = threading.Event()
    stop.set()
    site.agent.run(stop)
    with reading(site.node.engine) as session:
        sealed = audit_checkpoints.newest(session, NodeAudit)
    assert sealed is not None
    assert (sealed.log, sealed.signer) == ("east", site.node.key.key_id)


def _newest(fed: Any) -> audit_checkpoints.Checkpoint:
    with reading(fed.hub.engine) as session:
        sealed = audit_checkpoints.newest(session, HubAudit)
    assert sealed is not None
    return sealed


def test_the_log_of_a_copy_of_the_hub_is_verified_with_its_checkpoints(fed, tmp_path: Path):
    done(fed)
    node_logs.seal(fed.hub, now=True)
    more(fed, 3)
    node_logs.seal(fed.hub, now=True)
    with reading(fed.hub.engine) as session:
        whole = audit_checkpoints.verify_whole(session, HubAudit, trusted=[fed.hub.key.key_id])
    assert whole.checkpoints == 2
    assert whole.head == head_of(fed.hub.engine, HubAudit)
