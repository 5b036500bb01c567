"""From the answer to a claim to the begin of the round in the worker, with the worker of the job warm.

A worker belongs to one job and is kept from round to round, so it is warm from the second round on. There is no store
of warm workers for jobs that are yet to come: a worker proves its confinement for the inputs of its job. What the first
round takes is reported beside it, without a goal. Three nodes, one hub, the sandbox, TLS; training takes no time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from fairbank.demo.processes import Processes
from fairbank.web.acts import send_job
from parts.federation import Federation, Site

ROUNDS, WEIGHTS, GOAL_MS = 20, 16, 50.0


def measure(rounds: int = ROUNDS) -> dict[str, Any]:
    """Return the figures, the goals, and whether they are met."""
    with (
        tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder,
        Processes(Path(folder) / "logs") as processes,
    ):
        federation = Federation(Path(folder), processes)
        researcher, visa = federation.start()
        _, sent = send_job(researcher, visa, "noop", {"weights": WEIGHTS}, title="noop", rounds=rounds)
        while (view := researcher.get(f"/v1/jobs/{sent['id']}", signed_in=True))["state"] == "running":
            time.sleep(0.3)
        if view["state"] != "completed":
            raise RuntimeError(f"the job is {view['state']}: {view['sites']}")
        starts = [each for site in federation.sites for each in _starts(site)]
    warm = sorted(seconds for number, seconds in starts if number > 1)
    cold = [seconds for number, seconds in starts if number == 1]
    median_ms = 1000 * statistics.median(warm)
    figures = {
        "rounds": rounds,
        "warm_starts": len(warm),
        "warm_start_median_ms": round(median_ms, 1),
        "warm_start_p95_ms": round(1000 * warm[int(0.95 * (len(warm) - 1))], 1),
        "first_round_start_s": round(statistics.median(cold), 2),
    }
    return {
        "figures": figures,
        "goals": {"warm_start_median_ms": f"<= {GOAL_MS:.0f}"},
        "met": {"warm_start_median_ms": median_ms <= GOAL_MS},
    }


def _starts(site: Site) -> list[tuple[int, float]]:
    """Return each round with the time between the claim that brought it and its begin, in seconds."""
    noted = site.observed()
    claims = [one["claimed"] for one in noted if "claimed" in one]
    return [
        (one["train"], one["begun"] - max(each for each in claims if each <= one["begun"]))
        for one in noted
        if "train" in one
    ]
