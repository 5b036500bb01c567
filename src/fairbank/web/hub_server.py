"""The process that serves a hub: how it begins, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import socket
from asyncio.sslproto import SSLProtocol

import uvicorn

from fairbank.catalogue.notifier import Notifier
from fairbank.catalogue.ontology_view import ontology_quads

# Each TLS connection has a buffer of this size for what it reads, and OpenSSL one that grows as large; the default of
# 256 KiB is half a megabyte for each of the several connections that every node holds. More than this is not taken in
# at once anyway: the server stops reading when 64 KiB of a body wait.
TLS_READ_BYTES = 1 << 16

# By then the RDF view has been compared with the ontology, or made anew.
BEGUN_AFTER_S = 60.0


class HubServer(uvicorn.Server):
    """Serves until it is told to stop; who waits at the hub is answered before it closes."""

    def __init__(self, config: uvicorn.Config, *, notifier: Notifier) -> None:
        super().__init__(config)
        self._notifier = notifier

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        SSLProtocol.max_size = TLS_READ_BYTES
        await super().startup(sockets)
        leave_alone_what_stays()
        asyncio.get_running_loop().call_later(BEGUN_AFTER_S, forget_what_was_for_the_beginning)

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


def forget_what_was_for_the_beginning() -> None:
    """Let go of the ontology as statements, 4 MB; a view that is made anew has them made again."""
    ontology_quads.cache_clear()
