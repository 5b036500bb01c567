"""User ids for jobs of a node that runs as root: no two live jobs on this machine share one.

The lease is a lock file per uid, held by the node while the job lives. The kernel lets go of it when the node dies,
and several nodes on one machine see each other's leases because the folder belongs to the machine.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fairbank.federated_jobs.node.errors import NoFreeUid
from fairbank.federated_jobs.node.sandbox_policy import SandboxPolicy

LEASES = Path("/run/fairbank/uids")


@dataclass(slots=True)
class UidLease:
    """A user id that this node may use until the lease is released."""

    uid: int
    _lock: int

    def release(self) -> None:
        """Let another job have the uid; a second call does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def lease_uid(policy: SandboxPolicy, *, leases: Path = LEASES) -> UidLease:
    """Return a uid that no live process of this machine has and that nobody else leased.

    Raises:
        NoFreeUid: if all are taken.
    """
    leases.mkdir(mode=0o700, parents=True, exist_ok=True)
    in_use = _uids_of_processes()
    for uid in range(policy.first_uid, policy.first_uid + policy.uid_count):
        if uid in in_use:
            continue
        lock = os.open(leases / str(uid), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return UidLease(uid, lock)
    raise NoFreeUid(
        f"All {policy.uid_count} user ids for jobs, from {policy.first_uid} on, are in use.",
        why="Each job runs under a user id of its own.",
        todo="Wait for a job to end, or raise the number of user ids in the node's settings.",
    )


def _uids_of_processes() -> set[int]:
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                found.add(folder.stat().st_uid)
    return found
