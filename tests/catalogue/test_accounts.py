"""Accounts: passwords, tokens, roles, and the keys that requesters sign with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from argon2.low_level import Type, hash_secret_raw
from starlette.testclient import TestClient

from fairbank import audit
from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import AccountKey, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import AccountRefused
from fairbank.catalogue.identity import logins, passwords
from fairbank.catalogue.identity.passwords import COST, EARLIER_COST
from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.signing import SigningKey

Make = Callable[..., Any]
PASSWORD = "correct horse battery"


def login(client: TestClient, name: str, password: str = PASSWORD) -> Any:
    return client.post("/v1/login", json={"schema": "login/1", "name": name, "password": password})


def test_a_password_gives_a_token_that_says_who_it_is(client: TestClient, person_named: Make) -> None:
    person_named("rita", Role.RESEARCHER)
    answer = login(client, "rita").json()
    seen = client.get("/v1/whoami", headers={"Authorization": f"Bearer {answer['token']}"}).json()
    assert (seen["account"], seen["roles"]) == ("rita", ["researcher"])


@pytest.mark.parametrize(("name", "password"), [("rita", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_name_and_a_wrong_password_look_the_same(
    client: TestClient, person_named: Make, name: str, password: str
) -> None:
    person_named("rita")
    answer = login(client, name, password)
    assert (answer.status_code, answer.json()["code"]) == (401, "FB-CAT-021")


def test_guessing_is_slowed_down(client: TestClient, clock: FixedClock, person_named: Make) -> None:
    person_named("rita")
    for _ in range(5):
        login(client, "rita", "wrong")
    assert login(client, "rita").json()["code"] == "FB-CAT-022"
    clock.advance(301)
    assert login(client, "rita").status_code == 200


def test_a_token_ends(client: TestClient, clock: FixedClock, person_named: Make) -> None:
    rita = person_named("rita")
    clock.advance(accounts.TOKEN_HOURS * 3600)
    assert client.get("/v1/whoami", headers=rita.headers).json()["code"] == "FB-CAT-020"


def test_a_token_that_does_not_work_is_said_even_where_none_is_needed(client: TestClient) -> None:
    assert client.get("/datasets", headers={"Authorization": "Bearer fbt_nothing"}).status_code == 401


def test_logging_out_ends_the_token(client: TestClient, person_named: Make) -> None:
    rita = person_named("rita")
    assert client.post("/v1/logout", headers=rita.headers).status_code == 204
    assert client.get("/v1/whoami", headers=rita.headers).status_code == 401


def test_a_new_password_ends_all_log_ins(hub: Hub, client: TestClient, person_named: Make) -> None:
    rita = person_named("rita")
    with writing(hub.engine) as session:
        logins.set_password(session, hub, name="rita", password="another long one", actor="anna")
    assert client.get("/v1/whoami", headers=rita.headers).status_code == 401
    assert login(client, "rita", "another long one").status_code == 200


def test_logging_out_everywhere_ends_log_ins_and_programs_only_if_asked(
    hub: Hub, client: TestClient, person_named: Make
) -> None:
    rita, otto = person_named("rita"), person_named("otto")
    body = json.dumps({"schema": "new-token/1", "name": "report", "scopes": ["read"]})
    program = client.post("/v1/account/tokens", content=body, headers=rita.headers).json()["token"]
    as_program = {"Authorization": f"Bearer {program}"}
    # A program may not end what people do.
    assert client.delete("/v1/account/log-ins", headers=as_program).status_code == 403
    answer = client.delete("/v1/account/log-ins", headers=rita.headers)
    assert answer.json() == {"schema": "ended-log-ins/1", "sessions": 0, "command_lines": 1, "tokens": 0}
    assert client.get("/v1/whoami", headers=rita.headers).status_code == 401
    assert client.get("/v1/whoami", headers=as_program).status_code == 200
    again = {"Authorization": f"Bearer {login(client, 'rita').json()['token']}"}
    assert client.delete("/v1/account/log-ins?tokens=true", headers=again).json()["tokens"] == 1
    assert client.get("/v1/whoami", headers=as_program).status_code == 401
    assert client.get("/v1/whoami", headers=otto.headers).status_code == 200


def test_an_administrator_ends_all_log_ins_of_an_account_and_the_log_says_so(
    hub: Hub, client: TestClient, person_named: Make
) -> None:
    rita, otto = person_named("rita", Role.RESEARCHER), person_named("otto", Role.RESEARCHER)
    anna = person_named("anna", Role.ADMIN)
    path = "/v1/accounts/rita/log-ins"
    assert [client.delete(path, headers=each.headers).status_code for each in (otto, rita)] == [403, 403]
    assert client.delete(path, headers=anna.headers).json()["command_lines"] == 1
    assert client.get("/v1/whoami", headers=rita.headers).status_code == 401
    assert login(client, "rita").status_code == 200
    with reading(hub.engine) as session:
        (entry,) = audit.entries(session, audit.HubAudit, audit.Wanted(act="account.log-out"))
    assert (entry.actor, entry.target) == ("anna", "rita")
    assert entry.detail == {"sessions": 0, "command_lines": 1, "tokens": 0}
    unknown = client.delete("/v1/accounts/nobody/log-ins", headers=anna.headers)
    assert unknown.json()["code"] == "FB-CAT-024"


def test_the_operator_ends_all_log_ins_of_an_account_on_the_hub_s_own_machine(
    hub: Hub, client: TestClient, person_named: Make, fairbank: Callable[..., Any]
) -> None:
    rita, otto = person_named("rita", Role.RESEARCHER), person_named("otto", Role.RESEARCHER)
    wish = json.dumps({"schema": "new-token/1", "name": "night run", "scopes": ["read"]})
    program = client.post("/v1/account/tokens", content=wish, headers=rita.headers).json()["token"]
    database = hub.settings.hub_database
    given = ("--set", f"hub_database={database}") if database else ()
    ended = fairbank(*given, "hub", "log-out", "rita", home=hub.settings.home).ok()
    assert "rita is logged out: 0 in browsers, 1 on command lines, 1 tokens of programs." in ended.err
    for token in (rita.token, program):
        assert client.get("/v1/whoami", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert client.get("/v1/whoami", headers=otto.headers).status_code == 200
    with reading(hub.engine) as session:
        (entry,) = audit.entries(session, audit.HubAudit, audit.Wanted(act="account.log-out"))
    assert (entry.actor, entry.target) == ("operator", "rita")
    assert entry.detail == {"sessions": 0, "command_lines": 1, "tokens": 1}
    fairbank(*given, "hub", "log-out", "nobody", home=hub.settings.home).refused("FB-CAT-024")


def test_a_shut_account_is_nobody(hub: Hub, client: TestClient, person_named: Make) -> None:
    rita = person_named("rita")
    with writing(hub.engine) as session:
        accounts.disable(session, hub, name="rita", actor="anna")
    assert client.get("/v1/whoami", headers=rita.headers).status_code == 401
    assert login(client, "rita").status_code == 401


def test_the_last_administrator_is_shut_by_the_operator_alone(
    hub: Hub, client: TestClient, person_named: Make, fairbank: Callable[..., Any]
) -> None:
    anna, berta = person_named("anna", Role.ADMIN), person_named("berta", Role.ADMIN)
    assert client.delete("/v1/accounts/berta", headers=anna.headers).status_code == 204
    refused = client.delete("/v1/accounts/anna", headers=anna.headers)
    assert refused.status_code == 422 and "last administrator" in refused.text
    assert client.get("/v1/whoami", headers=anna.headers).status_code == 200
    database = hub.settings.hub_database
    given = ("--set", f"hub_database={database}") if database else ()
    fairbank(*given, "hub", "disable-account", "anna", home=hub.settings.home).ok()
    assert client.get("/v1/whoami", headers=anna.headers).status_code == 401
    assert client.get("/v1/whoami", headers=berta.headers).status_code == 401


def test_only_an_administrator_makes_accounts(client: TestClient, person_named: Make) -> None:
    body = json.dumps({"schema": "account/1", "name": "otto", "password": PASSWORD, "roles": ["researcher"]})
    assert client.post("/v1/accounts", content=body).status_code == 401
    rita, anna = person_named("rita", Role.RESEARCHER), person_named("anna", Role.ADMIN)
    assert client.post("/v1/accounts", content=body, headers=rita.headers).status_code == 403
    assert client.post("/v1/accounts", content=body, headers=anna.headers).status_code == 201
    assert login(client, "otto").status_code == 200
    names = [each["account"] for each in client.get("/v1/accounts", headers=anna.headers).json()["accounts"]]
    assert names == ["anna", "otto", "rita"]


def test_only_an_administrator_invites_nodes(client: TestClient, person_named: Make) -> None:
    rita, anna = person_named("rita", Role.RESEARCHER), person_named("anna", Role.ADMIN)
    body = b'{"schema":"invitation/1"}'
    assert client.post("/v1/invitations", content=body, headers=rita.headers).status_code == 403
    assert (
        client.post("/v1/invitations", content=body, headers=anna.headers).json()["token"].startswith("fbi_")
    )


def test_a_short_password_is_refused(hub: Hub) -> None:
    with pytest.raises(AccountRefused), writing(hub.engine) as session:
        accounts.create_account(session, hub, name="rita", password="short", roles=[])


def test_neither_passwords_nor_tokens_are_in_the_database(hub: Hub, person_named: Make) -> None:
    rita = person_named("rita")
    for path in hub.settings.home.glob("hub.db*"):
        content = path.read_bytes()
        assert PASSWORD.encode() not in content and rita.token.encode() not in content


def test_a_hash_costs_as_many_bytes_moved_as_rfc_9106_asks_in_the_memory_that_owasp_names(
    hasher_in_earnest: Any,
) -> None:
    stored = hasher_in_earnest.hash(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=12,p=1$")
    assert hasher_in_earnest.verify(stored, PASSWORD)
    assert COST.passes * COST.memory_kib >= EARLIER_COST.passes * EARLIER_COST.memory_kib


def test_a_passphrase_is_stretched_at_the_same_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "hash_secret_raw", hash_secret_raw)
    cost = {"time_cost": 12, "memory_cost": 19_456, "parallelism": 1}
    wanted = hash_secret_raw(PASSWORD.encode(), bytes(16), **cost, hash_len=32, type=Type.ID)
    assert passwords.stretched(PASSWORD, salt=bytes(16)) == wanted


def proof(hub: Hub, key: SigningKey, /, **changes: Any) -> bytes:
    given = {"account": "rita", "key": key.key_id, "hub": hub.base_iri, "created": iso(hub.clock.now())}
    return AccountKey(**(given | changes)).seal(key)


def test_a_key_is_registered_with_its_own_proof(hub: Hub, client: TestClient, person_named: Make) -> None:
    rita, key = person_named("rita"), SigningKey.generate()
    answer = client.post("/v1/accounts/key", content=proof(hub, key), headers=rita.headers)
    assert answer.json()["key"] == key.key_id
    assert client.get("/v1/whoami", headers=rita.headers).json()["key"] == key.key_id


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "otto"},
        {"hub": "http://other.test"},
        {"created": "2025-12-31T00:00:00.000Z"},
        {"key": SigningKey.generate().key_id},
    ],
    ids=["account", "hub", "time", "key"],
)
def test_a_proof_for_something_else_is_refused(
    hub: Hub, client: TestClient, person_named: Make, changes: dict[str, str]
) -> None:
    rita = person_named("rita")
    envelope = proof(hub, SigningKey.generate(), **changes)
    answer = client.post("/v1/accounts/key", content=envelope, headers=rita.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-CAT-025")


def test_a_key_belongs_to_one_account(hub: Hub, client: TestClient, person_named: Make) -> None:
    rita, otto = person_named("rita"), person_named("otto")
    answer = client.post("/v1/accounts/key", content=proof(hub, otto.key), headers=rita.headers)
    assert answer.json()["code"] == "FB-CAT-025"


def test_the_hub_says_who_it_is(hub: Hub, client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    about = client.get("/v1/hub").json()
    assert (about["key"], about["base_iri"], about["protocol"]) == (hub.key.key_id, "http://hub.test", [1])


def test_the_head_of_the_log_is_open_and_its_entries_are_not(client: TestClient, person_named: Make) -> None:
    assert client.get("/v1/audit/head").json()["seq"] >= 1
    assert client.get("/v1/audit").status_code == 401
    assert client.get("/v1/audit", headers=person_named("rita").headers).status_code == 403
