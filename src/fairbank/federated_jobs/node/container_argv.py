"""From a plan to the command line of a container engine: pure functions, no process is started here.

Each engine's own words: podman-run(1) 4.3, `docker run --help` 27, `apptainer exec --help` 1.3. Whatever the engine, a
container has no network, a root that it cannot write to, no capabilities and no way to new ones, a user of its own that
is not root, limits of memory, processes and time, the staged series to read and one folder to write to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from fairbank.federated_jobs.node.errors import SandboxUnusable
from fairbank.federated_jobs.node.sandbox_argv import SHARED_BYTES, rlimits_argv
from fairbank.federated_jobs.node.sandbox_policy import JobFolder, SandboxPolicy

INPUTS: Final = "/inputs"
OUTPUTS: Final = "/outputs"
_FILES_OPEN: Final = 4096
_TEMPORARY: Final = "/tmp"  # noqa: S108  the container's own


class Engine(StrEnum):
    """What can run a container here."""

    APPTAINER = "apptainer"
    DOCKER = "docker"
    PODMAN = "podman"


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """All that decides the command line of one container.

    Args:
        program: the engine's.
        image: by digest, as the engine names it; of Apptainer a file.
        name: by which the container is ended.
        uid: the user that it runs as; group likewise.
        root: whether the node is root; the container never is.
        limit_memory: whether memory is limited by rlimit, because no control group could be made; of Apptainer only,
            the others make groups of their own.
    """

    engine: Engine
    program: Path
    image: str
    command: tuple[str, ...]
    name: str
    policy: SandboxPolicy
    folder: JobFolder
    uid: int
    root: bool
    limit_memory: bool = False


def container_environment(policy: SandboxPolicy) -> dict[str, str]:
    """Return the whole environment of a container, besides what its image says."""
    threads = str(policy.cpu_threads)
    gpus = {"CUDA_VISIBLE_DEVICES": ",".join(str(number) for number in range(len(policy.gpus)))}
    return {
        "HOME": _TEMPORARY,
        "TMPDIR": _TEMPORARY,
        "OMP_NUM_THREADS": threads,
        **(gpus if policy.gpus else {}),
    }


def container_argv(plan: ContainerPlan) -> list[str]:
    """Return the command line that runs a container and ends when it does.

    Raises:
        SandboxUnusable: if a path cannot be written in it.
    """
    if plan.uid < 1:
        raise SandboxUnusable("A container would run as root.", why="It never does.", todo="")
    if plan.engine is Engine.APPTAINER:
        return [*rlimits_argv(plan.policy, processes=plan.root, memory=plan.limit_memory), *_apptainer(plan)]
    return [*_docker_like(plan)]


def remove_argv(engine: Engine, program: Path, name: str) -> list[str] | None:
    """Return the command line that ends a container by its name and removes it; None if it ends with its process."""
    return None if engine is Engine.APPTAINER else [str(program), "rm", "--force", "--volumes", name]


def out_of_memory_argv(engine: Engine, program: Path, name: str) -> list[str] | None:
    """Return the command line that prints whether a container was ended for want of memory."""
    if engine is Engine.APPTAINER:
        return None
    return [str(program), "container", "inspect", "--format", "{{.State.OOMKilled}}", name]


def _docker_like(plan: ContainerPlan) -> Iterator[str]:
    policy = plan.policy
    yield from (str(plan.program), "run", f"--name={plan.name}", "--pull=never", "--log-driver=none")
    # Who is ended has had its time: no seconds of grace.
    yield "--stop-signal=SIGKILL"
    yield from ("--network=none", "--hostname=job", "--ipc=private", f"--shm-size={SHARED_BYTES}")
    yield from ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    yield f"--user={plan.uid}:{plan.uid}"
    yield from (f"--memory={policy.memory_bytes}b", f"--memory-swap={policy.memory_bytes}b")
    yield f"--pids-limit={policy.max_processes}"
    if policy.cpus:
        yield f"--cpus={policy.cpus}"
    yield f"--ulimit=nofile={_FILES_OPEN}:{_FILES_OPEN}"
    if plan.root:
        # Counted by user: only where the container has one of its own.
        yield f"--ulimit=nproc={policy.max_processes}:{policy.max_processes}"
    yield from ("--ulimit=core=0:0", f"--ulimit=fsize={policy.file_bytes}:{policy.file_bytes}")
    if policy.cpu_s is not None:
        yield f"--ulimit=cpu={policy.cpu_s}:{policy.cpu_s}"
    yield f"--mount=type=bind,source={_path(plan.folder.inputs)},destination={INPUTS},readonly"
    yield f"--mount=type=bind,source={_path(plan.folder.scratch)},destination={OUTPUTS}"
    yield f"--workdir={_TEMPORARY}"
    for name, value in container_environment(policy).items():
        yield f"--env={name}={value}"
    yield from _podman_only(plan) if plan.engine is Engine.PODMAN else _docker_only(plan)
    yield from (f"--entrypoint={plan.command[0]}", plan.image, *plan.command[1:])


def _podman_only(plan: ContainerPlan) -> Iterator[str]:
    # Its own by owner, not by mode: runc takes the mode of the image's folder.
    yield (
        f"--mount=type=tmpfs,destination={_TEMPORARY},tmpfs-size={plan.policy.temporary_bytes},tmpfs-mode=0700,"
        "notmpcopyup,chown"
    )
    yield from ("--read-only-tmpfs=false", "--http-proxy=false", "--no-hosts")
    if not plan.root:
        # Without it the user would be another one in the folders that are bound in.
        yield "--userns=keep-id"
    for number in plan.policy.gpus:
        # By the names of the Container Device Interface (nvidia-ctk cdi generate).
        yield f"--device=nvidia.com/gpu={number}"


def _docker_only(plan: ContainerPlan) -> Iterator[str]:
    own = f"mode=0700,uid={plan.uid},gid={plan.uid}"
    yield f"--tmpfs={_TEMPORARY}:rw,nosuid,nodev,size={plan.policy.temporary_bytes},{own}"
    if plan.policy.gpus:
        # The value is CSV: a list of devices stands in quotes.
        yield '--gpus="device=' + ",".join(str(number) for number in plan.policy.gpus) + '"'


def _apptainer(plan: ContainerPlan) -> Iterator[str]:
    yield from (str(plan.program), "--silent", "exec", "--containall", "--cleanenv", "--no-home")
    yield from ("--net", "--network=none", f"--pwd={_TEMPORARY}")
    if plan.root:
        # Root alone reaches the job's folders; in the container it is the job's own user, without privileges.
        yield from (f"--security=uid:{plan.uid},gid:{plan.uid}", "--no-privs")
    else:
        yield "--userns"
    yield f"--mount=type=bind,source={_path(plan.folder.inputs)},destination={INPUTS},ro"
    yield f"--mount=type=bind,source={_path(plan.folder.scratch)},destination={OUTPUTS}"
    environment = container_environment(plan.policy)
    if plan.policy.gpus:
        # It binds all devices of the machine; those of the job are the ones that CUDA shows.
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(str(number) for number in plan.policy.gpus)
        yield "--nv"
    for name, value in environment.items():
        yield f"--env={name}={value}"
    yield from (plan.image, *plan.command)


def _path(path: Path) -> str:
    """Return a path for a list of values with commas between."""
    text = str(path)
    if any(sign in text for sign in ',"\n'):
        raise SandboxUnusable(
            "The node's home has a comma or a quotation mark in its path.",
            why="An engine's list of mounts cannot hold such a path.",
            todo="Move the node's home.",
        )
    return text
