"""The errors of what runs inside a site: sandbox and worker.

SiteJobError                     FB-JOBS-100   (algorithms/errors.py, with those of algorithms and updates)
├── SandboxError                 FB-JOBS-101
│   ├── SandboxMissing           FB-JOBS-102
│   ├── SandboxUnusable          FB-JOBS-103
│   ├── ProbeFailed              FB-JOBS-104
│   ├── NoFreeUid                FB-JOBS-105
│   ├── StagingRefused           FB-JOBS-106
│   ├── EngineMissing            FB-JOBS-273
│   └── ImageMissing             FB-JOBS-274
└── WorkerError                  FB-JOBS-110
    ├── WorkerCrashed            FB-JOBS-111
    ├── WorkerOutOfMemory        FB-JOBS-112
    ├── WorkerOutOfDisk          FB-JOBS-180
    ├── WorkerTimedOut           FB-JOBS-113
    ├── WorkerCancelled          FB-JOBS-114
    ├── WorkerProtocolBroken     FB-JOBS-115
    ├── WorkerRefused            FB-JOBS-116
    ├── WorkerCodeFailed         FB-JOBS-117
    ├── ContainerFailed          FB-JOBS-275
    └── ContainerRowsRefused     FB-JOBS-276
"""

from __future__ import annotations

from fairbank.errors import Kind

# Defined where the hub may import it too.
from fairbank.federated_jobs.algorithms.errors import SiteJobError as SiteJobError


class SandboxError(SiteJobError):
    """The sandbox of a job could not do its work."""

    code = "FB-JOBS-101"
    kind = Kind.UNAVAILABLE


class SandboxMissing(SandboxError):
    """A program that the sandbox is made of is not installed."""

    code = "FB-JOBS-102"


class SandboxUnusable(SandboxError):
    """The sandbox program is installed, and this machine does not let it work."""

    code = "FB-JOBS-103"


class ProbeFailed(SandboxError):
    """The start-up probe found a protection missing."""

    code = "FB-JOBS-104"
    kind = Kind.REFUSED
    failed: tuple[str, ...] = ()


class NoFreeUid(SandboxError):
    """Every user id that jobs may run under is in use."""

    code = "FB-JOBS-105"


class StagingRefused(SandboxError):
    """The inputs of a job cannot be put where the job may read them."""

    code = "FB-JOBS-106"
    kind = Kind.REFUSED


class EngineMissing(SandboxError):
    """The container engine that the site chose is not installed, or cannot be started."""

    code = "FB-JOBS-273"


class ImageMissing(SandboxError):
    """The image of a container tool is not at this site under its digest."""

    code = "FB-JOBS-274"


class WorkerError(SiteJobError):
    """The worker process of a job failed."""

    code = "FB-JOBS-110"


class WorkerCrashed(WorkerError):
    """The worker process ended without an answer."""

    code = "FB-JOBS-111"


class WorkerOutOfMemory(WorkerError):
    """The job needed more memory than its limit."""

    code = "FB-JOBS-112"


class WorkerOutOfDisk(WorkerError):
    """The job kept more on disk than its limit."""

    code = "FB-JOBS-180"


class WorkerTimedOut(WorkerError):
    """The worker did not answer in time and was ended."""

    code = "FB-JOBS-113"
    kind = Kind.TIMEOUT


class WorkerCancelled(WorkerError):
    """The job was cancelled and its worker ended."""

    code = "FB-JOBS-114"
    kind = Kind.GONE


class WorkerProtocolBroken(WorkerError):
    """The worker said something that is not part of the protocol."""

    code = "FB-JOBS-115"


class WorkerRefused(WorkerError):
    """The worker understood the operation and refused it; `remote_code` says why."""

    code = "FB-JOBS-116"
    kind = Kind.REFUSED
    remote_code: str = "FB-JOBS-116"


class WorkerCodeFailed(WorkerError):
    """The job's code raised an error of its own."""

    code = "FB-JOBS-117"


class ContainerFailed(WorkerError):
    """A container ended with another status than 0."""

    code = "FB-JOBS-275"


class ContainerRowsRefused(WorkerError):
    """What a container wrote is no table of the columns that its publisher sealed."""

    code = "FB-JOBS-276"
    kind = Kind.REFUSED
