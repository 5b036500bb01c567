"""The processes of the demo: started with logs of their own, stopped all together, also on Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from fairbank.demo.biobanks import DemoError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0


def free_port() -> int:
    """Return a port of the loopback address that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Processes:
    """Child processes by name; leaving the `with` block stops them all."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    def start(self, name: str, arguments: Sequence[str], *, environ: Mapping[str, str] | None = None) -> None:
        """Start `python -m …` in a session of its own, so that Ctrl-C reaches only the demo, which then stops it."""
        with (self._logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1", **(environ or {})},
                start_new_session=True,
            )

    def wait_until(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait until a started process answers.

        Raises:
            DemoError: if it ends or does not answer in time, with the end of its log.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._running[name].poll() is not None:
                break
            if ready():
                return
            time.sleep(0.05)
        raise DemoError(
            f"The process {name!r} did not come up. Its log ends: {self.log_end(name)}",
            why="It stopped, or did not answer in time.",
            todo=f"See {self._logs / name}.log.",
        )

    def names(self) -> list[str]:
        """Return the names of all processes that were started."""
        return list(self._running)

    def pid(self, name: str) -> int:
        """Return a process's id."""
        return self._running[name].pid

    def is_running(self, name: str) -> bool:
        """Tell whether a process is still there."""
        return self._running[name].poll() is None

    def kill(self, name: str) -> None:
        """End a process at once, as `kill -9` does, and wait until it is gone."""
        self._running[name].kill()
        self._running[name].wait()

    def log_end(self, name: str) -> str:
        """Return the last lines of a process's log."""
        text = (self._logs / f"{name}.log").read_text(errors="replace")
        return " | ".join(text.strip().splitlines()[-3:]) or "(empty)"

    def found(self, name: str, pattern: re.Pattern[str]) -> str:
        """Return the last text in a process's log that a pattern fits; empty if there is none."""
        text = (self._logs / f"{name}.log").read_text(errors="replace")
        return next(iter(reversed(pattern.findall(text))), "")

    def stop_all(self) -> None:
        """Ask all to stop; end those that do not within ten seconds, or at once when interrupted again."""
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        try:
            for process in self._running.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=max(0.1, deadline - time.monotonic()))
        finally:
            for process in self._running.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()
            self._running.clear()
