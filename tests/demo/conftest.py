"""One run of the demo for all tests of this folder: real processes, and a relay that keeps every byte sent to the hub.

All traffic goes through the relay: the nodes', their curators', the researcher's and the committee's.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import psutil
import pytest

from fairbank.clock import SystemClock
from fairbank.demo.federation import Federation, Places
from fairbank.demo.processes import free_port
from fairbank.demo.report import DemoReport
from fairbank.demo.run import DemoRun

_KEY_ID = re.compile(r'keyid="([^"]+)"')


@dataclass
class Sent:
    """One request as it was sent to the hub.

    Attributes:
        raw: every byte of it, head and body.
        key: key id of the node that signed it; empty for people.
    """

    method: str
    path: str
    headers: dict[str, str]
    raw: bytearray
    body: bytearray = field(default_factory=bytearray)
    answer: bytearray = field(default_factory=bytearray)

    @property
    def key(self) -> str:
        found = _KEY_ID.search(self.headers.get("signature-input", ""))
        return found.group(1) if found else ""


class Trap:
    """Stops the first request that fits, before the hub has seen it, until it is let go."""

    def __init__(self, fits: Callable[[Sent], bool]) -> None:
        self._fits = fits
        self._caught = threading.Event()
        self._free = threading.Event()

    def meet(self, request: Sent) -> None:
        if not self._caught.is_set() and self._fits(request):
            self._caught.set()
            self._free.wait(120)

    def wait(self) -> None:
        assert self._caught.wait(120), "no such request came"

    def let_go(self) -> None:
        self._free.set()


class Relay:
    """Passes connections on to the hub and keeps what goes through, request by request."""

    def __init__(self, hub_port: int) -> None:
        self._hub_port = hub_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.sent: list[Sent] = []
        self.traps: list[Trap] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    @contextmanager
    def trap(self, fits: Callable[[Sent], bool]) -> Iterator[Trap]:
        trap = Trap(fits)
        self.traps.append(trap)
        try:
            yield trap
        finally:
            trap.let_go()
            self.traps.remove(trap)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            hub = socket.create_connection(("127.0.0.1", self._hub_port))
            with hub:
                requests: list[Sent] = []
                back = threading.Thread(target=self._back, args=(hub, client, requests), daemon=True)
                back.start()
                with client.makefile("rb") as reader:
                    while self._forth(reader, hub, requests):
                        pass
                hub.shutdown(socket.SHUT_WR)
                back.join()

    def _forth(self, reader: BinaryIO, hub: socket.socket, requests: list[Sent]) -> bool:
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return False
            head += line
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        assert "transfer-encoding" not in headers, "the relay reads bodies of a known length"
        request = Sent(method, path, headers, bytearray(head))
        self.sent.append(request)
        requests.append(request)
        for trap in list(self.traps):
            trap.meet(request)
        hub.sendall(head)
        left = int(headers.get("content-length", "0"))
        while left:
            block = reader.read1(min(left, 65_536))  # type: ignore[attr-defined]
            if not block:
                return False
            request.raw += block
            request.body += block
            left -= len(block)
            hub.sendall(block)
        return True

    def _back(self, hub: socket.socket, client: socket.socket, requests: list[Sent]) -> None:
        with suppress(OSError):
            while block := hub.recv(65_536):
                if requests:
                    requests[-1].answer += block
                client.sendall(block)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@dataclass
class Told:
    """A demo that was told and still runs."""

    run: DemoRun
    relay: Relay
    report: DemoReport
    home: Path
    ended: datetime

    @property
    def federation(self) -> Federation:
        return self.run.story.federation

    def descendants(self, *names: str) -> list[psutil.Process]:
        """Return the processes of the named children of the demo (of all by default), and all below them."""
        processes = self.federation.processes
        found = []
        for name in names or tuple(processes.names()):
            top = psutil.Process(processes.pid(name))
            found += [top, *top.children(recursive=True)]
        return found


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Run the whole demo once, with the relay in front of the hub."""
    home = tmp_path_factory.mktemp("demo")
    port = free_port()
    relay = Relay(port)
    places = Places(home, hub_port=port)
    with DemoRun(home, clock=SystemClock(), rounds=3, places=places, quiet=True) as run:
        # Everybody takes the relay for the hub: base IRI, nodes and people alike.
        run.story.federation.hub_url = run.story.federation.node_hub_url = relay.url
        report = run.tell()
        # Tests that have further jobs run come after this moment.
        yield Told(run, relay, report, home, SystemClock().now())
    relay.close()
