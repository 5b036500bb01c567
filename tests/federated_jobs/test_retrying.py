"""What failed at a site is tried again: by the hub after a pause, by people when they say so, and never for ever."""

from __future__ import annotations

import json

import pytest
from tests.federated_jobs.catalogue_rows import dataset_row

from fairbank import audit
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub.retrying import MAY_RETRY, Who
from fairbank.federated_jobs.hub.store import JobRow, SiteRow
from fairbank.federated_jobs.node.errors import WorkerCrashed, WorkerOutOfMemory
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.federated_jobs.reasons import Reason


class Fails:
    """Fails so many times, then lets the runner do its work."""

    def __init__(self, kind: type[Exception], times: int) -> None:
        self._kind, self._left = kind, times

    def __call__(self, task) -> None:
        if self._left:
            self._left -= 1
            raise self._kind("It failed.")


@pytest.fixture
def fed(start):
    return start("east", "north")


def retried(fed, job: str, **parameters):
    query = "".join(f"?{name}={value}" for name, value in parameters.items())
    return fed.post(f"/v1/jobs/{job}/retry{query}", json.dumps({}).encode())


def test_a_job_that_failed_for_want_of_a_site_goes_on_when_its_requester_says_so(fed):
    fed.sites["east"].runner.before = Fails(WorkerOutOfMemory, 1)
    job = fed.run()
    assert (fed.state(job), fed.site_state(job, "east")) == ("failed", ("failed", "out_of_memory"))
    answer = retried(fed, job)
    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    fed.settle()
    assert fed.state(job) == "completed"
    with reading(fed.hub.engine) as session:
        assert session.get_one(JobRow, job).ended is not None
        acts = [entry.act for entry in session.query(audit.HubAudit)]
        assert acts.count("job.retry") == 1 and audit.verify(session, audit.HubAudit).seq > 0
    with reading(fed.sites["east"].node.engine) as session:
        assert session.get_one(ReviewRow, job).retries == 1
    # The same bits as a job that was not disturbed: 1 and 2 steps on average.
    assert sorted(fed.sites["east"].runner.calls) == [(job, 1), (job, 1)]


def test_a_site_that_dropped_out_comes_back_while_the_job_goes_on(fed):
    fed.sites["east"].runner.before = Fails(WorkerOutOfMemory, 1)
    job = fed.submit(fed.manifest(fed.visa(), quorum=1))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.close_rounds()
    fed.sites["east"].agent.step()
    assert fed.state(job) == "degraded"
    assert retried(fed, job, node="east").json()["nodes"] == ["east"]
    fed.settle()
    assert fed.site_state(job, "east")[0] == "released"


def test_a_crash_is_tried_again_by_the_hub_after_a_pause(start):
    fed = start("east", jobs_retries=2)
    site = fed.sites["east"]
    # A crash is forgiven once on the spot, so three are two failures too many.
    site.runner.before = Fails(WorkerCrashed, 2)
    job = fed.run()
    assert (fed.state(job), fed.site_state(job, "east")) == ("running", ("queued", "worker_crashed"))
    assert site.agent.step() is False
    fed.clock.advance(31)
    assert fed.close_rounds()
    fed.settle()
    assert fed.state(job) == "completed"


def test_the_hub_does_not_try_for_ever(start):
    fed = start("east", jobs_retries=1)
    fed.sites["east"].runner.before = Fails(WorkerCrashed, 99)
    job = fed.run()
    fed.clock.advance(31)
    fed.close_rounds()
    fed.settle()
    assert (fed.state(job), fed.site_state(job, "east")) == ("failed", ("failed", "worker_crashed"))


def test_people_may_not_try_for_ever_either(fed):
    fed.sites["east"].runner.before = Fails(WorkerOutOfMemory, 99)
    job = fed.run()
    for _ in range(3):
        assert retried(fed, job).status_code == 200
        fed.settle()
    answer = retried(fed, job)
    assert (answer.status_code, answer.json()["code"]) == (409, "FB-JOBS-164")


def test_what_was_decided_is_not_tried_again(fed):
    fed.sites["east"].runner.before = Fails(WorkerOutOfMemory, 1)
    job = fed.run()
    with writing(fed.hub.engine) as session:
        for row in session.query(SiteRow):
            row.reason = Reason.GATE_REFUSED.value
    assert retried(fed, job).json()["code"] == "FB-JOBS-164"


def test_nobody_may_have_a_decision_tried_again():
    decided = {
        word for word in Reason if word.value.startswith(("approval", "grant", "visa", "gate", "curator"))
    }
    assert not decided & set(MAY_RETRY)
    assert all(Who.REQUESTER in people for people in MAY_RETRY.values())


def test_the_site_itself_does_not_take_up_what_its_people_ended(fed):
    site = fed.sites["east"]
    site.runner.before = Fails(WorkerOutOfMemory, 1)
    job = fed.run()
    with writing(site.node.engine) as session:
        row = session.get_one(ReviewRow, job)
        row.state, row.reason = "rejected", "approval_withdrawn"
    retried(fed, job)
    calls = len(site.runner.calls)
    fed.settle()
    assert len(site.runner.calls) == calls
    assert fed.site_state(job, "east")[0] == "failed"


def test_a_job_of_somebody_else_is_not_tried_again(fed):
    fed.sites["east"].runner.before = Fails(WorkerOutOfMemory, 1)
    job = fed.run()
    with writing(fed.hub.engine) as session:
        session.get_one(JobRow, job).account = "bob"
    assert retried(fed, job).status_code == 404


def test_what_was_delivered_is_not_merged_after_its_dataset_was_withdrawn(fed):
    # East delivers, north fails; while the job is over, east's dataset is withdrawn.
    fed.sites["north"].runner.before = Fails(WorkerOutOfMemory, 1)
    job = fed.run()
    assert (fed.state(job), fed.site_state(job, "east")[0]) == ("failed", "released")
    gone = dataset_row("east", fed.clock.now())
    gone.withdrawn = fed.clock.now()
    with writing(fed.hub.engine) as session:
        session.add(gone)
    assert retried(fed, job).json()["code"] == "FB-JOBS-164"
