"""Prove the sandbox of this machine without a job: start a worker on nothing and return what its probe found."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fairbank.release.node import KEY_FILE, Node

if TYPE_CHECKING:
    from fairbank.federated_jobs.node.probe import ProbeReport


def prove_sandbox(node: Node) -> ProbeReport:
    """Start a sandboxed worker on an empty folder and return its report, each assertion with whether it holds.

    Raises:
        SandboxError: if no sandbox can be made at all.
        WorkerError: if the worker ends or stays silent.
    """
    from fairbank.federated_jobs.node.sandbox import Sandbox
    from fairbank.federated_jobs.node.sandbox_policy import JobFolder, SandboxMode, SandboxPolicy
    from fairbank.federated_jobs.node.worker_client import JobWorker
    from fairbank.federated_jobs.node.worker_protocol import JobKind

    settings = node.settings
    # Permissive, so that the report also comes back when an assertion fails; no job runs here.
    policy = SandboxPolicy(
        mode=SandboxMode.PERMISSIVE,
        memory_bytes=settings.sandbox_memory_bytes,
        max_processes=settings.sandbox_processes,
        cpu_threads=settings.sandbox_threads,
    )
    sandbox = Sandbox(policy, node_key=settings.keys_path / KEY_FILE, hidden=(settings.home,))
    with tempfile.TemporaryDirectory(prefix="check-", dir=settings.home) as folder:
        worker = JobWorker.start(sandbox, JobFolder(Path(folder) / "worker"), kind=JobKind.ANALYSIS)
        with worker:
            return worker.report
