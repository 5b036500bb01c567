"""What becomes of jobs whose tool is revoked while sites hold, compute or wait for them."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from tests.federated_jobs.test_tool_registry import Registry

from fairbank import audit
from fairbank.database import reading
from fairbank.federated_jobs.hub.store import LeaseRow
from fairbank.federated_jobs.node.carried_tools import carried
from fairbank.federated_jobs.node.errors import WorkerCancelled
from fairbank.federated_jobs.node.reporting import renew
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.release.releases import ReleaseState


@pytest.fixture
def fed(start):
    return start("east", "north")


@pytest.fixture
def registry(fed):
    made = Registry(fed)
    made.accepted()
    return made


def approved(fed, **options) -> str:
    job = fed.submit(fed.manifest(fed.visa(), **options))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.close_rounds()
    return job


def at_the_site(site, job: str) -> tuple[str, str, bool]:
    with reading(site.node.engine) as session:
        row = session.get_one(ReviewRow, job)
        return row.state, row.reason, row.ended


def test_a_site_that_computes_hears_of_it_with_its_renewal_and_sends_nothing(fed, registry):
    job, site, heard = approved(fed, rounds=2), fed.sites["east"], []

    def computing(task) -> None:
        with reading(fed.hub.engine) as session:
            lease = session.get_one(LeaseRow, (job, "east", 1)).id
        assert not renew(site.node, site.outbox, job, lease, timeout_s=10).stop
        registry.act("revoke", "ada")
        answer = renew(site.node, site.outbox, job, lease, timeout_s=10)
        heard.append((answer.stop, answer.reason.value))
        # As the worker's end makes it known.
        raise WorkerCancelled("ended")

    site.runner.before = computing
    fed.settle("east")
    assert heard == [(True, "tool_revoked")]
    assert at_the_site(site, job) == ("failed", "tool_revoked", True)
    assert site.outbox.pending() == []
    assert job in site.runner.forgotten


def test_a_site_that_waits_or_has_not_decided_hears_of_it_with_its_next_claim(fed, registry):
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    fed.sites["east"].approve(job)
    registry.act("revoke", "rolf")
    fed.settle()
    assert at_the_site(fed.sites["east"], job) == ("failed", "tool_revoked", True)
    assert at_the_site(fed.sites["north"], job) == ("expired", "tool_revoked", True)
    assert fed.sites["east"].runner.calls == []
    for site in fed.sites.values():
        assert {one.state for one in carried(site.node)} == {"revoked"}


def test_its_requester_sees_why_and_cannot_have_it_tried_again(fed, registry):
    job = approved(fed)
    registry.act("revoke", "ada")
    seen = fed.job(job)
    assert (seen["state"], seen["reason"]) == ("failed", "tool_revoked")
    assert {(one["state"], one["reason"]) for one in seen["sites"]} == {("failed", "tool_revoked")}
    assert fed.post(f"/v1/jobs/{job}/retry").status_code == 409
    with reading(fed.hub.engine) as session:
        acts = session.scalars(select(audit.HubAudit).where(audit.HubAudit.target == job)).all()
    assert (acts[-1].act, acts[-1].actor, acts[-1].detail["reason"]) == ("job.failed", "ada", "tool_revoked")


def test_what_is_staged_then_is_refused_and_kept_back(fed, registry):
    job, site = approved(fed, rounds=2), fed.sites["east"]

    def revoked_meanwhile(task) -> None:
        registry.act("revoke", "ada")

    site.runner.before = revoked_meanwhile
    site.agent.step()
    with reading(fed.hub.engine) as session:
        assert session.get_one(LeaseRow, (job, "east", 1)).open is False
    fed.settle()
    assert fed.get(f"/v1/jobs/{job}/results").json()["received"] == []
    assert site.outbox.pending() == []
    assert [one.job for one in site.outbox.pending(state=ReleaseState.WITHHELD)] == [job]


def test_a_deprecated_tool_and_other_tools_stop_nothing(fed, registry):
    job = approved(fed)
    other = fed.submit(fed.manifest(fed.visa(), "slice-autoencoder"))
    registry.act("deprecate", "ada")
    assert fed.state(job) == "running"
    registry.act("revoke", "ada")
    assert (fed.state(job), fed.state(other)) == ("failed", "running")
