"""Spread the items of a run over processes, with Dask, so that one that kills its process costs one row.

With one worker items are measured here, one after the other. With more, Dask hands them to processes that are spawned,
never forked, one item at a time. With the address of a Dask scheduler they go to the workers of that cluster, which
must see the same files and have the same code.

An item that was under way when a process died is measured again, alone, in a process of its own: if that dies too, its
row says `crashed`. So the rows are the same, whoever was killed and how often.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fairbank.analysis.contract import CRASHED, UNREADABLE, Row, RowStatus
from fairbank.analysis.errors import ItemImpossible, SchedulerUnreachable, ToolDigestMismatch, WorkersUnusable
from fairbank.analysis.journal import Journal
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import NO_MODELS, Desk, Tool, ToolParameters, tool_digest
from fairbank.errors import MissingExtra

Say = Callable[[float], None]
CONNECT_S = 10.0
# How often a cluster may lose a worker over one item before the item is given up.
FAILURES_FORGIVEN = 1


@dataclass(frozen=True, slots=True)
class Task:
    """What is done with every item; it can be sent to another process.

    Args:
        scratch: a folder to work in.
        overlays: where pictures for the curator go.
        models: where the models lie that came with the job.
    """

    tool: Tool
    parameters: ToolParameters
    scratch: Path
    overlays: Path
    models: Path = NO_MODELS

    def measure(self, item: StagedSeries, say: Say = lambda part: None) -> list[Row]:
        """Return the rows of one item, all columns filled in."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            desk = Desk(Path(folder), self.overlays, say, self.models)
            return measure_item(self.tool, item, self.parameters, desk)

    def crashed(self, item: StagedSeries) -> list[Row]:
        """Return the row of an item that killed the process which measured it."""
        return [_filled(self.tool, self.parameters, _without_value(item, RowStatus.ERROR, CRASHED))]


@dataclass(frozen=True, slots=True)
class Workers:
    """Who measures.

    Args:
        processes: how many items are measured at once here.
        scheduler: address of a Dask scheduler whose workers measure instead; empty for none.
    """

    processes: int = 1
    scheduler: str = ""


def measure_item(tool: Tool, item: StagedSeries, parameters: ToolParameters, desk: Desk) -> list[Row]:
    """Return the rows of one item, all columns filled in; an item that fails becomes one row that says so.

    Nothing of an error but its kind is kept: its text may quote what is in a file.
    """
    try:
        measured = tool.measure(item, parameters, desk)
    except ItemImpossible as fault:
        measured = [_without_value(item, RowStatus.IMPOSSIBLE, fault.reason)]
    except Exception:  # noqa: BLE001 - an outermost edge: one odd file must not stop the other items
        measured = [_without_value(item, RowStatus.ERROR, UNREADABLE)]
    return [_filled(tool, parameters, row) for row in measured]


def spread(
    task: Task,
    items: Sequence[StagedSeries],
    *,
    journal: Journal,
    workers: Workers,
    say: Say = lambda part: None,
) -> list[Row]:
    """Return the rows of all items, in their order; what the journal has is not measured again.

    Args:
        task: what is done with each.
        items: all of them.
        journal: takes each item as it is finished.
        workers: who measures.
        say: takes the finished part, from 0 to 1.

    Raises:
        WorkersUnusable: if no process can be started here.
        SchedulerUnreachable: if the scheduler does not answer.
        ToolDigestMismatch: if a worker of the cluster has other code.
        MissingExtra: if Dask is needed and not installed.
    """
    watched = _Watched(journal, len(items), say)
    for item in _left(items, journal):
        if item.unit in journal.begun:
            watched.finish(item, _alone(task, item))
    if workers.scheduler:
        _on_cluster(task, _left(items, journal), workers.scheduler, watched)
    elif workers.processes > 1:
        _on_processes(task, items, workers.processes, watched)
    else:
        for item in _left(items, journal):
            watched.begin(item)
            watched.finish(item, task.measure(item, watched.within))
    return [row for item in items for row in journal.rows[item.unit]]


def on_processes(task: Task, items: Sequence[StagedSeries], *, journal: Journal, workers: Workers) -> None:
    """Measure items by Dask even where there is one process only, which `spread` does without it.

    Raises:
        WorkersUnusable: if no process can be started here.
        MissingExtra: if Dask is not installed.
    """
    _on_processes(task, items, workers.processes, _Watched(journal, len(items), lambda part: None))


class _Watched:
    """A journal that tells how much is done."""

    def __init__(self, journal: Journal, count: int, say: Say) -> None:
        self.journal = journal
        self._count = max(1, count)
        self._say = say
        self.within(0.0)

    def begin(self, item: StagedSeries) -> None:
        self.journal.begin(item.unit)

    def finish(self, item: StagedSeries, rows: Sequence[Row]) -> None:
        self.journal.finish(item.unit, rows)
        self.within(0.0)

    def within(self, part: float) -> None:
        """Tell how much is done, counting the done part of one more item."""
        self._say(min(1.0, (len(self.journal.rows) + min(max(part, 0.0), 1.0)) / self._count))


def _on_processes(task: Task, items: Sequence[StagedSeries], count: int, watched: _Watched) -> None:
    _require("dask")
    journal = watched.journal
    while left := _left(items, journal):
        try:
            _dask(task, left, min(count, len(left)), watched)
        except BrokenProcessPool as err:
            suspects = [item for item in left if item.unit in journal.begun]
            if not suspects:
                raise _unusable(err) from err
            for item in suspects:
                watched.finish(item, _alone(task, item))


def _dask(task: Task, items: Sequence[StagedSeries], count: int, watched: _Watched) -> None:
    """Measure items in `count` processes, writing down each as it comes."""
    from dask.base import compute
    from dask.callbacks import Callback
    from dask.delayed import delayed

    known = {item.unit: item for item in items}

    def begun(key: str, *_: Any) -> None:
        watched.begin(known[key])

    def done(key: str, rows: list[Row], *_: Any) -> None:
        watched.finish(known[key], rows)

    # Bound, not passed: Dask looks for its own objects inside what is passed.
    lazy = [delayed(partial(task.measure, item), pure=False)(dask_key_name=item.unit) for item in items]
    watching = Callback(pretask=begun, posttask=done)  # type: ignore[no-untyped-call]  # the library says no types here
    with _pool(count) as pool, watching:
        # One item per message: rows are written down as they come, and a death costs no other item's time.
        run = {"scheduler": "processes", "pool": pool, "chunksize": 1, "optimize_graph": False}
        compute(*lazy, **run)  # type: ignore[no-untyped-call]  # the library says no types here


def _alone(task: Task, item: StagedSeries) -> list[Row]:
    """Measure one item in a process of its own."""
    try:
        with _pool(1) as pool:
            return pool.submit(task.measure, item).result()
    except BrokenProcessPool:
        return task.crashed(item)


def _pool(count: int) -> ProcessPoolExecutor:
    try:
        return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
    except (OSError, NotImplementedError) as err:
        raise _unusable(err) from err


def _on_cluster(task: Task, items: Sequence[StagedSeries], address: str, watched: _Watched) -> None:
    _require("distributed")
    import dask
    from distributed import Client, KilledWorker, as_completed

    with dask.config.set({"distributed.scheduler.allowed-failures": FAILURES_FORGIVEN}):
        try:
            client = Client(address, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]  # the library says no types here
        except (OSError, ValueError) as err:
            raise SchedulerUnreachable(
                "The Dask scheduler of this site does not answer.",
                why=f"Connecting to the address in analysis_scheduler failed ({type(err).__name__}).",
                todo="Start the cluster, correct the address, or clear the setting to measure at the node itself.",
            ) from err
    with client:
        here = tool_digest(task.tool.name)
        _require_same_code(client.run(tool_digest, task.tool.name).values(), task.tool.name)
        submitted = {}
        for item in items:
            watched.begin(item)
            submitted[client.submit(_measured_by, task, here, item, key=item.unit, pure=False)] = item
        finished = as_completed(list(submitted), loop=client.loop)  # type: ignore[no-untyped-call]  # the library says no types here
        for future in finished:
            item = submitted.pop(future)
            try:
                rows = future.result()
            except KilledWorker:
                rows = task.crashed(item)
            watched.finish(item, rows)


def _measured_by(task: Task, digest: str, item: StagedSeries) -> list[Row]:
    """Measure one item at a worker of a cluster, which may have joined after the others were asked for their code."""
    if tool_digest(task.tool.name) != digest:
        raise _other_code(task.tool.name)
    return task.measure(item)


def _require_same_code(digests: Iterable[str], name: str) -> None:
    here = tool_digest(name)
    if not all(digest == here for digest in digests):
        raise _other_code(name)


def _other_code(name: str) -> ToolDigestMismatch:
    return ToolDigestMismatch(
        f"A worker of the cluster has other code of {name!r} than this node.",
        why="A site runs only the code that was approved, byte for byte.",
        todo="Install one version of fairbank at the node and at all workers.",
    )


def _left(items: Sequence[StagedSeries], journal: Journal) -> list[StagedSeries]:
    return [item for item in items if item.unit not in journal.rows]


def _without_value(item: StagedSeries, status: RowStatus, reason: str) -> Row:
    return {"row": item.unit, "status": status.value, "reason": reason}


def _filled(tool: Tool, parameters: ToolParameters, row: Row) -> Row:
    return {name: row.get(name) for name in tool.contract(parameters).names}


def _require(module: str) -> None:
    if find_spec(module) is None:
        extra = "analysis" if module == "dask" else "dask"
        raise MissingExtra.named(extra, needed_for="Measuring on several workers")


def _unusable(err: BaseException) -> WorkersUnusable:
    return WorkersUnusable(
        "No process can be started to measure in.",
        why=f"This machine, or the job's sandbox, does not allow it ({type(err).__name__}).",
        todo="Set analysis_workers to 1, or allow the job more processes and memory.",
    )
