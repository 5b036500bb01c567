"""What the published protocols have to reach, and how near runs came.

Source of the shares: Kempf 2021, thesis on the Joint Imaging Platform, tables 4 and 5; the seconds are our own goal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

METRICS = {"mnist": "accuracy", "pneumonia": "auroc", "unlike": "auroc", "hippocampus": "dice"}
CENTRALISED = "centralised"
POINTS_BELOW, ORCHESTRATION_S = 0.2, 1.0
LEAST_SHARE = {"pneumonia": 0.99, "unlike": 0.99, "hippocampus": 0.9858}


@dataclass(frozen=True, slots=True)
class Judged:
    """One goal of one run.

    Attributes:
        figure: `points_below`, `share` or `orchestration_s`.
        bound: what it has to be at most, or for a share at least.
    """

    run: str
    figure: str
    value: float
    bound: float

    @property
    def met(self) -> bool:
        """Tell whether the goal is reached."""
        return self.value >= self.bound if self.figure == "share" else self.value <= self.bound

    @property
    def goal(self) -> str:
        """Return the goal as text."""
        return f"{'>=' if self.figure == 'share' else '<='} {self.bound:g}"


def federated(results: Mapping[str, dict[str, Any]], protocol: str) -> dict[str, dict[str, Any]]:
    """Return the runs of a protocol that went through a federation."""
    return {
        run: found
        for run, found in results.items()
        if found.get("protocol") == protocol and found.get("plan")
    }


def usual(results: Mapping[str, dict[str, Any]], protocol: str, passes: int) -> float | None:
    """Return what the run in one place had on the test after so many passes, or after its last."""
    alone = results.get(f"{protocol}-{CENTRALISED}")
    if alone is None:
        return None
    curve = alone["curve"]
    return float(curve[min(passes, len(curve)) - 1][METRICS[protocol]])


def judged(results: Mapping[str, dict[str, Any]]) -> list[Judged]:
    """Return every goal of every run through a federation."""
    found = []
    for protocol, metric in METRICS.items():
        for run, result in federated(results, protocol).items():
            ours, alone = float(result["final"][metric]), usual(results, protocol, result["passes"])
            if alone is not None and protocol in LEAST_SHARE:
                found.append(Judged(run, "share", ours / alone, LEAST_SHARE[protocol]))
            elif alone is not None:
                found.append(Judged(run, "points_below", 100 * (alone - ours), POINTS_BELOW))
            # The goal for seconds is that of the thesis's first protocol, whose model has 5 MB.
            if protocol == "mnist":
                seconds = float(result["costs"]["orchestration_s_mean"])
                found.append(Judged(run, "orchestration_s", seconds, ORCHESTRATION_S))
    return found


def outcome(results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return figures, goals, and whether they are met, of what has been run."""
    found = {f"{one.run}.{one.figure}": one for one in judged(results)}
    return {
        "figures": {name: round(one.value, 4) for name, one in found.items()},
        "goals": {name: one.goal for name, one in found.items()},
        "met": {name: one.met for name, one in found.items()},
    }
