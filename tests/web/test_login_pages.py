"""Logging in with a browser: the cookie, the forms' proofs, how sessions end, and what other sites cannot do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from tests.web.conftest import COOKIE, PASSWORD, Browser, cookies_set, make_account

from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import logins, tokens
from fairbank.catalogue.identity.model import TokenScope
from fairbank.database import writing

PLAIN = "http://hub.test"
PLAIN_COOKIE = f"fairbank-{hashlib.sha256(PLAIN.encode()).hexdigest()[:8]}"


@pytest.fixture
def hub(opened: Callable[..., Hub]) -> Hub:
    made = opened()
    make_account(made, "rita", Role.RESEARCHER)
    return made


@pytest.fixture
def browser(hub: Hub) -> Browser:
    return Browser(hub)


def test_logging_in_sets_a_cookie_that_scripts_and_other_sites_do_not_get(browser: Browser) -> None:
    answer = browser.log_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert cookies_set(answer)[COOKIE] == {"httponly", "secure", "samesite=lax", "path=/"}
    assert "rita" in browser.look("/me").text


def test_at_an_address_without_encryption_the_cookie_has_another_name(opened: Callable[..., Hub]) -> None:
    hub = opened(base=PLAIN)
    make_account(hub, "rita", Role.RESEARCHER)
    plain = Browser(hub, PLAIN)
    answer = plain.log_in()
    assert cookies_set(answer) == {PLAIN_COOKIE: {"httponly", "samesite=lax", "path=/"}}
    assert "rita" in plain.look("/me").text


def test_at_an_address_with_encryption_no_cookie_goes_without_it(hub: Hub) -> None:
    # So it looks to a hub behind a proxy that nobody named to it; and to one that is called past its proxy.
    plain = Browser(hub, PLAIN)
    planted = plain.look("/login")
    assert all("secure" in said for said in cookies_set(planted).values())
    plain.client.cookies.update(dict(planted.cookies))
    headers = {"Cookie": "; ".join(f"{each.name}={each.value}" for each in plain.client.cookies.jar)}
    proof = re.search(r'name="csrf" value="([^"]*)"', planted.text)
    assert proof is not None
    form = {"csrf": proof.group(1), "name": "rita", "password": PASSWORD}
    answer = plain.client.post("/login", data=form, headers=headers)
    assert cookies_set(answer) == {COOKIE: {"httponly", "secure", "samesite=lax", "path=/"}}


def test_the_cookie_is_taken_away_as_it_was_set(browser: Browser) -> None:
    browser.log_in()
    browser.look("/me")
    said = cookies_set(browser.send("/logout"))[COOKIE]
    assert {"httponly", "secure", "samesite=lax", "path=/", "max-age=0"} <= said


def test_a_wrong_password_shows_the_form_again_and_logs_nobody_in(browser: Browser) -> None:
    answer = browser.log_in(password="a wrong password")
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert COOKIE not in browser.client.cookies
    assert browser.look("/me").headers["location"].startswith("/login")


def test_what_somebody_typed_is_shown_as_text(browser: Browser) -> None:
    answer = browser.log_in(name='"><script>alert(1)</script>')
    assert "<script>" not in answer.text


def test_a_form_of_another_site_is_refused(hub: Hub, browser: Browser) -> None:
    browser.look("/login")
    sent = browser.client.post("/login", data={"name": "rita", "password": PASSWORD})
    assert (sent.status_code, COOKIE in browser.client.cookies) == (403, False)
    stranger = Browser(hub)
    stranger.shown = browser.shown
    assert stranger.send("/login", name="rita", password=PASSWORD).status_code == 403


@pytest.mark.parametrize("path", ["/logout", "/account/password", "/account/second-factor"])
def test_a_session_s_form_needs_the_session_s_own_proof(hub: Hub, browser: Browser, path: str) -> None:
    other = Browser(hub)
    for each in (other, browser):
        each.log_in()
        each.look("/me")
    proof = re.search(r'name="csrf" value="([^"]*)"', other.shown.text)
    assert proof is not None
    for wrong in ({}, {"csrf": "0" * 64}, {"csrf": proof.group(1)}):
        assert browser.client.post(path, data=wrong).status_code == 403
    assert browser.look("/me").status_code == 200


def test_a_cookie_alone_changes_nothing_over_the_wire(browser: Browser) -> None:
    browser.log_in()
    body = {"schema": "new-token/1", "name": "planted", "scopes": ["read"]}
    refused = browser.client.post("/v1/account/tokens", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "FB-CAT-172")
    browser.look("/me")
    proof = re.search(r'name="csrf" value="([^"]*)"', browser.shown.text)
    assert proof is not None
    headers = {"X-CSRF-Token": proof.group(1)}
    assert browser.client.post("/v1/account/tokens", json=body, headers=headers).status_code == 201


def test_a_cookie_reads(browser: Browser) -> None:
    browser.log_in()
    answer = browser.client.get("/v1/whoami")
    assert answer.json()["account"] == "rita"
    assert answer.headers["cache-control"] == "private" and "Cookie" in answer.headers["vary"]


def test_logging_out_ends_the_session_at_the_hub(hub: Hub, browser: Browser) -> None:
    browser.log_in()
    kept = browser.client.cookies[COOKIE]
    browser.look("/me")
    assert browser.send("/logout").status_code == 303
    assert COOKIE not in browser.client.cookies
    again = Browser(hub)
    again.client.cookies.set(COOKIE, kept)
    assert again.look("/me").headers["location"].startswith("/login")


@pytest.mark.parametrize(
    ("steps", "ends"), [([59 * 60] * 2, False), ([61 * 60], True), ([50 * 60] * 15, True)]
)
def test_a_session_ends_when_idle_and_after_a_day_s_work(
    hub: Hub, browser: Browser, steps: list[int], ends: bool
) -> None:
    browser.log_in()
    clock: Any = hub.clock
    for step in steps:
        clock.advance(step)
        answer = browser.look("/me")
    assert (answer.status_code == 303) is ends


def test_a_new_password_and_a_shut_account_end_sessions(hub: Hub, browser: Browser) -> None:
    browser.log_in()
    with writing(hub.engine) as session:
        logins.set_password(session, hub, name="rita", password="another long one", actor="operator")
    assert browser.look("/me").status_code == 303
    assert browser.log_in(password="another long one").status_code == 303
    with writing(hub.engine) as session:
        accounts.disable(session, hub, name="rita", actor="operator")
    assert browser.look("/me").status_code == 303


def test_logging_out_everywhere_ends_every_browser_and_command_line(hub: Hub, browser: Browser) -> None:
    other = Browser(hub)
    for each in (other, browser):
        each.log_in()
    with writing(hub.engine) as session:
        token = accounts.issue_token(session, hub, name="rita").token
        wish = tokens.NewToken(name="report", scopes=(TokenScope.READ,), days=30)
        program = tokens.make(session, hub, account="rita", wish=wish)[1]
    browser.look("/me")
    assert browser.send("/account/log-out-everywhere").headers["location"].startswith("/login")
    assert COOKIE not in browser.client.cookies
    assert other.look("/me").headers["location"].startswith("/login")
    assert accounts.by_token(hub, token) is None
    # What she made for a program goes on, unless she says so.
    assert accounts.by_token(hub, program) is not None
    browser.log_in()
    browser.look("/me")
    browser.send("/account/log-out-everywhere", programs="yes")
    assert accounts.by_token(hub, program) is None


def test_a_form_of_another_site_logs_nobody_out_everywhere(browser: Browser) -> None:
    browser.log_in()
    assert browser.client.post("/account/log-out-everywhere").status_code == 403
    assert browser.look("/me").status_code == 200


def test_a_cookie_that_was_planted_is_worth_nothing_after_the_log_in(hub: Hub, browser: Browser) -> None:
    browser.log_in()
    planted = browser.client.cookies[COOKIE]
    browser.log_in()
    assert browser.client.cookies[COOKIE] != planted
    attacker = Browser(hub)
    attacker.client.cookies.set(COOKIE, planted)
    assert attacker.look("/me").status_code == 303


def test_a_second_factor_is_set_up_and_asked_for(hub: Hub, browser: Browser) -> None:
    clock: Any = hub.clock
    browser.log_in()
    browser.look("/account/second-factor")
    assert browser.send("/account/second-factor").status_code == 303
    page = browser.look("/account/second-factor").text
    assert 'src="/account/second-factor/picture.svg"' in page
    assert "<svg" in browser.look("/account/second-factor/picture.svg").text
    browser.look("/account/second-factor")
    secret = re.search(r"<p><code>([A-Z2-7]+)</code>", page)
    assert secret is not None
    totp = pyotp.TOTP(secret.group(1))
    refused = browser.send("/account/second-factor", code="000000x")
    assert refused.status_code == 422 and 'role="alert"' in refused.text
    codes = browser.send("/account/second-factor", code=totp.at(int(clock.now().timestamp())))
    assert codes.status_code == 200 and codes.text.count("<li><code>") == 10
    clock.advance(60)
    second = Browser(hub)
    assert second.log_in().headers["location"] == "/login/code"
    # Half of a log-in is none.
    assert second.look("/me").headers["location"].startswith("/login")
    assert second.client.get("/v1/whoami").status_code == 401
    second.look("/login/code")
    assert (
        second.client.post("/login/code", data={"code": totp.at(int(clock.now().timestamp()))}).status_code
        == 403
    )
    assert second.send("/login/code", code="123").status_code == 422
    before = second.client.cookies[COOKIE]
    answer = second.send("/login/code", code=totp.at(int(clock.now().timestamp())))
    assert answer.headers["location"] == "/" and second.client.cookies[COOKIE] != before
    assert "rita" in second.look("/me").text


def test_who_has_to_have_a_second_factor_gets_no_further_without(opened: Callable[..., Hub]) -> None:
    hub = opened(accounts_totp_required="yes")
    make_account(hub, "anna", Role.ADMIN)
    browser = Browser(hub)
    assert browser.log_in("anna").headers["location"] == "/account/second-factor"
    assert browser.client.get("/v1/accounts").json()["code"] == "FB-CAT-168"
    assert browser.look("/account/second-factor").status_code == 200


def test_a_password_is_changed_by_its_form(browser: Browser) -> None:
    browser.log_in()
    browser.look("/account/password")
    differ = browser.send("/account/password", old=PASSWORD, new="a new long one", again="another")
    assert differ.status_code == 422
    done = browser.send("/account/password", old=PASSWORD, new="a new long one", again="a new long one")
    assert done.headers["location"].startswith("/login")
    assert browser.log_in(password="a new long one").headers["location"] == "/"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a=1&" * 50, b"csrf"])
def test_a_form_that_cannot_be_read_is_refused(browser: Browser, content: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.client.post("/login", content=content, headers=headers).status_code == 403


def test_a_form_that_is_too_large_is_not_read(browser: Browser) -> None:
    assert browser.client.post("/login", data={"name": "x" * 300_000}).status_code == 413


@pytest.mark.parametrize("path", ["/login", "/account", "/", "/healthz", "/v1/nothing"])
def test_every_answer_tells_browsers_what_not_to_do(browser: Browser, path: str) -> None:
    headers = browser.look(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["referrer-policy"] == "same-origin"


def test_without_encryption_nothing_is_said_of_it(hub: Hub) -> None:
    assert "strict-transport-security" not in Browser(hub, "http://hub.test").look("/login").headers


def test_pages_have_what_screen_readers_need(browser: Browser) -> None:
    page = browser.look("/login").text
    assert '<html lang="en"' in page and '<main id="main">' in page
    fields = re.findall(r'<input id="([^"]+)"', page)
    assert re.findall(r"<script(?![^>]*src=)", page) == []
    assert fields and all(f'<label for="{field}">' in page for field in fields)
