"""Short work for nodes is done one piece after the other, in the order in which it came."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from fairbank.catalogue.in_turn import InTurn


def test_one_piece_is_done_at_a_time_and_in_order():
    in_turn, under_way, most, done = InTurn(), [0], [0], []

    def piece(number: int) -> int:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        time.sleep(0.005)
        done.append(number)
        under_way[0] -= 1
        return number

    async def all_at_once() -> list[int]:
        return await asyncio.gather(*(in_turn.run(piece, number) for number in range(10)))

    assert asyncio.run(all_at_once()) == list(range(10)) == done
    assert most == [1]


def test_the_loop_goes_on_meanwhile():
    in_turn, free = InTurn(), threading.Event()

    async def both() -> bool:
        waiting = asyncio.create_task(in_turn.run(free.wait, 10))
        await asyncio.sleep(0.01)
        free.set()
        return await waiting

    assert asyncio.run(both())


def test_a_piece_that_fails_is_told_of_and_holds_up_no_other():
    in_turn = InTurn()

    def fails() -> None:
        raise ValueError("no")

    async def both() -> int:
        with pytest.raises(ValueError, match="no"):
            await in_turn.run(fails)
        return await in_turn.run(int, "7")

    assert asyncio.run(both()) == 7


def test_one_object_serves_one_loop_after_another():
    in_turn = InTurn()
    assert [asyncio.run(in_turn.run(int, str(number))) for number in range(3)] == [0, 1, 2]
