"""The frozen cohort: what leaves it, what never enters it, and when there is too little left."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select

from fairbank.analysis.staged import read_staged
from fairbank.database import reading, writing
from fairbank.deid.facts import Recorder, fact_sheet
from fairbank.deid.store import record_facts
from fairbank.federated_jobs.errors import CohortInsufficient
from fairbank.federated_jobs.node.approval import authorise, review
from fairbank.federated_jobs.node.cohort import CohortShrunk
from fairbank.federated_jobs.node.errors import StagingRefused
from fairbank.federated_jobs.node.inputs import series_to_stage
from fairbank.federated_jobs.node.sandbox_policy import JobFolder
from fairbank.federated_jobs.node.sandbox_staging import stage_series
from fairbank.federated_jobs.node.site_keys import cohort_secret, job_pseudonym, site_key, site_public_key
from fairbank.federated_jobs.node.store import ApprovalRow, ShrinkageRow
from fairbank.federated_jobs.node.withdrawn_subjects import forget_in_jobs
from fairbank.ontology.signed_objects import SiteApproval
from fairbank.signing import KeyFileError


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


@pytest.fixture
def job(fed, site):
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    site.approve(job)
    return job


def authorised(site, job):
    with writing(site.node.engine) as session:
        return authorise(site.node, session, job, source=site.index)


def series_of(site):
    return site.index.series["collection"]


def test_a_new_series_never_enters_a_frozen_cohort(site, job):
    before = authorised(site, job).cohort
    series_of(site).append(replace(series_of(site)[0], series_uid="9.9.9"))
    assert authorised(site, job).cohort == before


def test_a_series_that_has_gone_leaves_and_the_node_seals_that(site, job):
    approved = authorised(site, job)
    del series_of(site)[0]
    shrunk = authorised(site, job)
    assert len(shrunk.cohort.members) == len(approved.cohort.members) - 1
    with reading(site.node.engine) as session:
        row = session.scalars(select(ShrinkageRow)).one()
    said, sealed = CohortShrunk.open(row.envelope, trusted=[site.node.key.key_id])
    assert (said.before, said.after) == (approved.cohort.digest, shrunk.cohort.digest)
    assert sealed.digest == row.digest


def test_a_series_that_came_back_stays_out(site, job):
    gone = series_of(site).pop(0)
    left = authorised(site, job).cohort
    series_of(site).insert(0, gone)
    assert authorised(site, job).cohort == left


def test_a_series_whose_content_changed_leaves(site, job):
    before = len(authorised(site, job).cohort.members)
    series_of(site)[0] = replace(series_of(site)[0], content_digest="sha256:" + "f" * 64)
    assert len(authorised(site, job).cohort.members) == before - 1


def test_a_cohort_below_the_minimum_is_refused(site, job):
    subjects = {one.subject for one in series_of(site)}
    keep = sorted(subjects)[0]
    series_of(site)[:] = [one for one in series_of(site) if one.subject == keep]
    with pytest.raises(CohortInsufficient):
        authorised(site, job)


def test_a_withdrawal_between_rounds_takes_the_site_out_when_too_few_are_left(fed, site):
    job = fed.submit(fed.manifest(fed.visa(), rounds=2))
    fed.settle()
    site.approve(job)
    fed.close_rounds()
    site.agent.step()
    fed.close_rounds()
    del series_of(site)[2:]
    fed.settle()
    assert fed.site_state(job, "east") == ("failed", "cohort_insufficient")
    assert fed.state(job) == "failed"


def test_a_withdrawn_subject_leaves_the_folders_of_the_jobs_that_hold_it(fed, site, job):
    worker = site.node.settings.home / "jobs" / job / "worker"
    for name in ("inputs/s1/1.dcm", "scratch/rows.json", "scratch/state-000001.safetensors"):
        (worker / name).parent.mkdir(parents=True, exist_ok=True)
        (worker / name).write_bytes(b"x")
    assert forget_in_jobs(site.node, "nobody") == []
    assert forget_in_jobs(site.node, series_of(site)[0].subject) == [job]
    left = [path.name for path in worker.rglob("*") if path.is_file()]
    assert left == ["state-000001.safetensors"]


def test_a_series_without_files_is_not_staged(site, job, tmp_path):
    cohort = authorised(site, job).cohort
    with pytest.raises(StagingRefused, match="no files"):
        stage_series(series_to_stage(site.node, job, cohort), JobFolder(tmp_path / "worker"))


def test_the_digest_of_a_cohort_is_keyed_and_stays_at_the_site(fed, site, job):
    with reading(site.node.engine) as session:
        row = session.get_one(ApprovalRow, job)
    approval, _ = SiteApproval.open(row.envelope, trusted=[str(site_public_key(site.node.settings))])
    assert approval.cohort_digest == authorised(site, job).cohort.digest
    bodies = b"".join(path.read_bytes() for path in fed.hub.settings.home.rglob("*") if path.is_file())
    assert approval.cohort_digest.encode() not in bodies
    assert row.envelope not in bodies
    other = replace(site.node.settings, home=site.node.settings.home / "elsewhere")
    assert cohort_secret(other) != cohort_secret(site.node.settings)


def test_a_job_sees_names_of_its_own_in_the_order_of_the_cohort(site, job):
    cohort = authorised(site, job).cohort
    here = series_to_stage(site.node, job, cohort)
    elsewhere = series_to_stage(site.node, "another job", cohort)
    assert [one.unit for one in here] == sorted(one.unit for one in here)
    assert not {one.unit for one in here} & {one.unit for one in elsewhere}
    assert len({one.subject for one in here}) == cohort.subjects
    text = " ".join(one.unit + one.subject for one in here)
    assert all(member.series_uid not in text and member.subject not in text for member in cohort.members)


def test_a_job_is_told_how_a_series_was_made_and_nothing_of_its_subject(site, job, tmp_path, monkeypatch):
    cohort = authorised(site, job).cohort
    member = cohort.members[0]
    header = Dataset()
    header.Modality, header.PatientSex, header.ConvolutionKernel = "CT", "F", "B70f"
    header.SeriesDescription = "THORAX EXPIRATION"
    recorder = Recorder("tester", site.node.clock.now(), "test")
    sheet = fact_sheet(
        header, series_uid=member.series_uid, subject=member.subject, shift_days=0, recorder=recorder
    )
    monkeypatch.setattr("fairbank.harvest.datasets.dataset_of", lambda *_: SimpleNamespace(project="p"))
    with writing(site.node.engine) as session:
        record_facts(session, "p", sheet)
    first, second = series_to_stage(site.node, job, cohort)[:2]
    assert first.facts == {"kernel_class": "sharp", "respiratory_phase": "expiration"}
    assert second.facts == {}
    file = tmp_path / "1.dcm"
    file.write_bytes(b"x")
    folder = JobFolder(tmp_path / "worker")
    stage_series([replace(first, files=(file,)), replace(second, files=(file,))], folder)
    assert [one.facts for one in read_staged(folder.inputs)] == [first.facts, {}]


def test_a_job_pseudonym_holds_no_digit():
    names = [job_pseudonym(b"k" * 32, "job", "series", str(place)) for place in range(200)]
    assert not any(character.isdigit() for name in names for character in name)
    assert len(set(names)) == 200


def test_a_curator_sees_what_a_job_would_use(site, job):
    found = review(site.node, job, source=site.index)
    assert (found.series, found.subjects) == (6, 3)
    assert found.chain.manifest.code.name == "noop"


def test_the_site_key_can_have_a_passphrase(tmp_path):
    from fairbank.settings import Settings

    settings = replace(Settings(), home=tmp_path)
    key = site_key(settings, passphrase="a long phrase")
    assert site_public_key(settings) == key.key_id
    with pytest.raises(KeyFileError):
        site_key(settings)
    assert site_key(settings, passphrase="a long phrase").key_id == key.key_id


def test_another_site_key_than_the_pinned_one_is_refused(tmp_path):
    from fairbank.settings import Settings

    settings = replace(Settings(), home=tmp_path)
    site_key(settings)
    (settings.keys_path / "site.pem").unlink()
    with pytest.raises(KeyFileError, match="not the one that approved here"):
        site_key(settings)
