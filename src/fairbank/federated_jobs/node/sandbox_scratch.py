"""The quota of a job's scratch folder, looked at again and again while the job runs.

No file system counts it for us without an administrator's preparations. Counted are the blocks of all files in the
folder, and of those that the job has deleted and keeps open or mapped. The further a job is from its quota, the later
one looks again: when a fast disk could have taken what is left, at most five times a second and at least once in two.
Between two looks a job can write more than its quota; its largest file is limited by the kernel
(RLIMIT_FSIZE).

Source: proc(5) for `fd` and `maps`.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Final

from fairbank.federated_jobs.node.descendants import descendants

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 2.0
# What a fast disk takes, and a fast file system makes, in a second.
_FAST_BYTES: Final = 2 << 30
_FAST_FILES: Final = 50_000
# Looking may take this part of the time at most.
LOOKING_PART: Final = 0.2
_DELETED: Final = b"(deleted)"
_BLOCK_BYTES: Final = 512  # of st_blocks, whatever the file system's own blocks are


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job keeps on disk; `files` counts folders too."""

    size_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Quota:
    """The most that a job may keep on disk."""

    size_bytes: int
    files: int

    def exceeded_by(self, usage: Usage) -> bool:
        """Tell whether a usage is more than this."""
        return usage.size_bytes > self.size_bytes or usage.files > self.files

    def lasts_s(self, usage: Usage) -> float:
        """Return after how many seconds, at the earliest, it could be exceeded."""
        return min(
            (self.size_bytes - usage.size_bytes) / _FAST_BYTES, (self.files - usage.files) / _FAST_FILES
        )


class ScratchWatch:
    """Looks at a scratch folder until it is stopped, and calls `exceeded` once if its quota is passed.

    Args:
        root: the process that all processes of the job descend from.
    """

    def __init__(self, scratch: Path, quota: Quota, *, root: int, exceeded: Callable[[], None]) -> None:
        self._scratch, self._quota, self._root = scratch, quota, root
        self._exceeded = exceeded
        self._stop, self.was_exceeded = Event(), Event()
        self._thread = Thread(target=self._look, name="scratch-quota", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _look(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stop.wait(pause_s):
            began = time.monotonic()
            found = usage(self._scratch, self._root, enough=self._quota)
            if self._quota.exceeded_by(found):
                self.was_exceeded.set()
                self._exceeded()
                return
            looking_s = (time.monotonic() - began) / LOOKING_PART
            pause_s = max(FIRST_PAUSE_S, looking_s, min(LONGEST_PAUSE_S, self._quota.lasts_s(found)))


def usage(scratch: Path, root: int, *, enough: Quota) -> Usage:
    """Return what lies in a folder, and what the processes below `root` keep of deleted files; stop at `enough`."""
    size, files = 0, 0
    linked: set[int] = set()
    try:
        device = scratch.stat().st_dev
        for found in _files(scratch):
            files += 1
            if found.st_nlink > 1 and stat.S_ISREG(found.st_mode):
                if found.st_ino in linked:
                    continue
                linked.add(found.st_ino)
            size += found.st_blocks * _BLOCK_BYTES
            if enough.exceeded_by(Usage(size, files)):
                return Usage(size, files)
    except OSError:
        # The job changes the folder while it is read; the next look sees what is there then.
        return Usage(size, files)
    kept: dict[int, int] = {}
    for pid in descendants(root):
        kept.update(_deleted_and_mapped(pid, device))
        kept.update(_deleted_and_open(pid, device))
    return Usage(size + sum(kept.values()), files + len(kept))


def _files(folder: Path) -> Iterator[os.stat_result]:
    for _, folders, files, here in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            with suppress(OSError):
                yield os.stat(name, dir_fd=here, follow_symlinks=False)


def _deleted_and_open(pid: int, device: int) -> Iterator[tuple[int, int]]:
    with suppress(OSError):
        for opened in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found = opened.stat()
                if found.st_nlink == 0 and found.st_dev == device and stat.S_ISREG(found.st_mode):
                    yield found.st_ino, found.st_blocks * _BLOCK_BYTES


def _deleted_and_mapped(pid: int, device: int) -> Iterator[tuple[int, int]]:
    """Yield the files that are mapped to be written, by the length of the map; nothing tells their blocks."""
    name = f"{os.major(device):02x}:{os.minor(device):02x}".encode()
    with suppress(OSError):
        maps = Path(f"/proc/{pid}/maps").read_bytes()
        # A program with many libraries has thousands of lines, nearly never such a one.
        for line in maps.splitlines() if _DELETED in maps else ():
            words = line.split(maxsplit=5)
            if line.endswith(_DELETED) and words[1].endswith(b"s") and words[3] == name:
                first, _, end = words[0].partition(b"-")
                yield int(words[4]), int(end, 16) - int(first, 16)
