"""Run `fairbank` as it is, and note when it gets work, when its worker trains, and how many bytes its sockets carried.

    python observed_node.py NOTES --home HOME node run

NOTES gets one JSON object per line. Times are of the monotonic clock, which all processes of a machine share. Bytes
are the kernel's own count for each connection (TCP_INFO of Linux): whatever TLS, HTTP and signatures add is in it.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from fairbank.federated_jobs.node.worker_client import JobWorker
from fairbank.federated_jobs.node.worker_protocol import Operation
from fairbank.release.hub_client import HubClient

# Offsets of tcpi_bytes_acked and tcpi_bytes_received in struct tcp_info (linux/tcp.h, since Linux 4.1).
_ACKED_AT, _RECEIVED_AT, _INFO_BYTES = 120, 128, 232


class Notes:
    """Appends what is observed to a file, one line at a time."""

    def __init__(self, file: Path) -> None:
        self._opened = file.open("a", buffering=1)

    def add(self, **what: Any) -> None:
        """Write one line."""
        self._opened.write(json.dumps(what) + "\n")


def observe_training(notes: Notes) -> None:
    """Note when the worker is asked to train a round and when it has answered."""
    ask = JobWorker._ask

    def observed(self: JobWorker, operation: Operation, *, timeout_s: float, **fields: Any) -> Any:
        if operation is not Operation.TRAIN:
            return ask(self, operation, timeout_s=timeout_s, **fields)
        begun = time.monotonic()
        answer = ask(self, operation, timeout_s=timeout_s, **fields)
        notes.add(train=fields["round"], begun=begun, ended=time.monotonic())
        return answer

    JobWorker._ask = observed  # type: ignore[method-assign]  # the point of this file


def observe_claims(notes: Notes) -> None:
    """Note when a claim was answered with work."""
    deliver = HubClient.deliver

    def observed(self: HubClient, method: str, path: str, **options: Any) -> httpx.Response:
        response = deliver(self, method, path, **options)
        if path.endswith("/claim") and response.content:
            notes.add(claimed=time.monotonic())
        return response

    HubClient.deliver = observed  # type: ignore[method-assign]  # the point of this file


def observe_bytes(notes: Notes) -> None:
    """Note what the connection of an answer has carried so far, once all of the answer has been read."""
    close: Callable[[httpx.Response], None] = httpx.Response.close

    def observed(self: httpx.Response) -> None:
        # An answer that was taken from one is closed too; it has no connection of its own.
        if not self.is_closed and "network_stream" in self.extensions:
            connection = self.extensions["network_stream"].get_extra_info("socket")
            sent, received = carried(connection)
            notes.add(port=connection.getsockname()[1], sent=sent, received=received)
        close(self)

    httpx.Response.close = observed  # type: ignore[method-assign]  # the point of this file


def carried(connection: socket.socket) -> tuple[int, int]:
    """Return how many bytes a connection has sent (and seen acknowledged) and received."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    return struct.unpack_from("=Q", info, _ACKED_AT)[0], struct.unpack_from("=Q", info, _RECEIVED_AT)[0]


if __name__ == "__main__":
    kept = Notes(Path(sys.argv.pop(1)))
    observe_training(kept)
    observe_claims(kept)
    observe_bytes(kept)
    from fairbank.cli.main import main

    main()
