"""The process that serves a hub: how it begins, and how it ends."""

from __future__ import annotations

import gc
import socket

import uvicorn

from fairbank.catalogue.notifier import Notifier


class HubServer(uvicorn.Server):
    """Serves until it is told to stop; who waits at the hub is answered before it closes."""

    def __init__(self, config: uvicorn.Config, *, notifier: Notifier) -> None:
        super().__init__(config)
        self._notifier = notifier

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        leave_alone_what_stays()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the nodes that wait for work, then end."""
        self._notifier.close()
        await super().shutdown(sockets)


def leave_alone_what_stays() -> None:
    """Let the garbage collector look no more at what has been loaded by now, which stays until the process ends.

    Modules, routes and templates are some 200,000 objects. A full collection looks at each of them, finds nothing, and
    holds up every request for a tenth of a second.

    Source: Python's `gc.freeze`.
    """
    gc.collect()
    gc.freeze()
