"""What a query costs: through the hub's own query workers, in DuckDB, in two RDF engines; processor seconds."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairbank.catalogue import query_pool
from fairbank.catalogue.query_pool import CURRENT, QueryPool, Question
from fairbank.settings import Settings

LONGEST_S = 170


class Workers:
    """The hub's query workers over one folder of snapshots, one worker, with time enough for the slow side."""

    def __init__(self, rdf: Path, *, prefix: str = "", union: bool = True) -> None:
        settings = replace(
            Settings(), sparql_workers=1, sparql_timeout_s=LONGEST_S, sparql_memory_bytes=4 * 2**30
        )
        self._pool = QueryPool(settings, rdf)
        self._prefix, self._union = prefix, union
        self._graphs = _graphs(rdf) if union else []

    def __enter__(self) -> Workers:
        # A query that steps back takes its worker with it, and the count of its processor time: here all stay.
        self._moment_s, query_pool._MOMENT_S = query_pool._MOMENT_S, LONGEST_S
        return self

    def __exit__(self, *_: object) -> None:
        query_pool._MOMENT_S = self._moment_s
        self._pool.close()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of an answer, as they are on the wire, sorted."""
        question = Question(self._prefix + query, visible=self._graphs, default_is_union=self._union)
        answer = json.loads(self._pool.ask(question).content)
        names = answer["head"]["vars"]
        rows = (tuple(_plain(row[name]) for name in names) for row in answer["results"]["bindings"])
        return sorted(rows, key=repr)

    def answered(self, query: str, *, times: int) -> tuple[list[tuple[Any, ...]], float]:
        """Return a query's answer, and the processor seconds of the worker for one run of it, mean of some."""
        self.ask("SELECT (1 AS ?one) {}")
        (worker,) = self._pool._workers
        pid = worker._process.pid
        before = _on_processor_s(pid)
        for _ in range(times):
            rows = self.ask(query)
        return rows, (_on_processor_s(pid) - before) / times


def of_this_process(run: Callable[[], object], *, times: int) -> float:
    """Return the processor seconds of this process for one run of something, median of some."""
    used = []
    for _ in range(times):
        before = time.process_time()
        run()
        used.append(time.process_time() - before)
    return statistics.median(used)


def as_answers(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return rows in the form of `Workers.ask`."""
    return sorted((tuple(row) for row in rows), key=repr)


def _plain(term: dict[str, str]) -> str | int:
    value = term["value"]
    if term.get("datatype", "").endswith("#integer"):
        return int(value)
    return value.rpartition("/")[2] if value.startswith("http") else value.removeprefix("urn:d:")


def _on_processor_s(pid: int) -> float:
    # Documentation/scheduler/sched-stats.rst of Linux: time on a processor in nanoseconds, per thread.
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _graphs(rdf: Path) -> list[str]:
    import pyoxigraph as ox

    store = ox.Store.read_only(str((rdf / CURRENT).resolve()))
    return [graph.value for graph in store.named_graphs() if isinstance(graph, ox.NamedNode)]
