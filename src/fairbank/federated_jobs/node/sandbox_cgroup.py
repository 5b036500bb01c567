"""One control group per job, where this machine lets us make one: memory and number of tasks.

A job's group is always a child of the node's own group, so that the limits put on the node hold for its jobs too.
Version 1 and version 2 of the kernel's interface are served (kernel documentation: admin-guide/cgroup-v1/memory,
admin-guide/cgroup-v1/pids, admin-guide/cgroup-v2).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from fairbank.federated_jobs.node.sandbox_policy import SandboxPolicy

PREFIX = "fairbank-job-"
DELEGATED_LEAF = "node"
BWRAP_TASKS = 2
_CPU_PERIOD_US = 100_000
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class JobGroup:
    """The groups of one job: one folder on version 2, one per controller on version 1.

    Args:
        folders: every folder that the job's first process joins.
        memory: the folder that limits memory, if one could be made.
        pids: the folder that limits the number of tasks, if one could be made.
    """

    folders: tuple[Path, ...]
    memory: Path | None
    pids: Path | None

    def out_of_memory(self) -> bool:
        """Tell whether the kernel ended a process of this group for want of memory."""
        if self.memory is None:
            return False
        for name in ("memory.events", "memory.oom_control"):
            for line in _lines(self.memory / name):
                word, _, number = line.partition(" ")
                if word == "oom_kill" and number.strip() not in ("", "0"):
                    return True
        return False

    def memory_in_use(self) -> int:
        """Return how much memory the group is charged for, in bytes; 0 where it limits none."""
        for name in ("memory.current", "memory.usage_in_bytes") if self.memory is not None else ():
            assert self.memory is not None
            with suppress(ValueError):
                return int("".join(_lines(self.memory / name)))
        return 0

    def lower_to(self, policy: SandboxPolicy) -> None:
        """Set the limits of memory and tasks anew.

        Raises:
            OSError: if the kernel does not take one of them.
        """
        memory = [("memory.max", str(policy.memory_bytes)), *_memory_v1(policy)]
        wanted = [(self.memory, *limit) for limit in memory] + [(self.pids, "pids.max", _tasks(policy))]
        for folder, file, value in wanted:
            if folder is not None and (folder / file).exists():
                (folder / file).write_text(value)

    def remove(self) -> None:
        """Remove the folders; the kernel allows it as soon as the last process is gone."""
        for folder in self.folders:
            for _ in range(50):
                with suppress(FileNotFoundError):
                    try:
                        folder.rmdir()
                    except OSError:
                        time.sleep(0.02)
                        continue
                break


@dataclass(frozen=True, slots=True)
class CgroupTree:
    """What this process may see of the machine's control groups.

    Args:
        membership: text of /proc/self/cgroup.
        mounts: text of /proc/self/mountinfo.
    """

    membership: str
    mounts: str

    @classmethod
    def of_this_process(cls) -> CgroupTree:
        """Read both files of /proc; empty where they do not exist."""
        texts = []
        for name in ("cgroup", "mountinfo"):
            file = Path("/proc/self", name)
            texts.append(file.read_text() if file.exists() else "")
        return cls(*texts)

    def own_folder(self, controller: str | None) -> Path | None:
        """Return the folder of our own group: of a version 1 controller, or of version 2 if None."""
        path = self._path(controller)
        if path is None:
            return None
        for root, mount_point in self._mount_points(controller):
            if path == root or path.startswith(root.rstrip("/") + "/"):
                return Path(mount_point) / path[len(root) :].lstrip("/")
        return None

    def _path(self, controller: str | None) -> str | None:
        for line in self.membership.splitlines():
            _, controllers, path = line.split(":", 2)
            if (controller is None and not controllers) or (
                controller and controller in controllers.split(",")
            ):
                return path
        return None

    def _mount_points(self, controller: str | None) -> Iterator[tuple[str, str]]:
        for line in self.mounts.splitlines():
            left, _, right = line.partition(" - ")
            fields, kind = left.split(), right.split()
            version_2 = controller is None and kind[0] == "cgroup2"
            version_1 = kind[0] == "cgroup" and controller in kind[-1].split(",")
            if version_2 or version_1:
                yield fields[3], fields[4]


def make_job_group(policy: SandboxPolicy, tree: CgroupTree) -> JobGroup:
    """Make the control groups of one job as far as this machine allows."""
    name = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
    both = _version_2(policy, tree, name)
    if both is not None:
        return JobGroup(folders=(both,), memory=both, pids=both)
    busy = _limited_group(tree.own_folder("cpu"), name, _cpu_v1(policy)) if policy.cpus else None
    memory = _limited_group(tree.own_folder("memory"), name, _memory_v1(policy))
    pids = _limited_group(tree.own_folder("pids"), name, [("pids.max", _tasks(policy))])
    return JobGroup(folders=tuple(f for f in (memory, pids, busy) if f is not None), memory=memory, pids=pids)


def sweep_left_behind(tree: CgroupTree) -> None:
    """Remove empty groups of nodes that no longer run."""
    parents = [tree.own_folder(controller) for controller in ("memory", "pids", "cpu", None)]
    for parent in parents:
        for folder in parent.glob(f"{PREFIX}*") if parent is not None else ():
            pid = folder.name.removeprefix(PREFIX).partition("-")[0]
            if not Path("/proc", pid).exists():
                with suppress(OSError):
                    folder.rmdir()


def _version_2(policy: SandboxPolicy, tree: CgroupTree, name: str) -> Path | None:
    own = tree.own_folder(None)
    if own is None:
        return None
    # A group with processes cannot hand controllers to children; a node under systemd therefore runs in a leaf
    # of the group that was delegated to it (DelegateSubgroup=node).
    parent = own.parent if own.name == DELEGATED_LEAF else own
    control = parent / "cgroup.subtree_control"
    if not _hands_out_both(control):
        with suppress(OSError):
            control.write_text("+memory +pids")
        if not _hands_out_both(control):
            return None
    if policy.cpus:
        with suppress(OSError):
            control.write_text("+cpu")
    limits = [
        ("memory.max", str(policy.memory_bytes)),
        ("memory.swap.max", "0"),
        ("pids.max", _tasks(policy)),
        *([("cpu.max", f"{policy.cpus * _CPU_PERIOD_US} {_CPU_PERIOD_US}")] if policy.cpus else []),
    ]
    return _limited_group(parent, name, limits)


def _hands_out_both(control: Path) -> bool:
    return {"memory", "pids"} <= set((_lines(control) or [""])[0].split())


def _limited_group(parent: Path | None, name: str, limits: list[tuple[str, str]]) -> Path | None:
    if parent is None:
        return None
    folder = parent / name
    try:
        folder.mkdir()
    except OSError:
        return None
    for file, value in limits:
        optional = "swap" in file or "memsw" in file or file == "cpu.max"
        try:
            (folder / file).write_text(value)
        except OSError:
            if not optional:
                folder.rmdir()
                return None
    return folder


def _memory_v1(policy: SandboxPolicy) -> list[tuple[str, str]]:
    size = str(policy.memory_bytes)
    return [("memory.limit_in_bytes", size), ("memory.memsw.limit_in_bytes", size)]


def _cpu_v1(policy: SandboxPolicy) -> list[tuple[str, str]]:
    quota = str(policy.cpus * _CPU_PERIOD_US)
    return [("cpu.cfs_period_us", str(_CPU_PERIOD_US)), ("cpu.cfs_quota_us", quota)]


def _tasks(policy: SandboxPolicy) -> str:
    return str(policy.max_processes + BWRAP_TASKS)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
