"""How many requests one caller may send, and that one who sends too many does not keep others out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tests.web.conftest import BASE, COOKIE, make_account

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.meters import FAILURES_PER_MINUTE, Meters
from fairbank.web.hub_app import create_app


class Hand:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@given(st.lists(st.floats(min_value=0, max_value=90, allow_nan=False), max_size=60), st.integers(1, 20))
def test_no_more_is_taken_than_the_bucket_held_and_what_came_into_it(waits: list[float], size: int) -> None:
    hand = Hand()
    meters = Meters(hand)
    taken = 0
    for wait in waits:
        hand.at += wait
        taken += meters.take("one", size) == 0.0
    assert taken <= size + hand.at * size / 60 + 1e-6


def test_who_waits_as_long_as_told_is_heard() -> None:
    hand = Hand()
    meters = Meters(hand)
    assert [meters.take("one", 2) for _ in range(2)] == [0.0, 0.0]
    wait_s = meters.take("one", 2)
    assert wait_s == pytest.approx(30.0)
    hand.at += wait_s
    assert meters.take("one", 2) == 0.0


def test_buckets_are_bounded_in_number() -> None:
    meters = Meters(Hand(), most=10)
    for number in range(100):
        meters.take(f"caller {number}", 5)
    assert len(meters) == 10


@pytest.fixture
def limited(opened: Callable[..., Hub]) -> tuple[Hub, TestClient, str]:
    hub = opened(limits_account_requests=5, limits_origin_requests=3, limits_node_requests=4)
    token = make_account(hub, "rita", Role.RESEARCHER)
    hub = replace(hub, meters=Meters(Hand()))
    return hub, TestClient(create_app(hub), base_url=BASE), token


def statuses(client: TestClient, times: int, path: str = "/v1/hub", **headers: str) -> list[int]:
    return [client.get(path, headers=headers).status_code for _ in range(times)]


def test_an_address_and_an_account_have_limits_of_their_own(limited: Any) -> None:
    _, client, token = limited
    assert statuses(client, 4) == [200] * 3 + [429]
    assert statuses(client, 6, "/v1/whoami", Authorization=f"Bearer {token}") == [200] * 5 + [429]


def test_a_node_whose_signature_held_has_a_limit_of_its_own(limited: Any) -> None:
    hub, client, _ = limited
    signed = {"Signature-Input": 'sig1=("@method");keyid="ed25519:abc"'}
    assert statuses(client, 1, **signed) == [200]
    hub.meters.worked("node ed25519:abc testclient")
    assert statuses(client, 4, **signed) == [200] * 3 + [429]


@pytest.mark.parametrize(
    "claim",
    [
        lambda number: {"Cookie": f"{COOKIE}=made-up-{number}"},
        lambda number: {"Authorization": f"Bearer made-up-{number}"},
        lambda number: {"Signature-Input": f'sig1=("@method");keyid="ed25519:{number}"'},
    ],
)
def test_what_somebody_made_up_is_no_way_around_the_limit_of_an_address(limited: Any, claim: Any) -> None:
    hub, client, _ = limited
    heard = [status for number in range(20) for status in statuses(client, 1, **claim(number))]
    assert heard == [200] * 3 + [429] * 17
    # Nor does it push what is known of others out.
    assert len(hub.meters) < 8


def test_naming_a_node_s_key_uses_up_nothing_of_that_node(limited: Any) -> None:
    hub, client, _ = limited
    hub.meters.worked("node ed25519:abc 192.0.2.7")
    statuses(client, 10, **{"Signature-Input": 'sig1=("@method");keyid="ed25519:abc"'})
    assert hub.meters.take("node ed25519:abc 192.0.2.7", 4) == 0.0


def test_a_refusal_says_how_long_to_wait_and_is_a_problem(limited: Any) -> None:
    _, client, _ = limited
    statuses(client, 3)
    answer = client.get("/v1/hub")
    assert (answer.headers["retry-after"], answer.json()["code"]) == ("20", "FB-CAT-176")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_no_limit_is_no_limit(opened: Callable[..., Hub]) -> None:
    hub = replace(opened(limits_origin_requests=0), meters=Meters(Hand()))
    assert set(statuses(TestClient(create_app(hub), base_url=BASE), 50)) == {200}


def test_trying_tokens_is_slowed_down_and_does_not_keep_out_whose_token_works(
    opened: Callable[..., Hub],
) -> None:
    hub = opened()
    good = {"Authorization": f"Bearer {make_account(hub, 'rita', Role.RESEARCHER)}"}
    client = TestClient(create_app(replace(hub, meters=Meters(Hand()))), base_url=BASE)
    assert client.get("/v1/whoami", headers=good).status_code == 200
    tried = [
        client.get("/v1/whoami", headers={"Authorization": f"Bearer fbt_{number}"}).status_code
        for number in range(FAILURES_PER_MINUTE + 10)
    ]
    assert tried.count(401) == FAILURES_PER_MINUTE and tried[-1] == 429
    assert client.get("/v1/whoami", headers=good).status_code == 200
