"""Short work for nodes, done in threads one after the other instead of several at once.

Python lets one thread run at a time, and threads that ask a database hand that right to each other at every statement.
With three nodes at the end of a round this cost the hub half as much again as the work itself, so what comes at once
waits in line, holding no thread, and each piece is done in one go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from anyio import CapacityLimiter, to_thread

_T = TypeVar("_T")


class InTurn:
    """Runs blocking calls in a thread, one at a time; those that wait are served in the order in which they came."""

    def __init__(self) -> None:
        self._limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, CapacityLimiter] = WeakKeyDictionary()

    async def run(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function when its turn has come, and return what it returns; what it raises is raised here."""
        loop = asyncio.get_running_loop()
        if (limiter := self._limiters.get(loop)) is None:
            limiter = self._limiters[loop] = CapacityLimiter(1)
        return await to_thread.run_sync(partial(function, *arguments), limiter=limiter)
