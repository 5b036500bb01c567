"""Where the work is done: here, in spawned processes, or on a Dask cluster. Results come in the order of tasks."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from typing import Any, Protocol, TypeVar

from fairbank.errors import MissingExtra

Task = TypeVar("Task")
Result = TypeVar("Result")
_WAITING_PER_WORKER = 3


class Workers(Protocol):
    """Where functions of a module are called."""

    def in_order(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        *,
        lost: Callable[[Task], Result],
        stopped: Callable[[], bool],
    ) -> Iterator[Result]:
        """Yield the results of tasks in their order; never more than a few tasks are under way.

        Args:
            work: a function of a module, or a partial of one.
            lost: gives the result of a task that ended the process it ran in, twice.
            stopped: asked before each task; once it says yes no further task begins, and those under way are finished.
        """
        ...

    def close(self) -> None:
        """Let go of what was started."""
        ...


class Here:
    """This process."""

    def in_order(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        *,
        lost: Callable[[Task], Result],
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[Result]:
        """Yield the results of tasks, one done after the other."""
        for task in tasks:
            if stopped():
                return
            yield work(task)

    def close(self) -> None:
        """Do nothing."""


class Processes:
    """Spawned processes of this machine; they end when this process ends, however it does."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: Executor | None = None

    def in_order(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        *,
        lost: Callable[[Task], Result],
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[Result]:
        """Yield the results of tasks; see `Workers`."""
        waiting: deque[tuple[Task, Future[Result]]] = deque()
        for task in tasks:
            if stopped():
                break
            waiting.append((task, self._submitted(work, task)))
            while len(waiting) >= self._count * _WAITING_PER_WORKER:
                yield self._first(waiting, work, lost)
        while waiting:
            if stopped() and waiting[0][1].cancel():
                break
            yield self._first(waiting, work, lost)
        for _, future in waiting:
            future.cancel()

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _submitted(self, work: Callable[[Task], Result], task: Task) -> Future[Result]:
        if self._pool is None:
            self._pool = _pool(self._count)
        try:
            return self._pool.submit(work, task)
        except BrokenProcessPool:
            broken: Future[Result] = Future()
            broken.set_exception(BrokenProcessPool())
            return broken

    def _first(
        self,
        waiting: deque[tuple[Task, Future[Result]]],
        work: Callable[[Task], Result],
        lost: Callable[[Task], Result],
    ) -> Result:
        task, future = waiting.popleft()
        try:
            return future.result()
        except BrokenProcessPool:
            # Which of the tasks under way ended its process is not known: each is tried again, alone.
            self.close()
            return _alone(work, task, lost)


def _pool(count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_start)


def _alone(work: Callable[[Task], Result], task: Task, lost: Callable[[Task], Result]) -> Result:
    with _pool(1) as pool:
        try:
            return pool.submit(work, task).result()
        except BrokenProcessPool:
            return lost(task)


def _start() -> None:
    """Leave signals to the process that started this one, and end when that one ends, even by SIGKILL."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


class Cluster:
    """The workers of a Dask cluster; they must see the same folders and key file under the same names.

    Raises:
        MissingExtra: if Dask is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as err:
            raise MissingExtra.named("dask", needed_for="Work on a Dask cluster") from err
        self._client: Any = Client(address)  # type: ignore[no-untyped-call]  # the library has no types

    def in_order(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        *,
        lost: Callable[[Task], Result],
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[Result]:
        """Yield the results of tasks; see `Workers`."""
        from distributed import KilledWorker

        waiting: deque[tuple[Task, Any]] = deque()
        width = _WAITING_PER_WORKER * max(1, len(self._client.scheduler_info()["workers"]))

        def first() -> Result:
            task, future = waiting.popleft()
            try:
                result: Result = future.result()
            except KilledWorker:
                return lost(task)
            return result

        for task in tasks:
            if stopped():
                break
            waiting.append((task, self._client.submit(work, task, pure=False, retries=1)))
            while len(waiting) >= width:
                yield first()
        while waiting:
            yield first()

    def close(self) -> None:
        """Leave the cluster, which goes on."""
        self._client.close()


def workers(count: int, scheduler: str | None = None) -> Workers:
    """Return where to work: on a cluster if its address is given, else in so many processes.

    Raises:
        MissingExtra: if a cluster is asked for and Dask is not installed.
    """
    if scheduler is not None:
        return Cluster(scheduler)
    return Processes(count) if count > 1 else Here()
