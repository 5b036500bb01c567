"""Forms that take effect once, come from this hub's own pages, and lose no text when a session ends."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.web.conftest import PASSWORD, Browser, make_account

from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.web import once
from fairbank.web.languages import Tongue
from fairbank.web.once import Bound, StaleForm, TokenForged
from fairbank.web.pages.visits import Fields, Visit, own_path

LEG = Bound("leg 17", "in_review 3")


@pytest.fixture
def hub(opened: Callable[..., Hub]) -> Hub:
    made = opened()
    make_account(made, "rita", Role.RESEARCHER)
    make_account(made, "carla", Role.COMMITTEE)
    return made


def visit(hub: Hub, name: str = "rita", token: str = "") -> Visit:
    who = Account(name, frozenset(), None)
    form = Fields([("once", token)]) if token else Fields()
    return Visit(who=who, tongue=Tongue(), now=hub.clock.now(), path="/here", form=form)


# -- one-use tokens ------------------------------------------------------------------------------------------------


def test_a_form_sent_twice_does_one_thing_and_leads_to_the_same_place(hub: Hub) -> None:
    done: list[str] = []

    def decide() -> str:
        done.append("decided")
        return "/requests/17"

    sent = visit(hub, token=once.token(hub, visit(hub), LEG))
    answers = [once.act(hub, sent, LEG, decide) for _ in range(3)]
    assert done == ["decided"]
    assert [answer.headers["location"] for answer in answers] == ["/requests/17"] * 3


def test_the_second_of_two_leads_on_though_the_first_has_changed_the_object(hub: Hub) -> None:
    sent = visit(hub, token=once.token(hub, visit(hub), LEG))
    once.act(hub, sent, LEG, lambda: "/requests/17")
    later = Bound(LEG.target, "approved 4")
    assert once.act(hub, sent, later, lambda: "/wrong").headers["location"] == "/requests/17"


def test_a_decision_about_what_has_changed_is_refused_and_does_nothing(hub: Hub) -> None:
    sent = visit(hub, token=once.token(hub, visit(hub), LEG))
    done: list[str] = []
    with pytest.raises(StaleForm):
        once.act(hub, sent, Bound(LEG.target, "approved 4"), lambda: done.append("x") or "/")
    assert done == []


@pytest.mark.parametrize(
    "change",
    [
        lambda hub, token: (visit(hub, "carla", token), LEG),
        lambda hub, token: (visit(hub, token=token), Bound("leg 18", LEG.version)),
        lambda hub, token: (visit(hub, token=token[:-1] + ("0" if token[-1] != "0" else "1")), LEG),
        lambda hub, token: (visit(hub, token="9" + token), LEG),
        lambda hub, token: (visit(hub), LEG),
    ],
    ids=["another person", "another object", "changed", "longer life", "none"],
)
def test_a_token_is_good_for_one_person_and_object_only(
    hub: Hub, change: Callable[[Hub, str], tuple[Visit, Bound]]
) -> None:
    sent, bound = change(hub, once.token(hub, visit(hub), LEG))
    with pytest.raises(TokenForged):
        once.act(hub, sent, bound, lambda: "/")


def test_a_token_ends(hub: Hub) -> None:
    token = once.token(hub, visit(hub), LEG)
    clock: Any = hub.clock
    clock.advance(once.LIVES.total_seconds() + 1)
    with pytest.raises(TokenForged):
        once.act(hub, visit(hub, token=token), LEG, lambda: "/")


def test_a_form_whose_act_failed_can_be_sent_again(hub: Hub) -> None:
    sent = visit(hub, token=once.token(hub, visit(hub), LEG))

    def fail() -> str:
        raise OSError("disk")

    with pytest.raises(OSError):
        once.act(hub, sent, LEG, fail)
    assert once.act(hub, sent, LEG, lambda: "/done").headers["location"] == "/done"


# -- where forms come from -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://hub.test"}, 403),
        ({"Origin": "https://hub.test"}, 303),
        ({"Origin": "https://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_a_form_comes_from_a_page_of_this_hub(hub: Hub, said: dict[str, str], status: int) -> None:
    browser = Browser(hub)
    browser.log_in()
    browser.look("/me")
    proof = re.search(r'name="csrf" value="([^"]*)"', browser.shown.text)
    assert proof is not None
    browser.client.headers.pop("Sec-Fetch-Site")
    answer = browser.client.post("/logout", data={"csrf": proof.group(1)}, headers=said)
    assert answer.status_code == status
    assert (answer.json()["code"] == "FB-WEB-020") if status == 403 else True


def test_a_program_without_cookies_needs_neither_header(hub: Hub) -> None:
    client = Browser(hub).client
    client.headers.pop("Sec-Fetch-Site")
    body = {"schema": "login/1", "name": "rita", "password": PASSWORD}
    assert client.post("/v1/login", json=body).status_code == 200


# -- sessions ------------------------------------------------------------------------------------------------------


def test_two_hubs_of_one_host_have_cookies_of_their_own(opened: Callable[..., Hub]) -> None:
    names = set()
    for base in ("https://hub.test", "https://hub.test:8443"):
        made = opened(base=base)
        make_account(made, "rita", Role.RESEARCHER)
        browser = Browser(made, base)
        browser.log_in()
        names |= {each.name for each in browser.client.cookies.jar}
    assert len(names) == 4 and all(name.startswith("__Host-fairbank-") for name in names)


def test_who_has_to_sign_in_comes_back_to_where_she_was_going(hub: Hub) -> None:
    browser = Browser(hub)
    asked = browser.look("/me?lang=de")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=%2Fme%3Flang%3Dde")
    browser.look(asked.headers["location"])
    field = re.search(r'name="next" value="([^"]*)"', browser.shown.text)
    assert field is not None
    answer = browser.send("/login", name="rita", password=PASSWORD, next=field.group(1))
    assert answer.headers["location"] == "/me?lang=de"


@pytest.mark.parametrize(
    "away", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/\t/evil.test"]
)
def test_a_log_in_leads_to_no_other_site(hub: Hub, away: str) -> None:
    browser = Browser(hub)
    browser.look("/login")
    answer = browser.send("/login", name="rita", password=PASSWORD, next=away)
    assert answer.headers["location"] == own_path(away) == "/"


def test_what_was_typed_when_a_session_ended_comes_back_after_the_log_in(hub: Hub) -> None:
    browser = Browser(hub)
    browser.log_in()
    browser.look("/me")
    clock: Any = hub.clock
    clock.advance(13 * 3600)
    text = 'my "token" <b>& more'
    lost = browser.send("/me", act="make-token", **{"token-name": text, "scope": "read", "days": "7"})
    assert lost.status_code == 401
    browser.shown = lost
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', lost.text))
    assert hidden["next"] == "/me" and "kept.token-name" in hidden and "kept.csrf" not in hidden
    fields = {name: _plain(value) for name, value in hidden.items() if name != "csrf"}
    resumed = browser.send("/login", name="rita", password=PASSWORD, **fields)
    assert resumed.status_code == 200
    browser.shown = resumed
    kept = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', resumed.text))
    back = browser.send("/me", **{name: _plain(value) for name, value in kept.items() if name != "csrf"})
    assert back.status_code == 200
    typed = re.search(r'id="token-name"[^>]* value="([^"]*)"', back.text)
    assert typed is not None and _plain(typed.group(1)) == text
    assert "fba_" not in back.text, "nothing takes effect until it is sent again"


def test_what_was_typed_stays_when_another_session_began_meanwhile(hub: Hub) -> None:
    browser = Browser(hub)
    browser.log_in()
    shown = browser.look("/me")
    browser.log_in()
    browser.shown = shown
    back = browser.send("/me", act="make-token", **{"token-name": "mine", "scope": "read", "days": "7"})
    assert back.status_code == 200 and 'value="mine"' in back.text and "fba_" not in back.text


def test_signing_out_ends_what_the_browser_keeps(hub: Hub) -> None:
    browser = Browser(hub)
    browser.log_in()
    browser.look("/me")
    assert browser.send("/logout").headers["clear-site-data"] == '"cache"'
    assert browser.look("/me").status_code == 303


def _plain(text: str) -> str:
    from html import unescape

    return unescape(text)
