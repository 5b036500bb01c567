"""Whether a held-out metric still gets better: of one site, or of all by the objective that the manifest fixed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from pydantic import JsonValue

from fairbank.federated_jobs.axes.plan_options import Judged
from fairbank.federated_jobs.plans.machine import PlanState
from fairbank.federated_jobs.update_notes import N_HELDOUT
from fairbank.ontology.signed_objects import Objective

BEFORE, AFTER = "before_", "after_"
# How names of metrics end of which less is better: losses, errors, and distances in millimetres.
_LESS_IS_BETTER = ("loss", "error", "mse", "rmse", "mae", "mm")


def less_is_better(metric: str) -> bool:
    """Tell whether a smaller value of a metric is a better one.

    >>> less_is_better("after_loss"), less_is_better("before_hausdorff_mm"), less_is_better("dice")
    (True, True, False)
    """
    return metric.rpartition("_")[2] in _LESS_IS_BETTER


def pooled(notes: Mapping[str, Mapping[str, float]], metric: str, objective: Objective) -> float | None:
    """Return a metric over sites; None unless every site told it.

    Args:
        objective: `mean` weighs sites alike, `weighted` by held-out subjects or samples, `worst-site` takes the worst.
    """
    told = [note.get(metric) for _, note in sorted(notes.items())]
    values = [value for value in told if value is not None]
    if not values or len(values) < len(told):
        return None
    if objective is Objective.WORST_SITE:
        return max(values) if less_is_better(metric) else min(values)
    weights = [1.0] * len(values)
    if objective is Objective.WEIGHTED:
        weights = [note.get(N_HELDOUT, 0.0) for _, note in sorted(notes.items())]
    total = math.fsum(weights)
    if total <= 0:
        return None
    return math.fsum(weight * value for weight, value in zip(weights, values, strict=True)) / total


def improved(options: Judged, value: float, best: JsonValue) -> bool:
    """Tell whether a value is better than the best so far by more than what counts as nothing."""
    if not isinstance(best, int | float):
        return True
    gain = best - value if less_is_better(options.metric) else value - best
    return gain > float(Fraction(options.min_delta))


def looked_at(options: Judged, state: PlanState, value: float | None, model: str | None) -> PlanState:
    """Return the state after one more look at a metric: the best value with its model, and how many looks it stands.

    What no site told counts as no look at all.
    """
    if value is None:
        return state
    if improved(options, value, state.get("best")):
        return {**state, "best": value, "best_model": model, "stalled": 0}
    stalled = state.get("stalled", 0)
    assert isinstance(stalled, int)
    return {**state, "stalled": stalled + 1}


def has_stalled(options: Judged, state: PlanState) -> bool:
    """Tell whether patience is at its end."""
    stalled = state.get("stalled", 0)
    return isinstance(stalled, int) and options.patience > 0 and stalled >= options.patience
