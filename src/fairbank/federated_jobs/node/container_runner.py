"""The second runner: a tool that is a container, run by the engine that the site chose, once for all series of a job.

The container finds the staged series and `job.json` under `/inputs`, writes `/outputs/rows.json`, and may write how far
it is, in percent, into `/outputs/progress`. It ends with 0, or it has failed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import Final

from fairbank.federated_jobs.code import MEASUREMENTS
from fairbank.federated_jobs.container_tools import contract_of_columns
from fairbank.federated_jobs.node import progress
from fairbank.federated_jobs.node.container_argv import (
    ContainerPlan,
    Engine,
    container_argv,
    out_of_memory_argv,
    remove_argv,
)
from fairbank.federated_jobs.node.container_rows import FILE, judged
from fairbank.federated_jobs.node.containers_here import check_allowed, engine_of, program_of
from fairbank.federated_jobs.node.error_tail import ErrorTail
from fairbank.federated_jobs.node.errors import (
    ContainerFailed,
    EngineMissing,
    ImageMissing,
    StagingRefused,
    WorkerCancelled,
    WorkerCrashed,
    WorkerError,
    WorkerOutOfDisk,
    WorkerOutOfMemory,
    WorkerTimedOut,
)
from fairbank.federated_jobs.node.overlays import keep as keep_overlays
from fairbank.federated_jobs.node.progress import job_folder
from fairbank.federated_jobs.node.runner import Product, RoundTask, gate_columns
from fairbank.federated_jobs.node.sandbox import joined
from fairbank.federated_jobs.node.sandbox_cgroup import CgroupTree, JobGroup, make_job_group
from fairbank.federated_jobs.node.sandbox_policy import JobFolder, SandboxPolicy, running_as_root
from fairbank.federated_jobs.node.sandbox_resources import sandbox_policy, wall_s
from fairbank.federated_jobs.node.sandbox_scratch import Quota, ScratchWatch
from fairbank.federated_jobs.node.sandbox_staging import give_scratch_to, stage_series, take_from_scratch
from fairbank.federated_jobs.node.sandbox_uid import lease_uid
from fairbank.federated_jobs.node.spent import measured
from fairbank.release.node import Node
from fairbank.signing import file_digest

JOB_FILE: Final = "job.json"
# In the job's folder at the node: the end of what the container, or its engine, printed to standard error.
ERRORS: Final = "stderr"
PROGRESS: Final = "progress"
# What docker and podman end with if they could not start the container at all, or its command.
_ENGINE_FAILED, _NOT_STARTED = 125, (126, 127)
_SIGNALLED, _KILLED = 128, 137
_LOOK_EVERY_S: Final = 0.5
_ENGINE_S: Final = 60
_LAST_WORDS_S: Final = 5.0
_LONGEST_PERCENT: Final = 8


@dataclass(slots=True)
class _Running:
    """A container that runs."""

    process: subprocess.Popen[bytes]
    end: Callable[[], None]
    begun: float = field(default_factory=time.monotonic)


class ContainerRunner:
    """Runs each job in a container of its own.

    Args:
        program: where the engine's program is; looked for if None.
    """

    def __init__(self, node: Node, *, program: Callable[[Engine], Path] = program_of) -> None:
        self._node = node
        self._program = program
        self._running: dict[str, _Running] = {}
        self._cancelled: dict[str, Event] = {}
        self._gpus: dict[str, tuple[int, ...]] = {}
        self._used: dict[str, float] = {}
        self._lock = Lock()

    def run(self, task: RoundTask) -> list[Product]:
        """Compute the one round of a job in a container, and judge what it wrote."""
        job = task.manifest.id
        with self._lock:
            cancelled = self._cancelled.setdefault(job, Event())
        cancelled.clear()
        with measured(task.spent, partial(self._used_s, job), gpus=task.manifest.resources.gpus):
            try:
                return [self._computed(task, cancelled)]
            finally:
                with self._lock:
                    self._cancelled.pop(job, None)
                    self._gpus.pop(job, None)

    def jobs(self) -> list[str]:
        """Return the jobs whose container runs."""
        with self._lock:
            return sorted({*self._running, *self._cancelled})

    def cancel(self, job: str) -> None:
        """End a job's container at once."""
        with self._lock:
            cancelled, running = self._cancelled.get(job), self._running.get(job)
        if cancelled is not None:
            cancelled.set()
        if running is not None:
            running.end()

    def forget(self, job: str) -> None:
        """End a job's container and remove its folder."""
        self.cancel(job)
        engine = engine_of(self._node.settings)
        # Of a job in the sandbox there is none, and no engine is asked about it.
        if engine is not None and (job_folder(self._node, job) / "worker" / "inputs" / JOB_FILE).exists():
            with suppress(EngineMissing):
                self._remove(engine, self._program(engine), job)
        shutil.rmtree(job_folder(self._node, job), ignore_errors=True)

    def rest(self) -> None:
        """Do nothing: an engine starts a container when its job comes."""

    def close(self) -> None:
        """End all containers."""
        for job in self.jobs():
            self.cancel(job)

    def _computed(self, task: RoundTask, cancelled: Event) -> Product:
        settings = self._node.settings
        check_allowed(settings, task.tool)
        engine = engine_of(settings)
        assert engine is not None and task.tool.container is not None
        program, job = self._program(engine), task.manifest.id
        image = self._image(engine, program, task.tool.container.image)
        folder = JobFolder(job_folder(self._node, job) / "worker").create()
        subject_of = self._stage(task, folder)
        policy = self._policy(task)
        lease = lease_uid(policy) if running_as_root() else None
        try:
            uid = lease.uid if lease else os.geteuid()
            if lease is not None:
                give_scratch_to(folder, lease.uid)
            plan = ContainerPlan(
                engine=engine,
                program=program,
                image=image,
                command=task.tool.container.command,
                name=container_name(job),
                policy=policy,
                folder=folder,
                uid=uid,
                root=lease is not None,
            )
            # One that a killed node left behind has the same name.
            self._remove(engine, program, job)
            try:
                self._run(plan, task, cancelled)
            finally:
                self._remove(engine, program, job)
        finally:
            if lease is not None:
                lease.release()
        return self._product(task, folder, subject_of)

    def _stage(self, task: RoundTask, folder: JobFolder) -> dict[str, str]:
        series = task.series()
        stage_series(series, folder)
        about = {
            "schema": "container-job/1",
            "tool": task.tool.name,
            "version": task.tool.version,
            "parameters": task.tool.check_parameters(task.manifest.parameters),
            "seed": task.manifest.seed,
        }
        file = folder.inputs / JOB_FILE
        file.write_text(json.dumps(about))
        file.chmod(0o444)
        for entry in list(folder.scratch.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        return {one.unit: one.subject for one in series}

    def _policy(self, task: RoundTask) -> SandboxPolicy:
        with self._lock:
            in_use = Counter(number for gpus in self._gpus.values() for number in gpus)
            policy = sandbox_policy(self._node.settings, task.manifest.resources, in_use=in_use)
            self._gpus[task.manifest.id] = policy.gpus
        return policy

    def _image(self, engine: Engine, program: Path, image: str) -> str:
        """Return how the engine names an image that is at this site under its digest.

        Raises:
            ImageMissing: if it is not here.
        """
        digest = f"sha256:{image.rpartition('@sha256:')[2]}"
        if engine is Engine.APPTAINER:
            folder = self._node.settings.sandbox_container_folder
            file = (
                Path(folder or self._node.settings.home / "images") / f"{digest.removeprefix('sha256:')}.sif"
            )
            if file.is_file() and file_digest(file) == digest:
                return str(file)
            raise _no_image(
                image, f"Put the file there as {file.name}, in the folder sandbox_container_folder."
            )
        if _told([str(program), "image", "inspect", "--format", "{{.Id}}", image]) is not None:
            return image
        raise _no_image(image, f"Look at it, then fetch it: {engine.value} pull {image}")

    def _run(self, plan: ContainerPlan, task: RoundTask, cancelled: Event) -> None:
        """Run a container to its end.

        Raises:
            WorkerError: saying how it ended, unless it ended with 0.
        """
        job, limit_s = task.manifest.id, wall_s(self._node.settings, task.manifest.resources)
        with _grouped(plan) as (command, group):
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env=_engine_environment(),
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as err:
                raise _engine_failed(plan.engine, str(err.strerror)) from err
            assert process.stderr is not None
            errors = ErrorTail(process.stderr, name="container-stderr")
            end = partial(self._end, plan, process)
            watch = ScratchWatch(
                plan.folder.scratch,
                Quota(plan.policy.scratch_bytes, plan.policy.scratch_files),
                root=process.pid,
                exceeded=end,
            )
            with self._lock:
                self._running[job] = _Running(process, end)
            watch.start()
            try:
                in_time = self._wait(process, task, cancelled, limit_s=limit_s)
                if not in_time or cancelled.is_set():
                    end()
                status = process.wait()
            finally:
                with self._lock:
                    self._used[job] = time.monotonic() - self._running.pop(job).begun
                watch.stop()
                errors.join(timeout_s=_LAST_WORDS_S)
                _write_private(job_folder(self._node, job) / ERRORS, errors.content())
            out_of_memory = group.out_of_memory() or self._out_of_memory(plan, status)
        if cancelled.is_set():
            raise WorkerCancelled("The job was cancelled and its container ended.")
        if watch.was_exceeded.is_set():
            raise _out_of_disk(plan.policy)
        if not in_time:
            raise WorkerTimedOut(
                f"The container did not finish within {limit_s} s.",
                why="The manifest and the site limit the time of each step.",
                todo="Ask for less work, or for more time.",
            )
        if out_of_memory:
            raise WorkerOutOfMemory(
                f"The job needed more than its {plan.policy.memory_bytes >> 20} MiB of memory and was ended.",
                why="The site limits the memory of each job.",
                todo="Ask for less work at once, or for more memory.",
            )
        if status != 0:
            raise _failed(plan.engine, status)

    def _wait(
        self, process: subprocess.Popen[bytes], task: RoundTask, cancelled: Event, *, limit_s: int
    ) -> bool:
        """Wait until a container has ended, or is to; return whether that was in time."""
        ends, told = time.monotonic() + limit_s, -1
        folder = JobFolder(job_folder(self._node, task.manifest.id) / "worker")
        while (left_s := ends - time.monotonic()) > 0 and not cancelled.is_set():
            with suppress(subprocess.TimeoutExpired):
                process.wait(min(_LOOK_EVERY_S, left_s))
                return True
            percent = _percent(folder)
            if told < percent <= 100:
                told = percent
                progress.note(self._node, task.manifest.id, percent)
        return process.poll() is not None or cancelled.is_set()

    def _product(self, task: RoundTask, folder: JobFolder, subject_of: dict[str, str]) -> Product:
        from fairbank.federated_jobs.node.leaving_out import leave_out
        from fairbank.federated_jobs.node.summing import rules_of

        limit = next(one.maximum_bytes for one in task.manifest.outputs if one.name == MEASUREMENTS)
        task.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        raw, target = task.folder / "container-rows.json", task.folder / f"{MEASUREMENTS}.json"
        try:
            take_from_scratch(folder, FILE, to=raw, max_bytes=limit)
            rows = judged(raw, task.tool, subject_of)
        except StagingRefused as err:
            raise ContainerFailed(
                "The container ended without a table that can be read.",
                why=err.why or err.what,
                todo=err.todo,
            ) from err
        finally:
            raw.unlink(missing_ok=True)
        target.write_bytes(rows.body)
        target.chmod(0o600)
        keep_overlays(self._node, task.manifest.id, folder)
        contract = contract_of_columns(task.tool.columns)
        subjects = leave_out(target, task.members, contract, rules_of(self._node, task.manifest))
        return Product(MEASUREMENTS, target, gate_columns(contract), subjects=subjects)

    def _used_s(self, job: str) -> float:
        """Return how long a job's container has run: its engine counts processor time where a node cannot look."""
        with self._lock:
            running = self._running.get(job)
            before = self._used.get(job, 0.0)
        return before if running is None else time.monotonic() - running.begun

    def _end(self, plan: ContainerPlan, process: subprocess.Popen[bytes]) -> None:
        command = remove_argv(plan.engine, plan.program, plan.name)
        if command is not None:
            _told(command)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)

    def _remove(self, engine: Engine, program: Path, job: str) -> None:
        command = remove_argv(engine, program, container_name(job))
        if command is not None:
            _told(command)

    def _out_of_memory(self, plan: ContainerPlan, status: int) -> bool:
        if plan.engine is Engine.PODMAN and status == _KILLED:
            # podman does not hear of it on control groups of version 1. Nobody here has killed it.
            return True
        command = out_of_memory_argv(plan.engine, plan.program, plan.name)
        return command is not None and _told(command) == "true"


def container_name(job: str) -> str:
    """Return by which name the container of a job is ended.

    >>> container_name("01a1fdee-cff5-7f63-b5f0-d16d1d20c888")
    'fairbank-01a1fdee-cff5-7f63-b5f0-d16d1d20c888'
    """
    return f"fairbank-{job}"


@contextmanager
def _grouped(plan: ContainerPlan) -> Iterator[tuple[list[str], JobGroup]]:
    """Give the command line of a container, in a control group where its engine makes none."""
    if plan.engine is not Engine.APPTAINER:
        yield container_argv(plan), JobGroup((), None, None)
        return
    group = make_job_group(plan.policy, CgroupTree.of_this_process())
    try:
        yield joined(group, container_argv(replace(plan, limit_memory=group.memory is None))), group
    finally:
        group.remove()


def _write_private(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(content)


def _engine_environment() -> dict[str, str]:
    """Return what an engine itself needs of the node's environment; nothing of it gets into the container."""
    kept = ("HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {
        "HOME": str(Path.home()),
        **found,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }


def _told(command: list[str]) -> str | None:
    """Return what a short command of an engine prints, None if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_ENGINE_S, check=False, env=_engine_environment(), cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def _percent(folder: JobFolder) -> int:
    """Return how far a container says that it is, -1 if it says nothing; the job owns the file."""
    try:
        handle = os.open(
            folder.scratch / PROGRESS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except OSError:
        return -1
    try:
        said = os.read(handle, _LONGEST_PERCENT).strip()
    except OSError:
        return -1
    finally:
        os.close(handle)
    return int(said) if said.isdigit() else -1


def _failed(engine: Engine, status: int) -> WorkerError | EngineMissing:
    if engine is not Engine.APPTAINER and status == _ENGINE_FAILED:
        return _engine_failed(engine, f"It ended with {status}.")
    if status < 0 or (status > _SIGNALLED and status not in _NOT_STARTED):
        return WorkerCrashed(
            f"The container ended with status {status} before it had finished.",
            why="Its code crashed, or it was killed.",
            todo="The end of its error output is in the job's folder at the node.",
        )
    return ContainerFailed(
        f"The container ended with status {status}.",
        why="Its command could not be started."
        if status in _NOT_STARTED
        else "Its code says that it failed.",
        todo="Its error output is in the job's folder at the node; its publisher can say what it means.",
    )


def _engine_failed(engine: Engine, why: str) -> EngineMissing:
    return EngineMissing(
        f"The container engine {engine.value!r} could not start the container.",
        why=why,
        todo="Its error output is in the job's folder at the node. Try it there: "
        f"{engine.value} run --rm --network=none IMAGE.",
    )


def _no_image(image: str, todo: str) -> ImageMissing:
    return ImageMissing(
        f"The image {image} is not at this site.",
        why="A site runs an image that its people have put there, under the digest that the tool's publisher sealed.",
        todo=todo,
    )


def _out_of_disk(policy: SandboxPolicy) -> WorkerOutOfDisk:
    return WorkerOutOfDisk(
        f"The job kept more on disk than it may, and was ended: at most {policy.scratch_bytes >> 20} MiB "
        f"in {policy.scratch_files} files.",
        why="The site limits what each job keeps on disk.",
        todo="Write less, or have the site raise sandbox_scratch_bytes or sandbox_scratch_files.",
    )
