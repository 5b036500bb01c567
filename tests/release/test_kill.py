"""What `kill -9` of the node leaves behind at each moment of a release, with a real process and a real hub socket."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from fairbank.clock import SystemClock
from fairbank.database import reading
from fairbank.ontology.outputs import DoorClass
from fairbank.release import ledger
from fairbank.release.hub_client import HubClient
from fairbank.release.ledger import EntryState
from fairbank.release.node import Node, init_node, open_node
from fairbank.release.outbox import Outbox
from fairbank.settings import Settings

# Stages one error report and one update, and dies where it is told to.
VICTIM = """
import os, signal, sys
from pathlib import Path
from fairbank.clock import SystemClock
from fairbank.database import writing
from fairbank.ontology.outputs import DoorClass
from fairbank.release.candidates import Candidate
from fairbank.release.control import ErrorReport
from fairbank.release import outbox as door
from fairbank.release.hub_client import HubClient
from fairbank.release.node import open_node
from fairbank.settings import Settings

home, hub, moment = sys.argv[1:]
die = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
node = open_node(Settings(home=Path(home), release_minimum_count=5), SystemClock())
client = HubClient(hub, key=node.key, clock=node.clock)
outbox = door.Outbox(node, client)
job = "01900000-0000-7000-8000-000000000001"
report = Candidate(DoorClass.ERROR, "error", ErrorReport(code="FB-ANA-003").to_bytes(), "application/json", job=job)
with writing(node.engine) as session:
    release = outbox.stage(session, report)
    if moment == "before the commit":
        die()
if moment == "after the commit":
    die()
if moment == "before the answer is noted":
    outbox._complete = die
outbox.send(release.id)
die()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def node(home: Path, hub) -> Node:
    made = init_node(Settings(home=home, release_minimum_count=5), SystemClock(), name="biobank-a")
    hub.known.add(made.key.key_id)
    hub.clock = SystemClock()
    return made


@pytest.fixture
def address(hub) -> Iterator[str]:
    """The fake hub behind a real socket."""

    class Bridge(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            url = f"http://{self.headers['Host']}{self.path}"
            response = hub(httpx.Request(self.command, url, headers=dict(self.headers), content=body))
            content = response.read()
            self.send_response(response.status_code)
            for name, value in response.headers.items():
                if name.lower() not in ("content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_HEAD = answer

        def log_message(self, format: str, *arguments: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bridge)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def killed(home: Path, address: str, moment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", VICTIM, str(home), address, moment],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]


def recovered(node: Node, address: str) -> Outbox:
    again = open_node(node.settings, SystemClock())
    outbox = Outbox(again, HubClient(address, key=again.key, clock=again.clock))
    assert all(sending.error is None for sending in outbox.send_pending())
    return outbox


def uploaded(hub) -> list[bytes]:
    return [bytes(upload.content) for upload in hub.uploads.values() if upload.complete]


def test_killed_before_the_commit_nothing_leaves_ever(home: Path, node: Node, hub, address: str) -> None:
    killed(home, address, "before the commit")
    recovered(node, address)
    assert uploaded(hub) == []
    with reading(node.engine) as session:
        assert ledger.entries(session) == []


@pytest.mark.parametrize("moment", ["after the commit", "before the answer is noted", "after all"])
def test_killed_after_the_commit_exactly_the_staged_bytes_leave_once(
    home: Path, node: Node, hub, address: str, moment: str
) -> None:
    killed(home, address, moment)
    recovered(node, address)
    assert uploaded(hub) == [b'{"schema":"error/1","code":"FB-ANA-003"}']
    assert sum(method == "PUT" for method, _, _ in hub.bodies) == 1
    with reading(node.engine) as session:
        entries = ledger.entries(session)
        assert [(entry.door_class, entry.state) for entry in entries] == [(DoorClass.ERROR, EntryState.SENT)]
        assert ledger.content(entries[0], node.outbox_path) == uploaded(hub)[0]
