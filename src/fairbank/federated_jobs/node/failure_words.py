"""Which word the hub is told for what failed at a site."""

from __future__ import annotations

from fairbank.analysis.errors import (
    BundleRefused,
    BundleUntrainable,
    ModelMissing,
    ModelUnusable,
    StatisticRefused,
    StatisticWithheld,
)
from fairbank.errors import FairbankError
from fairbank.federated_jobs.algorithms.errors import GradientsDead, SiteJobError
from fairbank.federated_jobs.errors import JobsError
from fairbank.federated_jobs.node.errors import (
    SandboxError,
    WorkerCrashed,
    WorkerOutOfDisk,
    WorkerOutOfMemory,
    WorkerTimedOut,
)
from fairbank.federated_jobs.reasons import Reason
from fairbank.release.errors import GateRefused


def reason_of(err: FairbankError) -> Reason:
    """Return the word that the hub is told for a failure."""
    for kind, reason in _REASONS:
        if isinstance(err, kind):
            return reason
    return err.reason if isinstance(err, JobsError) else Reason.NODE_FAULT


_REASONS: tuple[tuple[type[FairbankError], Reason], ...] = (
    (GateRefused, Reason.GATE_REFUSED),
    (StatisticWithheld, Reason.GATE_REFUSED),
    (StatisticRefused, Reason.OPTION_REFUSED),
    (BundleRefused, Reason.CODE_FAILED),
    (BundleUntrainable, Reason.CODE_FAILED),
    (ModelUnusable, Reason.CODE_FAILED),
    (ModelMissing, Reason.CODE_FAILED),
    (SandboxError, Reason.SANDBOX_UNAVAILABLE),
    (WorkerOutOfMemory, Reason.OUT_OF_MEMORY),
    (WorkerOutOfDisk, Reason.OUT_OF_DISK),
    (WorkerTimedOut, Reason.TIMED_OUT),
    (WorkerCrashed, Reason.WORKER_CRASHED),
    (GradientsDead, Reason.MODEL_REFUSED),
    (SiteJobError, Reason.CODE_FAILED),
)
