"""The hub's audit log over HTTP: proofs for everybody, entries for those who may read them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.testclient import TestClient

from fairbank import audit, audit_alarms, audit_checkpoints, audit_settings, audit_tree
from fairbank.audit import HubAudit
from fairbank.catalogue import accounts, audit_pages, login_failures
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


def test_the_page_shows_the_newest_first_by_act_and_day_and_page_by_page(
    hub: Hub, client: TestClient, clock: FixedClock, person_named: Callable[..., Any]
) -> None:
    root = person_named("ursula", Role.AUDITOR)
    first = clock.now().date().isoformat()
    write(hub, 2 * audit_pages.PAGE_ENTRIES + 1, act="leg.approve", actor="<b>ann</b>")
    clock.advance(timedelta(days=1) / timedelta(seconds=1))
    second = clock.now().date().isoformat()
    # Her log-in is over by then.
    with writing(hub.engine) as session:
        root.token = accounts.issue_token(session, hub, name="ursula").token
    write(hub, 2, act="leg.decline")

    def acts(**parameters: Any) -> tuple[list[str], str]:
        answer = get(client, "/audit", root, **parameters)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
        return re.findall(r"<td>(leg\.[a-z]+)</td>", answer.text), answer.text

    found, page = acts(act="leg.")
    assert found == ["leg.decline"] * 2 + ["leg.approve"] * (audit_pages.PAGE_ENTRIES - 2)
    assert "<b>" not in page and "&lt;b&gt;ann" in page
    seen = len(found)
    while following := re.search(r'rel="next" href="([^"]+)"', page):
        found, page = acts(**dict(parse_qsl(urlsplit(unescape(following.group(1))).query)))
        seen += len(found)
    assert seen == 2 * audit_pages.PAGE_ENTRIES + 3
    assert acts(act="leg.", since=second)[0] == ["leg.decline"] * 2
    assert set(acts(act="leg.", since=first, until=first)[0]) == {"leg.approve"}
    assert acts(act="leg.decline", until=first)[0] == []


@pytest.mark.parametrize("day", ["2026-02-31", "yesterday", "9999-12-31"])
def test_a_day_that_there_is_not_is_refused_in_words(
    client: TestClient, person_named: Callable[..., Any], day: str
) -> None:
    answer = get(client, "/audit", person_named("root", Role.ADMIN), until=day)
    assert (answer.status_code, answer.json()["code"]) == (400, "FB-CAT-178")


@pytest.mark.parametrize("path", ["/v1/audit", "/audit"])
def test_a_character_that_not_every_database_takes_is_refused(
    client: TestClient, person_named: Callable[..., Any], path: str
) -> None:
    assert get(client, path, person_named("root", Role.ADMIN), act="a\0b").status_code == 422


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/audit/alarms", "/audit"])
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
    assert "the log of alpha is shortened" in get(client, "/audit", root).text


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
