"""What it costs a site to look at a model before it trains on it: a large linear layer, and many convolutions."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from fairbank.federated_jobs.node.model_review import review_model

RUNS = 5
GOAL_MS_PER_MB = 50.0


def _models() -> dict[str, dict[str, np.ndarray]]:
    chance = np.random.default_rng(1)

    def normal(*shape: int) -> np.ndarray:
        return chance.normal(size=shape).astype(np.float32)

    wide = {"conv.weight": normal(64, 32, 3, 3), "fc.weight": normal(128, 9216), "fc.bias": normal(128)}
    deep = {f"conv{place}.weight": normal(128, 128, 3, 3) for place in range(16)}
    return {"wide": wide, "deep": deep}


def measure() -> dict[str, dict[str, float]]:
    """Return, for each model, its size in MB and the median processor time of a look, in ms and in ms per MB."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, model in _models().items():
            file = Path(folder) / name
            save_file(model, file)
            form = review_model(file, approved=None)
            spent = []
            for _ in range(RUNS):
                began = time.process_time()
                review_model(file, approved=form)
                spent.append(1000 * (time.process_time() - began))
            size_mb, middle = file.stat().st_size / 1e6, sorted(spent)[RUNS // 2]
            figures[name] = {
                "mb": round(size_mb, 2),
                "ms": round(middle, 2),
                "ms_per_mb": round(middle / size_mb, 2),
            }
    return figures
