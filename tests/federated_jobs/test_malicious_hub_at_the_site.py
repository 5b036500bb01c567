"""What a site keeps to itself against a hub that lies: its approval, its clock, and which check stopped a job."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.federated_jobs.conftest import DATASET
from tests.federated_jobs.lying_hub import Hub, at_site, refusal, stopped

from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.node.approval import Consent, approve
from fairbank.federated_jobs.node.reporting import _message
from fairbank.federated_jobs.node.store import AnchorRow, ApprovalRow, RunRow
from fairbank.federated_jobs.protocol import Lease, LeaseKind
from fairbank.ontology.signed_objects import SiteApproval
from fairbank.signing import SigningKey


@pytest.fixture
def hub(start) -> Hub:
    return Hub(start("east"))


# -- rights of the site itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["hub", "transport"])
def test_an_approval_that_the_site_s_own_key_did_not_seal(hub, whose):
    job = hub.approved()
    key = hub.fed.hub.key if whose == "hub" else hub.site.node.key
    with writing(hub.site.node.engine) as session:
        row = session.get_one(ApprovalRow, job)
        row.envelope = SiteApproval.open(row.envelope, trusted=None)[0].seal(key)
    assert refusal(hub, job) == ("approval_invalid", Check.APPROVAL)


def test_a_round_of_a_job_that_nobody_approved(hub):
    visa = hub.visa()
    row = hub.brings(visa=visa, manifest=hub.manifest(visa))
    assert refusal(hub, row.job) == ("approval_missing", Check.APPROVAL)


def test_an_approval_past_its_end_by_the_site_s_own_clock(hub):
    visa = hub.visa()
    row = hub.brings(visa=visa, manifest=hub.manifest(visa))
    consent = Consent(by="curator", expires=hub.clock.now() + timedelta(days=1))
    approve(hub.site.node, row.job, consent, source=hub.site.index)
    at_site(hub, 2)
    assert refusal(hub, row.job) == ("approval_expired", Check.APPROVAL_DATES)
    at_site(hub, 21)
    assert refusal(hub, row.job) == ("visa_expired", Check.VISA_DATES)


def test_another_head_of_the_hub_s_log_for_the_same_number_does_not_replace_the_first(hub):
    """What the hub once said of its own log is kept, so that a rewritten log can be told from it."""
    agent, first, second = hub.site.agent, "sha256:" + "1" * 64, "sha256:" + "2" * 64
    visa = hub.visa()
    for head in (first, second):
        lease = Lease(
            id=hub.clock.new_id(),
            kind=LeaseKind.STOP,
            job=hub.clock.new_id(),
            expires=iso(hub.clock.now()),
            visa=visa.decode(),
            hub_audit_seq=7,
            hub_audit_hash=head,
        )
        with writing(hub.site.node.engine) as session:
            agent._note_anchor(session, lease)
    with reading(hub.site.node.engine) as session:
        assert list(session.scalars(select(AnchorRow.hash).where(AnchorRow.seq == 7))) == [first]


# -- what the hub is told, and what the site's people read ------------------------------------------------------------


def test_the_hub_is_told_a_word_and_neither_the_check_nor_a_number(hub):
    hub.site.index.series[DATASET] = hub.site.index.series[DATASET][:2]
    visa = hub.visa()
    row = hub.brings(visa=visa, manifest=hub.manifest(visa))
    assert stopped(row) == ("cohort_insufficient", "cohort")
    told = json.loads(_message(row, None).to_bytes())
    assert told == {
        "schema": "site-state/1",
        "state": "rejected",
        "reason": "cohort_insufficient",
        "round": 0,
        "error": "FB-JOBS-044",
    }


def test_the_check_is_in_the_site_s_own_log(hub):
    from fairbank.audit import NodeAudit

    visa = hub.visa(key=SigningKey.generate())
    hub.brings(visa=visa, manifest=hub.manifest(visa))
    with reading(hub.site.node.engine) as session:
        entry = session.scalars(select(NodeAudit).where(NodeAudit.act == "review.receive")).one()
    assert entry.detail["check"] == "visa-seal"


def test_the_command_line_says_which_check_stopped_a_job(hub):
    from typer.testing import CliRunner

    from fairbank.cli.main import app

    visa = hub.visa(key=SigningKey.generate())
    row = hub.brings(visa=visa, manifest=hub.manifest(visa))
    home = str(hub.site.node.settings.home)
    answer = CliRunner().invoke(app, ["--home", home, "node", "jobs", "list", "--format", "json"])
    listed = json.loads(answer.stdout)
    assert [(one["job"], one["reason"], one["stopped by"]) for one in listed] == [
        (row.job, "visa_invalid", "visa-seal")
    ]


def test_what_a_person_reads_of_a_job_names_terms_runs_and_whether_the_key_is_known(hub):
    from fairbank.federated_jobs.node.reviewing import review

    hub.approved(maximum_runs=3)
    visa = hub.visa(terms={DATASET: {"maximum_runs": 3, "conditions": ("Publish openly.",)}})
    row = hub.brings(visa=visa, manifest=hub.manifest(visa))
    found = review(hub.site.node, row.job, source=hub.site.index)
    assert [(one.approved_runs, one.terms.maximum_runs, one.terms.conditions) for one in found.terms] == [
        (1, 3, ("Publish openly.",))
    ]
    assert found.known_requester
    mallory = SigningKey.generate()
    request = hub.asked(key=mallory)
    invented = hub.visa(request=request)
    row = hub.brings(visa=invented, manifest=hub.manifest(invented, key=mallory), request=request)
    assert not review(hub.site.node, row.job, source=hub.site.index).known_requester


def test_nothing_of_what_was_refused_counts_as_a_run(hub):
    visa = hub.visa(key=SigningKey.generate())
    hub.brings(visa=visa, manifest=hub.manifest(visa))
    with reading(hub.site.node.engine) as session:
        assert list(session.scalars(select(RunRow.job))) == []
