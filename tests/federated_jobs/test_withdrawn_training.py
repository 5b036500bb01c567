"""A withdrawal reaches everything: index, record, cohort, running jobs, what has not left; the hub marks models."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.deid.conftest import as_file, ct_dataset

from fairbank.audit import HubAudit
from fairbank.database import reading, writing
from fairbank.deid.pseudonyms import subject_value
from fairbank.errors import RemoteError, Sensitive
from fairbank.events import HubEvent
from fairbank.federated_jobs.errors import GrantPaused
from fairbank.federated_jobs.hub import withdrawals
from fairbank.federated_jobs.hub.store import WithdrawalRow
from fairbank.federated_jobs.hub.withdrawals import TOLD
from fairbank.federated_jobs.node.agent import Agent
from fairbank.federated_jobs.node.approval import Consent, approve
from fairbank.federated_jobs.node.cohort import harvest_index, harvest_intact
from fairbank.federated_jobs.node.output_review import let_go
from fairbank.federated_jobs.node.reporting import report_decisions
from fairbank.federated_jobs.node.store import CohortRow, ReviewRow, WithdrawalNoticeRow
from fairbank.federated_jobs.node.withdrawn_subjects import Named, withdraw
from fairbank.federated_jobs.node.withdrawn_training import tell_due
from fairbank.federated_jobs.protocol import SubjectWithdrawnReport
from fairbank.harvest.consent import ConsentStatus, LegalBasis, Statement
from fairbank.harvest.consents import add_statements, day_of, identity_of, refresh, statement_row
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.index import index_store
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.publishing import publish
from fairbank.harvest.records import build
from fairbank.harvest.runs import PullOrder, pull
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.ontology.record import CollectionKind
from fairbank.ontology.signed_objects import Selector
from fairbank.release.releases import ReleaseState
from fairbank.release.store import LedgerRow, ReleaseRow

PATIENTS = ("HN-8843201", "HN-8843202", "HN-8843203", "HN-8843204")
ADA, BEN, CLEO, DAN = PATIENTS


@pytest.fixture
def fed(start):
    return start()


@pytest.fixture
def site(fed):
    """A site whose cohorts come from an index over images that it has pulled itself."""
    site = fed.add("east")
    clinic = fed.folder / "clinic"
    for patient in PATIENTS:
        place = clinic / "LUNG" / patient
        place.mkdir(parents=True)
        (place / "1.dcm").write_bytes(as_file(ct_dataset(patient)))
    node = site.node
    add_source(node, "clinic", kind=SourceKind.FOLDER, location=str(clinic))
    record_basis(node, "lung", LegalBasis.SCIENTIFIC_RESEARCH, note="law", by="curator")
    define_dataset(
        node, "collection", project="lung", description=Description("Lungs", "Tests.", CollectionKind.TEST)
    )
    pull(node, PullOrder("clinic", "LUNG", "lung", "curator"))
    index_store(node, "collection")
    site.index = harvest_index
    site.agent = Agent(
        node, client=site.client(), runner=site.runner, source=harvest_index, intact=harvest_intact
    )
    return site


def start_job(fed, site, *, hold: bool = False, rounds: int = 1) -> str:
    job = fed.submit(fed.manifest(fed.visa(), rounds=rounds))
    fed.settle()
    approve(site.node, job, Consent(by="curator", hold_outputs=hold), source=harvest_index)
    report_decisions(site.node, site.outbox)
    return job


def forget(site, patient: str):
    return withdraw(site.node, Named.by_id(Sensitive(patient, reference="the patient")))


def in_cohort(site, job: str) -> int:
    with reading(site.node.engine) as session:
        rows = session.scalars(
            select(CohortRow.subject).where(CohortRow.job == job, CohortRow.gone.is_(None))
        )
        return len(set(rows) - {""})


def told(fed, job: str) -> str | None:
    return fed.get(f"/v1/jobs/{job}").json().get("withdrawn_subject_in_training")


def days_later(fed, days: int) -> None:
    fed.clock.advance(days * 86_400)


def test_a_withdrawal_reaches_all_there_is(fed, site) -> None:
    publish(site.node, "collection")
    done = start_job(fed, site)
    fed.settle()
    assert fed.state(done) == "completed"
    site.runner.step = 2.0
    waiting = start_job(fed, site, hold=True)
    fed.settle()
    assert fed.site_state(waiting, "east")[0] == "output_review"
    running = start_job(fed, site, rounds=3)

    gone = forget(site, ADA)

    assert {one.job for one in gone.jobs} == {done, waiting, running}
    # The job's output and the record that waited for the curator.
    assert gone.gone["outputs that had not left"] == 2
    with reading(site.node.engine) as session:
        # The index and its next record.
        assert len(harvest_index(session, "collection", Selector(), at=fed.clock.now())) == 3
        assert build(session, site.node, "collection").totals.subjects.value == 3
        # What had not left stays, and its bytes are gone.
        kept = session.scalars(select(ReleaseRow).where(ReleaseRow.job == waiting)).one()
        assert kept.state == ReleaseState.WITHHELD.value
        assert not (site.node.outbox_path / kept.digest.removeprefix("sha256:")).exists()
    # The running job goes on with a smaller cohort, the waiting one without this site.
    fed.settle()
    assert in_cohort(site, running) == 3
    assert fed.state(running) == "completed"
    assert fed.site_state(waiting, "east") == ("withheld", "output_withheld")
    # What has left is marked at the hub, within a week.
    days_later(fed, 8)
    fed.settle()
    assert told(fed, done) == fed.clock.now().date().isoformat()
    assert told(fed, waiting) is None
    assert told(fed, running) is None, "it computed after the withdrawal only"


def test_the_mark_is_on_job_results_models_and_provenance(fed, site) -> None:
    job = start_job(fed, site)
    fed.settle()
    assert told(fed, job) is None
    forget(site, ADA)
    days_later(fed, 8)
    fed.settle()
    day = fed.clock.now().date().isoformat()
    assert told(fed, job) == day
    model = fed.model(job)
    assert fed.get(f"/v1/jobs/{job}/results").json()["withdrawn_subject_in_training"] == day
    assert fed.get("/v1/models").json()["models"][0]["withdrawn_subject_in_training"] == day
    assert fed.get(f"/v1/models/{model}").json()["model"]["withdrawn_subject_in_training"] == day
    with reading(fed.hub.engine) as session:
        (marked,) = session.scalars(select(HubEvent).where(HubEvent.kind == "model.marked"))
        assert (marked.subject, marked.detail["subject_withdrawn"]) == (model, day)
        (event,) = session.scalars(select(HubEvent).where(HubEvent.kind == TOLD))
        assert event.detail["account"] == "ada"


def test_the_hub_is_told_once_of_a_job_whoever_withdraws_and_never_who_or_how_many(fed, site) -> None:
    job = start_job(fed, site)
    fed.settle()
    forget(site, ADA)
    forget(site, BEN)
    days_later(fed, 8)
    fed.settle()
    forget(site, CLEO)
    days_later(fed, 8)
    fed.settle()
    with reading(site.node.engine) as session:
        sent = session.scalars(select(LedgerRow).where(LedgerRow.name.like("%/withdrawal"))).all()
        assert [row.body for row in sent] == [b'{"schema":"subject-withdrawn/1"}']
    with reading(fed.hub.engine) as session:
        assert session.scalar(select(func.count()).select_from(WithdrawalRow)) == 1
        acts = session.scalars(select(HubAudit).where(HubAudit.act == TOLD)).all()
        assert [(row.target, row.detail) for row in acts] == [(job, {})]


def test_each_job_is_told_of_at_a_moment_of_its_own_within_the_days_that_the_site_sets(fed, site) -> None:
    jobs = [start_job(fed, site) for _ in range(4)]
    fed.settle()
    forget(site, ADA)
    with reading(site.node.engine) as session:
        due = session.scalars(select(WithdrawalNoticeRow.due).where(WithdrawalNoticeRow.job.in_(jobs))).all()
    now = fed.clock.now()
    assert len(set(due)) > 1 and all(now <= one <= now + timedelta(days=7) for one in due)


def test_a_hub_that_cannot_be_reached_is_told_later(fed, site) -> None:
    job = start_job(fed, site)
    fed.settle()
    forget(site, ADA)
    days_later(fed, 8)
    fed.restart_hub()
    site.restart().resume()
    assert told(fed, job) is not None


def test_a_hub_that_does_not_know_the_message_yet_is_asked_again_the_next_day(fed, site) -> None:
    job = start_job(fed, site)
    fed.settle()
    forget(site, ADA)
    days_later(fed, 8)
    told_to: list[str] = []

    class OlderHub:
        def control(self, method: str, path: str, message: object) -> None:
            told_to.append(path)
            err = RemoteError("No such address.")
            err.status = 404
            raise err

    assert tell_due(site.node, OlderHub()) == 1
    assert tell_due(site.node, OlderHub()) == 0
    days_later(fed, 1)
    fed.settle()
    assert told(fed, job) is not None and len(told_to) == 1


def test_a_job_that_never_used_the_subject_is_not_told_of(fed, site) -> None:
    job = start_job(fed, site)
    forget(site, ADA)
    fed.settle()
    days_later(fed, 8)
    fed.settle()
    assert fed.state(job) == "completed"
    assert told(fed, job) is None


def test_an_output_that_waits_is_kept_back_when_a_consent_ends_meanwhile(fed, site) -> None:
    job = start_job(fed, site, hold=True)
    fed.settle()
    refuse(site, ADA)
    let_go(site.node, site.outbox, job, by="curator")
    fed.settle()
    report_decisions(site.node, site.outbox)
    assert fed.site_state(job, "east") == ("withheld", "output_withheld")
    with reading(site.node.engine) as session:
        assert session.scalars(select(ReleaseRow.state).where(ReleaseRow.job == job)).one() == "withheld"
        assert session.scalar(select(func.count()).select_from(WithdrawalNoticeRow)) == 0


def test_a_consent_for_other_purposes_is_not_in_the_cohort(fed, site) -> None:
    consent(site, ADA, ConsentStatus.GIVEN, "DUO:0000006")
    consent(site, BEN, ConsentStatus.GIVEN, "DUO:0000042")
    job = start_job(fed, site)
    assert in_cohort(site, job) == 3
    fed.settle()
    assert fed.state(job) == "completed"


def test_a_consent_that_changes_while_a_job_computes_shrinks_its_cohort(fed, site) -> None:
    job = start_job(fed, site, rounds=2)
    changed: list[int] = []

    def changes_once(task) -> None:
        if not changed:
            changed.append(task.round)
            consent(site, ADA, ConsentStatus.GIVEN, "DUO:0000006")

    site.runner.before = changes_once
    fed.settle()
    assert fed.state(job) == "completed"
    assert in_cohort(site, job) == 3
    # The round in which it changed is computed again without the subject before anything leaves.
    assert [number for _, number in site.runner.calls] == [1, 1, 2]


def test_too_few_who_consent_stop_the_job_at_this_site(fed, site) -> None:
    job = start_job(fed, site, rounds=2)
    for patient in (ADA, BEN, CLEO):
        consent(site, patient, ConsentStatus.REFUSED)
    fed.settle()
    assert fed.site_state(job, "east") == ("failed", "cohort_insufficient")


def test_a_site_speaks_for_jobs_of_its_own_only(fed, site) -> None:
    job = start_job(fed, site)
    other = fed.add("north")
    for name, status in (("north", 404), ("east", 404)):
        with pytest.raises(RemoteError) as caught:
            other.outbox.control("POST", f"/v1/jobs/{job}/sites/{name}/withdrawal", SubjectWithdrawnReport())
        assert caught.value.status == status
    assert told(fed, job) is None


def refuse(site, patient: str) -> None:
    consent(site, patient, ConsentStatus.REFUSED)


def consent(site, patient: str, status: ConsentStatus, *codes: str) -> None:
    """Take in what a patient says, as an import of consents does."""
    node = site.node
    with identity_of(node) as identity, writing(node.engine) as session:
        said = Statement("lung", status, None, None, day_of(node.clock.now()))
        key = identity.consent_key(subject_value(patient))
        row = statement_row(key, said, form="", data_use=codes, imported=node.clock.now())
        add_statements(session, [row])
        refresh(session, identity, "lung")


def test_a_notice_that_the_hub_refuses_holds_up_neither_the_others_nor_the_claims(fed, site, monkeypatch):
    refused, other = (start_job(fed, site) for _ in range(2))
    fed.settle()
    forget(site, ADA)
    days_later(fed, 8)
    mark = withdrawals.mark

    def forbids(hub: Any, session: Any, job: str, **named: Any) -> None:
        if job == refused:
            raise GrantPaused("No.")
        mark(hub, session, job, **named)

    monkeypatch.setattr(withdrawals, "mark", forbids)
    fresh = fed.submit(fed.manifest(fed.visa()))
    site.agent.step()
    assert told(fed, other) is not None
    assert told(fed, refused) is None
    with reading(site.node.engine) as session:
        assert session.get(ReviewRow, fresh) is not None
    monkeypatch.setattr(withdrawals, "mark", mark)
    days_later(fed, 1)
    site.agent.step()
    assert told(fed, refused) is not None
