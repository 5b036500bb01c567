"""Limits on guessing, new passwords by one-time codes, and that strangers lock nobody out."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher
from starlette.requests import Request
from starlette.testclient import TestClient

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import AccountRefused, TooManyLogins, WrongPassword
from fairbank.catalogue.identity import logins, passwords
from fairbank.catalogue.identity.errors import ResetRefused
from fairbank.catalogue.identity.origins import is_https, origin_of
from fairbank.catalogue.store import AccountRow
from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.settings import Settings

PASSWORD = "correct horse battery"
Make = Callable[..., Any]


def attempt(hub: Hub, name: str = "rita", password: str = PASSWORD, origin: str = "192.0.2.1") -> None:
    logins.prove(hub, name=name, password=password, origin=origin)


def guess(hub: Hub, times: int, *, origins: str = "198.51.100.{}", name: str = "rita") -> None:
    for number in range(times):
        with pytest.raises(WrongPassword):
            attempt(hub, name, "a wrong password", origins.format(number // 4))


def test_strangers_do_not_lock_an_account_out_where_it_logged_in_before(hub: Hub, person_named: Make) -> None:
    person_named("rita")
    attempt(hub, origin="192.0.2.1")
    guess(hub, logins.FAILURES_PER_ACCOUNT)
    attempt(hub, origin="192.0.2.1")
    with pytest.raises(TooManyLogins):
        attempt(hub, origin="192.0.2.2")


def test_the_lock_ends_by_itself(hub: Hub, clock: FixedClock, person_named: Make) -> None:
    person_named("rita")
    guess(hub, logins.FAILURES_PER_ACCOUNT)
    clock.advance(logins.FAILURE_WINDOW_S + 1)
    attempt(hub, origin="192.0.2.2")


def test_one_address_does_not_try_one_password_on_all_accounts(hub: Hub) -> None:
    for number in range(logins.FAILURES_OF_ORIGIN):
        with pytest.raises(WrongPassword):
            attempt(hub, f"name-{number}", "a wrong password")
    with pytest.raises(TooManyLogins):
        attempt(hub, "one-more", "a wrong password")


def test_a_right_password_is_not_counted(hub: Hub, person_named: Make) -> None:
    person_named("rita")
    for _ in range(logins.FAILURES_PER_ORIGIN + 1):
        attempt(hub)


def test_many_at_once_are_no_way_around_the_limit(hub: Hub, person_named: Make) -> None:
    person_named("rita")

    def one(number: int) -> type[Exception]:
        try:
            attempt(hub, password=f"wrong password {number}")
        except (WrongPassword, TooManyLogins) as error:
            return type(error)
        raise AssertionError("a wrong password was taken")

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(one, range(24)))
    assert outcomes.count(WrongPassword) == logins.FAILURES_PER_ORIGIN


@pytest.mark.parametrize("name", ["rita", "nobody", "shut"])
def test_an_unknown_name_is_slowed_down_like_a_known_one(hub: Hub, person_named: Make, name: str) -> None:
    person_named("rita")
    guess(hub, logins.FAILURES_PER_ORIGIN, origins="192.0.2.1", name=name)
    with pytest.raises(TooManyLogins):
        attempt(hub, name, "a wrong password")


def test_a_hash_is_computed_for_unknown_names_too(
    hub: Hub, person_named: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    person_named("rita")
    asked: list[str] = []
    hasher = passwords._HASHER

    class Watched:
        def hash(self, word: str) -> str:
            return hasher.hash(word)

        def verify(self, stored: str, word: str) -> bool:
            asked.append(stored)
            return hasher.verify(stored, word)

    monkeypatch.setattr(passwords, "_HASHER", Watched())
    for name in ("rita", "nobody"):
        with pytest.raises(WrongPassword):
            attempt(hub, name, "a wrong password")
    assert len(asked) == 2 and all(each.startswith("$argon2id$") for each in asked)


def kept(hub: Hub) -> str:
    with reading(hub.engine) as session:
        return session.get_one(AccountRow, "rita").password_hash


def test_a_hash_of_another_cost_works_and_a_right_password_renews_it(hub: Hub, person_named: Make) -> None:
    person_named("rita")
    with writing(hub.engine) as session:
        session.get_one(AccountRow, "rita").password_hash = PasswordHasher(2, 16, 2).hash(PASSWORD)
    old = kept(hub)
    guess(hub, 1)
    assert kept(hub) == old and passwords.is_outdated(old)
    attempt(hub)
    new = kept(hub)
    assert new != old and not passwords.is_outdated(new)
    attempt(hub)
    assert kept(hub) == new


# -- new passwords -------------------------------------------------------------------------------------------------


@pytest.fixture
def code(hub: Hub, person_named: Make) -> str:
    person_named("rita")
    person_named("otto")
    with writing(hub.engine) as session:
        return logins.reset_code(session, hub, name="rita", actor="operator")


def use(hub: Hub, code: str, *, name: str = "rita", new: str = "another long one") -> None:
    logins.use_reset_code(hub, name=name, code=code, new=new, origin="192.0.2.1")


def test_a_code_sets_a_password_once(hub: Hub, code: str) -> None:
    with pytest.raises(WrongPassword):
        attempt(hub)
    use(hub, code)
    attempt(hub, password="another long one")
    with pytest.raises(ResetRefused):
        use(hub, code)


def test_a_code_is_of_one_account_and_of_one_day(hub: Hub, clock: FixedClock, code: str) -> None:
    with pytest.raises(ResetRefused):
        use(hub, code, name="otto")
    clock.advance(logins.RESET_CODE_HOURS * 3_600)
    with pytest.raises(ResetRefused):
        use(hub, code)


def test_a_password_that_is_refused_does_not_use_the_code_up(hub: Hub, code: str) -> None:
    with pytest.raises(AccountRefused):
        use(hub, code, new="short")
    use(hub, code)


def test_guessing_codes_counts_as_guessing(hub: Hub, code: str) -> None:
    for _ in range(logins.FAILURES_PER_ORIGIN):
        with pytest.raises(ResetRefused):
            use(hub, "fbr_wrong")
    with pytest.raises(TooManyLogins):
        use(hub, code)


def test_one_changes_one_s_own_password_and_all_log_ins_end(
    hub: Hub, client: TestClient, person_named: Make
) -> None:
    rita = person_named("rita")
    body = {"schema": "new-password/1", "old": "a wrong password", "new": "another long one"}
    path = "/v1/account/password"
    assert client.post(path, content=json.dumps(body), headers=rita.headers).status_code == 401
    body["old"] = PASSWORD
    assert client.post(path, content=json.dumps(body), headers=rita.headers).status_code == 204
    assert client.get("/v1/whoami", headers=rita.headers).status_code == 401
    attempt(hub, password="another long one")


@pytest.mark.parametrize("word", ["short", "rita-rita-1", "aaaaaaaaaaaa", "ababababababab"])
def test_a_weak_password_is_refused(word: str) -> None:
    with pytest.raises(AccountRefused):
        passwords.hashed(word, name="rita")


def test_an_administrator_resets_over_the_wire(hub: Hub, client: TestClient, person_named: Make) -> None:
    person_named("rita")
    anna = person_named("anna", Role.ADMIN)
    made = client.post("/v1/accounts/rita/reset", content=b'{"schema":"reset/1"}', headers=anna.headers)
    assert made.status_code == 201
    body = {
        "schema": "password-reset/1",
        "name": "rita",
        "code": made.json()["code"],
        "password": "a new long one",
    }
    assert client.post("/v1/password", content=json.dumps(body)).status_code == 204
    attempt(hub, password="a new long one")


# -- where requests come from --------------------------------------------------------------------------------------


def request_from(peer: str, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {
            "type": "http",
            "client": (peer, 1),
            "headers": raw,
            "scheme": "http",
            "path": "/",
            "server": ("h", 80),
        }
    )


@pytest.mark.parametrize(
    ("peer", "forwarded", "origin"),
    [
        ("203.0.113.9", "192.0.2.1", "203.0.113.9"),
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.66, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_only_a_trusted_proxy_says_where_a_request_comes_from(peer: str, forwarded: str, origin: str) -> None:
    settings = replace(Settings(), hub_trusted_proxies="10.0.0.1 10.0.0.2")
    assert origin_of(request_from(peer, x_forwarded_for=forwarded), settings) == origin


def test_only_a_trusted_proxy_says_that_a_connection_is_encrypted() -> None:
    settings = replace(Settings(), hub_trusted_proxies="10.0.0.1")
    assert is_https(request_from("10.0.0.1", x_forwarded_proto="https"), settings)
    assert not is_https(request_from("203.0.113.9", x_forwarded_proto="https"), settings)
