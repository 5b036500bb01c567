"""Which rule each aggregator of the axis is, made from its checked options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.aggregators import robust, weighing
from fairbank.federated_jobs.aggregators.server import Adaptive, Momentum, ServerOptimizer, Sgd
from fairbank.federated_jobs.aggregators.weighing import Seen, Weights
from fairbank.federated_jobs.axes.aggregators import AGGREGATORS, AggregatorOptions, ClippedOptions
from fairbank.federated_jobs.axes.elements import Options, chosen

Weigh = Callable[[Seen], Weights]


@dataclass(frozen=True, slots=True)
class Rule:
    """One aggregator with its options.

    Attributes:
        weigh: gives each update its weight.
        by_coordinate: merges each weight by itself instead, (n_sites, m) to (m,); `weigh` then serves counters only.
        server: what is done with the mean difference.
        asks_geometry: whether `weigh` needs to know how the updates lie to each other.
        clip_beyond: how many times the median length an update may have; None for any.
    """

    name: str
    weigh: Weigh
    by_coordinate: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    server: ServerOptimizer | None = None
    asks_geometry: bool = False
    clip_beyond: float | None = None

    @property
    def stateful(self) -> bool:
        """Tell whether the hub keeps something for it from round to round."""
        return AGGREGATORS[self.name].stateful

    @property
    def needs_base(self) -> bool:
        """Tell whether it works on differences to the base."""
        return AGGREGATORS[self.name].needs_base


def rule_of(name: str, options: Options | None = None) -> Rule:
    """Return an aggregator by its name, with its checked options; the defaults where there are none.

    Raises:
        PlanRefused: if there is no such aggregator.
    """
    choice = chosen("aggregator", AGGREGATORS, name)
    given = options if options is not None else choice.options()
    rule = _MADE[name](given)
    if isinstance(given, ClippedOptions) and given.clip_beyond is not None:
        return replace(rule, clip_beyond=float(given.clip_beyond))
    return rule


def _weighing(name: str, weigh: Callable[..., Weights], *, geometry: bool = False) -> Callable[[Any], Rule]:
    return lambda options: Rule(name, partial(weigh, options=options), asks_geometry=geometry)


def _serving(name: str, server: Callable[[Any], ServerOptimizer]) -> Callable[[Any], Rule]:
    return lambda options: Rule(name, partial(weighing.by_samples, options=options), server=server(options))


def _evenly(seen: Seen) -> Weights:
    shares = weighing.equal(len(seen.sites))
    return Weights(shares, 1.0, shares)


def _median(options: AggregatorOptions) -> Rule:
    return Rule("median", _evenly, by_coordinate=robust.median)


def _trimmed(options: Any) -> Rule:
    return Rule("trimmed-mean", _evenly, by_coordinate=partial(robust.trimmed_mean, beta=options.beta))


_MADE: Mapping[str, Callable[[Any], Rule]] = {
    "fedavg": _weighing("fedavg", weighing.by_samples),
    "fedsgd": _serving("fedsgd", Sgd),
    "fedavgm": _serving("fedavgm", Momentum),
    "fedadagrad": _serving("fedadagrad", partial(Adaptive, "adagrad")),
    "fedadam": _serving("fedadam", partial(Adaptive, "adam")),
    "fedyogi": _serving("fedyogi", partial(Adaptive, "yogi")),
    "fednova": _weighing("fednova", weighing.by_local_steps),
    "fedcostwavg": _weighing("fedcostwavg", weighing.by_cost),
    "fedfocus": _weighing("fedfocus", weighing.by_loss),
    "auto-fedavg": _weighing("auto-fedavg", weighing.learnt, geometry=True),
    "median": _median,
    "trimmed-mean": _trimmed,
    "krum": _weighing("krum", robust.krum, geometry=True),
    "multi-krum": _weighing("multi-krum", robust.multi_krum, geometry=True),
    "geometric-median": _weighing("geometric-median", robust.geometric_median, geometry=True),
    "outlier-suppression": _weighing("outlier-suppression", robust.outlier_suppression, geometry=True),
    "norm-bounded": _weighing("norm-bounded", robust.norm_bounded, geometry=True),
}
