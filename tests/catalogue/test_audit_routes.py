"""The hub's audit log over HTTP: proofs for everybody, entries for those who may read them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from fairbank import audit, audit_alarms, audit_checkpoints, audit_settings, audit_tree
from fairbank.audit import HubAudit
from fairbank.catalogue import accounts, login_failures
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import WrongPassword
from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub import node_logs


def write(hub: Hub, count: int, *, act: str = "test.act", actor: str = "ann") -> None:
    with writing(hub.engine) as session:
        for number in range(count):
            audit.record(session, HubAudit, clock=hub.clock, actor=actor, act=act, target=f"t{number}")


def get(client: TestClient, path: str, who: Any = None, **parameters: Any) -> Any:
    return client.get(path, params=parameters, headers=who.headers if who is not None else {})


def test_a_sealed_checkpoint_and_proofs_show_that_the_log_goes_on(hub: Hub, client: TestClient) -> None:
    write(hub, 5)
    node_logs.seal(hub, now=True)
    old = opened(hub, get(client, "/v1/audit/checkpoint").json()["checkpoint"])
    write(hub, 9)
    node_logs.seal(hub, now=True)
    new = opened(hub, get(client, "/v1/audit/checkpoint").json()["checkpoint"])
    proof = get(client, "/v1/audit/consistency", first=old.size, second=new.size).json()["proof"]
    assert audit_tree.extends(
        first=old.size, first_root=audit_tree.read(old.root), second=new.size, second_root=audit_tree.read(new.root),
        proof=[audit_tree.read(each) for each in proof],
    )  # fmt: skip
    (path,) = get(client, "/v1/audit/inclusion", size=new.size, entries=str(old.size)).json()["paths"]
    assert audit_tree.includes(
        old.head, index=old.size - 1, size=new.size, path=[audit_tree.read(each) for each in path],
        root=audit_tree.read(new.root),
    )  # fmt: skip
    listed = get(client, "/v1/audit/checkpoints", after=old.size).json()["checkpoints"]
    assert [opened(hub, each).size for each in listed] == [new.size]


def opened(hub: Hub, envelope: str) -> audit_checkpoints.Checkpoint:
    return audit_checkpoints.Checkpoint.open(envelope.encode(), trusted=[hub.key.key_id])


@pytest.mark.parametrize(
    ("path", "parameters", "status"),
    [
        ("/v1/audit/consistency", {"first": 1, "second": 99_999}, 404),
        ("/v1/audit/consistency", {"first": 3, "second": 2}, 404),
        ("/v1/audit/consistency", {"first": 0, "second": 2}, 422),
        ("/v1/audit/inclusion", {"size": 2, "entries": "3"}, 404),
        ("/v1/audit/inclusion", {"size": 2, "entries": "0"}, 404),
        ("/v1/audit/inclusion", {"size": 2, "entries": "1;2"}, 422),
        ("/v1/audit/inclusion", {"size": 2, "entries": ",".join(["1"] * 65)}, 422),
        ("/v1/audit/checkpoints", {"limit": 5000}, 422),
    ],
)
def test_what_cannot_be_proven_is_refused_in_words(
    hub: Hub, client: TestClient, path: str, parameters: dict[str, Any], status: int
) -> None:
    write(hub, 3)
    assert get(client, path, **parameters).status_code == status


def test_before_the_first_checkpoint_there_is_none(client: TestClient) -> None:
    answer = get(client, "/v1/audit/checkpoint")
    assert (answer.status_code, answer.json()["code"]) == (404, "FB-CORE-055")


def test_entries_are_found_by_act_actor_target_and_time(
    hub: Hub, client: TestClient, clock: FixedClock, person_named: Callable[..., Any]
) -> None:
    root = person_named("root", Role.ADMIN)
    write(hub, 3, act="leg.approve")
    clock.advance(timedelta(hours=1) / timedelta(seconds=1))
    write(hub, 2, act="leg.decline", actor="ben")
    write(hub, 1, act="legend.tell")

    def found(**parameters: Any) -> list[str]:
        answer = get(client, "/v1/audit", root, **parameters)
        assert answer.status_code == 200, answer.text
        return [entry["act"] for entry in answer.json()["entries"]]

    assert found(act="leg.") == ["leg.approve"] * 3 + ["leg.decline"] * 2
    assert found(act="leg.approve") == ["leg.approve"] * 3
    assert found(actor="ben") == ["leg.decline"] * 2
    assert found(act="leg.", target="t1") == ["leg.approve", "leg.decline"]
    assert found(since=iso(clock.now())) == ["leg.decline"] * 2 + ["legend.tell"]
    assert found(act="leg._") == []
    assert get(client, "/v1/audit", root, since="2026-02-31T00:00:00.000Z").status_code == 404


@pytest.mark.parametrize("path", ["/v1/audit"])
def test_a_character_that_not_every_database_takes_is_refused(
    client: TestClient, person_named: Callable[..., Any], path: str
) -> None:
    assert get(client, path, person_named("root", Role.ADMIN), act="a\0b").status_code == 422


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/audit/alarms"])
@pytest.mark.parametrize("role", [None, Role.RESEARCHER, Role.COMMITTEE])
def test_nobody_else_reads_entries_or_alarms(
    client: TestClient, person_named: Callable[..., Any], role: Role | None, path: str
) -> None:
    who = person_named("eve", role) if role else None
    assert get(client, path, who).status_code == (403 if role else 401)


def test_alarms_are_told_to_administrators(
    hub: Hub, client: TestClient, person_named: Callable[..., Any]
) -> None:
    with writing(hub.engine) as session:
        node_logs.sound(hub, session, "alpha", audit_alarms.AlarmKind.SHORTENED, {"seen": 3})
    root = person_named("root", Role.ADMIN)
    (told,) = get(client, "/v1/audit/alarms", root).json()["alarms"]
    assert (told["log"], told["kind"], told["cleared"]) == ("alpha", "shortened", None)


def test_wrong_passwords_are_logged_in_bulk_without_the_names_that_were_typed(
    hub: Hub, person_named: Callable[..., Any]
) -> None:
    person_named("ada", Role.RESEARCHER)
    assert login_failures.note(hub) == 0
    for name in ("ada", "my secret password"):
        with pytest.raises(WrongPassword):
            accounts.login(hub, name=name, password="wrong wrong wrong", origin="1.2.3.4")
    assert login_failures.note(hub) == 2
    assert login_failures.note(hub) == 0
    with reading(hub.engine) as session:
        (entry,) = audit.entries(session, HubAudit, audit.Wanted(act=login_failures.ACT))
    assert entry.detail["failures"] == 2
    assert "secret" not in str((entry.actor, entry.target, entry.detail))


def test_changed_settings_are_logged_once_by_name(hub: Hub, clock: FixedClock) -> None:
    from dataclasses import replace

    def note(settings: Any) -> bool:
        return audit_settings.note_if_changed(hub.engine, HubAudit, settings, clock=clock, actor="hub")

    assert note(hub.settings)
    assert not note(hub.settings)
    assert note(replace(hub.settings, sparql_timeout_s=7))
    with reading(hub.engine) as session:
        entry = audit.entries(session, HubAudit, audit.Wanted(act=audit_settings.ACT), newest=True)[-1]
    assert "sparql_timeout_s" in entry.detail["set"]
    assert "postgresql" not in str(entry.detail) and str(hub.settings.home) not in str(entry.detail)
