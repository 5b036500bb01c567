"""From a policy to the command line of bubblewrap: pure functions, no process is started here.

bubblewrap's own words for each option: bwrap(1), version 0.8. Two shapes are built:

- as root without a user namespace. A user namespace maps one uid only, so a job started by root would still be
  root towards the file system and read root's 0600 files. bubblewrap therefore keeps just the three capabilities
  that setpriv(1) needs to become a uid of the job's own, and setpriv gives them up.
- as anybody else with a user namespace.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fairbank
from fairbank.federated_jobs.node.sandbox_policy import JobFolder, Places, Protection, SandboxPolicy

BWRAP = "/usr/bin/bwrap"
SETPRIV = "/usr/bin/setpriv"
PRLIMIT = "/usr/bin/prlimit"
INSIDE_UID = 65534
SHARED_BYTES = 1 << 20
KEPT_FOR_SETPRIV = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
SYSTEM_FILES = ("/etc/ld.so.cache",)
GPU_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Where the Python of this node lives: all that a job needs of it, and nothing else.

    Args:
        executable: the python to start.
        folders: read-only folders that it needs besides the system's.
        source: the folder of the package `fairbank`.
    """

    executable: Path
    folders: tuple[Path, ...]
    source: Path

    @classmethod
    def of_this_process(cls) -> Interpreter:
        """Return the interpreter that runs now, with its virtual environment."""
        source = Path(fairbank.__file__).resolve().parent
        folders = dict.fromkeys((Path(sys.base_prefix).resolve(), Path(sys.prefix)))
        return cls(executable=Path(sys.executable), folders=tuple(folders), source=source)


@dataclass(frozen=True, slots=True)
class SandboxPlan:
    """All that decides the command line of one sandbox.

    Args:
        uid: the job's own user id if the node runs as root; None selects the user namespace.
        limit_memory: whether memory is limited by rlimit, because no cgroup could be made.
        call_filter: descriptor from which bubblewrap reads the filter on system calls; None for no filter.
        without: protections to leave out; only tests do, to see the probe notice.
    """

    policy: SandboxPolicy
    folder: JobFolder
    interpreter: Interpreter
    uid: int | None
    limit_memory: bool
    call_filter: int | None = None
    without: frozenset[Protection] = frozenset()

    def has(self, protection: Protection) -> bool:
        """Tell whether a protection is in place."""
        return protection not in self.without


def job_environment(policy: SandboxPolicy, interpreter: Interpreter) -> dict[str, str]:
    """Return the whole environment of a job."""
    threads = str(policy.cpu_threads)
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108 - the job's own tmpfs
        "TMPDIR": "/tmp",  # noqa: S108
        "USER": "job",  # getpass, which monai calls, finds no such uid in a password file
        "LC_ALL": "C.UTF-8",
        "MPLCONFIGDIR": "/tmp/mpl",  # noqa: S108
        "PYTHONPATH": str(interpreter.source.parent),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        # cuBLAS is only deterministic with a workspace of fixed size (PyTorch notes on reproducibility).
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }


def python_argv(interpreter: Interpreter, module: str) -> list[str]:
    """Return the command that runs a module of fairbank.

    `-I` is not used because it would ignore PYTHONHASHSEED; the environment is ours from the first byte.
    """
    return [str(interpreter.executable), "-s", "-P", "-m", module]


def sandbox_argv(plan: SandboxPlan, command: list[str]) -> list[str]:
    """Return the command line that runs `command` inside the sandbox."""
    return [
        BWRAP,
        *_namespaces(plan),
        *_capabilities(plan),
        *_environment(plan),
        *_file_system(plan),
        *_job_folders(plan),
        *_call_filter(plan),
        "--remount-ro",
        "/",
        "--chdir",
        "/",
        "--",
        *limits_argv(plan),
        *_own_uid(plan),
        *command,
    ]


def limits_argv(plan: SandboxPlan) -> list[str]:
    """Return the prlimit(1) prefix that sets the resource limits of a job's processes."""
    return rlimits_argv(
        plan.policy,
        processes=plan.has(Protection.FORK_LIMIT),
        memory=plan.limit_memory and plan.has(Protection.MEMORY_LIMIT),
    )


def rlimits_argv(policy: SandboxPolicy, *, processes: bool = True, memory: bool) -> list[str]:
    """Return the prlimit(1) prefix that sets the resource limits of a policy.

    Args:
        processes: limit their number.
        memory: limit that of each process, because no control group could be made.
    """
    limits = ["--core=0:0", f"--fsize={policy.file_bytes}:{policy.file_bytes}"]
    if processes:
        limits.append(f"--nproc={policy.max_processes}:{policy.max_processes}")
    if policy.cpu_s is not None:
        limits.append(f"--cpu={policy.cpu_s}:{policy.cpu_s}")
    if memory:
        # RLIMIT_DATA, not RLIMIT_AS: address space that a library only reserves costs nothing.
        limits.append(f"--data={policy.memory_bytes}:{policy.memory_bytes}")
    return [PRLIMIT, *limits, "--"]


def _namespaces(plan: SandboxPlan) -> Iterator[str]:
    yield from ("--die-with-parent", "--new-session", "--unshare-cgroup")
    if plan.uid is None:
        yield from ("--unshare-user", "--uid", str(INSIDE_UID), "--gid", str(INSIDE_UID))
    for protection, option in (
        (Protection.NETWORK, "--unshare-net"),
        (Protection.PROCESSES, "--unshare-pid"),
        (Protection.IPC, "--unshare-ipc"),
        (Protection.HOST_NAME, "--unshare-uts"),
    ):
        if plan.has(protection):
            yield option
    if plan.has(Protection.HOST_NAME):
        yield from ("--hostname", "job")


def _capabilities(plan: SandboxPlan) -> Iterator[str]:
    if not plan.has(Protection.NO_CAPABILITIES):
        yield from ("--cap-add", "ALL")
        return
    yield from ("--cap-drop", "ALL")
    if plan.uid is not None and plan.has(Protection.OWN_UID):
        for capability in KEPT_FOR_SETPRIV:
            yield from ("--cap-add", capability)


def _environment(plan: SandboxPlan) -> Iterator[str]:
    if plan.has(Protection.CLEAN_ENVIRONMENT):
        yield "--clearenv"
    for name, value in job_environment(plan.policy, plan.interpreter).items():
        yield from ("--setenv", name, value)


def _file_system(plan: SandboxPlan) -> Iterator[str]:
    if plan.has(Protection.PRIVATE_ROOT):
        yield from _selected_root(plan)
    else:
        yield from _whole_host()
    yield from ("--proc", "/proc", "--dev", "/dev")
    yield from _gpu_devices(plan.policy.gpus)
    # POSIX semaphores live here; what processes of one job need to share, and no more.
    yield from ("--size", str(SHARED_BYTES), "--perms", "1777", "--tmpfs", "/dev/shm")  # noqa: S108
    # Without a user namespace /dev belongs to root; with one it would be memory that no limit counts.
    yield from ("--remount-ro", "/dev")
    if plan.has(Protection.EMPTY_RUN):
        yield from ("--perms", "0755", "--tmpfs", "/run", "--remount-ro", "/run")
    else:
        yield from ("--ro-bind", "/run", "/run")


def _whole_host() -> Iterator[str]:
    yield from ("--perms", "0755", "--dir", "/job")
    for entry in sorted(Path("/").iterdir()):
        if entry.name in ("proc", "dev", "run", "job"):
            continue
        if entry.is_symlink():
            yield from ("--symlink", str(entry.readlink()), str(entry))
        elif entry.is_dir():
            yield from ("--ro-bind", str(entry), str(entry))


def _selected_root(plan: SandboxPlan) -> Iterator[str]:
    interpreter = plan.interpreter
    folders = [f for f in (*interpreter.folders, interpreter.source) if not f.is_relative_to("/usr")]
    wanted = [f for f in folders if not any(f != other and f.is_relative_to(other) for other in folders)]
    # /tmp comes first: the interpreter may live below the host's.
    size = str(plan.policy.temporary_bytes)
    yield from ("--size", size, "--perms", "1777", "--tmpfs", "/tmp")  # noqa: S108
    # bubblewrap makes missing parents for root alone, and the job's uid could not pass through them.
    yield from _parents([*wanted, Path("/etc/x"), Path("/job/x")])
    yield from ("--ro-bind", "/usr", "/usr")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        yield from _system_folder(Path("/", name))
    for file in SYSTEM_FILES:
        yield from ("--ro-bind-try", file, file)
    for folder in wanted:
        yield from ("--ro-bind", str(folder), str(folder))


def _parents(folders: list[Path]) -> Iterator[str]:
    made: dict[Path, None] = {}
    for folder in folders:
        made.update(dict.fromkeys(reversed(tuple(folder.parents)[:-1])))
    for parent in made:
        if str(parent) == "/tmp":  # noqa: S108
            continue
        yield from ("--perms", "0755", "--dir", str(parent))


def _system_folder(folder: Path) -> Iterator[str]:
    if folder.is_symlink():
        yield from ("--symlink", str(folder.readlink()), str(folder))
    elif folder.is_dir():
        yield from ("--ro-bind", str(folder), str(folder))


def _gpu_devices(numbers: tuple[int, ...]) -> Iterator[str]:
    names = [*(f"nvidia{number}" for number in numbers), *GPU_CONTROL] if numbers else []
    for name in names:
        # Which of the control devices there are depends on the driver.
        yield from ("--dev-bind-try", f"/dev/{name}", f"/dev/{name}")


def _job_folders(plan: SandboxPlan) -> Iterator[str]:
    places = Places()
    read_only = "--ro-bind" if plan.has(Protection.READ_ONLY_INPUTS) else "--bind"
    yield from (read_only, str(plan.folder.inputs), places.inputs)
    yield from (read_only, str(plan.folder.incoming), places.incoming)
    yield from ("--bind", str(plan.folder.scratch), places.scratch)


def _call_filter(plan: SandboxPlan) -> Iterator[str]:
    if plan.call_filter is not None:
        yield from ("--seccomp", str(plan.call_filter))


def _own_uid(plan: SandboxPlan) -> list[str]:
    if plan.uid is None or not plan.has(Protection.OWN_UID):
        return []
    uid = str(plan.uid)
    drop = ["--bounding-set=-all", "--inh-caps=-all"] if plan.has(Protection.NO_CAPABILITIES) else []
    return [SETPRIV, "--reuid", uid, "--regid", uid, "--clear-groups", *drop, "--no-new-privs", "--"]
