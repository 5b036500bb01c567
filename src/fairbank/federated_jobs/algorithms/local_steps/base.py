"""What a local step is: hooks that the trainer calls at fixed places of a round; each does nothing by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from fairbank.federated_jobs.algorithms.weights import Weights

Tensors = dict[str, torch.Tensor]


@dataclass(slots=True)
class LocalRound:
    """One round at a site, as a local step sees it.

    Args:
        network: with the weights that the round starts from.
        trained: the parameters that are trained, by name.
        rate: learning rate of the round.
        state: what the step returned as its state after the site's last round; empty before the first.
        received: the tensors beside the weights that came with the model, under the step's prefix.
        features: returns outputs and features, (n, n_features), of a network for a batch of images.
        classes: how many there are; 0 for a number.
    """

    network: nn.Module
    trained: Mapping[str, nn.Parameter]
    rate: float
    state: Weights
    received: Weights = field(default_factory=dict)
    features: Callable[[nn.Module, torch.Tensor], tuple[torch.Tensor, torch.Tensor]] | None = None
    classes: int = 0

    def base(self) -> Tensors:
        """Return copies of the parameters as they are now."""
        return {name: parameter.detach().clone() for name, parameter in self.trained.items()}

    def tensors(self, weights: Weights, *, prefix: str = "") -> Tensors:
        """Return those of some weights that belong to trained parameters, on their device; zeros for the others."""
        return {
            name: torch.from_numpy(weights[prefix + name].copy()).to(parameter)
            if prefix + name in weights
            else torch.zeros_like(parameter)
            for name, parameter in self.trained.items()
        }


@dataclass(frozen=True, slots=True)
class Ended:
    """What a local step leaves after a round.

    Args:
        sent: tensors that travel beside the weights, with their prefix.
        state: what the site keeps for its next round.
    """

    sent: Weights = field(default_factory=dict)
    state: Weights = field(default_factory=dict)


class LocalStep:
    """Training as it is; the root of all others."""

    wants_features = False

    def begin(self, at: LocalRound) -> None:
        """Take up a round, before its first step."""

    def class_weights(self, counts: torch.Tensor) -> torch.Tensor | None:
        """Return how much each class counts in the loss, None for all the same.

        Args:
            counts: (n_classes,) how many training samples of the site have each.
        """
        return None

    def loss(self, images: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor | None:
        """Return what is added to the loss of a batch, None for nothing."""
        return None

    def gradients(self) -> None:
        """Change the gradients that a batch left, before the optimizer's step."""

    def after_step(self) -> None:
        """Look at the weights after the optimizer's step."""

    def end(self, steps: int) -> Ended:
        """Return what a round of so many steps leaves."""
        return Ended()

    def empty(self, trained: Mapping[str, nn.Parameter]) -> Weights:
        """Return what travels beside the weights of the initial model."""
        return {}


def as_weights(tensors: Mapping[str, torch.Tensor], *, prefix: str = "") -> Weights:
    """Return tensors as arrays of their own."""
    return {prefix + name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}
