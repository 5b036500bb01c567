"""What a site refuses, whatever its hub says."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import ApprovalOver, ManifestRefused, NotApproved
from fairbank.federated_jobs.hub.store import JobRow, RoundRow, SiteRow
from fairbank.federated_jobs.manifest import check_code
from fairbank.federated_jobs.node import rounds
from fairbank.federated_jobs.node.approval import Consent, approve, authorise, receive, withdraw
from fairbank.federated_jobs.node.output_review import held, let_go
from fairbank.federated_jobs.node.sending import send_ready
from fairbank.federated_jobs.node.store import ApprovalRow, CohortRow, ReviewRow, WorkRow
from fairbank.federated_jobs.protocol import Lease, LeaseKind
from fairbank.federated_jobs.states import SiteState
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import PrivacyBudget, Purpose, Selector, VisaDataset
from fairbank.release.outbox import Outbox
from fairbank.release.store import LedgerRow, ReleaseRow
from fairbank.signing import SigningKey


def brought(fed, job_manifest, /, **envelopes: bytes) -> tuple[str, str]:
    """Bring a job to the site `east` past the hub's checks; return what the hub hears of it."""
    job = fed.smuggle(job_manifest, **envelopes)
    fed.settle("east")
    assert fed.sites["east"].runner.calls == []
    return fed.site_state(job, "east")


def tampered(envelope: bytes) -> bytes:
    """Change one byte of the payload inside an envelope."""
    parsed = json.loads(envelope)
    payload = bytearray(base64.b64decode(parsed["payload"]))
    place = payload.index(b"A job")
    payload[place] = ord("B")
    parsed["payload"] = base64.b64encode(bytes(payload)).decode()
    return json.dumps(parsed).encode()


def test_a_visa_sealed_by_another_key_than_the_pinned_one_is_refused(fed):
    forged = fed.visa(key=SigningKey.generate())
    assert brought(fed, fed.manifest(forged)) == ("rejected", "visa_invalid")


def test_a_manifest_with_one_byte_changed_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    changed = tampered(manifest.seal(fed.requester))
    assert brought(fed, manifest, manifest=changed) == ("rejected", "manifest_invalid")


def test_a_manifest_sealed_by_somebody_else_than_the_visa_names_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    other = manifest.seal(SigningKey.generate())
    assert brought(fed, manifest, manifest=other) == ("rejected", "manifest_invalid")


def test_a_request_other_than_the_one_that_was_granted_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    _, other = fed.request(title="Another question")
    assert brought(fed, manifest, request=other) == ("rejected", "request_invalid")


def test_a_visa_that_grants_more_than_was_asked_for_is_refused(fed):
    visa = fed.visa(terms={"output_classes": (OutputClass.AGGREGATE, OutputClass.MODEL_UPDATE)})
    assert brought(fed, fed.manifest(visa)) == ("rejected", "visa_invalid")


def test_a_visa_for_another_purpose_than_was_asked_for_is_refused(fed):
    visa = fed.visa(purpose=Purpose(data_use=("DUO:0000042",), statement="Something else."))
    assert brought(fed, fed.manifest(visa)) == ("rejected", "visa_invalid")


def test_a_visa_that_ends_later_than_was_asked_for_is_refused(fed):
    visa = fed.visa(terms={"expires": iso(fed.clock.now() + timedelta(days=31))})
    assert brought(fed, fed.manifest(visa)) == ("rejected", "visa_invalid")


def test_a_privacy_budget_that_nothing_would_keep_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    budget = PrivacyBudget.model_construct()
    with pytest.raises(ManifestRefused, match="privacy budget"):
        check_code(manifest.model_copy(update={"privacy_budget": budget}))


def test_a_manifest_that_selects_more_than_the_visa_is_refused(fed):
    request, _ = fed.request()
    narrow = tuple(VisaDataset(iri=iri, selector=Selector(modality=("CT",))) for iri in request.datasets)
    manifest = fed.manifest(fed.visa(selector=Selector(modality=("CT",))))
    wide = manifest.model_copy(
        update={"datasets": tuple(VisaDataset(iri=d.iri, selector=Selector()) for d in narrow)}
    )
    assert brought(fed, wide) == ("rejected", "manifest_invalid")


def test_a_visa_that_is_over_by_the_clock_of_the_site_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    fed.clock.advance(21 * 86_400)
    lease = _review(fed, manifest)
    row = receive(fed.sites["east"].node, lease, source=fed.sites["east"].index)
    assert (row.state, row.reason) == ("rejected", "visa_expired")


def test_an_unknown_option_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    odd = manifest.model_copy(update={"parameters": {**manifest.parameters, "exfiltrate": 1}})
    assert brought(fed, odd) == ("rejected", "option_refused")


def test_code_with_another_digest_than_the_installed_one_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    other = manifest.code.model_copy(update={"digest": "sha256:" + "0" * 64})
    assert brought(fed, manifest.model_copy(update={"code": other})) == ("rejected", "code_changed")


def test_a_tool_that_the_visa_does_not_name_is_refused(fed):
    visa = fed.visa(terms={"tool_families": ("measurements",)})
    assert brought(fed, fed.manifest(visa)) == ("rejected", "manifest_invalid")


def test_a_job_without_a_dataset_of_this_site_is_refused(fed):
    manifest = fed.manifest(fed.visa())
    elsewhere = tuple(dataset for dataset in manifest.datasets if "/east/" not in dataset.iri)
    plan = manifest.plan.model_copy(update={"quorum": 2})
    other = manifest.model_copy(update={"datasets": elsewhere, "plan": plan})
    assert brought(fed, other) == ("rejected", "dataset_not_here")


def test_a_job_that_would_use_too_few_subjects_is_refused_without_a_number(fed):
    fed.sites["east"].index.series["collection"] = fed.sites["east"].index.series["collection"][:2]
    assert brought(fed, fed.manifest(fed.visa())) == ("rejected", "cohort_insufficient")


def test_a_finished_job_that_is_brought_again_is_refused_and_not_run(fed):
    job = fed.run()
    before = list(fed.sites["east"].runner.calls)
    with writing(fed.hub.engine) as session:
        session.execute(update(JobRow).values(state="running", ended=None, round=0))
        session.execute(update(SiteRow).values(state="pending_review", delivered=False))
    fed.settle("east")
    assert fed.site_state(job, "east") == ("rejected", "replayed")
    assert fed.sites["east"].runner.calls == before


def test_another_manifest_under_the_id_of_a_known_job_is_refused(fed):
    visa = fed.visa()
    first = fed.manifest(visa)
    site = fed.sites["east"]
    receive(site.node, _review(fed, first), source=site.index)
    second = fed.manifest(visa).model_copy(update={"id": first.id, "title": "Another"})
    with pytest.raises(Exception, match="brought again"):
        receive(site.node, _review(fed, second), source=site.index)


def test_a_round_of_a_job_that_nobody_here_approved_is_not_run(fed):
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    _force_round(fed, job, "east")
    fed.sites["east"].agent.step()
    assert fed.sites["east"].runner.calls == []
    assert fed.site_state(job, "east") == ("failed", "approval_missing")


def test_a_round_of_a_job_that_was_never_brought_here_is_not_run(fed):
    job = fed.smuggle(fed.manifest(fed.visa()))
    _force_round(fed, job, "east")
    fed.sites["east"].agent.step()
    assert fed.sites["east"].runner.calls == []
    assert fed.site_state(job, "east") == ("failed", "approval_missing")


def test_an_approval_that_the_key_of_the_site_did_not_seal_is_refused(fed):
    site, job = _approved(fed)
    with writing(site.node.engine) as session:
        row = session.get_one(ApprovalRow, job)
        forged = json.loads(row.envelope)
        forged["signatures"][0]["sig"] = base64.b64encode(b"0" * 64).decode()
        row.envelope = json.dumps(forged).encode()
    assert _reason(fed, site, job) == "approval_invalid"


def test_an_approval_of_one_job_does_not_let_another_run(fed):
    site, first = _approved(fed)
    second = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    site.approve(second)
    with writing(site.node.engine) as session:
        session.get_one(ApprovalRow, second).envelope = session.get_one(ApprovalRow, first).envelope
    assert _reason(fed, site, second) == "approval_invalid"


def test_an_approval_ends_by_the_clock_of_the_site(fed):
    site, job = _approved(fed, expires=fed.clock.now() + timedelta(days=1))
    fed.clock.advance(2 * 86_400)
    assert _reason(fed, site, job) == "approval_expired"


def test_a_series_put_into_a_frozen_cohort_stops_the_job(fed):
    site, job = _approved(fed)
    with writing(site.node.engine) as session:
        session.add(
            CohortRow(
                job=job,
                dataset="collection",
                series_uid="9.99",
                subject="x",
                content_digest="sha256:" + "1" * 64,
            )
        )
    assert _reason(fed, site, job) == "cohort_changed"


def test_a_job_waits_for_a_person_when_no_rule_is_pinned(fed):
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    assert {fed.site_state(job, name)[0] for name in fed.sites} == {"pending_review"}
    with reading(fed.sites["east"].node.engine) as session:
        assert session.get_one(ReviewRow, job).state == SiteState.PENDING_REVIEW.value


def test_a_rejected_job_cannot_be_approved_afterwards(fed):
    from fairbank.federated_jobs.node.approval import reject

    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    site = fed.sites["east"]
    reject(site.node, job, by="curator")
    with pytest.raises(NotApproved):
        approve(site.node, job, Consent(by="curator"), source=site.index)
    fed.settle()
    assert fed.site_state(job, "east") == ("rejected", "curator_declined")


def test_an_approval_that_is_withdrawn_stops_the_next_round(fed):
    job = fed.submit(fed.manifest(fed.visa(), rounds=3, quorum=2))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    for site in fed.sites.values():
        site.agent.step()
    withdraw(fed.sites["east"].node, job, by="curator")
    fed.settle()
    assert fed.site_state(job, "east") == ("failed", "approval_withdrawn")
    assert fed.state(job) == "completed"
    assert [number for _, number in fed.sites["east"].runner.calls] == [1]


def test_more_runs_than_the_visa_allows_are_refused_by_the_site(fed):
    visa = fed.visa(terms={"maximum_runs": 1})
    first = fed.smuggle(fed.manifest(visa))
    fed.settle("east")
    fed.sites["east"].approve(first)
    assert brought(fed, fed.manifest(visa)) == ("rejected", "runs_spent")


@pytest.mark.parametrize(("number", "model"), [(2, "sha256:" + "0" * 64), (0, None), (-1, None), (3, None)])
def test_a_round_that_the_plan_does_not_have_is_not_computed(fed, number, model):
    site, job = _approved(fed)
    assert _ordered(site, job, number, model) == ("failed", "manifest_invalid", "FB-JOBS-048")


def test_a_first_round_that_starts_from_a_model_of_the_hub_is_not_computed(fed):
    site, job = _approved(fed)
    model = "sha256:" + "0" * 64
    assert _ordered(site, job, 1, model) == ("failed", "manifest_invalid", "FB-JOBS-048")


def test_a_round_behind_the_last_one_is_not_computed(fed):
    site, job = _approved(fed, rounds=3)
    with writing(site.node.engine) as session:
        session.add(_done(fed, job, 2))
    assert _ordered(site, job, 1, None) == ("failed", "manifest_invalid", "FB-JOBS-048")


def test_a_series_swapped_for_another_in_a_frozen_cohort_stops_the_job(fed):
    site, job = _approved(fed)
    with writing(site.node.engine) as session:
        row = session.scalars(select(CohortRow).where(CohortRow.job == job)).first()
        row.series_uid, row.content_digest = "9.99", "sha256:" + "1" * 64
    assert _reason(fed, site, job) == "cohort_changed"


def _held(fed, **consent):
    site, job = _approved(fed, hold_outputs=True, **consent)
    for name in ("north", "west"):
        fed.sites[name].approve(job)
    fed.settle()
    assert [one.state.value for one in held(site.outbox)] == ["held"]
    return site, job


def _releases(site, job: str) -> list[str]:
    with reading(site.node.engine) as session:
        return list(session.scalars(select(ReleaseRow.state).where(ReleaseRow.job == job)))


@pytest.mark.parametrize("let", [False, True])
def test_what_has_not_left_when_an_approval_is_withdrawn_never_leaves(fed, let):
    site, job = _held(fed)
    if let:
        let_go(site.node, site.outbox, job, by="curator")
    withdraw(site.node, job, by="curator")
    assert _releases(site, job) == ["withheld"]
    fed.settle()
    assert _releases(site, job) == ["withheld"]
    assert fed.site_state(job, "east") == ("failed", "approval_withdrawn")


def test_a_held_output_is_not_let_go_after_the_end_of_the_approval(fed):
    site, job = _held(fed, expires=fed.clock.now() + timedelta(days=1))
    fed.clock.advance(2 * 86_400)
    with pytest.raises(ApprovalOver):
        let_go(site.node, site.outbox, job, by="curator")


def test_a_ready_output_does_not_leave_after_the_end_of_the_approval(fed):
    site, job = _held(fed, expires=fed.clock.now() + timedelta(days=1))
    let_go(site.node, site.outbox, job, by="curator")
    fed.clock.advance(2 * 86_400)
    assert rounds.deliver(site.agent._site, job, 1) is SiteState.WITHHELD
    assert _releases(site, job) == ["withheld"]
    with reading(site.node.engine) as session:
        row = session.get_one(ReviewRow, job)
        assert (row.state, row.reason, row.reported) == ("withheld", "approval_expired", False)


@pytest.mark.parametrize(
    ("code", "state"), [("FB-CORE-030", "ready"), ("FB-JOBS-024", "withheld"), ("FB-CAT-013", "withheld")]
)
def test_an_output_is_kept_back_only_when_sending_it_again_cannot_help(fed, monkeypatch, code, state):
    site, job = _held(fed)
    let_go(site.node, site.outbox, job, by="curator")

    def refuse(self, release_id):
        raise FairbankError.from_problem({"code": code, "status": 422, "title": "No."})

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "send", refuse)
        send_ready(site.agent._site, under_way=frozenset())
    assert _releases(site, job) == [state]
    if state == "ready":
        fed.settle()
        assert _releases(site, job) == ["sent"]


def test_a_series_that_goes_while_its_cohort_is_computed_is_computed_without(fed):
    site, job = _approved(fed)
    for name in ("north", "west"):
        fed.sites[name].approve(job)

    def lose_one(task):
        del site.index.series["collection"][0]
        site.runner.before = lambda task: None

    site.runner.before = lose_one
    fed.settle()
    assert site.runner.calls == [(job, 1), (job, 1)]
    assert _releases(site, job) == ["sent"]


def test_a_job_that_ends_while_it_is_computed_stages_nothing(fed):
    site, job = _approved(fed, expires=fed.clock.now() + timedelta(days=1))
    site.runner.before = lambda task: fed.clock.advance(2 * 86_400)
    with writing(site.node.engine) as session:
        rounds.take(session, rounds.RoundOrder(job, 1, "lease", None), site=site.agent._site)
    assert rounds.work(site.agent._site, job, 1) is SiteState.FAILED
    assert _releases(site, job) == []


def test_a_series_whose_files_are_not_those_of_the_index_leaves_the_cohort(fed):
    site, job = _approved(fed)
    bad = site.index.series["collection"][0].series_uid
    surroundings = replace(site.agent._site, intact=lambda member: member.series_uid != bad)
    seen = []
    site.runner.before = lambda task: seen.append(len(task.series()))
    with writing(site.node.engine) as session:
        rounds.take(session, rounds.RoundOrder(job, 1, "lease", None), site=surroundings)
    with suppress(FairbankError):
        rounds.work(surroundings, job, 1)
    assert seen == [5]
    with reading(site.node.engine) as session:
        gone = session.scalars(select(CohortRow.series_uid).where(CohortRow.gone.is_not(None)))
        assert list(gone) == [bad]


def test_what_the_gate_refuses_is_in_the_ledger_and_its_bytes_are_gone(fed):
    site, job = _approved(fed)
    settings = replace(site.node.settings, release_maximum_bytes=10)
    site.node = replace(site.node, settings=settings)
    surroundings = site.restart()._site
    with writing(site.node.engine) as session:
        rounds.take(session, rounds.RoundOrder(job, 1, "lease", None), site=surroundings)
    assert rounds.work(surroundings, job, 1) is SiteState.WITHHELD
    with reading(site.node.engine) as session:
        refused = session.scalars(select(LedgerRow).where(LedgerRow.state == "refused")).one()
    assert refused.job == job
    assert list(site.node.outbox_path.glob("*")) == []


def test_an_agent_that_starts_removes_what_an_interrupted_staging_left(fed):
    site = fed.sites["east"]
    site.node.outbox_path.mkdir(parents=True, exist_ok=True)
    (site.node.outbox_path / "arriving-x").write_bytes(b"half")
    site.restart().resume()
    assert list(site.node.outbox_path.glob("*")) == []


def _ordered(site, job: str, number: int, model: str | None) -> tuple[str, str, str | None]:
    """Have the hub order a round past its own rules; return what the site says of the job then."""
    surroundings = site.agent._site
    with writing(site.node.engine) as session:
        rounds.take(session, rounds.RoundOrder(job, number, "lease", model), site=surroundings)
    rounds.work(surroundings, job, number)
    assert site.runner.calls == []
    with reading(site.node.engine) as session:
        row = session.get_one(ReviewRow, job)
        return row.state, row.reason, row.error


def _done(fed, job: str, number: int) -> WorkRow:
    return WorkRow(job=job, round=number, lease="x", state=rounds.STAGED, releases=[], taken=fed.clock.now())


def _review(fed, manifest) -> Lease:
    grant = fed.grants[manifest.visa]
    return Lease(
        id=fed.clock.new_id(),
        kind=LeaseKind.REVIEW,
        job=manifest.id,
        expires=iso(fed.clock.now()),
        request=grant.request.decode(),
        visa=grant.visa.decode(),
        manifest=manifest.seal(fed.requester).decode(),
        hub_audit_seq=0,
        hub_audit_hash="sha256:" + "0" * 64,
    )


def _approved(fed, *, rounds: int = 1, **consent):
    job = fed.submit(fed.manifest(fed.visa(), rounds=rounds))
    fed.settle()
    site = fed.sites["east"]
    site.approve(job, **consent)
    return site, job


def _reason(fed, site, job) -> str:
    from fairbank.federated_jobs.errors import JobsError

    with pytest.raises(JobsError) as caught, writing(site.node.engine) as session:
        authorise(site.node, session, job, source=site.index)
    return caught.value.reason.value


def _force_round(fed, job: str, name: str) -> None:
    now = fed.clock.now()
    with writing(fed.hub.engine) as session:
        session.add(RoundRow(job=job, round=1, state="open", opened=now, deadline=now + timedelta(hours=1)))
        session.get_one(JobRow, job).round = 1
        site = session.get_one(SiteRow, (job, name))
        site.state, site.round = "queued", 1
