"""Waiting for a slow site, or not: when each plan reaches the same AUROC with one site ten times slower.

The time is that of a clock of the run's own: a round takes a site as long as it has images, and the slow one ten times
as long; models travel in no time. One unit is the mean round of the sites as they would be if none were slow.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from fairbank.federated_jobs.algorithms.weights import read_weights
from fairbank.ontology.signed_objects import PlanName
from parts.protocol_in_process import InProcess, PlanWish, Version, manifest_of
from parts.protocol_plans import Trial, rounded
from parts.protocol_results import Result
from parts.protocol_training import Told

SLOW_SITE, TIMES_SLOWER = "west", 10.0
TARGET_SHARE = 0.99
MOST_ROUNDS, MOST_VERSIONS = 25, 120


def modes(rounds: int = MOST_ROUNDS, versions: int = MOST_VERSIONS) -> dict[str, PlanWish]:
    """Return the plans that are compared."""
    return {
        "synchronous": PlanWish(PlanName.AGGREGATION, rounds=rounds),
        "bounded, 3 versions": PlanWish(
            PlanName.BOUNDED_STALENESS, rounds=versions, options={"staleness": 3}, quorum=1
        ),
        "bounded, 30 versions": PlanWish(
            PlanName.BOUNDED_STALENESS, rounds=versions, options={"staleness": 30}, quorum=1
        ),
        "buffered, 2 updates": PlanWish(
            PlanName.BUFFERED, rounds=versions, options={"staleness": 10, "buffer": 2}, quorum=1
        ),
    }


def run_modes(trial: Trial, *, target: float, chosen: dict[str, PlanWish], told: Told) -> Result:
    """Run each plan until its model reaches a target AUROC on the test images, or its rounds are over."""
    counts = {site: len(part) for site, part in trial.trained.items()}
    mean = statistics.mean(counts.values())
    seconds = {site: count / mean for site, count in counts.items()}
    seconds[SLOW_SITE] *= TIMES_SLOWER
    found: dict[str, Any] = {}
    for name, wish in chosen.items():
        with tempfile.TemporaryDirectory(prefix="fairbank-plans-") as folder:
            found[name] = _until(trial, wish, seconds, Path(folder), target)
        told(f"{name}: {found[name]['time']:.1f} units, {found[name]['versions']} versions")
    return {"modes": rounded(found), "target": round(target, 5), "round_units": rounded(seconds)}


def _until(
    trial: Trial, wish: PlanWish, seconds: dict[str, float], folder: Path, target: float
) -> dict[str, Any]:
    curve: list[list[float]] = []

    def reached(version: Version) -> bool:
        auroc = trial.measure.on_test([read_weights(version.file)])
        curve.append([round(version.at_s, 3), auroc])
        return auroc >= target

    manifest = manifest_of(wish, trial.parameters, tuple(sorted(trial.trained)), seed=trial.seed)
    run = InProcess(manifest, trial.sites(), folder, seconds=seconds, enough=reached).run()
    return {
        "reached": curve[-1][1] >= target,
        "time": run.seconds,
        "versions": len(run.versions),
        "passes": dict(run.passes),
        "too_old": run.too_old,
        "auroc": curve[-1][1],
        "curve": [[at, round(value, 5)] for at, value in curve],
    }
