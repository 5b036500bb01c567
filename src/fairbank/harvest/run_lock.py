"""One run of a container at a time: two at once would count one look at it twice."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from fairbank.harvest.bookkeeping import Route
from fairbank.harvest.errors import RunUnderWay
from fairbank.release.node import Node

_FOLDER = "harvest-locks"


@contextmanager
def alone(node: Node, route: Route) -> Iterator[None]:
    """Hold the lock of a route; the operating system lets it go when the process ends, however it ends.

    Raises:
        RunUnderWay: if another process of this machine holds it.
    """
    folder = node.settings.home / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    # A container's name may identify, and may not be a file's name.
    name = hashlib.sha256("\0".join((route.source, route.container, route.project)).encode()).hexdigest()[:32]
    handle = os.open(folder / name, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise RunUnderWay(
                f"Another run of this container of the source {route.source} is under way.",
                why="Two at once would count one look at the archive twice.",
                todo="Wait until it has ended; if its process was killed, the lock is free already.",
            ) from err
        yield
    finally:
        os.close(handle)


@contextmanager
def when_no_run_is_under_way(node: Node) -> Iterator[bool]:
    """Tell whether no run of any route is under way, and let none of those that ran before begin meanwhile."""
    folder = node.settings.home / _FOLDER
    handles = []
    try:
        free = True
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            handles.append(os.open(path, os.O_RDWR))
            try:
                fcntl.flock(handles[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                free = False
                break
        yield free
    finally:
        for handle in handles:
            os.close(handle)
