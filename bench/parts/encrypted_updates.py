"""What encrypted updates cost: to encrypt, to add and to open, in processor seconds, and in bytes."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from fairbank.federated_jobs.algorithms.weights import write_weights
from fairbank.federated_jobs.filters import encrypting

SITES = 3


def measure(weights: int) -> dict[str, float]:
    """Return processor seconds of one site and of the hub, how far the mean is off, and bytes against float32."""
    rng = np.random.default_rng(0)
    models = [{"w": rng.standard_normal(weights).astype(np.float32)} for _ in range(SITES)]
    samples = [int(n) for n in rng.integers(20, 2000, SITES)]
    key = encrypting.new_key()
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / f"update-{place}" for place in range(SITES)]
        begun = time.process_time()
        for file, model, count in zip(files, models, samples, strict=True):
            write_weights(encrypting.encrypt(model, samples=count, sites=SITES, key=key), file)
        encrypted = time.process_time()
        encrypting.add(files, Path(name) / "sum")
        added = time.process_time()
        mean = encrypting.decrypt(Path(name) / "sum", like=models[0], key=key, at_least=SITES)["w"]
        opened = time.process_time()
        size = files[0].stat().st_size
    expected = np.average([model["w"].astype(np.float64) for model in models], axis=0, weights=samples)
    return {
        "weights": weights,
        "encrypt_s": round((encrypted - begun) / SITES, 3),
        "add_s": round(added - encrypted, 3),
        "open_s": round(opened - added, 3),
        "bytes_ratio": round(size / (4 * weights), 3),
        "error": float(np.abs(mean - expected).max()),
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=int, default=1_000_000)
    print(json.dumps(measure(parser.parse_args().weights)))


if __name__ == "__main__":
    main()
