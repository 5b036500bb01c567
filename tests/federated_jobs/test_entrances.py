"""The hub serves so many nodes at a time and tells the others when to come again."""

from __future__ import annotations

import asyncio
import threading

import httpx
import pytest

from fairbank.federated_jobs.errors import Crowded
from fairbank.federated_jobs.hub.entrances import COME_AGAIN_S, Entrance
from fairbank.release.errors import HubUnreachable


def test_who_finds_no_place_in_time_is_told_when_to_come_again():
    async def crowd() -> None:
        way_in = Entrance("uploads", 2, patience_s=0.0)
        async with way_in.entered(), way_in.entered():
            with pytest.raises(Crowded) as refused:
                async with way_in.entered():
                    pass
            assert COME_AGAIN_S[0] <= refused.value.retry_after_s <= COME_AGAIN_S[1]
        async with way_in.entered():
            pass

    asyncio.run(crowd())


def test_who_waits_gets_the_place_that_comes_free():
    async def crowd() -> list[str]:
        way_in, order = Entrance("uploads", 1, patience_s=60.0), []

        async def pass_through(name: str) -> None:
            async with way_in.entered():
                order.append(name)
                await asyncio.sleep(0)

        await asyncio.gather(*(pass_through(name) for name in "abc"))
        return order

    assert asyncio.run(crowd()) == ["a", "b", "c"]


def test_a_claim_beyond_the_limit_is_answered_503_with_a_time(start):
    fed = start("east", "north", limits_claims=1)
    waiting = threading.Thread(target=fed.sites["east"].agent._claim, args=(20,), daemon=True)
    waiting.start()
    waits = threading.Event()
    while not fed.hub.notifier._waiting:
        waits.wait(0.01)
    answer: list[httpx.Response] = []
    client = fed.sites["north"].client()
    seen = client._answer
    client._answer = lambda request: answer.append(seen(request)) or answer[-1]
    fed.sites["north"].agent._site.outbox._client = client
    with pytest.raises(HubUnreachable, match="503 FB-JOBS-163"):
        fed.sites["north"].agent._claim(0)
    assert answer[0].status_code == 503 and int(answer[0].headers["Retry-After"]) >= COME_AGAIN_S[0]
    fed.submit(fed.manifest(fed.visa()))
    waiting.join(timeout=30)
    fed.settle()
