"""Whose round a node gets next, and whether it has room for it."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import zip_longest

import pytest
from sqlalchemy import update

from fairbank.catalogue import accounts
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub.leases import lease_next
from fairbank.federated_jobs.hub.priorities import set_priority
from fairbank.federated_jobs.hub.store import JobRow, LeaseRow, SiteRow
from fairbank.federated_jobs.protocol import Claim, LeaseKind, Priority, Room
from fairbank.ontology.signed_objects import Resources

ZERO = "sha256:" + "0" * 64
GIB = 2**30
ADMIN = accounts.Account("root", frozenset({accounts.Role.ADMIN}), None)
ADA = accounts.Account("ada", frozenset({accounts.Role.RESEARCHER}), None)


@pytest.fixture
def fed(start):
    return start("east")


def queued(fed, *accounts_of_jobs: str, asked: tuple[Resources, ...] = ()) -> list[str]:
    """Submit a job for each account, in this order, and let the site approve it; `asked` is what each needs."""
    jobs = []
    for account, resources in zip_longest(accounts_of_jobs, asked):
        job = fed.submit(fed.manifest(fed.visa(), resources=resources))
        with writing(fed.hub.engine) as session:
            session.execute(update(JobRow).where(JobRow.id == job).values(account=account))
        jobs.append(job)
        fed.clock.advance(1)
    fed.settle()
    for job in jobs:
        fed.sites["east"].approve(job)
    fed.close_rounds()
    return jobs


def given(fed, times: int, **fields) -> list[str]:
    """Claim so often, holding what was given, and return the jobs in the order in which they came."""
    holding: list[str] = []
    found = []
    for _ in range(times):
        message = Claim(max_wait_s=0, audit_seq=0, audit_hash=ZERO, holding=tuple(holding), **fields)
        with writing(fed.hub.engine) as session:
            lease = lease_next(fed.hub, session, "east", message)
        if lease is None:
            break
        assert lease.kind is LeaseKind.ROUND
        holding.append(lease.id)
        found.append(lease.job)
        fed.clock.advance(1)
    return found


def prioritise(fed, job: str, priority: Priority, who=ADMIN) -> None:
    with writing(fed.hub.engine) as session:
        set_priority(fed.hub, session, job, priority, who=who)


def test_requesters_take_turns_however_many_jobs_one_of_them_sent(fed):
    first, second, third, of_bob, of_cyd = queued(fed, "ada", "ada", "ada", "bob", "cyd")
    assert given(fed, 5) == [first, of_bob, of_cyd, second, third]


def test_a_higher_priority_comes_first_and_a_lower_one_last(fed):
    first, second, third = queued(fed, "ada", "bob", "cyd")
    prioritise(fed, third, Priority.HIGH)
    prioritise(fed, first, Priority.LOW)
    assert given(fed, 3) == [third, second, first]


def test_a_job_that_has_waited_for_long_comes_before_a_higher_priority(fed):
    early, late = queued(fed, "ada", "bob")
    prioritise(fed, early, Priority.LOW)
    with writing(fed.hub.engine) as session:
        session.get_one(SiteRow, (early, "east")).since -= timedelta(hours=2)
    assert given(fed, 2) == [early, late]


def test_a_requester_lowers_a_job_of_hers_and_does_not_raise_it(fed):
    (job,) = queued(fed, "ada")
    answer = fed.post(f"/v1/jobs/{job}/priority", b'{"schema": "priority/1", "priority": "low"}')
    assert (answer.status_code, answer.json()["priority"]) == (200, "low")
    answer = fed.post(f"/v1/jobs/{job}/priority", b'{"schema": "priority/1", "priority": "normal"}')
    assert (answer.status_code, answer.json()["code"]) == (403, "FB-JOBS-160")
    assert fed.job(job)["priority"] == "low"


def test_a_job_of_somebody_else_is_not_touched(fed):
    (job,) = queued(fed, "bob")
    answer = fed.post(f"/v1/jobs/{job}/priority", b'{"schema": "priority/1", "priority": "low"}')
    assert (answer.status_code, answer.json()["code"]) == (404, "FB-JOBS-020")


@pytest.mark.parametrize(
    ("room", "fits"),
    [
        (Room(jobs=1, memory_bytes=4 * GIB, worker_bytes=8 * GIB), True),
        (Room(jobs=0, memory_bytes=4 * GIB, worker_bytes=8 * GIB), False),
        (Room(jobs=1, memory_bytes=3 * GIB, worker_bytes=8 * GIB), False),
        # No worker gets more than the site gives to one, whatever its job asks for.
        (Room(jobs=1, memory_bytes=3 * GIB, worker_bytes=3 * GIB), True),
    ],
)
def test_a_node_gets_only_what_it_has_room_for(fed, room, fits):
    jobs = queued(fed, "ada", asked=(Resources(memory_bytes=4 * GIB),))
    assert given(fed, 1, room=room) == (jobs if fits else [])


def test_what_fits_is_given_past_what_does_not(fed):
    asked = (Resources(memory_bytes=8 * GIB), Resources(memory_bytes=GIB))
    _, small = queued(fed, "ada", "bob", asked=asked)
    room = Room(jobs=1, memory_bytes=2 * GIB, worker_bytes=8 * GIB)
    assert given(fed, 2, room=room) == [small]


def test_a_job_that_asks_for_more_gpus_than_a_site_has_is_refused_there(fed):
    job = fed.submit(fed.manifest(fed.visa(), resources=Resources(gpus=2)))
    fed.settle()
    assert fed.site_state(job, "east") == ("rejected", "no_room")


def test_a_node_computes_as_many_jobs_at_once_as_its_site_allows(start):
    fed = start()
    site = fed.add("east", jobs_at_once=2)
    jobs = queued(fed, "ada", "bob", "cyd")
    both = threading.Barrier(2)
    at_work: list[int] = []

    def meet(task) -> None:
        at_work.append(len(site.agent._lanes.jobs()))
        if len(site.runner.calls) <= 2:
            both.wait(30)

    site.runner.before = meet
    stop = threading.Event()
    agent = threading.Thread(target=site.agent.run, args=(stop,), daemon=True)
    agent.start()
    waits = threading.Event()
    while {fed.site_state(job, "east")[0] for job in jobs} != {"released"}:
        waits.wait(0.02)
    stop.set()
    agent.join(timeout=30)
    fed.close_rounds()
    # The two met, so they were computed at the same time, and never a third beside them.
    assert max(at_work) == 2
    assert [fed.state(job) for job in jobs] == ["completed"] * 3
    with reading(fed.hub.engine) as session:
        assert {row.attempt for row in session.query(LeaseRow).where(LeaseRow.round == 1)} == {1}
