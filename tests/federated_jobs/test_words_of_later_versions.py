"""Messages of a later version: a reason that this one does not know stops a job the safe way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.federated_jobs.protocol import Lease, Renewed, SiteStateReport
from fairbank.federated_jobs.reasons import Reason
from fairbank.release.releases import ReleaseState

NEW = "quota_of_the_year_spent"


def stop(job: str, *, reason: str) -> bytes:
    body = {
        "schema": "lease/1",
        "id": job,
        "kind": "stop",
        "job": job,
        "reason": reason,
        "expires": "2026-11-20T10:00:00.000Z",
        "hub_audit_seq": 0,
        "hub_audit_hash": "sha256:" + "0" * 64,
    }
    return json.dumps(body).encode()


def test_a_reason_of_a_later_version_is_read_as_other(clock: Any) -> None:
    assert Lease.parse(stop(clock.new_id(), reason=NEW)).reason is Reason.OTHER
    renewed = {"schema": "renewed/1", "expires": "2026-11-20T10:00:00.000Z", "stop": True, "reason": NEW}
    assert Renewed.parse(renewed).reason is Reason.OTHER
    told = {"schema": "site-state/1", "state": "failed", "reason": NEW}
    assert SiteStateReport.parse(told).reason is Reason.OTHER


@pytest.mark.parametrize("reason", ["Jane Doe", "1.2.840.113619.2.1", "", "x" * 41, 7, None])
def test_what_is_no_word_is_no_reason(clock: Any, reason: Any) -> None:
    with pytest.raises(FairbankError):
        Lease.parse(stop(clock.new_id(), reason=reason))


def test_a_job_that_is_stopped_with_an_unknown_reason_ends_and_lets_nothing_out(start: Any) -> None:
    fed = start("east")
    site = fed.sites["east"]
    job = fed.submit(fed.manifest(fed.visa(), rounds=2))
    fed.settle()
    site.approve(job, hold_outputs=True)
    fed.settle()
    assert len(site.outbox.pending(state=ReleaseState.HELD)) == 1
    site.agent._stop(Lease.parse(stop(job, reason=NEW)))
    with reading(site.node.engine) as session:
        row = session.get_one(ReviewRow, job)
        assert (row.state, row.reason, row.ended) == ("failed", "other", True)
    assert site.outbox.pending() == [] and site.outbox.pending(state=ReleaseState.HELD) == []
    assert job in site.runner.forgotten
