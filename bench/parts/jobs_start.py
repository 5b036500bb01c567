"""From the answer to a claim to the begin of the round in the worker, with a warm worker and without.

A worker belongs to one job and is kept from round to round, so it is warm from the second round on. For the first round
of a job a node that has rested has a worker ready (`jobs_idle_workers`); that is the other warm start. Reported beside
it, without a goal, is the first round where none was ready. Three nodes, one hub, the sandbox, TLS; training takes no
time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from fairbank.demo.processes import Processes
from fairbank.federated_jobs.node.idle_workers import FOLDER
from fairbank.web.acts import send_job
from fairbank.web.api_client import HubApi
from parts.federation import Federation, Site

ROUNDS, WEIGHTS, GOAL_MS, READY_JOBS = 20, 16, 50.0, 3
# From the folder of a worker that is made ready to its last import, on a slow machine.
IMPORTS_S, WAIT_S = 25.0, 120.0


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Return the figures, the goals, and whether they are met."""
    with (
        tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder,
        Processes(Path(folder) / "logs") as processes,
    ):
        federation = Federation(Path(folder), processes, idle_workers="yes")
        researcher, visa = federation.start()
        _run(researcher, visa, rounds)
        first = [each for site in federation.sites for each in _starts(site)]
        ready: list[float] = []
        for _ in range(READY_JOBS):
            for site in federation.sites:
                _wait_until_ready(site)
            time.sleep(IMPORTS_S)
            before = [len(_starts(site)) for site in federation.sites]
            _run(researcher, visa, 1)
            ready += [
                seconds
                for site, known in zip(federation.sites, before, strict=True)
                for _, seconds in _starts(site)[known:]
            ]
    warm = sorted(seconds for number, seconds in first if number > 1)
    cold = [seconds for number, seconds in first if number == 1]
    median_ms, ready_ms = 1000 * statistics.median(warm), 1000 * statistics.median(ready)
    figures = {
        "rounds": rounds,
        "warm_starts": len(warm),
        "warm_start_median_ms": round(median_ms, 1),
        "warm_start_p95_ms": round(1000 * warm[int(0.95 * (len(warm) - 1))], 1),
        "first_rounds_with_ready_worker": len(ready),
        "ready_start_median_ms": round(ready_ms, 1),
        "ready_start_longest_ms": round(1000 * max(ready), 1),
        "first_round_start_s": round(statistics.median(cold), 2),
    }
    goal = f"<= {GOAL_MS:.0f}"
    return {
        "figures": figures,
        "goals": {"warm_start_median_ms": goal, "ready_start_median_ms": goal},
        "met": {"warm_start_median_ms": median_ms <= GOAL_MS, "ready_start_median_ms": ready_ms <= GOAL_MS},
    }


def _run(researcher: HubApi, visa: Any, rounds: int) -> None:
    _, sent = send_job(researcher, visa, "noop", {"weights": WEIGHTS}, title="noop", rounds=rounds)
    while (view := researcher.get(f"/v1/jobs/{sent['id']}", signed_in=True))["state"] == "running":
        time.sleep(0.3)
    if view["state"] != "completed":
        raise RuntimeError(f"the job is {view['state']}: {view['sites']}")


def _wait_until_ready(site: Site) -> None:
    folder, until = site.node.settings.home / FOLDER, time.monotonic() + WAIT_S
    while not folder.is_dir() or sum(1 for _ in folder.iterdir()) < 2:
        if time.monotonic() > until:
            raise RuntimeError(f"no worker was made ready at {site.node.name}")
        time.sleep(0.3)


def _starts(site: Site) -> list[tuple[int, float]]:
    """Return each round with the time between the claim that brought it and its begin, in seconds."""
    noted = site.observed()
    claims = [one["claimed"] for one in noted if "claimed" in one]
    return [
        (one["train"], one["begun"] - max(each for each in claims if each <= one["begun"]))
        for one in noted
        if "train" in one
    ]
