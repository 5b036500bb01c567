"""Start a process that sees its job's inputs and one folder to write to, and nothing else of this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import IO

from fairbank.federated_jobs.node.error_tail import ErrorTail
from fairbank.federated_jobs.node.errors import SandboxMissing, SandboxUnusable
from fairbank.federated_jobs.node.probe import Expectations
from fairbank.federated_jobs.node.sandbox_argv import (
    BWRAP,
    PRLIMIT,
    SETPRIV,
    Interpreter,
    SandboxPlan,
    job_environment,
    limits_argv,
    python_argv,
    sandbox_argv,
)
from fairbank.federated_jobs.node.sandbox_baits import Baits
from fairbank.federated_jobs.node.sandbox_cgroup import (
    CgroupTree,
    JobGroup,
    make_job_group,
    sweep_left_behind,
)
from fairbank.federated_jobs.node.sandbox_policy import (
    JobFolder,
    Places,
    Protection,
    SandboxMode,
    SandboxPolicy,
    running_as_root,
)
from fairbank.federated_jobs.node.sandbox_scratch import Quota, ScratchWatch
from fairbank.federated_jobs.node.sandbox_seccomp import denied_numbers, filter_file, this_machine
from fairbank.federated_jobs.node.sandbox_staging import give_scratch_to
from fairbank.federated_jobs.node.sandbox_uid import LEASES, UidLease, lease_uid

# The shell joins the job's control groups before anything of the job exists, so that no process escapes them.
JOIN_AND_RUN = (
    'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ > "$1" || exit 71; shift; n=$((n-1)); done; exec "$@"'
)


@dataclass(slots=True)
class SandboxedProcess:
    """A running sandbox: its pipes, and all that has to be given back when it ends."""

    process: subprocess.Popen[bytes]
    plan: SandboxPlan
    places: Places
    confined: bool
    group: JobGroup
    lease: UidLease | None
    _errors: ErrorTail | None = None
    _watch: ScratchWatch | None = None

    @property
    def stdin(self) -> IO[bytes]:
        """Return the pipe into the process."""
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Return the pipe out of the process."""
        assert self.process.stdout is not None
        return self.process.stdout

    def drain_stderr(self) -> None:
        """Keep reading standard error, so that the process never blocks on it; only the end is kept."""
        assert self.process.stderr is not None
        self._errors = ErrorTail(self.process.stderr, name="sandbox-stderr")

    def watch_scratch(self) -> None:
        """Keep looking at what the job has on disk, and end it when that is too much."""
        policy, folder = self.plan.policy, self.plan.folder
        self._watch = ScratchWatch(
            folder.scratch,
            Quota(policy.scratch_bytes, policy.scratch_files),
            root=self.process.pid,
            exceeded=self.kill,
        )
        self._watch.start()

    def belong_to(self, folder: JobFolder, policy: SandboxPolicy) -> bool:
        """Let what was started without a job have one's folder and limits; return whether that is possible.

        The mounts inside hold on to the folders themselves, so a new name for what they lie in changes nothing there.

        Raises:
            OSError: if the folder cannot be renamed or a control group does not take the limits.
        """
        if not self.confined or self.group.memory_in_use() > policy.memory_bytes:
            return False
        if self._watch is not None:
            self._watch.stop()
        folder.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.plan.folder.root.rename(folder.root)
        self.plan = replace(self.plan, policy=policy, folder=folder)
        self.group.lower_to(policy)
        self.watch_scratch()
        return True

    @property
    def out_of_disk(self) -> bool:
        """Tell whether it was ended because it kept too much on disk."""
        return self._watch is not None and self._watch.was_exceeded.is_set()

    def stderr_tail(self) -> str:
        """Return the end of what the process wrote to standard error; it must not leave the node."""
        return "" if self._errors is None else self._errors.content().decode("utf-8", "replace")

    def kill(self) -> None:
        """End the sandbox and everything in it at once."""
        with suppress(ProcessLookupError):
            self.process.kill()

    def close(self, *, grace_s: float = 0.0) -> int:
        """End the process, wait for it and give back what it used; return its exit status."""
        with suppress(OSError):
            self.stdin.close()
        try:
            status = self.process.wait(grace_s) if grace_s > 0 else None
        except subprocess.TimeoutExpired:
            status = None
        if status is None:
            self.kill()
            status = self.process.wait()
        if self._errors is not None:
            self._errors.join(timeout_s=5.0)
        if self._watch is not None:
            self._watch.stop()
        self.stdout.close()
        self.group.remove()
        if self.lease is not None:
            self.lease.release()
        return status

    def expectations(self, baits: Baits, *, node_key: Path, hidden: Sequence[Path]) -> Expectations:
        """Return what the start-up probe has to find in this sandbox."""
        policy = self.plan.policy
        return Expectations(
            uid=self.plan.uid,
            max_processes=policy.max_processes,
            memory_rlimit=policy.memory_bytes if self.plan.limit_memory else None,
            key_path=str(node_key),
            hidden_paths=["/etc/shadow", "/etc/passwd", *(str(path) for path in hidden)],
            tcp_port=baits.tcp_port,
            abstract_name=baits.abstract_name,
            socket_path=baits.socket_path,
            namespaces=baits.namespaces,
            # bubblewrap sets PWD by itself.
            environment=[*job_environment(policy, self.plan.interpreter), "PWD"],
            read_only=[self.places.inputs, self.places.incoming],
            scratch=self.places.scratch,
            denied_calls=denied_numbers(this_machine() or ""),
        )


class Sandbox:
    """Starts sandboxed processes for one node.

    Args:
        policy: the limits of each process.
        node_key: the node's private key; the probe makes sure that a job cannot open it.
        hidden: other files and folders of the node that no job may see, such as its home.
        leases: folder of this machine where the user ids in use are locked.
        cgroups: what the node may see of the machine's control groups; found out if None.
        confine: whether bubblewrap is used where it can be. Without it, which permissive mode alone allows, files have
            the names that the site's cluster knows.
        without: protections to leave out; only tests do.
    """

    def __init__(
        self,
        policy: SandboxPolicy,
        *,
        node_key: Path,
        hidden: Sequence[Path] = (),
        leases: Path = LEASES,
        cgroups: CgroupTree | None = None,
        confine: bool = True,
        without: frozenset[Protection] = frozenset(),
    ) -> None:
        self.policy = policy
        self.node_key = node_key
        self.hidden = tuple(hidden)
        self._leases = leases
        self._cgroups = cgroups or CgroupTree.of_this_process()
        self._confine = confine
        self._without = without

    def start(self, folder: JobFolder, module: str) -> SandboxedProcess:
        """Start `python -m module` in the sandbox, with pipes for its three streams.

        Raises:
            SandboxMissing: in strict mode, if bubblewrap or what it needs is not installed.
            SandboxUnusable: in strict mode, if this machine does not let bubblewrap work.
            NoFreeUid: if as many jobs run as there are user ids.
        """
        confined = self._can_confine()
        folder.create()
        sweep_left_behind(self._cgroups)
        lease = lease_uid(self.policy, leases=self._leases) if confined and running_as_root() else None
        group = self._group()
        plan = SandboxPlan(
            policy=self.policy,
            folder=folder,
            interpreter=Interpreter.of_this_process(),
            uid=lease.uid if lease else None,
            limit_memory=group.memory is None,
            call_filter=self._call_filter(confined=confined),
            without=self._without,
        )
        try:
            if lease is not None and plan.has(Protection.OWN_UID):
                give_scratch_to(folder, lease.uid)
            process = _spawn(
                joined(group, self._argv(plan, module, confined=confined)), plan, confined=confined
            )
        except BaseException:
            group.remove()
            if lease is not None:
                lease.release()
            raise
        finally:
            if plan.call_filter is not None:
                os.close(plan.call_filter)
        places = Places() if confined else Places.outside(folder)
        started = SandboxedProcess(process, plan, places, confined, group, lease)
        started.drain_stderr()
        started.watch_scratch()
        return started

    def _call_filter(self, *, confined: bool) -> int | None:
        machine = this_machine()
        wanted = confined and Protection.SYSTEM_CALLS not in self._without
        return filter_file(machine) if wanted and machine is not None else None

    def _group(self) -> JobGroup:
        policy = self.policy
        if Protection.FORK_LIMIT in self._without:
            policy = replace(policy, max_processes=100_000)
        return make_job_group(policy, self._cgroups)

    def _argv(self, plan: SandboxPlan, module: str, *, confined: bool) -> list[str]:
        command = python_argv(plan.interpreter, module)
        return sandbox_argv(plan, command) if confined else [*limits_argv(plan), *command]

    def _can_confine(self) -> bool:
        if not self._confine and self.policy.mode is SandboxMode.PERMISSIVE:
            return False
        try:
            require_sandbox_programs()
            _try_bubblewrap()
        except (SandboxMissing, SandboxUnusable):
            if self.policy.mode is SandboxMode.STRICT:
                raise
            return False
        return True


def require_sandbox_programs() -> None:
    """Check that the programs which the sandbox is made of are installed.

    Raises:
        SandboxMissing: naming the first that is not.
    """
    needed = [(BWRAP, "bubblewrap"), (PRLIMIT, "util-linux")]
    if running_as_root():
        needed.append((SETPRIV, "util-linux"))
    for program, package in needed:
        if not Path(program).exists():
            raise SandboxMissing(
                f"{program} is not installed.",
                why="A job runs only in a sandbox, and the sandbox is made with it.",
                todo=f"Install it (Debian, Ubuntu: apt-get install {package}), then start the node again.",
            )


@cache
def _try_bubblewrap() -> None:
    user = [] if running_as_root() else ["--unshare-user"]
    test = [
        BWRAP,
        *user,
        "--unshare-pid",
        "--unshare-net",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "/usr/bin/true",
    ]
    outcome = subprocess.run(test, capture_output=True, timeout=30, check=False)
    if outcome.returncode != 0:
        raise SandboxUnusable(
            "This machine does not let bubblewrap make a sandbox.",
            why=outcome.stderr.decode("utf-8", "replace").strip()[:300]
            or f"It ended with {outcome.returncode}.",
            todo="Allow user namespaces for the node's user (sysctl user.max_user_namespaces, AppArmor), "
            "or give its container the capability SYS_ADMIN.",
        )


def joined(group: JobGroup, command: list[str]) -> list[str]:
    """Return the command line that joins a job's control groups, then runs a command."""
    files = [str(folder / "cgroup.procs") for folder in group.folders]
    return ["/bin/sh", "-c", JOIN_AND_RUN, "sh", str(len(files)), *files, *command]


def _spawn(command: list[str], plan: SandboxPlan, *, confined: bool) -> subprocess.Popen[bytes]:
    environment = job_environment(plan.policy, plan.interpreter)
    if not plan.has(Protection.CLEAN_ENVIRONMENT):
        environment = {**environment, "FOREIGN": "1"}
    # The kernel's parent-death signal follows the *thread* that started a process, so one thread that lives as
    # long as the node starts them all.
    return (
        _spawner()
        .submit(
            subprocess.Popen,
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd="/" if confined else plan.folder.scratch,
            start_new_session=True,
            pass_fds=() if plan.call_filter is None else (plan.call_filter,),
        )
        .result()
    )


@cache
def _spawner() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-spawner")
