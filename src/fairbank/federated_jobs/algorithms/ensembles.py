"""The predictions of several models put together: by the mean, or by the classes that they vote for."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fairbank.federated_jobs.algorithms.errors import NotTogether

_TINY = 1e-30


def together(combine: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what puts scores of classes together.

    Args:
        combine: `mean` or `vote`.

    It takes scores, (n_models, n, n_classes, …) float32, and returns log-probabilities, (n, n_classes, …): scores
    whose softmax are the probabilities again, so that loss and metrics take them as those of one model.

    Raises:
        NotTogether: for another word.
    """
    found = {"mean": mean_of_probabilities, "vote": votes}.get(combine)
    if found is None:
        raise NotTogether(
            f"Predictions cannot be put together by {combine!r}.",
            why="There are: mean, vote.",
            todo="Choose one of them.",
        )
    return found


def mean_of_probabilities(scores: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the mean of the models' probabilities."""
    return _log(_probabilities(scores).mean(dim=0))


def votes(scores: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of each class's share of the votes, where the mean probability counts as one more vote.

    The mean is below one vote, so it decides between classes with equally many, and only there.
    """
    probabilities = _probabilities(scores)
    chosen = probabilities.argmax(dim=2)
    cast = torch.nn.functional.one_hot(chosen, scores.shape[2]).movedim(-1, 2).to(probabilities).sum(dim=0)
    return _log((cast + probabilities.mean(dim=0)) / (len(scores) + 1))


def mean_of_values(values: torch.Tensor) -> torch.Tensor:
    """Return the mean of the numbers that models predict, (n_models, n, …) float32."""
    found: torch.Tensor = values.double().mean(dim=0)
    return found.float()


def _probabilities(scores: torch.Tensor) -> torch.Tensor:
    return torch.softmax(scores.double(), dim=2)


def _log(probabilities: torch.Tensor) -> torch.Tensor:
    return probabilities.clamp_min(_TINY).log().float()
