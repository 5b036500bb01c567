"""A federation whose sites mask their updates: hub, gate, outbox and node are real, only the worker is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from tests.federated_jobs.conftest import FakeRunner, Federation

from fairbank.catalogue import blobs
from fairbank.federated_jobs.algorithms.weights import Weights, read_weights, write_weights
from fairbank.federated_jobs.code import UPDATE
from fairbank.federated_jobs.node.filtering import Training, filtered_round
from fairbank.federated_jobs.node.runner import Product, RoundTask
from fairbank.federated_jobs.update_notes import annotate
from fairbank.ontology.signed_objects import SecureAggregation
from fairbank.ontology.signed_objects import Training as Asked

NAMES = ("east", "north", "south", "west")
MASKED = Asked(secure_aggregation=SecureAggregation(bound="8"))


def first() -> Weights:
    """Return the model that the job's seed makes: weights, running statistics and a counter."""
    chance = np.random.default_rng(5)
    return {
        "body": chance.standard_normal((40, 60)).astype(np.float32),
        "head.bias": chance.standard_normal(7).astype(np.float32),
        "bn.running_var": np.full(3, 50.0, dtype=np.float32),
        "bn.num_batches_tracked": np.array(0, dtype=np.int64),
    }


@dataclass
class MaskingRunner(FakeRunner):
    """Trains a small model in this process, through the filters of the node; each site its own way.

    Attributes:
        made: the plain weights of each round, as no other site may see them.
    """

    seed: int = 0
    made: list[Weights] = field(default_factory=list)

    def run(self, task: RoundTask) -> list[Product]:
        self.calls.append((task.manifest.id, task.round))
        self.live.add(task.manifest.id)
        self.before(task)
        task.folder.mkdir(parents=True, exist_ok=True)

        def train(start: Path | None, to: Path) -> None:
            begun = read_weights(start) if start is not None else first()
            trained = _trained(begun, np.random.default_rng([self.seed, task.round]))
            self.made.append(trained)
            raw = to.with_name("raw")
            write_weights(trained, raw, durable=False)
            annotate(raw, {"n_train": 10 + 3 * self.seed, "after_loss": 0.5}, to=to)

        def initial(to: Path) -> None:
            write_weights(first(), to, durable=False)

        left = filtered_round(
            task,
            Training(train, initial),
            folder=task.folder.parent,
            into=task.folder / f"{UPDATE}.safetensors",
        )
        return [Product(UPDATE, left.path, form=left.form, encoded=left.encoded, packed=left.packed)]


def _trained(begun: Weights, chance: np.random.Generator) -> Weights:
    moved = {
        name: (values + chance.normal(0.0, 0.1, values.shape)).astype(values.dtype)
        for name, values in begun.items()
        if values.dtype.kind == "f"
    }
    return begun | moved


def masking(fed: Federation) -> Federation:
    """Let all sites of a federation train with masks."""
    for place, site in enumerate(fed.sites.values(), 1):
        site.runner = MaskingRunner(seed=place)
        site.restart()
    return fed


def submitted(fed: Federation, *, rounds: int = 1, **options: Any) -> str:
    """Submit a job with masks and have every site approve it."""
    asked = {"training": MASKED, "round_deadline_s": 3600} | options
    job = fed.submit(fed.manifest(fed.visa(), "noop", rounds=rounds, **asked))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    return job


def model_of(fed: Federation, job: str) -> Weights:
    """Return the model of a job."""
    return load_file(blobs.path_of(fed.hub, fed.model(job)))


@contextmanager
def recorded(fed: Federation) -> Iterator[list[bytes]]:
    """Collect every file that the hub has on disk when the block ends."""
    found: list[bytes] = []
    yield found
    for path in sorted(fed.hub.settings.home.rglob("*")):
        if path.is_file():
            found.append(path.read_bytes())
