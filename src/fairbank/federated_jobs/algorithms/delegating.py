"""A training algorithm that hands everything to another one, which it chooses when it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.fl.utils.exchange_object import ExchangeObject

from fairbank.federated_jobs.algorithms.interface import Groups, SiteTask, TrainingAlgorithm
from fairbank.federated_jobs.algorithms.weights import Weights
from fairbank.federated_jobs.release_check import Wish


class Delegating(TrainingAlgorithm):
    """A subclass sets `inner` in `begin`."""

    inner: TrainingAlgorithm

    def begin(self, task: SiteTask) -> int:
        """Choose the inner algorithm and begin with it; return the number of series that can be used."""
        raise NotImplementedError

    def initial_weights(self) -> Weights:
        """Return the initial model."""
        return self.inner.initial_weights()

    def subjects_used(self) -> tuple[int, int] | None:
        """Return how many different subjects it uses in all and holds out."""
        return self.inner.subjects_used()

    def images_used(self) -> int:
        """Return of how many distinct samples the steps of the last round were made."""
        return self.inner.images_used()

    def dead_share(self, data: ExchangeObject) -> float:
        """Return which share of the trained weights no local sample moves."""
        return self.inner.dead_share(data)

    def unlabelled(self) -> int:
        """Return how many subjects are left out because the site knows no label of them."""
        return self.inner.unlabelled()

    def groups(self) -> Groups:
        """Return the metrics of the last evaluation by group; they stay at the site."""
        return self.inner.groups()

    def begin_round(self, round_number: int, state: Weights) -> None:
        """Take up the state after the site's last round and seed this round."""
        self.inner.begin_round(round_number, state)

    def site_state(self) -> Weights:
        """Return what has to outlive this process after a round."""
        return self.inner.site_state()

    def train(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> None:
        """Train one round from the given weights."""
        self.inner.train(data, extra)

    def get_weights(self, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return the local weights with counts."""
        return self.inner.get_weights(extra)

    def evaluate(self, data: ExchangeObject, extra: dict[str, Any] | None = None) -> ExchangeObject:
        """Return metrics of the given weights with counts."""
        return self.inner.evaluate(data, extra)

    def evaluate_together(self, models: Sequence[ExchangeObject], *, combine: str) -> ExchangeObject:
        """Return metrics of the predictions of several models put together."""
        return self.inner.evaluate_together(models, combine=combine)

    def remembered(self, data: ExchangeObject, wish: Wish) -> dict[str, float]:
        """Return how much a model remembers of the samples of this site."""
        return self.inner.remembered(data, wish)
