"""The templates' own trainer on arrays: pooled data, a site of a split, and a model on a test set.

Nothing here trains in a way of its own: a class of the product is given its samples as arrays instead of staged files.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairbank.federated_jobs.algorithms.by_group import round_digits
from fairbank.federated_jobs.algorithms.centralised import RoundAlone, trained_alone
from fairbank.federated_jobs.algorithms.classification import Classification
from fairbank.federated_jobs.algorithms.images import standardised
from fairbank.federated_jobs.algorithms.interface import SiteTask, TrainingAlgorithm, exchanged
from fairbank.federated_jobs.algorithms.registry import algorithm_parameters
from fairbank.federated_jobs.algorithms.samples import Sample, SampleSet, SiteSamples
from fairbank.federated_jobs.algorithms.session import Metrics, be_deterministic
from fairbank.federated_jobs.algorithms.slices import resampled
from fairbank.federated_jobs.algorithms.training_parameters import ClassificationParameters
from fairbank.federated_jobs.algorithms.weights import Weights, read_weights, write_weights
from parts.protocol_data import Labelled

POOLED = "pooled"
# What 0 and 255 of the published images become; the window that jobs name.
WINDOW = {"low": "0", "high": "255"}
Told = Callable[[str], None]


class FromArrays(Classification):
    """The classification template with samples that are there already."""

    def __init__(self, train: Labelled, heldout: Labelled | None) -> None:
        self._given_arrays = train, heldout

    def samples(self, task: SiteTask) -> SiteSamples:
        """Return the arrays as samples; each image is a subject of its own."""
        train, heldout = self._given_arrays
        learnt, held = as_samples(train, task.parameters), as_samples(heldout, task.parameters)
        n = len(learnt) + len(held)
        return SiteSamples(SampleSet(learnt), SampleSet(held), n, n, len(held), 0)


def as_samples(some: Labelled | None, parameters: Any) -> list[Sample]:
    """Return images as the node's own reading prepares them, with the places of their labels."""
    assert isinstance(parameters, ClassificationParameters) and parameters.window is not None
    if some is None:
        return []
    low, high = float(parameters.window.low), float(parameters.window.high)
    places = torch.tensor([parameters.classes.index(word) for word in some.words])[torch.tensor(some.labels)]
    found = []
    for number, (image, place) in enumerate(zip(some.images, places, strict=True)):
        grey = np.clip((image.astype(np.float64) - low) / (high - low), 0.0, 1.0).astype(np.float32)
        grey = standardised(resampled(grey, parameters.image_size), parameters.standardise)
        found.append(Sample(str(number), torch.from_numpy(grey)[None], place))
    return found


def classifier(
    train: Labelled,
    heldout: Labelled | None,
    parameters: Mapping[str, object],
    *,
    site: str,
    seed: str,
    rounds: int,
) -> FromArrays:
    """Return the template, begun at one site."""
    checked = algorithm_parameters("classification", parameters)
    be_deterministic()
    algorithm = FromArrays(train, heldout)
    algorithm.begin(SiteTask(checked, (), seed, site, rounds=rounds))
    return algorithm


@dataclass(frozen=True, slots=True)
class Alone:
    """What training in one place gave: metrics on the test set after each round, seconds of this process."""

    curve: tuple[Metrics, ...]
    cpu_s: float
    n_train: int


def alone(
    algorithm: TrainingAlgorithm,
    *,
    rounds: int,
    kept: Path,
    told: Told,
    seen: Callable[[Alone], None] = lambda so_far: None,
    until: float = inf,
) -> Alone:
    """Train in one place, and go on from the last round that is kept in a folder.

    Args:
        kept: the folder; each round leaves its model, its state and its metrics there.
        seen: is handed what there is so far after each round.
        until: second of the monotonic clock from which on no round is begun; what there is then counts.
    """
    kept.mkdir(parents=True, exist_ok=True)
    curve: list[Metrics] = []
    after, cpu_s, n_train = _last_kept(kept), 0.0, 0
    for number in range(1, after.round + 1 if after else 1):
        noted = json.loads((kept / f"round-{number}.json").read_text())
        curve.append(noted["metrics"])
        cpu_s, n_train = noted["cpu_s"], noted["n_train"]
    before = time.process_time()
    for done in trained_alone(algorithm, rounds=rounds if time.monotonic() < until else 0, after=after):
        cpu_s, before = cpu_s + time.process_time() - before, time.process_time()
        n_train = done.n_train
        write_weights(done.weights, _file(kept, "model", done.round))
        write_weights(done.state, _file(kept, "state", done.round))
        noted = {"metrics": done.metrics, "cpu_s": round(cpu_s, 1), "n_train": n_train}
        (kept / f"round-{done.round}.json").write_text(json.dumps(noted))
        (kept / "last").write_text(str(done.round))
        curve.append(done.metrics)
        told(f"round {done.round} of {rounds}: {in_short(done.metrics)}, {cpu_s:.0f} s of processor time")
        seen(Alone(tuple(curve), round(cpu_s, 1), n_train))
        if time.monotonic() >= until:
            break
    return Alone(tuple(curve), round(cpu_s, 1), n_train)


def in_short(metrics: Metrics) -> str:
    """Return the metrics that are looked at first, as text."""
    shown = ("accuracy", "auroc", "dice", "loss")
    return ", ".join(f"{name} {metrics[name]:.4f}" for name in shown if name in metrics)


def measured(algorithm: TrainingAlgorithm, model: Path | Weights) -> Metrics:
    """Return the metrics of a model on the samples that an algorithm holds out."""
    weights = read_weights(model) if isinstance(model, Path) else model
    found = algorithm.evaluate(exchanged(weights)).metrics or {}
    return {name: round_digits(value) for name, value in found.items()}


def _last_kept(folder: Path) -> RoundAlone | None:
    if not (folder / "last").exists():
        return None
    number = int((folder / "last").read_text())
    weights, state = (read_weights(_file(folder, name, number)) for name in ("model", "state"))
    return RoundAlone(number, weights, state, {}, 0)


def _file(folder: Path, name: str, number: int) -> Path:
    # Those of the round before stay until the number of the last one is written down.
    return folder / f"{name}-{number % 2}.safetensors"
