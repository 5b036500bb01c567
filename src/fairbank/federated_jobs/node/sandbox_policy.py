"""What a job may use of this machine, and the folder that it lives in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

GIB = 1 << 30
MIB = 1 << 20


class SandboxMode(Enum):
    """What happens when the start-up probe finds a protection missing."""

    STRICT = "strict"
    PERMISSIVE = "permissive"


class Protection(Enum):
    """One thing that the sandbox keeps from a job; each has an assertion in the probe."""

    PRIVATE_ROOT = "private_root"
    NETWORK = "network"
    PROCESSES = "processes"
    IPC = "ipc"
    HOST_NAME = "host_name"
    OWN_UID = "own_uid"
    NO_CAPABILITIES = "no_capabilities"
    FORK_LIMIT = "fork_limit"
    MEMORY_LIMIT = "memory_limit"
    CLEAN_ENVIRONMENT = "clean_environment"
    READ_ONLY_INPUTS = "read_only_inputs"
    EMPTY_RUN = "empty_run"
    SYSTEM_CALLS = "system_calls"


@dataclass(frozen=True, slots=True)
class SandboxPolicy:
    """Limits of one job.

    Args:
        mode: refuse to run without every protection, or run and report.
        memory_bytes: of the whole job where a cgroup can be made, else of each of its processes.
        max_processes: processes and threads together.
        cpu_s: CPU seconds of each process; None for no limit.
        file_bytes: size of the largest file that the job may write.
        temporary_bytes: size of the job's private /tmp, held in memory.
        cpu_threads: threads of the numerical libraries; 1 keeps results the same on every machine.
        gpus: numbers of the NVIDIA devices that it sees.
        cpus: processors that it may keep busy, where a control group can be made; 0 for no limit.
        scratch_bytes, scratch_files: the most that it may keep on disk.
        first_uid: first of the user ids that jobs run under when the node runs as root.
        uid_count: how many such user ids there are.
    """

    mode: SandboxMode = SandboxMode.STRICT
    memory_bytes: int = 4 * GIB
    max_processes: int = 64
    cpu_s: int | None = None
    file_bytes: int = 8 * GIB
    temporary_bytes: int = 256 * MIB
    cpu_threads: int = 1
    gpus: tuple[int, ...] = ()
    cpus: int = 0
    scratch_bytes: int = 16 * GIB
    scratch_files: int = 200_000
    first_uid: int = 200_000
    uid_count: int = 1000

    def __post_init__(self) -> None:
        if self.memory_bytes < 64 * MIB:
            raise ValueError("a job needs at least 64 MiB of memory")
        if self.max_processes < 4 or self.cpu_threads < 1:
            raise ValueError("a job needs at least 4 processes and 1 thread")
        if self.first_uid < 1000 or self.uid_count < 1:
            raise ValueError("jobs run under user ids from 1000 upwards")


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The folder of one job at a site: what it reads, what it is handed, where it writes."""

    root: Path

    @property
    def inputs(self) -> Path:
        """Return the folder of staged series; the job sees it read-only."""
        return self.root / "inputs"

    @property
    def incoming(self) -> Path:
        """Return the folder of files handed over during the job; the job sees it read-only."""
        return self.root / "incoming"

    @property
    def scratch(self) -> Path:
        """Return the one folder that the job may write to; it outlives a worker."""
        return self.root / "scratch"

    def create(self) -> JobFolder:
        """Make the folders where they are missing; nobody else on this machine may enter `root`."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        for folder, mode in ((self.inputs, 0o755), (self.incoming, 0o755), (self.scratch, 0o700)):
            folder.mkdir(mode=mode, exist_ok=True)
            folder.chmod(mode)
        return self


@dataclass(frozen=True, slots=True)
class Places:
    """The same folders as the job sees them."""

    inputs: str = "/job/inputs"
    incoming: str = "/job/incoming"
    scratch: str = "/job/scratch"

    @classmethod
    def outside(cls, folder: JobFolder) -> Places:
        """Return the places of a job that runs without a sandbox."""
        return cls(str(folder.inputs), str(folder.incoming), str(folder.scratch))


def running_as_root() -> bool:
    """Tell whether this process may change its user id."""
    return os.geteuid() == 0
