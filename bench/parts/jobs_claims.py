"""200 simulated nodes with 20 jobs each on one hub: is a lease lost, and how long does a claim take?

The nodes are coroutines of this process that sign and send what agents send; a round is a pause and a small update.
Each node works and then asks, so that the hub serves some dozens of requests a second, as with real rounds of minutes
it would serve hundreds of nodes. A claim's time is that of this client, from signing to the last byte of the answer, of
claims that do not wait for work. Nodes that do wait, with nothing to do, can be added (`idle`): what they cost shows in
the processor time that the hub uses for each lease that it gives to others.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sqlite3
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from safetensors.numpy import save_file

from fairbank.demo.processes import Processes
from fairbank.federated_jobs.update_notes import annotate
from fairbank.http_signatures import signature_headers
from parts.jobs_hub import BenchHub, start_hub

NODES, JOBS, PAUSE_S, GOAL_MS = 200, 20, 8.0, 100.0
_ZERO = "sha256:" + "0" * 64
_JSON = "application/json"


@dataclass
class _Seen:
    claims_s: list[float] = field(default_factory=list)
    leases: dict[str, int] = field(default_factory=lambda: {"review": 0, "round": 0, "stop": 0})
    refused: dict[int, int] = field(default_factory=dict)
    delivered: int = 0
    dropped: int = 0


def measure(nodes: int = NODES, jobs: int = JOBS, pause_s: float = PAUSE_S, idle: int = 0) -> dict[str, Any]:
    """Return the figures, the goals, and whether they are met.

    Args:
        idle: further nodes that no job asks, and that wait at the hub for work all the time.
    """
    with (
        tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder,
        Processes(Path(folder) / "logs") as processes,
    ):
        hub = start_hub(Path(folder), processes, n_nodes=nodes, n_jobs=jobs, n_idle=idle)
        used, begun = hub.processor_s(), time.monotonic()
        seen = asyncio.run(_all_nodes(hub, _update(Path(folder)), pause_s))
        peak_mb = hub.process_peak_bytes() / 2**20
        wall_s, used_s = time.monotonic() - begun, hub.processor_s() - used
        ended = _wait_for_jobs(hub)
        lost, attempts = _lost(hub)
    claims = sorted(seen.claims_s)
    p95_ms = 1000 * claims[int(0.95 * (len(claims) - 1))]
    figures = {
        "nodes": nodes,
        "idle_nodes": idle,
        "jobs": jobs,
        "claims": len(claims),
        "claim_median_ms": round(1000 * statistics.median(claims), 1),
        "claim_p95_ms": round(p95_ms, 1),
        "claim_longest_ms": round(1000 * claims[-1], 1),
        "leases": seen.leases,
        "delivered": seen.delivered,
        "lost_leases": lost,
        "leases_given_again": attempts,
        "connections_dropped": seen.dropped,
        "refused_answers": {str(status): times for status, times in sorted(seen.refused.items())},
        "jobs_completed": ended,
        "wall_s": round(wall_s, 1),
        "hub_processor_s": round(used_s, 1),
        "hub_processor_ms_per_lease": round(1000 * used_s / sum(seen.leases.values()), 1),
        "hub_peak_mb": round(peak_mb, 1),
    }
    met = {
        "claim_p95_ms": p95_ms <= GOAL_MS,
        "lost_leases": lost == 0 and seen.delivered == nodes * jobs and ended == jobs,
    }
    return {
        "figures": figures,
        "goals": {"claim_p95_ms": f"<= {GOAL_MS:.0f}", "lost_leases": "0"},
        "met": met,
    }


async def _all_nodes(hub: BenchHub, update: bytes, pause_s: float) -> _Seen:
    seen = _Seen()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2.0)
    async with httpx.AsyncClient(limits=limits, timeout=120.0, trust_env=False) as client:
        at_work = [name for name in hub.keys if name not in hub.idle]
        waiting = [
            asyncio.create_task(_Node(hub, client, name, update, _Seen(), random.Random(name)).wait())
            for name in hub.idle
        ]
        await asyncio.gather(
            *(_Node(hub, client, name, update, seen, random.Random(name)).live(pause_s) for name in at_work)
        )
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return seen


class _Node:
    def __init__(
        self,
        hub: BenchHub,
        client: httpx.AsyncClient,
        name: str,
        update: bytes,
        seen: _Seen,
        draw: random.Random,
    ) -> None:
        self._hub, self._client, self._name = hub, client, name
        self._update, self._seen, self._draw = update, seen, draw
        self._boot = hub.clock.new_id()

    async def live(self, pause_s: float) -> None:
        """Do all that the hub has for this node, pausing as long as a round might take."""
        rounds = 0
        while rounds < len(self._hub.jobs):
            await asyncio.sleep(self._draw.uniform(0, 2 * pause_s))
            lease = await self._claim()
            if lease is None:
                continue
            self._seen.leases[lease["kind"]] += 1
            if lease["kind"] == "review":
                await self._say(lease["job"], "pending_review")
                await self._say(lease["job"], "approved", approval_digest=_digest(self._name, lease["job"]))
            elif lease["kind"] == "round":
                await asyncio.sleep(self._draw.uniform(0, 2 * pause_s))
                await self._release(lease["job"])
                rounds += 1

    async def wait(self) -> None:
        """Wait at the hub for work that never comes, as idle nodes do."""
        while True:
            await self._claim(max_wait_s=25)

    async def _claim(self, max_wait_s: int = 0) -> dict[str, Any] | None:
        begun = time.monotonic()
        message = {"schema": "claim/1", "max_wait_s": max_wait_s, "audit_seq": 0, "audit_hash": _ZERO}
        answer = await self._send("POST", f"/v1/nodes/{self._name}/claim", message)
        self._seen.claims_s.append(time.monotonic() - begun)
        return answer.json() if answer.status_code == 200 else None

    async def _say(self, job: str, state: str, **fields: Any) -> None:
        message = {"schema": "site-state/1", "state": state, "reason": "none", **fields}
        await self._send("POST", f"/v1/jobs/{job}/sites/{self._name}/state", message)

    async def _release(self, job: str) -> None:
        headers = {
            "Fairbank-Class": "update",
            "Fairbank-Digest": f"sha256:{hashlib.sha256(self._update).hexdigest()}",
            "Fairbank-Output": "update",
            "Fairbank-Round": "1",
            "Fairbank-Job": job,
            "Content-Range": f"bytes 0-{len(self._update) - 1}/{len(self._update)}",
        }
        path = f"/v1/releases/{self._hub.clock.new_id()}"
        answer = await self._send("PUT", path, self._update, headers, "application/vnd.safetensors")
        self._seen.delivered += answer.status_code == 200

    async def _send(
        self,
        method: str,
        path: str,
        content: dict[str, Any] | bytes,
        headers: dict[str, str] | None = None,
        media_type: str = _JSON,
    ) -> httpx.Response:
        url = self._hub.url + path
        request = self._client.build_request(
            method, url, **({"json": content} if isinstance(content, dict) else {"content": content})
        )
        body = request.read()
        named = {**(headers or {}), "Fairbank-Boot": self._boot}
        key, clock = self._hub.keys[self._name], self._hub.clock
        while True:
            # Each try is signed anew; what it holds stays the same.
            again = self._client.build_request(method, url, content=body)
            again.headers.update(
                signature_headers(
                    method, url, body=body, key=key, clock=clock, content_type=media_type, headers=named
                )
            )
            try:
                answer = await self._client.send(again)
            except httpx.TransportError:
                # A connection that the hub had given up as idle; agents try again as well.
                self._seen.dropped += 1
                continue
            if answer.status_code < 400:
                return answer
            self._seen.refused[answer.status_code] = self._seen.refused.get(answer.status_code, 0) + 1
            if answer.status_code not in (429, 503):
                raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
            await asyncio.sleep(float(answer.headers["Retry-After"]) * self._draw.uniform(1.0, 1.5))


def _update(folder: Path) -> bytes:
    raw, noted = folder / "raw", folder / "noted"
    save_file({"w": np.ones(16, dtype=np.float32)}, raw)
    annotate(raw, {"n_train": 4}, to=noted)
    return noted.read_bytes()


def _digest(*words: str) -> str:
    return f"sha256:{hashlib.sha256(' '.join(words).encode()).hexdigest()}"


def _wait_for_jobs(hub: BenchHub, timeout_s: float = 120.0) -> int:
    """Return how many jobs are completed, once all are or the time is over."""
    until = time.monotonic() + timeout_s
    while True:
        with sqlite3.connect(hub.home / "hub.db") as opened:
            (done,) = opened.execute("SELECT count(*) FROM jobs_jobs WHERE state = 'completed'").fetchone()
        if done == len(hub.jobs) or time.monotonic() > until:
            return int(done)
        time.sleep(0.3)


def _lost(hub: BenchHub) -> tuple[int, int]:
    """Return how many pieces of work came to no end at their site, and how many leases were given more than once."""
    with sqlite3.connect(hub.home / "hub.db") as opened:
        (lost,) = opened.execute("SELECT count(*) FROM jobs_sites WHERE state <> 'released'").fetchone()
        (again,) = opened.execute("SELECT count(*) FROM jobs_leases WHERE attempt > 1").fetchone()
    return int(lost), int(again)
