"""Training with noise in the worker's real sandbox."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.federated_jobs.test_templates import CLASSIFY
from tests.federated_jobs.training_sites import images

from fairbank.federated_jobs.algorithms.errors import NoiseUnplanned
from fairbank.federated_jobs.algorithms.registry import algorithm_digest
from fairbank.federated_jobs.dp.plan import NoisePlan
from fairbank.federated_jobs.node.sandbox import Sandbox
from fairbank.federated_jobs.node.sandbox_policy import MIB, JobFolder, SandboxPolicy
from fairbank.federated_jobs.node.worker_client import JobWorker
from fairbank.federated_jobs.node.worker_protocol import JobKind
from fairbank.ontology.signed_objects import DifferentialPrivacy, Training

pytest.importorskip("opacus", reason="needs the extra 'dp'")
pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="bubblewrap is not installed"),
]

PLAN = NoisePlan(Decimal(1), Decimal("0.5"), 2, Decimal(1), 4)
NOISY = Training(differential_privacy=DifferentialPrivacy(clip_norm="1"))


def prepare(worker: JobWorker, noise: NoisePlan | None) -> None:
    worker.prepare_training(
        "classification",
        digest=algorithm_digest("classification"),
        parameters={**CLASSIFY, "optimizer": "sgd"},
        job_seed="42",
        site="a",
        training=NOISY.model_dump(mode="json"),
        noise=None if noise is None else noise.to_json(),
    )


def test_a_confined_worker_trains_with_noise_and_never_without(tmp_path: Path) -> None:
    folder: JobFolder = images(tmp_path / "job", ["yes", "no"] * 5)
    key = tmp_path / "node.key"
    key.write_text("secret")
    key.chmod(0o600)
    with JobWorker.start(Sandbox(SandboxPolicy(), node_key=key), folder, kind=JobKind.TRAINING) as worker:
        with pytest.raises(NoiseUnplanned):
            prepare(worker, None)
        updates = []
        for number in range(2):
            # The same round of the same job, prepared anew.
            prepare(worker, PLAN)
            file = tmp_path / f"update-{number}"
            found = worker.train_round(1, None, to=file, max_bytes=4 * MIB, timeout_s=300, previous_round=0)
            assert found.n_steps == 2
            updates.append(load_file(file))
    first, second = updates
    apart = sum(float(np.square(first[name] - second[name]).sum()) for name in first) ** 0.5
    weights = sum(each.size for each in first.values())
    rate = float(CLASSIFY["learning_rate"])
    assert apart >= rate * (2 * weights) ** 0.5 / 4
