"""What training with noise costs a site: processor time of a round with it, against the same round without."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import numpy as np

from fairbank.federated_jobs.algorithms.interface import SiteTask, exchanged
from fairbank.federated_jobs.algorithms.registry import algorithm_parameters
from fairbank.federated_jobs.algorithms.session import be_deterministic
from fairbank.federated_jobs.dp.plan import NoisePlan
from fairbank.ontology.signed_objects import DifferentialPrivacy, Training
from parts.protocol_data import Labelled
from parts.protocol_training import WINDOW, FromArrays

ROUNDS, IMAGES, BATCH = 3, 512, 64
GOAL_RATIO = 3.0
NETWORKS: dict[str, dict[str, Any]] = {
    "lenet": {"network": "lenet", "image_size": 28},
    "mnist-cnn": {"network": "mnist-cnn", "image_size": 28},
}


def measure() -> dict[str, dict[str, float]]:
    """Return, for each network, the median processor time of a round, with noise and without, and their ratio."""
    return {name: _measured(given) for name, given in NETWORKS.items()}


def _measured(given: dict[str, Any]) -> dict[str, float]:
    plan = NoisePlan(Decimal("1.4"), Decimal("0.125"), IMAGES // BATCH, Decimal(1), BATCH)
    noisy, plain = (_round_s(given, noise) for noise in (plan, None))
    return {"plain_s": round(plain, 3), "noisy_s": round(noisy, 3), "ratio": round(noisy / plain, 2)}


def _round_s(given: dict[str, Any], noise: NoisePlan | None) -> float:
    be_deterministic()
    chance = np.random.default_rng(1)
    images = chance.integers(0, 256, size=(IMAGES, 28, 28), dtype=np.uint8)
    labels = chance.integers(0, 2, size=IMAGES)
    parameters = algorithm_parameters(
        "classification",
        {"classes": ["no", "yes"], "batch_size": BATCH, "window": WINDOW, "held_out_percent": 0, **given},
    )
    training = Training(differential_privacy=DifferentialPrivacy(clip_norm="1")) if noise else Training()
    algorithm = FromArrays(Labelled(images, labels, ("no", "yes")), None)
    algorithm.begin(SiteTask(parameters, (), "1", "a", training, rounds=ROUNDS, noise=noise))
    spent = []
    for number in range(1, ROUNDS + 1):
        algorithm.begin_round(number, {})
        began = time.process_time()
        algorithm.train(exchanged(algorithm.initial_weights()))
        spent.append(time.process_time() - began)
    return sorted(spent)[ROUNDS // 2]
