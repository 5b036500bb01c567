"""Both ways between MONAI's `ClientAlgo` and the algorithms of this package.

`OfClientAlgo` makes an algorithm of a `ClientAlgo` that somebody wrote: it adds the initial model, sample counts and
seeds, and turns weight differences into weights. `AsClientAlgo` gives a template to a system that drives `ClientAlgo`s.

Source: monai.fl.client.client_algo and monai.fl.utils, MONAI 1.6.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from monai.fl.client.client_algo import ClientAlgo
from monai.fl.utils.constants import ExtraItems, WeightType
from monai.fl.utils.exchange_object import ExchangeObject

from fairbank.federated_jobs.algorithms.interface import (
    N_HELDOUT,
    N_TRAIN,
    SiteTask,
    TrainingAlgorithm,
    exchanged,
    measured,
    weights_in,
)
from fairbank.federated_jobs.algorithms.seeds import derive_seed
from fairbank.federated_jobs.algorithms.weights import Weights


class OfClientAlgo(TrainingAlgorithm):
    """An algorithm whose training is a `ClientAlgo`; a subclass makes it and says how many samples it has.

    The `ClientAlgo` gets the global weights as numpy arrays by name, and may give arrays or tensors, weights or
    differences. What it keeps between rounds beside its weights is lost when a worker is started anew.
    """

    def client(self, task: SiteTask) -> tuple[ClientAlgo, int]:
        """Return the `ClientAlgo` for the series of a site, and how many of them it can use."""
        raise NotImplementedError

    def samples(self) -> tuple[int, int]:
        """Return how many samples it trains on, and how many it holds out."""
        raise NotImplementedError

    def begin(self, task: SiteTask) -> int:
        """Make the `ClientAlgo` under the job's seed, so that its first weights are the same at every site."""
        self._task = task
        _seed(derive_seed(task.job_seed, site="", round_number=0, purpose="initial"))
        self._client, used = self.client(task)
        self._client.initialize({ExtraItems.CLIENT_NAME: task.site})
        self._initial = _arrays(weights_in(self._client.get_weights()))
        return used

    def initial_weights(self) -> Weights:
        """Return the weights that it had before any training."""
        return self._initial

    def begin_round(self, round_number: int, state: Weights) -> None:
        """Seed the round."""
        _seed(derive_seed(self._task.job_seed, site=self._task.site, round_number=round_number))

    def train(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> None:
        """Train one round from the given weights."""
        self._base = weights_in(data)
        self._client.train(_weights(self._base), extra)

    def get_weights(self, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return the local weights, whole, with the number of samples."""
        found = self._client.get_weights(extra)
        given = _arrays(weights_in(found))
        if found.weight_type == WeightType.WEIGHT_DIFF:
            given = {
                name: (self._base[name] + array).astype(self._base[name].dtype)
                for name, array in given.items()
            }
        # What it does not send has not changed.
        return exchanged({**self._base, **given}, **{N_TRAIN: self.samples()[0]})

    def evaluate(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return its metrics that are numbers, with the number of samples that are held out."""
        found = self._client.evaluate(_weights(weights_in(data)), extra).metrics or {}
        metrics = {str(name): float(value) for name, value in found.items() if np.ndim(value) == 0}
        return measured(metrics, **{N_HELDOUT: self.samples()[1]})

    def finalize(self, extra: dict[str, Any] | None = None) -> None:
        """End the `ClientAlgo`."""
        self._client.finalize(extra)


class AsClientAlgo(ClientAlgo):
    """A `ClientAlgo` of a template, for a system that drives such; its rounds are counted here.

    Args:
        algorithm: of a template.
        task: what the site gives it.
    """

    def __init__(self, algorithm: TrainingAlgorithm, task: SiteTask) -> None:
        self._algorithm, self._task = algorithm, task
        self._round = 0

    def initialize(self, extra: dict[str, Any] | None = None) -> None:
        """Read the series and build the network."""
        self._algorithm.begin(self._task)
        self._trained = False

    def train(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> None:
        """Train one round from the given weights."""
        self._round += 1
        state = self._algorithm.site_state() if self._trained else {}
        self._algorithm.begin_round(self._round, state)
        self._algorithm.train(exchanged(_arrays(weights_in(data))), extra)
        self._trained = True

    def get_weights(self, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return the local weights, before any training those that the job's seed leads to."""
        return (
            self._algorithm.get_weights(extra)
            if self._trained
            else exchanged(self._algorithm.initial_weights())
        )

    def evaluate(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return metrics of the given weights."""
        return self._algorithm.evaluate(exchanged(_arrays(weights_in(data))), extra)


def _weights(weights: Weights) -> ExchangeObject:
    return ExchangeObject(weights=dict(weights), weight_type=WeightType.WEIGHTS)


def _arrays(weights: dict[str, Any]) -> Weights:
    """Return weights as numpy arrays of at least one number, as files of weights hold them."""
    return {
        name: np.atleast_1d(
            value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        ).copy()
        for name, value in weights.items()
    }


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
