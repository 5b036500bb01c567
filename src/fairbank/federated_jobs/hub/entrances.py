"""How many nodes the hub serves at a time; the next one waits a little, then is told when to come again.

A piece of an upload is held in memory until it is on the disk, so what the hub needs grows with how many it takes at
once, not with how many nodes there are. Who waits for a place has sent no body yet: the server reads none until it is
asked to. A claim that waits holds a connection, no thread.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fairbank.federated_jobs.errors import Crowded

# Told at random, so that those who were sent away do not come back together.
COME_AGAIN_S = (2, 8)


class Entrance:
    """Lets in so many at a time.

    Args:
        what: what is done inside, as an error names it.
        most: how many may be inside.
        patience_s: how long one waits for a place.
    """

    def __init__(self, what: str, most: int, *, patience_s: float) -> None:
        self._what, self._most, self._patience_s = what, most, patience_s
        self._places = asyncio.Semaphore(most)
        # It spreads who comes again, and protects nothing.
        self._draw = random.Random()  # noqa: S311

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Be inside.

        Raises:
            Crowded: if no place came free in time.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                await self._places.acquire()
        except TimeoutError:
            raise self._crowded() from None
        try:
            yield
        finally:
            self._places.release()

    def _crowded(self) -> Crowded:
        error = Crowded(
            f"The hub has {self._most} {self._what} under way and takes no other for now.",
            why="Each needs memory or a connection, and the hub keeps some for other work.",
            todo="Come again when the answer says; what is staged stays where it is.",
        )
        error.retry_after_s = self._draw.randint(*COME_AGAIN_S)
        return error
