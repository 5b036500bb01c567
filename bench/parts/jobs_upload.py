"""An upload of 1 GB over a line that is cut ten times: what is sent twice, and how much memory the hub needs.

The client is the one that nodes use, with its default pieces; between it and the hub stands a relay that counts and, at
ten places spread evenly over the file, ends the connection in the middle of what is being sent. The job's other site
never delivers, so that nothing is merged meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from fairbank.clock import SystemClock
from fairbank.demo.processes import Processes
from fairbank.ontology.outputs import DoorClass
from fairbank.release.hub_client import HubClient
from fairbank.release.releases import Release, ReleaseState
from fairbank.release.uploads import upload
from fairbank.settings import Settings
from fairbank.signing import Digest, SigningKey
from parts.jobs_hub import BenchHub, start_hub

SIZE_BYTES, CUTS = 1_000_000_000, 10
EXTRA_GOAL, MEMORY_GOAL_MB = 0.02, 200.0
_JSON = "application/json"


def measure(size_bytes: int = SIZE_BYTES, cuts: int = CUTS) -> dict[str, Any]:
    """Return the figures, the goals, and whether they are met."""
    with (
        tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder,
        Processes(Path(folder) / "logs") as processes,
    ):
        hub = start_hub(Path(folder), processes, n_nodes=2, n_jobs=1)
        name, key = next(iter(hub.keys.items()))
        for each, its_key in hub.keys.items():
            _approve(hub, each, its_key)
        _wait_for_round(hub, name, key)
        idle_mb = hub.process_peak_bytes() / 2**20
        file, digest = _file(Path(folder), size_bytes)
        relay = Relay(hub.url, [size_bytes * (cut + 1) // (cuts + 1) for cut in range(cuts)])
        client = HubClient(relay.url, key=key, clock=hub.clock, transport=httpx.HTTPTransport(verify=False))
        begun = time.monotonic()
        answer = upload(
            client,
            _release(hub, digest, size_bytes),
            file,
            chunk_bytes=Settings().jobs_chunk_bytes,
            first_time=True,
        )
        wall_s, peak_mb = time.monotonic() - begun, hub.process_peak_bytes() / 2**20
        client.close()
        relay.close()
    extra = relay.sent / size_bytes - 1
    figures = {
        "bytes": size_bytes,
        "cuts": relay.cut,
        "bytes_sent": relay.sent,
        "extra": round(extra, 4),
        "hub_peak_mb": round(peak_mb, 1),
        "hub_peak_before_mb": round(idle_mb, 1),
        "wall_s": round(wall_s, 1),
        "state": answer["state"],
    }
    goals = {"extra": f"<= {EXTRA_GOAL}", "hub_peak_mb": f"< {MEMORY_GOAL_MB:.0f}", "state": "complete"}
    met = {
        "extra": extra <= EXTRA_GOAL and relay.cut == cuts,
        "hub_peak_mb": peak_mb < MEMORY_GOAL_MB,
        "state": answer["state"] == "complete",
    }
    return {"figures": figures, "goals": goals, "met": met}


@dataclass
class Relay:
    """Passes connections on to a hub, counts what clients send, and cuts at given counts."""

    hub_url: str
    cuts_at: list[int]
    sent: int = 0
    cut: int = 0
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def _accept(self) -> None:
        host, _, port = self.hub_url.removeprefix("http://").partition(":")
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            hub = socket.create_connection((host, int(port)))
            threading.Thread(target=self._to_hub, args=(client, hub), daemon=True).start()
            threading.Thread(target=_pass_on, args=(hub, client), daemon=True).start()

    def _to_hub(self, client: socket.socket, hub: socket.socket) -> None:
        try:
            while content := client.recv(1 << 16):
                with self._lock:
                    self.sent += len(content)
                    cuts = self.cut < len(self.cuts_at) and self.sent >= self.cuts_at[self.cut]
                    self.cut += cuts
                if cuts:
                    break
                hub.sendall(content)
        except OSError:
            pass
        finally:
            for end in (client, hub):
                _end(end)


def _pass_on(hub: socket.socket, client: socket.socket) -> None:
    try:
        while content := hub.recv(1 << 16):
            client.sendall(content)
    except OSError:
        pass
    finally:
        for end in (client, hub):
            _end(end)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _file(folder: Path, size_bytes: int) -> tuple[Path, Digest]:
    """Write a file of bytes that nothing could make shorter, and return it with its digest."""
    file, hashed, draw = folder / "update", hashlib.sha256(), random.Random(1)
    with file.open("wb") as opened:
        left = size_bytes
        while left:
            block = draw.randbytes(min(left, 1 << 22))
            opened.write(block)
            hashed.update(block)
            left -= len(block)
    return file, Digest(f"sha256:{hashed.hexdigest()}")


def _release(hub: BenchHub, digest: Digest, size_bytes: int) -> Release:
    return Release(
        id=SystemClock().new_id(),
        door_class=DoorClass.UPDATE,
        job=hub.jobs[0],
        round=1,
        output="update",
        media_type="application/vnd.safetensors",
        digest=digest,
        size_bytes=size_bytes,
        state=ReleaseState.READY,
        staged=hub.clock.now(),
        sent=None,
    )


def _approve(hub: BenchHub, name: str, key: SigningKey) -> None:
    client = HubClient(hub.url, key=key, clock=hub.clock, transport=httpx.HTTPTransport(verify=False))
    digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    body = '{"schema":"site-state/1","state":"approved","reason":"none","approval_digest":"' + digest + '"}'
    client.deliver(
        "POST", f"/v1/jobs/{hub.jobs[0]}/sites/{name}/state", body=body.encode(), content_type=_JSON
    )
    client.close()


def _wait_for_round(hub: BenchHub, name: str, key: SigningKey) -> None:
    client = HubClient(hub.url, key=key, clock=hub.clock, transport=httpx.HTTPTransport(verify=False))
    body = f'{{"schema":"claim/1","max_wait_s":30,"audit_seq":0,"audit_hash":"sha256:{"0" * 64}"}}'
    answer = client.deliver("POST", f"/v1/nodes/{name}/claim", body=body.encode(), content_type=_JSON)
    if client.json_of(answer).get("kind") != "round":
        raise RuntimeError("the round did not begin")
    client.close()
