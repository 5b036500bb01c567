"""The algorithm `noop`: adds 0.01 to every weight, so that a run shows what orchestration costs."""

from __future__ import annotations

from typing import Any

import numpy as np
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
from fairbank.federated_jobs.algorithms.parameters import NoopParameters
from fairbank.federated_jobs.algorithms.seeds import derive_seed
from fairbank.federated_jobs.algorithms.weights import Weights

STEP = np.float32(0.01)


class Noop(TrainingAlgorithm):
    """Trains nothing."""

    def begin(self, task: SiteTask) -> int:
        """Keep the parameters; the series are not opened."""
        assert isinstance(task.parameters, NoopParameters)
        self._parameters = task.parameters
        self._seed = derive_seed(task.job_seed, site="", round_number=0, purpose="initial")
        self._weights: Weights = {}
        return len(task.series)

    def initial_weights(self) -> Weights:
        """Return normally distributed weights."""
        rng = np.random.default_rng(self._seed)
        return {"weights": rng.standard_normal(self._parameters.weights, dtype=np.float32)}

    def begin_round(self, round_number: int, state: Weights) -> None:
        """Do nothing: nothing here is random or remembered."""

    def train(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> None:
        """Add the step."""
        self._weights = {name: weight + STEP for name, weight in weights_in(data).items()}

    def get_weights(self, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return the weights after the step."""
        return exchanged(self._weights, **{N_TRAIN: self._parameters.samples})

    def evaluate(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return the mean weight, the only thing that there is to measure."""
        mean = float(np.mean([weight.mean(dtype=np.float64) for weight in weights_in(data).values()]))
        return measured({"mean_weight": mean}, **{N_HELDOUT: 1})


ALGORITHM = Noop
