"""The yardstick: the same network trained on pooled data, with as many passes as the federated job made.

It needs all sites' slices in one place, so it runs only where they may be together: in the demo and in benchmarks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbank.analysis.staged import read_staged
from fairbank.federated_jobs.algorithms.by_group import round_digits
from fairbank.federated_jobs.algorithms.interface import (
    N_HELDOUT,
    N_TRAIN,
    SiteTask,
    TrainingAlgorithm,
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
    start = algorithm.evaluate(exchanged(algorithm.initial_weights()))
    measured, n_train = [_rounded(start.metrics)], 0
    for done in trained_alone(algorithm, rounds=rounds):
        measured.append(done.metrics)
        n_train = done.n_train
    return CentralisedOutcome(tuple(measured), n_train, statistic(start, N_HELDOUT))


@dataclass(frozen=True, slots=True)
class RoundAlone:
    """One round of an algorithm by itself.

    Args:
        weights, state: what the next round starts from.
        metrics: on the held-out samples after it.
    """

    round: int
    weights: Weights
    state: Weights
    metrics: Metrics
    n_train: int


def trained_alone(
    algorithm: TrainingAlgorithm, *, rounds: int, after: RoundAlone | None = None
) -> Iterator[RoundAlone]:
    """Train an algorithm that has begun, round after round, as one site without others would; yield each round.

    Args:
        rounds: the number of the last round.
        after: the round to go on from; by default it starts with the initial weights.
    """
    weights = after.weights if after else algorithm.initial_weights()
    state: Weights = after.state if after else {}
    for number in range(after.round + 1 if after else 1, rounds + 1):
        algorithm.begin_round(number, state)
        algorithm.train(exchanged(weights))
        local = algorithm.get_weights()
        weights, state = weights_in(local), algorithm.site_state()
        metrics = _rounded(algorithm.evaluate(exchanged(weights)).metrics)
        yield RoundAlone(number, weights, state, metrics, statistic(local, N_TRAIN))


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
