"""How much memory a process takes while it cleans many files; run as a program it prints one JSON object."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

EVERY = 250


def memory(files: int) -> dict[str, float]:
    """Return the growth of a process's memory over many files, in MB per 1,000 files, and its peak in MB."""
    command = [sys.executable, str(Path(__file__)), str(files)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _measure(files: int) -> dict[str, float]:
    import hashlib
    import resource
    from datetime import UTC, datetime

    import psutil
    from deid_files import ct_files

    from fairbank.deid.cleaning import Order, clean_file
    from fairbank.deid.facts import Recorder
    from fairbank.deid.key_file import KeyFile
    from fairbank.deid.method import Method

    order, identity = Order("bench", Method()), KeyFile(hashlib.sha256(b"bench").digest())
    recorder = Recorder(agent="bench", at=datetime(2026, 1, 1, tzinfo=UTC), tool="bench")
    process, seen = psutil.Process(), []
    for number, content in enumerate(islice(ct_files(files), files)):
        clean_file(content, order, identity=identity, recorder=recorder)
        if number % EVERY == 0:
            seen.append((number, process.memory_info().rss / 1e6))
    # The first part fills what is kept once: tables, patterns, plans.
    settled = seen[len(seen) // 5 :]
    middle = sum(number for number, _ in settled) / len(settled)
    level = sum(size for _, size in settled) / len(settled)
    slope = sum((n - middle) * (size - level) for n, size in settled) / sum(
        (n - middle) ** 2 for n, _ in settled
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"memory_mb_per_1000_files": slope * 1000, "memory_peak_mb": peak}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    print(json.dumps(_measure(int(sys.argv[1]))))
