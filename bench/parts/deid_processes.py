"""A folder taken through `fairbank deid run` by one worker and by two, by the clock and by processor time."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_FEW = 200
_ROUNDS = 2
_CONTROL_FILES = 250


@dataclass(frozen=True)
class _Cost:
    """Seconds by the clock, and of processor time of all processes together."""

    clock: float
    processor: float

    def __sub__(self, other: _Cost) -> _Cost:
        return _Cost(self.clock - other.clock, self.processor - other.processor)

    @classmethod
    def least(cls, several: list[_Cost]) -> _Cost:
        """Return the least of each: what else the machine did is in the rest."""
        return cls(min(one.clock for one in several), min(one.processor for one in several))


def two_to_one(count: int) -> dict[str, float]:
    """Return how many times as fast two workers are as one, and what else tells how to read that.

    What counts is what more files cost: the time for a few is taken off, and with it what starting costs (processes,
    imports, tables). All the rest of a run is in it: finding the files, both readings, cleaning, verification, writing
    with everything flushed to the disk, renames, the journal, the report.

    - `two_to_one`: by the clock.
    - `two_to_one_of_machine`: the same of two processes that have nothing to do with each other and clean files that
      they hold in memory. It is 2 where two processors are free; where it is less, others use them.
    - `two_to_one_by_processor`: twice the processor time of one worker over that of two with the process that directs
      them; what two free processors can reach at most.
    """
    from parts.deid_files import ct_files  # run as a program, this file is no part of a package

    with tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder:
        root = Path(folder)
        key = root / "key"
        key.write_bytes(b"bench" * 10)
        key.chmod(0o600)
        for number, content in enumerate(ct_files(_FEW + count)):
            for name in ("few", "many") if number < _FEW else ("many",):
                (root / name).mkdir(exist_ok=True)
                (root / name / f"{number:05d}.dcm").write_bytes(content)
        costs: dict[tuple[str, int], list[_Cost]] = {}
        controls: list[float] = []
        for _ in range(_ROUNDS):
            for workers in (1, 2):
                for name in ("few", "many"):
                    cost = _run(root / name, root / "out", key, workers)
                    costs.setdefault((name, workers), []).append(cost)
            controls.append(_machine())
    one, two = (_Cost.least(costs["many", many]) - _Cost.least(costs["few", many]) for many in (1, 2))
    return {
        "folder_run_files_per_s": count / one.clock,
        "folder_run_two_files_per_s": count / two.clock,
        "folder_run_processor_ms": one.processor / count * 1e3,
        "folder_run_two_processor_ms": two.processor / count * 1e3,
        "two_to_one": one.clock / two.clock,
        "two_to_one_of_machine": max(controls),
        "two_to_one_by_processor": 2 * one.processor / two.processor,
    }


def _run(incoming: Path, out: Path, key: Path, workers: int) -> _Cost:
    home = out.with_suffix(".home")
    command = [sys.executable, "-m", "fairbank", "--home", str(home), "deid", "run"]
    command += [str(incoming), str(out), "--key-file", str(key), "--workers", str(workers)]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=False)
    clock, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"fairbank deid run ended with {done.returncode}")
    for made in (out, home):
        shutil.rmtree(made, ignore_errors=True)
    return _Cost(clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _machine() -> float:
    """Return how many times as much two separate processes do in the same time as one."""
    one, two = (_side_by_side(count) for count in (1, 2))
    return 2 * one / two


def _side_by_side(count: int) -> float:
    command = [sys.executable, str(Path(__file__))]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
    begun = time.perf_counter()
    for process in running:
        process.communicate("\n")
    return time.perf_counter() - begun


def _clean_when_told() -> None:
    import hashlib
    from datetime import UTC, datetime

    from deid_files import ct_files

    from fairbank.deid.cleaning import Order, clean_file
    from fairbank.deid.facts import Recorder
    from fairbank.deid.key_file import KeyFile
    from fairbank.deid.method import Method

    order, identity = Order("bench", Method()), KeyFile(hashlib.sha256(b"bench").digest())
    recorder = Recorder(agent="bench", at=datetime(2026, 1, 1, tzinfo=UTC), tool="bench")
    (content,) = ct_files(1)
    clean_file(content, order, identity=identity, recorder=recorder)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(_CONTROL_FILES):
        clean_file(content, order, identity=identity, recorder=recorder)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    _clean_when_told()
