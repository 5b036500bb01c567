"""Two processes on processors train the model that one process trains, and one that is killed is told of."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.federated_jobs.training_sites import QUICK, images

from fairbank.federated_jobs.algorithms.errors import PartnerLost
from fairbank.federated_jobs.algorithms.registry import algorithm_digest
from fairbank.federated_jobs.algorithms.weights import read_weights

session_module = pytest.importorskip(
    "fairbank.federated_jobs.algorithms.session", reason="needs the extra 'train'"
)
# No batch can be halved, and the last of a pass has one sample: one process then has none.
PLAIN = {**QUICK, "network": "lenet", "optimizer": "sgd", "batch_size": 3, "local_epochs": 2}


def session(folder: Path, processes: int) -> Any:
    place = images(folder, ["yes", "no"] * 6)
    return session_module.TrainingSession.open(
        name="classification",
        digest=algorithm_digest("classification"),
        parameters=PLAIN,
        job_seed="42",
        site="a",
        inputs=place.inputs,
        scratch=place.scratch,
        rounds=2,
        processes=processes,
    )


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Any]:
    opened = session(tmp_path / "two", 2)
    yield opened
    opened.close()


def same(one: Path, other: Path) -> None:
    mine, theirs = read_weights(one), read_weights(other)
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        np.testing.assert_allclose(array, theirs[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_two_train_what_one_trains_and_a_killed_one_harms_nothing_that_follows(
    two: Any, tmp_path: Path
) -> None:
    one = session(tmp_path / "one", 1)
    folders = [each._scratch for each in (one, two)]
    alone, together = (each.train(1, None, previous=0) for each in (one, two))
    assert alone.n_steps == together.n_steps and alone.n_train == together.n_train
    updates = [folders[0] / alone.file, folders[1] / together.file]
    same(*updates)
    assert alone.digest != alone.base_digest
    partner = two._partners._running[0]
    os.kill(partner.pid, signal.SIGKILL)
    partner.wait()
    with pytest.raises(PartnerLost):
        two.train(2, updates[1], previous=1)
    # The same round again has others; what was lost with the killed one was nothing.
    second = two.train(2, updates[1], previous=1)
    same(folders[0] / one.train(2, updates[1], previous=1).file, folders[1] / second.file)
