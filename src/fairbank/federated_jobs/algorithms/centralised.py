"""The yardstick: the same network trained on pooled data, with as many passes as the federated job made.

It needs all sites' slices in one place, so it runs only where they may be together: in the demo and in benchmarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbank.analysis.staged import read_staged
from fairbank.federated_jobs.algorithms.by_group import round_digits
from fairbank.federated_jobs.algorithms.interface import (
    N_HELDOUT,
    N_TRAIN,
    SiteTask,
    exchanged,
    statistic,
    weights_in,
)
from fairbank.federated_jobs.algorithms.parameters import SliceAutoencoderParameters
from fairbank.federated_jobs.algorithms.registry import algorithm_parameters
from fairbank.federated_jobs.algorithms.session import Metrics, be_deterministic
from fairbank.federated_jobs.algorithms.slice_autoencoder import SliceAutoencoder
from fairbank.federated_jobs.algorithms.slices import pooled, read_stacks
from fairbank.federated_jobs.algorithms.weights import Weights, read_weights

POOLED_SITE = "pooled"


@dataclass(frozen=True, slots=True)
class CentralisedOutcome:
    """What training on pooled data gave.

    Args:
        metrics_by_round: held-out metrics after each round's worth of passes; the first is of the initial model.
        n_train, n_heldout: numbers of slices.
    """

    metrics_by_round: tuple[Metrics, ...]
    n_train: int
    n_heldout: int

    @property
    def final(self) -> Metrics:
        """Return the metrics after the last round."""
        return self.metrics_by_round[-1]


def centralised(
    parameters: Mapping[str, object], series_by_site: Mapping[str, Path], *, job_seed: str, rounds: int
) -> CentralisedOutcome:
    """Train `slice-autoencoder` on all sites' training slices and measure on all their held-out slices.

    Args:
        parameters: as in the job's manifest.
        series_by_site: each site's folder of staged series.
        rounds: number of the job's rounds; each stands for `local_epochs` passes.
    """
    algorithm = _on_pooled(parameters, series_by_site, job_seed)
    weights = algorithm.initial_weights()
    state: Weights = {}
    start = algorithm.evaluate(exchanged(weights))
    measured = [_rounded(start.metrics)]
    n_train = 0
    for number in range(1, rounds + 1):
        algorithm.begin_round(number, state)
        algorithm.train(exchanged(weights))
        local = algorithm.get_weights()
        weights, n_train = weights_in(local), statistic(local, N_TRAIN)
        state = algorithm.site_state()
        measured.append(_rounded(algorithm.evaluate(exchanged(weights)).metrics))
    return CentralisedOutcome(tuple(measured), n_train, statistic(start, N_HELDOUT))


def evaluate_pooled(
    parameters: Mapping[str, object], series_by_site: Mapping[str, Path], *, job_seed: str, weights: Path
) -> Metrics:
    """Return a federated model's metrics on the same held-out slices that `centralised` measures on."""
    algorithm = _on_pooled(parameters, series_by_site, job_seed)
    return _rounded(algorithm.evaluate(exchanged(read_weights(weights))).metrics)


def _on_pooled(
    parameters: Mapping[str, object], series_by_site: Mapping[str, Path], job_seed: str
) -> SliceAutoencoder:
    checked = algorithm_parameters("slice-autoencoder", parameters)
    assert isinstance(checked, SliceAutoencoderParameters)
    be_deterministic()
    stacks = [read_stacks(read_staged(series_by_site[site]), checked) for site in sorted(series_by_site)]
    algorithm = SliceAutoencoder()
    algorithm.begin_with(SiteTask(checked, (), job_seed, POOLED_SITE), pooled(stacks))
    return algorithm


def _rounded(metrics: Metrics) -> Metrics:
    return {name: round_digits(value) for name, value in metrics.items()}
