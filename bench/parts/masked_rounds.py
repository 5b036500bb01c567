"""How much longer a federated round takes with secure aggregation: the same job on real processes, with and without.

The federation is that of `noop_rounds`, whose step takes no time, with the model of 431,080 weights (1.7 MB) that other
systems were measured with. A round of nothing but orchestration is mostly messages, so the ratio is taken of a round
that trains: the same network, one pass over 500 images, measured in this run in one process.
"""

from __future__ import annotations

import statistics
import time

from parts.noop_rounds import running

WEIGHTS, ROUNDS = 431_080, 10
IMAGES, BATCH = 500, 32
GOAL_RATIO = 1.2


def measure() -> dict[str, float]:
    """Return medians in seconds, and the ratio of a round with masks to one without."""
    with running() as federation:
        plain = federation.train(weights=WEIGHTS, rounds=ROUNDS)
        masked = federation.train(weights=WEIGHTS, rounds=ROUNDS, secure_aggregation=True)
    plain_s, masked_s = (statistics.median(each.periods) for each in (plain, masked))
    training_s = _training_s()
    return {
        "plain_round_s": round(plain_s, 4),
        "masked_round_s": round(masked_s, 4),
        "extra_s": round(masked_s - plain_s, 4),
        "training_s": round(training_s, 3),
        "ratio": round((masked_s + training_s) / (plain_s + training_s), 3),
        "ratio_without_training": round(masked_s / plain_s, 2),
    }


def _training_s() -> float:
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(1, 20, 5),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 500),
        nn.ReLU(),
        nn.Linear(500, 10),
    )
    assert sum(each.numel() for each in network.parameters()) == WEIGHTS
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    images, labels = torch.randn(IMAGES, 1, 28, 28), torch.randint(0, 10, (IMAGES,))
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        for start in range(0, IMAGES, BATCH):
            optimizer.zero_grad()
            outputs = network(images[start : start + BATCH])
            nn.functional.cross_entropy(outputs, labels[start : start + BATCH]).backward()
            optimizer.step()
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)
