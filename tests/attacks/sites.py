"""Sites under attack: the product's own trainer on images that are made up, and the two files an attacker holds.

An attacker sees the model that a round started from and the update that a site sent, both as files of weights, and
knows the job: network, learning rate, batch size, passes. It has no other way in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fairbank.federated_jobs.algorithms.classification import Classification
from fairbank.federated_jobs.algorithms.interface import SiteTask, exchanged, weights_in
from fairbank.federated_jobs.algorithms.registry import algorithm_parameters
from fairbank.federated_jobs.algorithms.samples import Sample, SampleSet, SiteSamples
from fairbank.federated_jobs.algorithms.weights import Weights, read_weights, write_weights

SIZE, CLASSES = 28, ("no", "yes")
Images = NDArray[np.float32]
Labels = NDArray[np.int64]
Build = Callable[[], nn.Module]


class Smooth(nn.Module):
    """Two convolutions and hyperbolic tangents: smooth, so easy prey; 13,234 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(16, 16, 5, stride=1, padding=2)
        self.fc = nn.Linear(16 * 14 * 14, len(CLASSES))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, 2) scores of (n, 1, 28, 28) images."""
        found = torch.tanh(self.conv2(torch.tanh(self.conv1(images))))
        scores: torch.Tensor = self.fc(found.flatten(1))
        return scores


class Perceptron(nn.Module):
    """A first layer on pixels, rectified, and a second one: what an imprint looks like."""

    def __init__(self, rows: int = 128) -> None:
        super().__init__()
        self.fc1 = nn.Linear(SIZE * SIZE, rows)
        self.fc2 = nn.Linear(rows, len(CLASSES))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, 2) scores of (n, 1, 28, 28) images."""
        scores: torch.Tensor = self.fc2(torch.relu(self.fc1(images.flatten(1))))
        return scores


class AtSite(Classification):
    """The classification template with samples that are there already, and a network of the test's choice."""

    def __init__(self, images: Images, labels: Labels, build: Build | None = None) -> None:
        self._arrays, self._build = (images, labels), build

    def samples(self, task: SiteTask) -> SiteSamples:
        """Return each image as a subject of its own; none is held out."""
        images, labels = self._arrays
        found = [
            Sample(str(place), torch.from_numpy(image)[None], torch.tensor(int(label)))
            for place, (image, label) in enumerate(zip(images, labels, strict=True))
        ]
        return SiteSamples(SampleSet(found), SampleSet([]), len(found), len(found), 0, 0)

    def network(self, parameters: Any) -> nn.Module:
        """Return the network of the test, else that of the template."""
        return self._build() if self._build is not None else super().network(parameters)


@dataclass(frozen=True, slots=True)
class Job:
    """What the attacker knows of a job."""

    network: Build | None = None
    learning_rate: float = 0.1
    batch_size: int = 32
    local_epochs: int = 1
    seed: str = "1"
    template: str = "lenet"
    optimizer: str = "sgd"
    noise: Any = None

    def parameters(self) -> dict[str, object]:
        """Return them as a job names them."""
        return {
            "network": self.template,
            "batch_size": self.batch_size,
            "local_epochs": self.local_epochs,
            "learning_rate": str(self.learning_rate),
            "optimizer": self.optimizer,
            "held_out_percent": 0,
            "classes": list(CLASSES),
        }

    def built(self, weights: Weights) -> nn.Module:
        """Return the network with weights."""
        network = AtSite(np.empty((0,)), np.empty((0,)), self.network).network(
            algorithm_parameters("classification", self.parameters())
        )
        network.load_state_dict({name: torch.from_numpy(np.array(each)) for name, each in weights.items()})
        return network


@dataclass(frozen=True, slots=True)
class Caught:
    """The two files that an attacker holds."""

    base: Path
    update: Path

    def gradient(self, job: Job) -> dict[str, torch.Tensor]:
        """Return what one step's gradient would be, by the name of its tensor."""
        base, update = read_weights(self.base), read_weights(self.update)
        return {
            name: torch.from_numpy((base[name] - update[name]) / job.learning_rate).float() for name in base
        }


def trained(
    job: Job, images: Images, labels: Labels, *, base: Weights | None = None, site: str = "north"
) -> tuple[Weights, Weights]:
    """Return the model that one round at a site starts from and the one that it ends with."""
    algorithm = AtSite(images, labels, job.network)
    noise = {} if job.noise is None else {"noise": job.noise}
    task = SiteTask(algorithm_parameters("classification", job.parameters()), (), job.seed, site, **noise)
    algorithm.begin(task)
    base = base if base is not None else algorithm.initial_weights()
    algorithm.begin_round(1, {})
    algorithm.train(exchanged(base))
    return base, weights_in(algorithm.get_weights())


def caught(job: Job, images: Images, labels: Labels, folder: Path, *, base: Weights | None = None) -> Caught:
    """Train one round and leave the two files in a folder."""
    before, after = trained(job, images, labels, base=base)
    found = Caught(folder / "base.safetensors", folder / "update.safetensors")
    write_weights(before, found.base)
    write_weights(after, found.update)
    return found


def pictures(n: int, *, seed: int) -> Images:
    """Return pictures with the coarse look of chest films, each of its own: (n, 28, 28) float32 in 0 to 1."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1)
    found = np.zeros((n, SIZE, SIZE))
    for image in found:
        image += 0.25 + 0.15 * random.random() * rows
        for side in (0.3, 0.7):
            down, across = random.normal(0.5, 0.05), random.normal(side, 0.05)
            tall, wide = random.uniform(0.18, 0.32), random.uniform(0.08, 0.16)
            image -= 0.3 * np.exp(-(((rows - down) / tall) ** 2) - ((columns - across) / wide) ** 2)
        for _ in range(6):
            down, across, size = random.random(), random.random(), random.uniform(0.04, 0.15)
            image += random.normal(0, 0.35) * np.exp(
                -((rows - down) ** 2 + (columns - across) ** 2) / (2 * size**2)
            )
    low, high = found.min(axis=(1, 2), keepdims=True), found.max(axis=(1, 2), keepdims=True)
    return ((found - low) / (high - low)).astype(np.float32)


def two_kinds(n: int, *, seed: int, share: float = 0.5, strength: float = 0.5) -> tuple[Images, Labels]:
    """Return pictures of which some have a shadow in the middle, and which do: (n, 28, 28) and (n,)."""
    random = np.random.default_rng(seed + 10_000)
    labels = np.zeros(n, dtype=np.int64)
    labels[: round(share * n)] = 1
    random.shuffle(labels)
    images = pictures(n, seed=seed)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1)
    for image, label in zip(images, labels, strict=True):
        if label:
            down, across = random.normal(0.6, 0.08, 2)
            image += strength * np.exp(-((rows - down) ** 2 + (columns - across) ** 2) / 0.02).astype(
                np.float32
            )
    return np.clip(images, 0, 1), labels
