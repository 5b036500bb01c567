"""One-time codes: each works once, near its time, and guessing them is slowed down; recovery codes stand in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyotp
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import TooManyLogins
from fairbank.catalogue.identity import second_factors, tries
from fairbank.catalogue.identity.errors import SecondFactorRefused
from fairbank.catalogue.identity.store import RecoveryCodeRow, SecondFactorRow
from fairbank.clock import FixedClock
from fairbank.database import reading, writing

PASSWORD = "correct horse battery"
Make = Callable[..., Any]


@pytest.fixture
def secret(hub: Hub, person_named: Make) -> str:
    person_named("anna", Role.ADMIN)
    with writing(hub.engine) as session:
        return second_factors.begin(session, hub, "anna").secret


@pytest.fixture
def recovery_codes(hub: Hub, clock: FixedClock, secret: str) -> list[str]:
    codes = second_factors.confirm(hub, "anna", code_at(secret, clock))
    clock.advance(60)
    return codes


def code_at(secret: str, clock: FixedClock, *, later_s: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(clock.now().timestamp()) + later_s)


def login(client: TestClient, **more: str) -> Any:
    body = {"schema": "login/1", "name": "anna", "password": PASSWORD, **more}
    return client.post("/v1/login", content=json.dumps(body))


def test_the_codes_are_those_of_rfc_6238() -> None:
    # Appendix B, SHA-1, at 59 s and 1111111109 s, the last six digits.
    totp = pyotp.TOTP("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    assert [totp.at(59), totp.at(1_111_111_109)] == ["287082", "081804"]


def test_a_second_factor_that_was_not_confirmed_does_not_count(client: TestClient, secret: str) -> None:
    assert login(client).status_code == 200


@pytest.mark.usefixtures("recovery_codes")
def test_the_password_alone_is_not_enough(client: TestClient, clock: FixedClock, secret: str) -> None:
    assert (login(client).status_code, login(client).json()["code"]) == (401, "FB-CAT-165")
    assert login(client, code=code_at(secret, clock)).status_code == 200


@pytest.mark.usefixtures("recovery_codes")
def test_whether_an_account_has_one_is_told_only_with_the_right_password(client: TestClient) -> None:
    body = {"schema": "login/1", "name": "anna", "password": "wrong password"}
    assert client.post("/v1/login", content=json.dumps(body)).json()["code"] == "FB-CAT-021"


@pytest.mark.usefixtures("recovery_codes")
def test_a_code_works_once(hub: Hub, client: TestClient, clock: FixedClock, secret: str) -> None:
    code = code_at(secret, clock)
    assert login(client, code=code).status_code == 200
    assert login(client, code=code).json()["code"] == "FB-CAT-166"


@pytest.mark.usefixtures("recovery_codes")
def test_an_older_code_does_not_work_after_a_newer_one(hub: Hub, clock: FixedClock, secret: str) -> None:
    second_factors.check(hub, "anna", code_at(secret, clock))
    with pytest.raises(SecondFactorRefused):
        second_factors.check(hub, "anna", code_at(secret, clock, later_s=-30))


@pytest.mark.usefixtures("recovery_codes")
@pytest.mark.parametrize(
    ("later_s", "works"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)]
)
def test_a_code_works_near_its_time(
    hub: Hub, clock: FixedClock, secret: str, later_s: int, works: bool
) -> None:
    clock.advance(3_600)
    code = code_at(secret, clock, later_s=later_s)
    if works:
        second_factors.check(hub, "anna", code)
    else:
        with pytest.raises(SecondFactorRefused):
            second_factors.check(hub, "anna", code)


def test_a_recovery_code_works_once(hub: Hub, recovery_codes: list[str]) -> None:
    assert len(set(recovery_codes)) == second_factors.RECOVERY_CODES
    second_factors.check(hub, "anna", recovery_codes[3].upper().replace("-", " "))
    with pytest.raises(SecondFactorRefused):
        second_factors.check(hub, "anna", recovery_codes[3])
    with reading(hub.engine) as session:
        assert second_factors.recovery_codes_left(session, "anna") == second_factors.RECOVERY_CODES - 1


@pytest.mark.usefixtures("recovery_codes")
def test_guessing_codes_is_slowed_down_from_everywhere(hub: Hub, clock: FixedClock, secret: str) -> None:
    for _ in range(tries.WRONG):
        with pytest.raises(SecondFactorRefused):
            second_factors.check(hub, "anna", "not a code")
    with pytest.raises(TooManyLogins):
        second_factors.check(hub, "anna", code_at(secret, clock))
    clock.advance(tries.WINDOW_S + 1)
    second_factors.check(hub, "anna", code_at(secret, clock))


def test_neither_secret_nor_recovery_codes_are_in_the_database(
    hub: Hub, secret: str, recovery_codes: list[str]
) -> None:
    with reading(hub.engine) as session:
        kept = session.get_one(SecondFactorRow, "anna").secret
        hashes = [row.code_hash for row in session.query(RecoveryCodeRow)]
    assert secret.encode() not in kept
    assert not any(code.replace("-", "") in each for code in recovery_codes for each in hashes)


@pytest.mark.usefixtures("recovery_codes")
def test_a_second_one_does_not_replace_the_first(hub: Hub) -> None:
    with pytest.raises(SecondFactorRefused), writing(hub.engine) as session:
        second_factors.begin(session, hub, "anna")


@pytest.mark.usefixtures("recovery_codes")
def test_the_operator_can_take_it_away(hub: Hub, client: TestClient) -> None:
    with writing(hub.engine) as session:
        second_factors.remove(session, hub, "anna", actor="operator")
    assert login(client).status_code == 200


def test_where_it_is_required_nothing_else_works_before_it_is_set_up(
    hub: Hub, app_of: Callable[..., Any], clock: FixedClock, person_named: Make
) -> None:
    person_named("anna", Role.ADMIN)
    strict = replace(hub, settings=replace(hub.settings, accounts_totp_required="yes"))
    client = TestClient(app_of(strict), base_url="http://hub.test")
    answer = login(client).json()
    assert answer["limited_to"] == ["second-factor"]
    headers = {"Authorization": f"Bearer {answer['token']}"}
    assert client.get("/v1/accounts", headers=headers).json()["code"] == "FB-CAT-168"
    begun = client.post("/v1/account/second-factor", headers=headers).json()
    body = json.dumps({"schema": "code/1", "code": code_at(begun["secret"], clock)})
    assert len(client.put("/v1/account/second-factor", content=body, headers=headers).json()["codes"]) == 10
    clock.advance(60)
    full = login(client, code=code_at(begun["secret"], clock)).json()
    assert full["limited_to"] is None
    headers = {"Authorization": f"Bearer {full['token']}"}
    assert client.get("/v1/accounts", headers=headers).status_code == 200
