"""Steps with noise (DP-SGD): each patient is drawn by herself, her gradient is shortened, and noise hides her.

A step draws each patient with the same probability and of each who is drawn one image, so that a patient has one
gradient in a step, however many images she has. Norms are worked out layer by layer without keeping the gradients of
single patients (ghost clipping), where a layer allows it.

Sources: Abadi et al. 2016, Deep Learning with Differential Privacy, algorithm 1; Li et al. 2022, Large Language Models
Can Be Strong Differentially Private Learners, section 4; Opacus 1.6, GradSampleModuleFastGradientClipping.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from fairbank.errors import MissingExtra
from fairbank.federated_jobs.algorithms.errors import TrainingDiverged
from fairbank.federated_jobs.algorithms.noise_source import NoiseSource
from fairbank.federated_jobs.algorithms.samples import SampleSet
from fairbank.federated_jobs.dp.plan import NoisePlan

# Takes outputs and targets of a batch, and returns a loss for each of its samples, none of which another one changes.
Losses = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
_SEEDS = 2**31


class Patients:
    """The patients that are trained on, each with the places of her images."""

    def __init__(self, train: SampleSet) -> None:
        places: dict[str, list[int]] = {}
        for place, sample in enumerate(train.samples):
            places.setdefault(sample.subject, []).append(place)
        self._train = train
        self._places = list(places.values())

    def __len__(self) -> int:
        return len(self._places)

    def draw(self, source: NoiseSource, rate: float) -> list[int]:
        """Return the place of one image of each patient who is drawn; of nobody, if it falls so."""
        chosen = [self._places[one] for one in source.drawn(len(self), rate)]
        picked = source.below([len(places) for places in chosen])
        return [places[pick] for places, pick in zip(chosen, picked, strict=True)]

    def batch(self, places: list[int], source: NoiseSource) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images and targets at places, (n, …) each, with random changes that no seed of a job leads to."""
        draws = self._train.draws
        [seed] = source.below([_SEEDS])
        return self._train.batch([place * draws for place in places], seed)


class ClippedSum:
    """The network, so watched that the sum of its shortened gradients can be had."""

    def __init__(self, watched: Any, network: nn.Module, trained: Mapping[str, nn.Parameter]) -> None:
        self._watched, self._network, self._trained = watched, network, trained

    def gradients(
        self,
        images: torch.Tensor,
        targets: torch.Tensor,
        losses: Losses,
        plan: NoisePlan,
        source: NoiseSource,
    ) -> None:
        """Leave in each trained parameter the noisy mean of the shortened gradients of a batch, which may be empty.

        Raises:
            TrainingDiverged: if a gradient is not finite.
        """
        self.add_up(images, targets, losses)
        spread = float(plan.sigma) * float(plan.clip)
        for parameter in self._trained.values():
            summed = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            noise = torch.from_numpy(source.normal(parameter.numel()) * spread).reshape(parameter.shape)
            parameter.grad = ((summed.double() + noise.to(parameter.device)) / plan.batch).to(parameter.dtype)

    def add_up(self, images: torch.Tensor, targets: torch.Tensor, losses: Losses) -> None:
        """Leave in each trained parameter the sum of the gradients, each shortened to the clipping norm."""
        for parameter in self._trained.values():
            parameter.grad = None
        if not len(images):
            return
        self._watched.enable_hooks()
        each = losses(self._watched(images), targets)
        torch.autograd.backward(each.sum(), retain_graph=True)
        shortened = self._watched.get_clipping_coef().detach()
        if not bool(torch.isfinite(shortened).all()):
            raise _diverged()
        for parameter in self._trained.values():
            parameter.grad = None
        self._watched.disable_hooks()
        torch.autograd.backward((shortened * each).sum())


@contextmanager
def clipped_sum(
    network: nn.Module, trained: Mapping[str, nn.Parameter], *, clip: float
) -> Iterator[ClippedSum]:
    """Watch a network for a while, and leave it as it was.

    Raises:
        MissingExtra: if the library that works out norms is not installed.
    """
    try:
        from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
            GradSampleModuleFastGradientClipping,
        )
    except ImportError as err:
        raise MissingExtra.named("dp", needed_for="Training with noise") from err
    with _not_in_place(network), warnings.catch_warnings():
        # Images need no gradients, and hooks say so each time.
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        watched = GradSampleModuleFastGradientClipping(
            network, loss_reduction="sum", max_grad_norm=clip, use_ghost_clipping=True, strict=False
        )
        try:
            yield ClippedSum(watched, network, trained)
        finally:
            watched.to_standard_module()


class _Anew(nn.Module):
    """Hands on a copy, which may be written over."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Return a copy."""
        return given.clone()


@contextmanager
def _not_in_place(network: nn.Module) -> Iterator[None]:
    """Have layers make new tensors for a while: what is watched must not be written over."""
    from monai.networks.nets.resnet import ResNetBlock, ResNetBottleneck

    activations = [module for module in network.modules() if getattr(module, "inplace", False) is True]
    # These add to what their last layer returned.
    added_to = [
        (module, "bn2" if isinstance(module, ResNetBlock) else "bn3")
        for module in network.modules()
        if isinstance(module, ResNetBlock | ResNetBottleneck)
    ]
    layers = [getattr(module, name) for module, name in added_to]
    for each in activations:
        setattr(each, "inplace", False)  # noqa: B010 - a module's type does not tell of it
    for (module, name), layer in zip(added_to, layers, strict=True):
        setattr(module, name, nn.Sequential(layer, _Anew()))
    try:
        yield
    finally:
        for each in activations:
            setattr(each, "inplace", True)  # noqa: B010
        for (module, name), layer in zip(added_to, layers, strict=True):
            setattr(module, name, layer)


def _diverged() -> TrainingDiverged:
    return TrainingDiverged(
        "A gradient is not a finite number.",
        why="The learning rate may be too high, or an image holds what is no number.",
        todo="Lower the learning rate and submit the job again.",
    )
