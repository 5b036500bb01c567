"""What a number about a model says, and how a model stands over its sites by the objective that was fixed before.

Which metric is looked at is no choice of who looks: the first of a fixed order that the sites have told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fairbank.ontology.signed_objects import Objective

BEFORE, AFTER = "before_", "after_"
# The first that is there is the one that a model is judged by.
_HIGHER_IS_BETTER = (
    "dice",
    "jaccard",
    "auroc",
    "accuracy",
    "f_one",
    "sensitivity",
    "specificity",
    "r_squared",
    "psnr_db",
)
_LOWER_IS_BETTER = ("hausdorff_mm", "surface_mm", "mae", "rmse", "mse", "loss")
HEADLINES = (*_HIGHER_IS_BETTER, *_LOWER_IS_BETTER)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a model stands over its sites.

    Attributes:
        metric: without `before_` or `after_`.
        value: by the objective.
        worst: the site where it is worst; of equally bad ones that whose name comes first.
        spread: largest difference between two sites.
    """

    objective: Objective
    metric: str
    value: float
    worst: str
    spread: float


def higher_is_better(metric: str) -> bool | None:
    """Tell whether more of a metric is better; None where nobody knows.

    >>> higher_is_better("dice"), higher_is_better("loss"), higher_is_better("mean_weight")
    (True, False, None)
    """
    if metric in _HIGHER_IS_BETTER:
        return True
    return False if metric in _LOWER_IS_BETTER else None


def headline(metrics: Iterable[str]) -> str | None:
    """Return by which of some metrics a model is judged; None if by none of them.

    >>> headline(["loss", "dice"])
    'dice'
    """
    known = set(metrics)
    return next((name for name in HEADLINES if name in known), None)


def worst_site(values: Mapping[str, float], metric: str) -> str | None:
    """Return the site where a metric is worst; None where nobody knows which way is better, or nobody told it."""
    better = higher_is_better(metric)
    if better is None or not values:
        return None
    sign = 1.0 if better else -1.0
    return min(sorted(values), key=lambda site: sign * values[site])


def newest(curves: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Return by site the value of the newest round that any site told; models of different rounds do not compare.

    >>> newest({"a": {1: 0.5, 2: 0.6}, "b": {1: 0.4}})
    {'a': 0.6}
    """
    last = max((at for curve in curves.values() for at in curve), default=None)
    return {} if last is None else {site: curve[last] for site, curve in curves.items() if last in curve}


def verdict(
    objective: Objective, metric: str, values: Mapping[str, float], heldout: Mapping[str, float]
) -> Verdict | None:
    """Return how a model stands; None where no site told the metric, or nobody knows which way is better.

    Args:
        values: of the metric, by site.
        heldout: numbers of held-out samples, the weights of a weighted mean; a site without one weighs nothing.
    """
    worst = worst_site(values, metric)
    if worst is None:
        return None
    match objective:
        case Objective.WORST_SITE:
            value = values[worst]
        case Objective.WEIGHTED:
            weights = {site: heldout.get(site, 0.0) for site in values}
            total = sum(weights.values())
            if total <= 0:
                return None
            value = sum(values[site] * weights[site] for site in values) / total
        case Objective.MEAN:
            value = sum(values.values()) / len(values)
    return Verdict(objective, metric, value, worst, max(values.values()) - min(values.values()))
