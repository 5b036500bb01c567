"""Proving a node's sandbox before any job comes: one worker is started, asserts its confinement, and is ended."""

from __future__ import annotations

import shutil
from dataclasses import replace

from fairbank.federated_jobs.node.probe import ProbeReport
from fairbank.release.node import KEY_FILE, Node


def prove_sandbox(node: Node) -> ProbeReport:
    """Start a sandboxed worker without inputs and return what it asserts about its isolation.

    Raises:
        SandboxError: if no sandbox can be made on this machine.
        WorkerError: if the worker ends or stays silent.
    """
    from fairbank.federated_jobs.node.sandbox import Sandbox
    from fairbank.federated_jobs.node.sandbox_policy import JobFolder, SandboxMode
    from fairbank.federated_jobs.node.sandbox_resources import sandbox_policy
    from fairbank.federated_jobs.node.worker_client import JobWorker
    from fairbank.federated_jobs.node.worker_protocol import JobKind

    settings = node.settings
    place = settings.home / "selfcheck" / node.clock.new_id()
    # Permissive, so that a failed assertion is reported with all the others instead of ending the check.
    policy = replace(sandbox_policy(settings), mode=SandboxMode.PERMISSIVE)
    sandbox = Sandbox(policy, node_key=settings.keys_path / KEY_FILE, hidden=(settings.home,))
    folder = JobFolder(place).create()
    try:
        worker = JobWorker.start(sandbox, folder, kind=JobKind.ANALYSIS)
        worker.close()
        return worker.report
    finally:
        shutil.rmtree(place, ignore_errors=True)
