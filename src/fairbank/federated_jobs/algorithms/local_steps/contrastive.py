"""Local steps that add to the loss: weights of classes, FedMax, MOON."""

from __future__ import annotations

import copy

import torch
from torch import nn

from fairbank.federated_jobs.algorithms.local_steps.base import Ended, LocalRound, LocalStep
from fairbank.federated_jobs.axes.local_steps import FedMax, Moon, WeightedLoss
from fairbank.federated_jobs.errors import OptionRefused

_MODEL = "model."


class Weighted(LocalStep):
    """Weights classes by n / (classes that occur * n_class), or as given.

    Source: King & Zeng 2001, Political Analysis 9, section 4.2; the form of scikit-learn's `class_weight="balanced"`.
    """

    def __init__(self, options: WeightedLoss) -> None:
        self._given = options.weights

    def begin(self, at: LocalRound) -> None:
        """Refuse weights that are not one for each class."""
        if self._given is not None and len(self._given) != at.classes:
            raise OptionRefused(
                f"weighted-loss has {len(self._given)} weights for {at.classes} classes.",
                why="Each class has one weight, in the order of the classes.",
                todo="Give one weight for each class, or none.",
            )

    def class_weights(self, counts: torch.Tensor) -> torch.Tensor:
        """Return the weights; a class that does not occur here has 0."""
        if self._given is not None:
            return torch.tensor([float(weight) for weight in self._given], device=counts.device)
        occurring = counts > 0
        balanced = counts.sum() / (occurring.sum() * counts.clamp(min=1))
        return torch.where(occurring, balanced, torch.zeros_like(balanced)).float()


class MaximumEntropy(LocalStep):
    """Adds beta times the divergence of activations, as a distribution over features, from the even distribution.

    KL(softmax(a) || even) = log(n_features) - H(softmax(a)), the mean over the batch.

    Source: Chen et al. 2020, ECML PKDD, equation 3.
    """

    wants_features = True

    def __init__(self, options: FedMax) -> None:
        self._beta = float(options.beta)

    def loss(self, images: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor:
        """Return the addition."""
        assert features is not None
        logs = torch.log_softmax(features.flatten(1).float(), dim=1)
        even = torch.log(torch.tensor(float(logs.shape[1]), device=logs.device))
        return self._beta * ((logs.exp() * logs).sum(dim=1) + even).mean()


class Contrastive(LocalStep):
    """Draws features to those of the global model, away from those of the site's last model.

    Adds mu times -log(e^(s_global/t) / (e^(s_global/t) + e^(s_last/t))), where s are cosines with the features of both;
    the features are what goes into the last layer. In a site's first round there is no last model: nothing is added.

    Source: Li, He & Song 2021, CVPR, equation 3.
    """

    wants_features = True

    def __init__(self, options: Moon) -> None:
        self._mu, self._temperature = float(options.mu), float(options.temperature)

    def begin(self, at: LocalRound) -> None:
        """Keep copies of the global and of the last network, which are not trained."""
        self._at = at
        self._global = _standing(at.network)
        self._last: nn.Module | None = None
        kept = {key.removeprefix(_MODEL): value for key, value in at.state.items() if key.startswith(_MODEL)}
        if kept:
            self._last = _standing(at.network)
            form = self._last.state_dict()
            self._last.load_state_dict(
                {
                    name: torch.from_numpy(value.copy()).reshape(form[name].shape)
                    for name, value in kept.items()
                }
            )

    def loss(self, images: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor | None:
        """Return the addition."""
        if self._last is None:
            return None
        assert features is not None and self._at.features is not None
        with torch.no_grad():
            of_global = self._at.features(self._global, images)[1]
            of_last = self._at.features(self._last, images)[1]
        cosines = [
            torch.cosine_similarity(features.flatten(1), other.flatten(1), dim=1) / self._temperature
            for other in (of_global, of_last)
        ]
        logits = torch.stack(cosines, dim=1)
        nearest = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        return self._mu * torch.nn.functional.cross_entropy(logits, nearest)

    def end(self, steps: int) -> Ended:
        """Keep the site's model."""
        return Ended(
            state={
                _MODEL + name: tensor.detach().cpu().numpy().copy()
                for name, tensor in self._at.network.state_dict().items()
            }
        )


def _standing(network: nn.Module) -> nn.Module:
    """Return a copy that is not trained."""
    made = copy.deepcopy(network).eval()
    for parameter in made.parameters():
        parameter.requires_grad_(False)
    return made
