"""How queries that take long make way for those that do not, and for those of other callers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fairbank.catalogue import rdf_files
from fairbank.catalogue.errors import CatalogueError, QueryBusy, QueryTimeout
from fairbank.catalogue.query_pool import QueryPool, Question
from fairbank.catalogue.rdf_files import RdfFile
from fairbank.settings import Settings

ENDLESS = Question(
    "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }", visible=(), default_is_union=False
)
POINT = Question("SELECT ?o { <urn:s7> <urn:p> ?o }", visible=(), default_is_union=False)
# Longer than a moment, and with an end.
LONG = Question(
    "SELECT (COUNT(*) AS ?n) { { SELECT ?c { ?a ?b ?c } LIMIT 400 } ?d ?e ?f FILTER (STRLEN(?c) + STRLEN(?f) > 0) }",
    visible=(),
    default_is_union=False,
)
LIMIT_S = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    lines = (f'<urn:s{number}> <urn:p> "value {number}" .\n' for number in range(1_200))
    (folder / "many.nt").write_text("".join(lines), encoding="utf-8")
    rdf_files.load([RdfFile(folder / "many.nt")], folder / "rdf")
    return folder / "rdf"


@pytest.fixture
def pool(folder: Path) -> Iterator[QueryPool]:
    opened = QueryPool(replace(Settings(), sparql_workers=3, sparql_timeout_s=LIMIT_S), folder)
    yield opened
    opened.close()


class Asked(threading.Thread):
    """A query that is under way."""

    def __init__(self, pool: QueryPool, question: Question, caller: str) -> None:
        super().__init__()
        self._ask = lambda: pool.ask(question, caller=caller)
        self.error: CatalogueError | None = None
        self.took_s = 0.0
        self.start()

    def run(self) -> None:
        began = time.monotonic()
        try:
            self._ask()
        except CatalogueError as error:
            self.error = error
        self.took_s = time.monotonic() - began


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def priorities(pool: QueryPool) -> list[int]:
    with pool._lock:
        workers = list(pool._workers)
    return sorted(os.getpriority(os.PRIO_PROCESS, worker._process.pid) for worker in workers)


def test_a_query_that_takes_long_steps_back_and_another_worker_takes_its_place(pool: QueryPool) -> None:
    pool.ask(POINT)
    asked = Asked(pool, ENDLESS, "a")
    until(lambda: 19 in priorities(pool) and 0 in priorities(pool))
    # Nobody waits for it.
    began = time.monotonic()
    for _ in range(20):
        assert pool.ask(POINT, caller="b").rows == 1
    assert time.monotonic() - began < LIMIT_S
    asked.join()
    assert isinstance(asked.error, QueryTimeout)
    assert asked.took_s < LIMIT_S + 1.5
    assert 19 not in priorities(pool)


def test_a_query_that_takes_long_has_its_answer_in_the_end(pool: QueryPool) -> None:
    patient = QueryPool(replace(pool._settings, sparql_timeout_s=60), pool._rdf)
    assert patient.ask(LONG).rows == 1
    patient.close()


def test_one_caller_has_one_long_query_at_a_time_and_another_has_his_own(pool: QueryPool) -> None:
    # With more time than a busy machine could make the start of a worker take.
    patient = QueryPool(replace(pool._settings, sparql_timeout_s=60), pool._rdf)
    asked = [Asked(patient, ENDLESS, "greedy") for _ in range(3)]
    until(lambda: priorities(patient).count(19) == 1)
    asked.append(Asked(patient, ENDLESS, "modest"))
    until(lambda: priorities(patient).count(19) == 2)
    assert patient.ask(POINT, caller="third").rows == 1
    assert priorities(patient).count(19) == 2
    while any(each.is_alive() for each in asked):
        patient.close()
        time.sleep(0.05)
    patient.close()


def test_whoever_waits_for_a_long_place_holds_no_worker(pool: QueryPool) -> None:
    first = Asked(pool, ENDLESS, "greedy")
    until(lambda: any(priority > 0 for priority in priorities(pool)))
    asked = [first, *(Asked(pool, ENDLESS, "greedy") for _ in range(3))]
    most = 0
    while any(each.is_alive() for each in asked):
        most = max(most, len(priorities(pool)))
        time.sleep(0.02)
    # One for each ready place, and the one that goes on.
    assert most <= 4
    # Who ran all the time is told that it was too long; who could not begin in time, that others were in the way. Of
    # those one may still get the place of the first, in what is left of its time.
    assert isinstance(first.error, QueryTimeout)
    assert {type(each.error) for each in asked} == {QueryBusy, QueryTimeout}


def test_a_worker_that_was_killed_from_outside_is_replaced(pool: QueryPool) -> None:
    pool.ask(POINT)
    for worker in list(pool._workers):
        worker._process.kill()
        worker._process.wait()
    assert pool.ask(POINT).rows == 1
