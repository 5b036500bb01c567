"""Places that are shared out fairly."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from fairbank.catalogue.query_turns import Places, caller_of


def test_a_place_that_is_given_back_goes_to_the_next() -> None:
    places = Places(1, each=1)
    with places.held("a", timeout_s=0) as mine, places.held("b", timeout_s=0) as other:
        assert (mine, other) == (True, False)
    with places.held("b", timeout_s=0) as mine:
        assert mine


def test_a_place_is_given_back_after_an_error() -> None:
    places = Places(1, each=1)
    with pytest.raises(ZeroDivisionError), places.held("a", timeout_s=0):
        raise ZeroDivisionError
    with places.held("a", timeout_s=0) as mine:
        assert mine


def test_nobody_waits_behind_another_s_heap() -> None:
    places = Places(2, each=1)
    order: list[str] = []

    def wait(caller: str) -> None:
        with places.held(caller, timeout_s=5) as mine:
            assert mine
            order.append(caller)

    with ExitStack() as held:
        held.enter_context(places.held("greedy", timeout_s=0))
        heap = [threading.Thread(target=wait, args=("greedy",)) for _ in range(5)]
        for thread in heap:
            thread.start()
        began = time.monotonic()
        while len(places._waiting) < 5:
            assert time.monotonic() - began < 5
            time.sleep(0.001)
        wait("modest")
        assert order == ["modest"]
    for thread in heap:
        thread.join()
    assert order == ["modest"] + ["greedy"] * 5


def test_waiting_has_an_end() -> None:
    places = Places(1, each=1)
    with places.held("a", timeout_s=0):
        began = time.monotonic()
        with places.held("b", timeout_s=0.05) as mine:
            assert not mine
        assert 0.04 < time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("account", "host", "caller"),
    [
        ("rita", None, "account rita"),
        (None, "192.0.2.7", "address 192.0.2.7"),
        (None, "::ffff:192.0.2.7", "address ::ffff:c000:207"),
        (None, "fe80::1%eth0", "address fe80::/64"),
        (None, "testclient", "address testclient"),
        (None, None, "address None"),
    ],
)
def test_who_counts_as_one(account: str | None, host: str | None, caller: str) -> None:
    assert caller_of(account, host) == caller
