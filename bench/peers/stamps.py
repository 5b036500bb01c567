"""What the stamps of trainings tell: how long nobody trained; and the digits, one file a client."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from same_job import CLIENTS, OF_EACH, ROUNDS


def write_digits(data: Path, to: Path) -> None:
    """Write each client's digits, the first ones of MNIST's training part in turn."""
    with gzip.open(data / "mnist" / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(data / "mnist" / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    for client in range(CLIENTS):
        places = slice(client, CLIENTS * OF_EACH, CLIENTS)
        np.savez(to / f"{client}.npz", images=images[places], labels=labels[places])


def gaps(stamps: Path) -> dict[str, float | int]:
    """Return how long nobody trained between the first and the last training, in all and for each round, in seconds.

    Raises:
        SystemExit: if not every client trained in every round.
    """
    spans = sorted(tuple(map(float, file.read_text().split())) for file in stamps.iterdir())
    if len(spans) != CLIENTS * ROUNDS:
        raise SystemExit(
            f"{len(spans)} trainings in place of {CLIENTS * ROUNDS}: see the logs beside {stamps}."
        )
    idle, until = 0.0, spans[0][0]
    for began, ended in spans:
        idle += max(0.0, began - until)
        until = max(until, ended)
    return {
        "trainings": len(spans),
        "gap_s": round(idle, 3),
        "gap_s_per_round": round(idle / ROUNDS, 3),
        "trained_s": round(sum(ended - began for began, ended in spans), 2),
        "first_to_last_s": round(until - spans[0][0], 2),
    }
