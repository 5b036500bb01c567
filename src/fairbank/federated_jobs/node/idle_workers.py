"""Workers that have proven their confinement and imported their libraries before there is a job for them.

Starting one takes seconds, most of them for imports. So while a node computes nothing it keeps one of each kind ready,
in a sandbox and a folder of its own that hold nothing. One is given to one job and ends with it: the folder becomes the
job's, what it may use is lowered to what the job may, and only then are inputs staged. No process comes from one that
has seen a job. Where a job needs what cannot be given afterwards (a GPU, what an earlier worker has left), a worker is
started for it as ever.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Condition, Lock

from fairbank.errors import FairbankError
from fairbank.federated_jobs.node.sandbox import Sandbox
from fairbank.federated_jobs.node.sandbox_policy import GIB, JobFolder, SandboxPolicy
from fairbank.federated_jobs.node.sandbox_resources import sandbox_policy
from fairbank.federated_jobs.node.worker_client import START_TIMEOUT_S, JobWorker
from fairbank.federated_jobs.node.worker_protocol import JobKind
from fairbank.release.node import Node

log = logging.getLogger(__name__)

FOLDER = "idle-workers"
# What both kinds hold together is about 0.6 GiB; below this a machine has better use for it.
LEAST_MEMORY_BYTES = 8 * GIB
LEAST_PROCESSORS = 4
# An older one is replaced, so that none lives through an upgrade of what it has imported for long.
OLDEST_S = 3600.0
AFTER_FAILURE_S = 600.0
_NEEDS = {JobKind.ANALYSIS: ("pydicom", "numpy"), JobKind.TRAINING: ("torch", "monai")}


@dataclass(frozen=True, slots=True)
class _Idle:
    worker: JobWorker
    policy: SandboxPolicy
    folder: JobFolder
    since: float


class IdleWorkers:
    """Keeps at most one worker of each kind for jobs that are yet to come.

    Args:
        sandbox: makes the sandbox of a policy.
    """

    def __init__(self, node: Node, sandbox: Callable[[SandboxPolicy], Sandbox]) -> None:
        self._node, self._sandbox = node, sandbox
        self._ready: dict[JobKind, _Idle] = {}
        self._lock, self._one_at_a_time = Condition(), Lock()
        self._making: JobKind | None = None
        self._closed, self._begun = False, False
        self._not_before = 0.0

    def make_ready(self) -> None:
        """Start what is missing, and replace what has grown old or died; return when it is ready.

        A sandbox or worker that cannot be started is a line in the log: the next job fails with it, and says why.
        """
        with self._one_at_a_time:
            if time.monotonic() < self._not_before or not wanted(self._node.settings.jobs_idle_workers):
                return
            if not self._begun:
                # Of a node that was killed; what was in there had seen no job.
                shutil.rmtree(self._root, ignore_errors=True)
                self._begun = True
            for kind, needed in _NEEDS.items():
                if all(find_spec(name) for name in needed):
                    try:
                        self._keep(kind)
                    finally:
                        with self._lock:
                            self._making = None
                            self._lock.notify_all()

    def take(self, kind: JobKind, policy: SandboxPolicy, folder: JobFolder) -> JobWorker | None:
        """Return a worker that belongs to a job from now on, its folder the job's; None if a new one must be started.

        One that is being made ready is waited for: it will be ready before a new one is.

        Args:
            policy: what the job may use.
            folder: where the job is to live; it must not be there yet.
        """
        with self._lock:
            self._lock.wait_for(lambda: self._making is not kind, timeout=START_TIMEOUT_S)
            idle = self._ready.pop(kind, None)
        if idle is None:
            return None
        try:
            if _fits(idle, policy) and not folder.root.exists() and idle.worker.belong_to(folder, policy):
                return idle.worker
        except (FairbankError, OSError) as err:
            log.warning("a worker that was ready could not be used: %s", type(err).__name__)
            shutil.rmtree(folder.root, ignore_errors=True)
        self._end(idle)
        return None

    def close(self) -> None:
        """End all that are ready, and start no more."""
        with self._lock:
            self._closed = True
            left = list(self._ready.values())
            self._ready.clear()
        for idle in left:
            self._end(idle)

    @property
    def _root(self) -> Path:
        return self._node.settings.home / FOLDER

    def _keep(self, kind: JobKind) -> None:
        with self._lock:
            there = self._ready.get(kind)
            if self._closed or (there is not None and _lives(there)):
                return
            self._ready.pop(kind, None)
            self._making = kind
        if there is not None:
            self._end(there)
        folder = JobFolder(self._root / self._node.clock.new_id())
        try:
            policy = sandbox_policy(self._node.settings)
            worker = JobWorker.start(self._sandbox(policy), folder, kind=kind)
        except (FairbankError, OSError) as err:
            log.warning("no worker of kind %s can be kept ready: %s", kind.value, getattr(err, "code", err))
            self._not_before = time.monotonic() + AFTER_FAILURE_S
            shutil.rmtree(folder.root, ignore_errors=True)
            return
        made = _Idle(worker, policy, folder, time.monotonic())
        try:
            worker.imported()
            usable = worker.confined
        except FairbankError as err:
            log.warning("no worker of kind %s can be kept ready: %s", kind.value, err.code)
            usable = False
        if not usable:
            self._not_before = time.monotonic() + AFTER_FAILURE_S
            self._end(made)
            return
        with self._lock:
            if not self._closed:
                self._ready[kind] = made
                return
        self._end(made)

    def _end(self, idle: _Idle) -> None:
        with suppress(OSError):
            idle.worker.close()
        shutil.rmtree(idle.folder.root, ignore_errors=True)


def wanted(setting: str) -> bool:
    """Tell whether workers are kept ready; `auto`: where there is memory and more than a few processors."""
    if setting != "auto":
        return setting == "yes"
    return available_bytes() >= LEAST_MEMORY_BYTES and len(os.sched_getaffinity(0)) >= LEAST_PROCESSORS


def available_bytes(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return how much memory programs can still have on this machine (proc(5), MemAvailable); 0 if nothing says it."""
    with suppress(OSError, ValueError):
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def _fits(idle: _Idle, policy: SandboxPolicy) -> bool:
    """Tell whether all that a job may use can be had by lowering what its worker may."""
    had = idle.policy
    lower = policy.memory_bytes <= had.memory_bytes and policy.max_processes <= had.max_processes
    # The time of a processor that it has used for itself cannot be given back.
    unlike = policy.cpu_s is not None or policy.gpus
    same = all(
        getattr(policy, name) == getattr(had, name)
        for name in SandboxPolicy.__dataclass_fields__
        if name not in ("memory_bytes", "max_processes")
    )
    return lower and same and not unlike and _lives(idle)


def _lives(idle: _Idle) -> bool:
    return idle.worker.alive and time.monotonic() - idle.since < OLDEST_S
