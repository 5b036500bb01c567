"""Leases: who gets what, for how long, and what becomes of work that nobody finishes."""

from __future__ import annotations

import pytest

from fairbank.database import reading, writing
from fairbank.errors import RemoteError
from fairbank.federated_jobs.hub.leases import lease_next, requeue_lapsed
from fairbank.federated_jobs.hub.store import AnchorRow, LeaseRow
from fairbank.federated_jobs.protocol import Claim, LeaseKind, LeaseWork, Renew, Renewed

ZERO = "sha256:" + "0" * 64


@pytest.fixture
def fed(start):
    return start("east", "north")


def claim(fed, name: str, **fields):
    message = Claim(max_wait_s=0, audit_seq=0, audit_hash=ZERO, **fields)
    with writing(fed.hub.engine) as session:
        return lease_next(fed.hub, session, name, message)


def started(fed) -> str:
    job = fed.submit(fed.manifest(fed.visa(), rounds=2))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.close_rounds()
    return job


def test_a_review_comes_before_a_round_and_stopping_before_both(fed):
    job = started(fed)
    fed.submit(fed.manifest(fed.visa()))
    gone = "01890000-0000-7000-8000-000000000000"
    assert claim(fed, "east", busy=(job, gone)).kind is LeaseKind.STOP
    assert claim(fed, "east", busy=(job,)).kind is LeaseKind.REVIEW


def test_work_is_handed_to_the_node_that_it_is_for(fed):
    started(fed)
    east, north = claim(fed, "east"), claim(fed, "north")
    assert (east.round, north.round) == (1, 1)
    assert east.id != north.id
    assert claim(fed, "west") is None


def test_a_node_that_holds_its_lease_gets_nothing_twice(fed):
    started(fed)
    lease = claim(fed, "east")
    assert claim(fed, "east", holding=(lease.id,)) is None


def test_a_node_that_lost_its_lease_gets_the_work_again_at_once(fed):
    job = started(fed)
    first = claim(fed, "east")
    second = claim(fed, "east")
    assert (second.job, second.round) == (first.job, first.round)
    assert second.id != first.id
    with reading(fed.hub.engine) as session:
        assert session.get_one(LeaseRow, (job, "east", 1)).attempt == 2


def test_a_lease_that_is_not_renewed_lapses(fed):
    job = started(fed)
    claim(fed, "east")
    assert fed.site_state(job, "east")[0] == "leased"
    fed.clock.advance(61)
    fed.close_rounds()
    assert fed.site_state(job, "east")[0] == "queued"


def test_a_lease_that_is_renewed_lives_on(fed):
    job = started(fed)
    lease = claim(fed, "east")
    fed.clock.advance(40)
    assert not _renew(fed, lease.id).stop
    fed.clock.advance(40)
    with writing(fed.hub.engine) as session:
        assert requeue_lapsed(fed.hub, session) == 0
    assert fed.site_state(job, "east")[0] == "running"


def test_a_lease_of_another_node_cannot_be_renewed(fed):
    started(fed)
    lease = claim(fed, "east")
    with pytest.raises(RemoteError) as caught:
        _renew(fed, lease.id, name="north")
    assert caught.value.remote_code == "FB-JOBS-022"


def test_a_renewal_tells_that_the_job_is_cancelled(fed):
    job = started(fed)
    lease = claim(fed, "east")
    fed.post(f"/v1/jobs/{job}/cancel")
    answer = _renew(fed, lease.id)
    assert (answer.stop, answer.reason.value) == (True, "job_cancelled")


def test_an_output_counts_though_its_lease_has_lapsed(fed):
    job = started(fed)
    site = fed.sites["east"]

    def slow(task):
        fed.clock.advance(120)
        fed.close_rounds()

    site.runner.before = slow
    site.agent.step()
    assert fed.site_state(job, "east")[0] == "released"


def test_the_heads_of_the_audit_logs_are_kept_on_the_other_side(fed):
    started(fed)
    fed.settle()
    with reading(fed.hub.engine) as session:
        assert session.query(AnchorRow).count() > 0
    from fairbank.federated_jobs.node.store import AnchorRow as HubHead

    with reading(fed.sites["east"].node.engine) as session:
        assert session.query(HubHead).count() > 0


def _renew(fed, lease: str, *, name: str = "east") -> Renewed:
    answer = fed.sites[name].outbox.control("PUT", f"/v1/leases/{lease}", Renew(state=LeaseWork.WORKING))
    return Renewed.parse(answer)
