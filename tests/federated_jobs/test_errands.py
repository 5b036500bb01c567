"""One question tells whether anything waits at a site before its next claim."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fairbank.database import reading, writing
from fairbank.federated_jobs.node.errands import any_due
from fairbank.federated_jobs.node.store import ReviewRow, WithdrawalNoticeRow
from fairbank.release.releases import ReleaseState
from fairbank.release.store import ReleaseRow


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


def due(site) -> bool:
    with reading(site.node.engine) as session:
        return any_due(session, now=site.node.clock.now())


def completed(fed, site) -> str:
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    site.approve(job)
    fed.settle()
    assert fed.state(job) == "completed"
    return job


def test_a_job_is_an_errand_while_it_waits_and_until_the_hub_was_told(fed, site):
    assert not due(site)
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    assert due(site)  # it waits for people, and may have to be noticed or ended
    site.approve(job)
    fed.settle()
    assert fed.state(job) == "completed"
    assert not due(site)
    with writing(site.node.engine) as session:
        session.get_one(ReviewRow, job).reported = False
    assert due(site)


def test_an_output_that_is_ready_is_an_errand_and_one_that_is_held_is_not(fed, site):
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    site.approve(job, hold_outputs=True)
    fed.settle()
    with writing(site.node.engine) as session:
        (release,) = session.query(ReleaseRow).filter_by(job=job).all()
        assert release.state == ReleaseState.HELD.value
        session.get_one(ReviewRow, job).reported = True
    assert not due(site)
    with writing(site.node.engine) as session:
        session.get_one(ReleaseRow, release.id).state = ReleaseState.READY.value
    assert due(site)


def test_the_notice_of_a_withdrawal_is_an_errand_from_its_moment_on_until_it_was_told(fed, site):
    job = completed(fed, site)
    now = site.node.clock.now()
    with writing(site.node.engine) as session:
        session.add(WithdrawalNoticeRow(job=job, due=now + timedelta(minutes=1)))
    assert not due(site)
    with writing(site.node.engine) as session:
        session.get_one(WithdrawalNoticeRow, job).due = now
    assert due(site)
    with writing(site.node.engine) as session:
        session.get_one(WithdrawalNoticeRow, job).told = now
    assert not due(site)
