"""A Dask cluster is one more place to work at: the same results in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.deid.conftest import as_file, ct_dataset
from tests.deid.running.conftest import Bench, put_series

from fairbank.deid.running.workers import Cluster, workers

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Return the address of a scheduler on loopback with two workers in this process."""
    import dask

    with dask.config.set({"distributed.worker.daemon": False, "distributed.admin.tick.limit": "1h"}):
        cluster: Any = distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
            host="127.0.0.1",
            protocol="tcp://",
            silence_logs=50,
        )
        yield cluster.scheduler_address
        cluster.close()


def test_a_cluster_makes_the_same_bytes(bench: Bench, scheduler: str, tmp_path: Path) -> None:
    put_series(bench, patients=2, series=2, instances=2)
    dataset = ct_dataset("PATIENT-9")
    dataset.BurnedInAnnotation = "YES"
    bench.put("screen.dcm", as_file(dataset))
    bench.run()
    alone, held = bench.outputs(), bench.held()
    pool = workers(1, scheduler)
    assert isinstance(pool, Cluster)
    bench.target = tmp_path / "by-cluster"
    try:
        ended = bench.run(workers=pool)
    finally:
        pool.close()
    assert ended.complete
    assert (bench.outputs(), bench.held()) == (alone, held)


def test_results_come_in_the_order_of_tasks_and_few_are_under_way(scheduler: str) -> None:
    drawn = 0

    def tasks() -> Iterator[int]:
        nonlocal drawn
        for number in range(40):
            drawn += 1
            yield number

    pool = workers(1, scheduler)
    try:
        results = pool.in_order(abs, tasks(), lost=lambda task: -1, stopped=lambda: False)
        assert next(results) == 0
        assert drawn <= 8
        assert list(results) == list(range(1, 40))
    finally:
        pool.close()
