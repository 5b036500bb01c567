"""The job that all peers train: 431,080 weights, 500 digits at each of three clients, five rounds of one pass.

Needs torch and numpy alone, so that it runs in the environment of each peer. Each training writes when it began and
ended (seconds since the epoch) to the folder that PEER_STAMPS names; the digits lie in PEER_DATA, one file a client.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

CLIENTS, ROUNDS, OF_EACH = 3, 5, 500
WEIGHTS = 431_080


class Net(nn.Module):
    """Two convolutions and two dense layers; images are (n, 1, 28, 28) float32."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.dense1, self.dense2 = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return one number for each digit, (n, 10)."""
        found = torch.max_pool2d(torch.relu(self.conv1(images)), 2)
        found = torch.max_pool2d(torch.relu(self.conv2(found)), 2)
        dense: torch.Tensor = self.dense2(torch.relu(self.dense1(found.flatten(1))))
        return dense


def new_net() -> Net:
    """Return the network with the weights that all start from."""
    torch.manual_seed(1)
    return Net()


def train(net: nn.Module, client: int, number: int) -> tuple[int, float]:
    """Train one pass on a client's digits; return how many there are and the mean loss."""
    torch.set_num_threads(1)
    stored = np.load(Path(os.environ["PEER_DATA"], f"{client}.npz"))
    images = torch.from_numpy(stored["images"].astype(np.float32) / 255)[:, None]
    labels = torch.from_numpy(stored["labels"].astype(np.int64))
    began = time.time()
    torch.manual_seed(1000 * client + number)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.5)
    losses: list[float] = []
    net.train()
    for places in torch.randperm(len(images)).split(64):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(images[places]), labels[places])
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    stamps = Path(os.environ["PEER_STAMPS"])
    (stamps / f"{client}-{number}-{time.time_ns()}").write_text(f"{began!r} {time.time()!r}")
    return len(images), sum(losses) / len(losses)
