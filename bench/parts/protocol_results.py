"""The results of runs: one JSON file a run, kept, so that what is finished is never run again."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

Result = dict[str, Any]
_BENCH = Path(__file__).resolve().parent.parent
KEPT = _BENCH / "results"
WORK = _BENCH.parent / "bench-out" / "protocols"
_PACKAGES = ("fairbank", "torch", "monai", "numpy", "pydicom", "scikit-learn")


class Results:
    """The folder of results.

    Args:
        again: run also what is finished.
    """

    def __init__(self, folder: Path = KEPT, work: Path = WORK, *, again: bool = False) -> None:
        self.folder, self.work, self._again = folder, work, again

    def of(self, name: str) -> Result | None:
        """Return the result of a run, None if it has not been finished."""
        file = self.folder / f"{name}.json"
        return json.loads(file.read_text()) if file.exists() else None

    def all(self) -> dict[str, Result]:
        """Return all results by the names of their runs."""
        return {file.stem: json.loads(file.read_text()) for file in sorted(self.folder.glob("*.json"))}

    def missing(self, *names: str) -> list[str]:
        """Return which of some runs are not finished: there is no result of them, or one of fewer passes than asked."""
        return [name for name in names if self._again or not _finished(self.of(name))]

    def keep(self, name: str, result: Result) -> Result:
        """Write a result down, whole or not at all."""
        whole = {"run": name, **result, "environment": environment()}
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f".{name}.part"
        partial.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")
        partial.replace(self.folder / f"{name}.json")
        return whole

    def work_of(self, name: str) -> Path:
        """Return the folder in which a run keeps what it needs to go on."""
        folder = self.work / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _finished(result: Result | None) -> bool:
    return result is not None and result.get("passes", 0) >= result.get("passes_asked", 0)


def environment() -> Result:
    """Return what a run ran on and with."""
    return {
        "day": datetime.now(UTC).date().isoformat(),
        "processors": os.cpu_count(),
        "processor": _processor(),
        "load": [round(value, 1) for value in os.getloadavg()],
        "python": platform.python_version(),
        "commit": _commit(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def teller(name: str) -> Callable[[str], None]:
    """Return what tells the progress of a run on stderr, with the seconds since now."""
    begun = time.monotonic()

    def tell(line: str) -> None:
        print(f"{name} {time.monotonic() - begun:7.0f} s  {line}", file=sys.stderr, flush=True)

    return tell


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=_BENCH, capture_output=True, text=True, check=False
    )
    return found.stdout.strip()
