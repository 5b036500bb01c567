"""`fairbank audit`: what is whole is called whole, what is not is named, and files can be verified anywhere."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairbank import audit, audit_alarms, audit_export
from fairbank.audit import Head, HubAudit, NodeAudit
from fairbank.catalogue import nodes
from fairbank.catalogue.context import open_hub
from fairbank.clock import SystemClock
from fairbank.database import writing
from fairbank.federated_jobs.hub.store import AnchorRow
from fairbank.federated_jobs.node.store import AnchorRow as SeenRow
from fairbank.release.node import open_node
from fairbank.release.store import EnrolmentRow
from fairbank.settings import Settings

Run = Callable[..., Any]
BASE = "http://hub.test"


@pytest.fixture
def hub(fairbank: Run, tmp_path: Path) -> Path:
    home = tmp_path / "hub"
    fairbank("hub", "init", "--public-base-iri", BASE, home=home).ok()
    return home


@pytest.fixture
def north(fairbank: Run, hub: Path, tmp_path: Path) -> Path:
    """A node that has enrolled, and was shown the hub's log as the hub was shown its."""
    home = tmp_path / "north"
    fairbank("node", "init", "--name", "north", home=home).ok()
    clock = SystemClock()
    opened, site = open_hub(settings(hub), clock), open_node(settings(home), clock)
    with writing(opened.engine) as session:
        token = nodes.invite(session, opened, actor="admin")
    nodes.enrol(opened, nodes.Enrolment(node="north", key=site.key.key_id, token=token, title="North"))
    with writing(opened.engine) as session:
        head, own = audit.head(session, HubAudit), None
        with writing(site.engine) as there:
            own = audit.head(there, NodeAudit)
            there.add(SeenRow(seq=head.seq, hash=head.hash, at=clock.now()))
            there.add(
                EnrolmentRow(one=1, hub_url=BASE, hub_key=opened.key.key_id, public_base_iri=BASE, node="north",
                             enrolled=clock.now())
            )  # fmt: skip
        session.add(AnchorRow(node="north", seq=own.seq, hash=own.hash, at=clock.now()))
    for each in (opened, site):
        each.engine.dispose()
    opened.queries.close()
    return home


def settings(home: Path) -> Settings:
    return replace(Settings(), home=home)


def unguarded(home: Path, file: str, *statements: str) -> None:
    with closing(sqlite3.connect(home / file)) as connection:
        kept = list(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
        for name, _ in kept:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in kept:
            connection.execute(sql)
        connection.commit()


def test_an_untouched_log_is_whole_and_a_changed_entry_is_named(fairbank: Run, hub: Path) -> None:
    told = json.loads(fairbank("audit", "verify", "--format", "json", home=hub).ok().out)
    assert (told["verified"], told["entries"], told["log"]) == (True, 1, BASE)
    unguarded(hub, "hub.db", "UPDATE audit SET actor = 'eve' WHERE seq = 1")
    fairbank("audit", "verify", home=hub).refused("FB-CORE-030", "entry 1")


def test_a_sealed_log_that_was_cut_short_is_found(fairbank: Run, hub: Path, north: Path) -> None:
    fairbank("audit", "checkpoint", home=hub).ok()
    unguarded(hub, "hub.db", "DELETE FROM audit WHERE seq = (SELECT MAX(seq) FROM audit)")
    fairbank("audit", "verify", home=hub).refused("FB-CORE-052", "cut off")


def test_what_the_node_was_shown_finds_a_hub_s_log_that_was_cut_short(
    fairbank: Run, hub: Path, north: Path, tmp_path: Path
) -> None:
    file = tmp_path / "anchors.json"
    fairbank("audit", "anchors", file, home=north).ok()
    told = json.loads(fairbank("audit", "verify", "--anchors", file, "--format", "json", home=hub).ok().out)
    assert told["shown to others"] == 1
    unguarded(hub, "hub.db", "DELETE FROM audit WHERE seq = (SELECT MAX(seq) FROM audit)")
    fairbank("audit", "verify", home=hub).ok()
    fairbank("audit", "verify", "--anchors", file, home=hub).refused("FB-CORE-057", "north", "cut off")


def test_what_the_hub_was_shown_finds_a_node_s_log_that_was_rewritten(
    fairbank: Run, hub: Path, north: Path, tmp_path: Path
) -> None:
    file = tmp_path / "anchors.json"
    fairbank("audit", "anchors", file, "--node", "north", home=hub).ok()
    fairbank("audit", "verify", "--anchors", file, home=north).ok()
    unguarded(north, "node.db", "DELETE FROM audit")
    fairbank("audit", "verify", "--anchors", file, home=north).refused("FB-CORE-057")


def test_anchors_of_a_stranger_are_not_believed(
    fairbank: Run, hub: Path, north: Path, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger"
    fairbank("node", "init", "--name", "stranger", home=stranger).ok()
    site = open_node(settings(stranger), SystemClock())
    file = tmp_path / "forged.json"
    file.write_bytes(
        audit_export.seal_anchors(
            log=BASE,
            seen_by="north",
            heads=[Head(1, audit.GENESIS)],
            checkpoints=[],
            key=site.key,
            now=SystemClock().now(),
        )
    )
    fairbank("audit", "verify", "--anchors", file, home=hub).refused("FB-CORE-013")


def test_an_exported_log_is_verified_anywhere_and_a_changed_byte_is_found(
    fairbank: Run, hub: Path, north: Path, tmp_path: Path
) -> None:
    file, elsewhere = tmp_path / "log.jsonl", tmp_path / "elsewhere"
    fairbank("audit", "export", file, home=hub).ok()
    told = json.loads(fairbank("audit", "verify", file, "--format", "json", home=elsewhere).ok().out)
    assert told["log"] == BASE
    fairbank("audit", "verify", file, "--key", told["sealed by"], home=elsewhere).ok()
    whole = file.read_bytes()
    for at in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(Exception, match=r".") as caught:
            audit_export.verify_log(bytes(changed).splitlines(keepends=True), trusted=[told["sealed by"]])
        assert getattr(caught.value, "code", "").startswith("FB-CORE-0")
    file.chmod(0o600)
    file.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    fairbank("audit", "verify", file, home=elsewhere).refused("FB-CORE-056", "last line")


def test_nodes_that_were_shown_different_logs_find_the_fork_and_stop(
    fairbank: Run, north: Path, tmp_path: Path
) -> None:
    site = open_node(settings(north), SystemClock())
    other = tmp_path / "other.json"
    heads = [Head(seq, "sha256:" + "e" * 64) for seq in range(1, 9)]
    other.write_bytes(
        audit_export.seal_anchors(
            log=BASE, seen_by="south", heads=heads, checkpoints=[], key=site.key, now=SystemClock().now()
        )
    )
    fairbank("audit", "compare", other, home=north).refused("FB-CORE-058", "south")
    (alarm,) = json.loads(fairbank("audit", "alarms", "--format", "json", home=north).ok().out)
    assert alarm["kind"] == audit_alarms.AlarmKind.FORKED
    fairbank("audit", "clear", alarm["id"], "--why", "It was a rehearsal", home=north).ok()
    assert json.loads(fairbank("audit", "alarms", "--format", "json", home=north).ok().out) == []
    fairbank("audit", "clear", alarm["id"], "--why", "again", home=north).refused("FB-CORE-053")


def test_entries_are_shown_by_act_and_time(fairbank: Run, hub: Path, north: Path) -> None:
    told = json.loads(fairbank("audit", "show", "--act", "node.", "--format", "json", home=hub).ok().out)
    assert [entry["act"] for entry in told] == ["node.invite", "node.enrol"]
    late = fairbank("audit", "show", "--since", "2100-01-01", "--format", "json", home=hub).ok().out
    assert json.loads(late) == []


def test_the_provenance_of_a_log_is_turtle(fairbank: Run, hub: Path, north: Path, tmp_path: Path) -> None:
    import pyoxigraph as ox

    for home in (hub, north):
        file = tmp_path / f"{home.name}.ttl"
        fairbank("audit", "export", file, "--prov", home=home).ok()
        acts = {
            quad.object.value
            for quad in ox.parse(file.read_bytes(), format=ox.RdfFormat.TURTLE)
            if quad.predicate.value == "http://purl.org/dc/terms/type"
        }
        assert acts & {"hub.init", "node.init"}
