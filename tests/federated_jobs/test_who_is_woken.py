"""Of the nodes that wait for work, those are woken that a change of a job concerns, and no others."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from fairbank import events
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub.store import LeaseRow, SiteRow
from fairbank.federated_jobs.manifest import dataset_iri
from fairbank.federated_jobs.node.reporting import renew

BASE = "http://hub.test"


@pytest.fixture
def fed(start):
    return start("east", "north")


@pytest.fixture
def woken(fed, monkeypatch):
    """Return a function that does something and tells which nodes were woken for work."""
    heard: list[bool | frozenset[str]] = []
    tell = fed.hub.notifier.notify

    def listening(*, work=False, **others) -> None:
        heard.append(work if isinstance(work, bool) else frozenset(work))
        tell(work=work, **others)

    monkeypatch.setattr(fed.hub.notifier, "notify", listening)

    def by(act) -> set[str]:
        heard.clear()
        act()
        assert True not in heard, "everybody was woken"
        return {node for nodes in heard if nodes is not False for node in nodes}

    return by


def test_a_job_wakes_the_sites_that_it_asks(fed, woken):
    visa = fed.visa()
    whole = fed.manifest(visa)
    north = [one for one in whole.datasets if one.iri == dataset_iri(BASE, "north", "collection")]
    only = fed.manifest(visa, datasets=north)
    assert woken(lambda: fed.submit(only)) == {"north"}
    assert woken(lambda: fed.submit(whole)) == {"east", "north"}


def test_what_a_site_takes_up_and_says_of_itself_wakes_nobody_until_a_round_opens(fed, woken):
    job = fed.submit(fed.manifest(fed.visa(), rounds=2))
    assert woken(fed.settle) == set()
    assert woken(lambda: fed.sites["east"].approve(job)) == set()
    assert woken(lambda: fed.sites["north"].approve(job)) == {"east", "north"}
    assert woken(fed.sites["east"].agent.step) == set()
    assert woken(fed.sites["north"].agent.step) == set()
    assert woken(fed.close_rounds) == {"east", "north"}


def test_the_end_of_a_job_wakes_who_has_to_stop(fed, woken):
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    assert woken(lambda: fed.post(f"/v1/jobs/{job}/cancel")) == {"east", "north"}


def test_work_that_comes_back_wakes_the_site_that_it_is_for(fed, woken):
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle("east")
    assert fed.sites["north"].agent._claim(0) is not None
    fed.clock.advance(61)
    # The review that north was given has lapsed with its lease.
    assert woken(fed.close_rounds) == {"north"}
    for site in fed.sites.values():
        site.agent.step()
        site.approve(job)
    lease, _ = fed.sites["east"].agent._claim(0)
    assert (
        woken(lambda: renew(fed.sites["east"].node, fed.sites["east"].outbox, job, lease.id, timeout_s=9))
        == set()
    )
    fed.clock.advance(61)
    assert woken(fed.close_rounds) == {"east"}


def test_a_pause_that_is_over_wakes_the_site_that_was_put_off(fed, woken):
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    with writing(fed.hub.engine) as session:
        session.get_one(SiteRow, (job, "east")).not_before = fed.clock.now() + timedelta(seconds=30)
    fed.clock.advance(31)
    assert woken(fed.close_rounds) == {"east"}


@pytest.mark.parametrize(("kind", "to_do"), [("grant.paused", False), ("grant.revoked", True)])
def test_a_grant_that_is_paused_or_revoked_wakes_the_sites_of_its_jobs(fed, woken, kind, to_do):
    visa = fed.visa()
    job = fed.submit(fed.manifest(visa))
    fed.settle()
    grant = fed.grants[visa.digest]
    datasets = [dataset_iri(BASE, name, "collection") for name in ("east", "north")]

    def happens() -> None:
        with writing(fed.hub.engine) as session:
            detail = {"request": grant.request_id, "datasets": datasets}
            events.append(
                session, events.HubEvent, clock=fed.clock, kind=kind, subject=grant.request_id, detail=detail
            )
        fed.close_rounds()

    assert woken(happens) == {"east", "north"}
    assert (fed.state(job) == "failed") == to_do


def test_a_node_that_waits_is_given_at_once_what_comes_for_it(fed):
    """With a claim that waits at the hub: who is not woken would wait to the end."""
    given = []
    waiting = threading.Thread(target=lambda: given.append(fed.sites["east"].agent._claim(50)), daemon=True)
    waiting.start()
    while not fed.hub.notifier._waiting:
        waiting.join(0.01)
    fed.submit(fed.manifest(fed.visa()))
    waiting.join(20)
    assert given and given[0] is not None
    with reading(fed.hub.engine) as session:
        assert session.query(LeaseRow).one().node == "east"
