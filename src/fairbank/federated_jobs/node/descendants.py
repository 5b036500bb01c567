"""A process and all that descend from it, without looking at any other process of the machine.

Source: proc(5) for `task/*/children`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def descendants(root: int) -> Iterator[int]:
    """Yield a process and all that descend from it; who loses a parent falls to the first process of the sandbox."""
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        with suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError, ValueError):
                    waiting += [int(word) for word in (thread / "children").read_bytes().split()]
