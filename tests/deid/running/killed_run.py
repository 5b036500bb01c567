"""A run that kills itself with SIGKILL at a given point: `killed_run.py SOURCE TARGET KEY WORKERS POINT COUNT`.

The point is the name of a function below; COUNT says at which call of it the process ends.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from fairbank.clock import SystemClock
from fairbank.deid.cleaning import Order
from fairbank.deid.method import Method
from fairbank.deid.running import accounts, committing, journal
from fairbank.deid.running.folder_run import FolderOrder, KeyPath, run_folder
from fairbank.deid.running.workers import workers

# Where the process may end: before a call of these.
POINTS = {
    "write-staged": (Path, "write_bytes"),
    "rename": (Path, "replace"),
    "fsync": (os, "fsync"),
    "copy-held": (committing, "_copy"),
    "note-files": (journal.Journal, "put"),
    "note-series": (journal.Journal, "put_series"),
    "note-renames": (journal.Journal, "put_commit"),
    "make-folders": (committing, "_make_folders"),
    "flush-folder": (committing, "_flush_or_drop"),
    "renames-done": (journal.Journal, "end_commit"),
    "drop-staging": (committing.shutil, "rmtree"),
    "account": (accounts.Accounts, "_write"),
}


def die_at(point: str, count: int) -> None:
    owner, name = POINTS[point]
    real = getattr(owner, name)
    calls = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(owner, name, counted)


def main(source: str, target: str, key: str, count: str, point: str, call: str) -> None:
    assert sqlite3.threadsafety >= 0
    if point:
        die_at(point, int(call))
    order = FolderOrder(
        Path(source),
        Path(target),
        KeyPath(Path(key)),
        Order("default", Method()),
        "curator",
        Path(target) / "report",
    )
    pool = workers(int(count))
    try:
        run_folder(order, clock=SystemClock(), workers=pool)
    finally:
        pool.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
