"""Two processes of one hub on one PostgreSQL database share the work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from fairbank import audit
from fairbank.database import reading
from fairbank.federated_jobs.errors import NotApproved
from fairbank.federated_jobs.hub import sites
from fairbank.federated_jobs.hub.store import LeaseRow, RoundRow
from fairbank.federated_jobs.protocol import Claim, Lease, LeaseKind
from fairbank.release.hub_client import HubClient, Retries

pytestmark = pytest.mark.postgres
ZERO = "sha256:" + "0" * 64


@pytest.fixture
def fed(start: Callable[..., Any], postgres_url: str) -> Any:
    return start("east", "north", hub_database=postgres_url, with_background=True)


@pytest.fixture
def other(fed: Any) -> Any:
    return fed.second()


def client_at(fed: Any, name: str, url: str) -> HubClient:
    node = fed.sites[name].node
    opened = HubClient(
        url,
        key=node.key,
        clock=node.clock,
        retries=Retries(attempts=1),
        transport=httpx.HTTPTransport(verify=False),
    )
    fed.sites[name].clients.append(opened)
    return opened


def move_to(fed: Any, name: str, url: str) -> None:
    site = fed.sites[name]
    site.client = lambda: client_at(fed, name, url)
    site.restart()


def claim_at(fed: Any, name: str, url: str, **fields: Any) -> Lease | None:
    message = Claim(audit_seq=0, audit_hash=ZERO, **{"max_wait_s": 0, **fields})
    client = client_at(fed, name, url)
    answer = client.deliver(
        "POST",
        f"/v1/nodes/{name}/claim",
        body=message.to_bytes(),
        content_type="application/json",
        timeout_s=60,
    )
    return Lease.parse(answer.content) if answer.content else None


def test_two_last_approvals_at_two_processes_start_the_job(
    fed: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_to(fed, "north", other.url)
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    # Both have moved their site before either has looked whether all have decided, if that can be.
    both, log = threading.Barrier(2), sites._log

    def hold(*arguments: Any) -> None:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.3)
        log(*arguments)

    monkeypatch.setattr(sites, "_log", hold)
    together([lambda name=name: fed.sites[name].approve(job) for name in fed.sites])
    with reading(fed.hub.engine) as session:
        assert session.get(RoundRow, (job, 1)) is not None


def test_a_node_that_waits_at_one_process_is_woken_by_the_other(fed: Any, other: Any) -> None:
    found: list[Lease | None] = []
    waiting = threading.Thread(
        target=lambda: found.append(claim_at(fed, "east", other.url, max_wait_s=30)), daemon=True
    )
    waiting.start()
    # Submitted at the first process once the second has its claim.
    waits = threading.Event()
    while not other.hub.notifier._waiting:
        waits.wait(0.01)
    fed.submit(fed.manifest(fed.visa()))
    waiting.join(timeout=40)
    # A claim whose time is over gets nothing, without a last look: so it was woken.
    assert [lease.kind for lease in found if lease] == [LeaseKind.REVIEW]


def test_agents_at_two_processes_finish_their_jobs_and_no_lease_is_given_twice(fed: Any, other: Any) -> None:
    move_to(fed, "north", other.url)
    stop = threading.Event()
    agents = [
        threading.Thread(target=site.agent.run, args=(stop,), daemon=True) for site in fed.sites.values()
    ]
    for agent in agents:
        agent.start()
    jobs = [fed.submit(fed.manifest(fed.visa(), rounds=3)) for _ in range(3)]
    waits = threading.Event()
    left = {(job, name) for job in jobs for name in fed.sites}
    while left:
        for job, name in sorted(left):
            with suppress(NotApproved):
                fed.sites[name].approve(job)
                left.discard((job, name))
        waits.wait(0.02)
    for job in jobs:
        view = fed.job(job)
        while view["state"] == "running":
            view = fed.get(f"/v1/jobs/{job}", wait_s=5, seen=view["seen"]).json()
        assert view["state"] == "completed"
    stop.set()
    for agent in agents:
        agent.join(timeout=30)
    with reading(fed.hub.engine) as session:
        # Three jobs of three rounds at two sites, each piece of work given out once.
        rounds = select(func.count(), func.max(LeaseRow.attempt)).where(LeaseRow.round > 0)
        assert session.execute(rounds).one() == (18, 1)
        assert audit.verify(session, audit.HubAudit).seq > 0
    for site in fed.sites.values():
        assert sorted(site.runner.calls) == sorted((job, number) for job in jobs for number in (1, 2, 3))


def test_claims_at_both_processes_share_the_nodes_work(fed: Any, other: Any) -> None:
    jobs = [fed.submit(fed.manifest(fed.visa())) for _ in range(4)]
    given: list[str] = []

    def take_all(name: str, url: str) -> None:
        while (lease := claim_at(fed, name, url)) is not None:
            given.append(f"{name} {lease.job}")
            fed.sites[name].agent._review(lease)

    together(
        [
            lambda: take_all("east", fed.url),
            lambda: take_all("north", other.url),
        ]
    )
    assert sorted(given) == sorted(f"{name} {job}" for name in fed.sites for job in jobs)


def together(calls: list[Callable[[], Any]]) -> None:
    """Do all at the same time, and return when all are done."""
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
