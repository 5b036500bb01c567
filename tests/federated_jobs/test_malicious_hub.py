"""A hub that lies: whatever it forges, alters, replays or invents, the site refuses, and says which check did."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.federated_jobs.conftest import BASE, DATASET

from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.errors import JobsError
from fairbank.federated_jobs.manifest import dataset_iri, draft, open_chain
from fairbank.federated_jobs.node.approval import Consent, approve, authorise, receive
from fairbank.federated_jobs.node.reporting import _message
from fairbank.federated_jobs.node.rules import Rule, add_rule
from fairbank.federated_jobs.node.store import AnchorRow, ApprovalRow, ReviewRow, RunRow
from fairbank.federated_jobs.protocol import Lease, LeaseKind
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import (
    GrantedDataset,
    Manifest,
    Request,
    Selector,
    SiteApproval,
    Visa,
    VisaDataset,
)
from fairbank.signing import SigningKey, payload_type, seal

OTHER = "other-collection"
ZERO = "sha256:" + "0" * 64


class Hub:
    """A hub that was taken over: it holds the hub's key and seals whatever it likes with it."""

    def __init__(self, fed: Any) -> None:
        self.fed, self.site, self.clock = fed, fed.sites["east"], fed.clock
        self.site.index.series[OTHER] = self.site.index.series[DATASET]
        self.request = self.asked()

    def asked(self, *, key: SigningKey | None = None, **changes: Any) -> bytes:
        """Return a request; by the real requester unless another key is given."""
        iris = tuple(dataset_iri(BASE, "east", name) for name in (DATASET, OTHER))
        signer = key or self.fed.requester
        found = {"datasets": iris, "requester_key": signer.key_id, **changes}
        return self.fed.request(**found)[0].seal(signer)

    def visa(
        self,
        *,
        request: bytes | None = None,
        key: SigningKey | None = None,
        terms: dict[str, dict[str, Any]] | None = None,
        **changes: Any,
    ) -> bytes:
        """Return a visa over both datasets; `terms` changes those of one dataset, by name."""
        asked, sealed = Request.open(request or self.request, trusted=None)
        now = self.clock.now()
        granted = tuple(
            GrantedDataset(
                iri=iri,
                selector=Selector(),
                output_classes=asked.output_classes,
                tool_families=("benchmark", "training", "measurements"),
                maximum_runs=5,
                expires=iso(now + timedelta(days=20)),
            ).model_copy(update=(terms or {}).get(iri.rpartition("/")[2], {}))
            for iri in asked.datasets
        )
        visa = Visa(
            id=self.clock.new_id(),
            hub=BASE,
            request=sealed.digest,
            requester_key=asked.requester_key,
            datasets=granted,
            purpose=asked.purpose,
            not_before=iso(now - timedelta(minutes=1)),
            created=iso(now),
        ).model_copy(update=changes)
        return visa.seal(key or self.fed.hub.key)

    def manifest(
        self,
        visa: bytes,
        *,
        key: SigningKey | None = None,
        names: tuple[str, ...] = (DATASET,),
        **changes: Any,
    ) -> bytes:
        """Return a manifest of the benchmark tool over some datasets."""
        from fairbank.federated_jobs.code import tool_named

        sealed = Visa.open(visa, trusted=None)[1]
        datasets = [VisaDataset(iri=dataset_iri(BASE, "east", name), selector=Selector()) for name in names]
        made = draft(
            sealed, tool_named("noop"), {}, clock=self.clock, title="A job", datasets=datasets, quorum=1
        )
        return made.model_copy(update=changes).seal(key or self.fed.requester)

    def brings(
        self,
        *,
        visa: bytes,
        manifest: bytes,
        request: bytes | None = None,
        job: str | None = None,
        **lease: Any,
    ) -> ReviewRow:
        """Bring a job to the site and return what the site wrote down."""
        found = Lease(
            id=self.clock.new_id(),
            kind=LeaseKind.REVIEW,
            job=job or _id(manifest) or self.clock.new_id(),
            expires=iso(self.clock.now()),
            request=(request or self.request).decode(),
            visa=visa.decode(),
            manifest=manifest.decode(),
            hub_audit_seq=0,
            hub_audit_hash=ZERO,
            **lease,
        )
        return receive(self.site.node, found, source=self.site.index)

    def approved(self, **terms: Any) -> str:
        """Have a lawful job approved by the site's people; return its id."""
        visa = self.visa(terms={DATASET: terms, OTHER: terms})
        row = self.brings(visa=visa, manifest=self.manifest(visa))
        approve(self.site.node, row.job, Consent(by="curator"), source=self.site.index)
        return row.job


def _id(envelope: bytes) -> str | None:
    payload = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return payload.get("id") if isinstance(payload, dict) else None


def stopped(row: ReviewRow) -> tuple[str, str | None]:
    """Return why the hub hears that the job was refused, and which check the site's people read; nothing ran."""
    assert (row.state, row.ended) == ("rejected", True)
    return row.reason, row.stopped_by


def altered(envelope: bytes, old: bytes, new: bytes) -> bytes:
    parsed = json.loads(envelope)
    payload = base64.b64decode(parsed["payload"])
    assert old in payload
    parsed["payload"] = base64.b64encode(payload.replace(old, new)).decode()
    return json.dumps(parsed).encode()


@pytest.fixture
def hub(start) -> Hub:
    return Hub(start("east"))


def test_a_lawful_job_waits_for_the_site_s_people(hub):
    visa = hub.visa()
    row = hub.brings(visa=visa, manifest=hub.manifest(visa))
    assert (row.state, row.reason, row.stopped_by) == ("pending_review", "none", None)


# -- forged, altered, confused ---------------------------------------------------------------------------------------


def test_a_visa_by_another_key_than_the_pinned_one(hub):
    visa = hub.visa(key=SigningKey.generate())
    assert stopped(hub.brings(visa=visa, manifest=hub.manifest(visa))) == ("visa_invalid", "visa-seal")


def test_a_visa_by_a_new_hub_key_that_the_old_one_did_not_sign(hub):
    hub.fed.hub = replace(hub.fed.hub, key=SigningKey.generate())
    visa = hub.visa()
    assert stopped(hub.brings(visa=visa, manifest=hub.manifest(visa))) == ("visa_invalid", "visa-seal")


def test_a_visa_that_the_requester_sealed_herself(hub):
    visa = hub.visa(key=hub.fed.requester)
    assert stopped(hub.brings(visa=visa, manifest=hub.manifest(visa))) == ("visa_invalid", "visa-seal")


def test_a_visa_with_one_word_changed(hub):
    visa = hub.visa()
    wider = altered(visa, b'"maximum_runs":5', b'"maximum_runs":9')
    assert stopped(hub.brings(visa=wider, manifest=hub.manifest(visa))) == ("visa_invalid", "visa-seal")


@pytest.mark.parametrize(
    ("place", "reason", "check"),
    [
        ("visa", "visa_invalid", "visa-seal"),
        ("request", "request_invalid", "request-seal"),
        ("manifest", "manifest_invalid", "manifest-seal"),
    ],
)
def test_an_object_of_another_kind_in_its_place(hub, place, reason, check):
    """Sealed by the right key, and even of the right content: the kind is signed with it."""
    visa = hub.visa()
    objects = {"request": hub.request, "visa": visa, "manifest": hub.manifest(visa)}
    key = hub.fed.hub.key if place == "visa" else hub.fed.requester
    payload = json.loads(base64.b64decode(json.loads(objects[place])["payload"]))
    objects[place] = seal("record", payload, key)
    row = hub.brings(**objects, job=_id(hub.manifest(visa)))
    assert stopped(row) == (reason, check)


def test_a_payload_type_that_is_renamed_without_its_seal(hub):
    visa = hub.visa()
    renamed = json.loads(hub.request)
    renamed["payloadType"] = payload_type("visa")
    row = hub.brings(visa=json.dumps(renamed).encode(), manifest=hub.manifest(visa))
    assert stopped(row) == ("visa_invalid", "visa-seal")


@pytest.mark.parametrize("schema", ["visa/0", "visa/2", "grant/1"])
def test_a_visa_of_another_schema_though_the_hub_sealed_it(hub, schema):
    visa = hub.visa()
    payload = json.loads(base64.b64decode(json.loads(visa)["payload"]))
    downgraded = seal("visa", {**payload, "schema": schema}, hub.fed.hub.key)
    row = hub.brings(visa=downgraded, manifest=hub.manifest(visa))
    assert stopped(row) == ("visa_invalid", "visa-schema")


def test_a_visa_of_the_schema_before_with_one_set_of_terms_for_all_datasets(hub):
    visa = hub.visa()
    payload = json.loads(base64.b64decode(json.loads(visa)["payload"]))
    payload["datasets"] = [{"iri": one["iri"], "selector": one["selector"]} for one in payload["datasets"]]
    payload |= {
        "output_classes": ["model-update"],
        "maximum_runs": 10_000,
        "expires": "2099-01-01T00:00:00.000Z",
    }
    row = hub.brings(visa=seal("visa", payload, hub.fed.hub.key), manifest=hub.manifest(visa))
    assert stopped(row) == ("visa_invalid", "visa-schema")


def test_a_manifest_with_one_word_changed(hub):
    visa = hub.visa()
    manifest = altered(hub.manifest(visa), b"A job", b"B job")
    assert stopped(hub.brings(visa=visa, manifest=manifest)) == ("manifest_invalid", "manifest-seal")


def test_a_manifest_under_the_id_of_another_job(hub):
    visa = hub.visa()
    row = hub.brings(visa=visa, manifest=hub.manifest(visa), job=hub.clock.new_id())
    assert stopped(row) == ("manifest_invalid", "job-id")


def test_a_job_without_its_signed_objects(hub):
    lease = Lease(
        id=hub.clock.new_id(),
        kind=LeaseKind.REVIEW,
        job=hub.clock.new_id(),
        expires=iso(hub.clock.now()),
        hub_audit_seq=0,
        hub_audit_hash=ZERO,
    )
    with pytest.raises(JobsError) as caught:
        receive(hub.site.node, lease, source=hub.site.index)
    assert caught.value.check is Check.OBJECTS


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.sampled_from(["request", "visa", "manifest"]), place=st.floats(0, 1), flip=st.integers(1, 255)
)
def test_any_byte_changed_in_any_object_is_refused_or_changes_nothing(hub, which, place, flip):
    visa = hub.visa()
    objects = {"request": hub.request, "visa": visa, "manifest": hub.manifest(visa)}
    whole = open_chain(**objects, hub_key=hub.fed.hub.key.key_id)
    changed = bytearray(objects[which])
    changed[min(int(place * len(changed)), len(changed) - 1)] ^= flip
    try:
        chain = open_chain(**{**objects, which: bytes(changed)}, hub_key=hub.fed.hub.key.key_id)
    except JobsError as err:
        assert err.check is not None
        return
    # A byte outside what is signed, such as a blank: the same payloads, by the same keys.
    assert (chain.request, chain.visa, chain.manifest) == (whole.request, whole.visa, whole.manifest)
    assert chain.sealed_visa.digest == whole.sealed_visa.digest


# -- replayed and exchanged ------------------------------------------------------------------------------------------


def test_a_visa_for_another_job_s_manifest(hub):
    first, second = hub.visa(), hub.visa()
    row = hub.brings(visa=second, manifest=hub.manifest(first))
    assert stopped(row) == ("manifest_invalid", "visa-digest")


def test_a_visa_of_another_request(hub):
    visa = hub.visa()
    row = hub.brings(visa=visa, manifest=hub.manifest(visa), request=hub.asked(title="Another question"))
    assert stopped(row) == ("request_invalid", "request-digest")


def test_a_request_that_was_widened_after_its_visa(hub):
    narrow = hub.asked(datasets=(dataset_iri(BASE, "east", DATASET),))
    visa = hub.visa(request=narrow)
    number = Request.open(narrow, trusted=None)[0].id
    row = hub.brings(visa=visa, manifest=hub.manifest(visa), request=hub.asked(id=number))
    assert stopped(row) == ("request_invalid", "request-digest")


@pytest.mark.parametrize(
    "asked",
    [
        {"datasets": (f"{BASE}/datasets/east/{DATASET}",)},
        {"output_classes": (OutputClass.MEASUREMENTS,)},
        {"until": "2026-01-01T00:00:00.000Z"},
    ],
    ids=["a dataset", "an output class", "an end"],
)
def test_a_visa_wider_than_its_request(hub, asked):
    wide = Visa.open(hub.visa(), trusted=None)[0]
    request = hub.asked(**asked)
    visa = wide.model_copy(update={"request": Request.open(request, trusted=None)[1].digest})
    sealed = visa.seal(hub.fed.hub.key)
    row = hub.brings(visa=sealed, manifest=hub.manifest(sealed), request=request)
    assert stopped(row) == ("visa_invalid", "visa-within-request")


def test_a_finished_job_brought_again(hub):
    visa = hub.visa()
    manifest = hub.manifest(visa)
    row = hub.brings(visa=visa, manifest=manifest)
    with writing(hub.site.node.engine) as session:
        session.get_one(ReviewRow, row.job).ended = True
    with pytest.raises(JobsError) as caught:
        hub.brings(visa=visa, manifest=manifest)
    assert (caught.value.reason.value, caught.value.check) == ("replayed", Check.REPLAY)


def test_more_runs_than_granted(hub):
    hub.approved(maximum_runs=1)
    visa = hub.visa(terms={DATASET: {"maximum_runs": 1}})
    assert stopped(hub.brings(visa=visa, manifest=hub.manifest(visa))) == ("runs_spent", "runs")


def test_runs_do_not_begin_anew_when_the_request_is_amended(hub):
    """The request's digest changes with each version and its id does not."""
    hub.approved(maximum_runs=1)
    first, sealed = Request.open(hub.request, trusted=None)
    amended = hub.asked(id=first.id, version=2, amends=sealed.digest, title="The same, amended")
    hub.clock.advance(60)
    visa = hub.visa(request=amended, terms={DATASET: {"maximum_runs": 1}})
    row = hub.brings(visa=visa, manifest=hub.manifest(visa), request=amended)
    assert stopped(row) == ("runs_spent", "runs")


def test_runs_are_counted_for_each_dataset_by_itself(hub):
    hub.approved(maximum_runs=1)
    visa = hub.visa(terms={DATASET: {"maximum_runs": 1}, OTHER: {"maximum_runs": 1}})
    row = hub.brings(visa=visa, manifest=hub.manifest(visa, names=(OTHER,)))
    assert row.state == "pending_review"
    both = hub.manifest(visa, names=(DATASET, OTHER))
    assert stopped(hub.brings(visa=visa, manifest=both)) == ("runs_spent", "runs")


def test_a_superseded_visa_presented_as_new(hub):
    old = hub.visa()
    hub.clock.advance(3600)
    new = hub.visa(terms={DATASET: {"maximum_runs": 2}}, supersedes=Visa.open(old, trusted=None)[1].digest)
    assert hub.brings(visa=new, manifest=hub.manifest(new)).state == "pending_review"
    row = hub.brings(visa=old, manifest=hub.manifest(old))
    assert stopped(row) == ("visa_superseded", "newest-visa")


def test_what_was_approved_under_a_visa_that_is_then_replaced_still_holds(hub):
    job = hub.approved()
    hub.clock.advance(3600)
    new = hub.visa()
    hub.brings(visa=new, manifest=hub.manifest(new))
    with writing(hub.site.node.engine) as session:
        assert authorise(hub.site.node, session, job, source=hub.site.index).chain.manifest.id == job


def test_a_later_visa_for_another_dataset_does_not_replace(hub):
    old = hub.visa()
    number = Request.open(hub.request, trusted=None)[0].id
    hub.clock.advance(3600)
    only_other = hub.asked(id=number, datasets=(dataset_iri(BASE, "east", OTHER),))
    new = hub.visa(request=only_other)
    hub.brings(visa=new, manifest=hub.manifest(new, names=(OTHER,)), request=only_other)
    assert hub.brings(visa=old, manifest=hub.manifest(old)).state == "pending_review"


# -- clocks, addresses, keys -----------------------------------------------------------------------------------------


def at_site(hub, days: float) -> None:
    """Let the site's own clock go by itself, however the hub's stands."""
    clock = FixedClock(hub.clock.now() + timedelta(days=days))
    hub.site.node = replace(hub.site.node, clock=clock)


@pytest.mark.parametrize("days", [-1, 21], ids=["not yet valid", "over"])
def test_a_visa_out_of_its_dates_by_the_site_s_own_clock(hub, days):
    visa = hub.visa()
    manifest = hub.manifest(visa)
    at_site(hub, days)
    assert stopped(hub.brings(visa=visa, manifest=manifest)) == ("visa_expired", "visa-dates")


def test_a_visa_that_begins_in_the_future_though_the_hub_says_it_is_time(hub):
    visa = hub.visa(not_before=iso(hub.clock.now() + timedelta(seconds=1)))
    assert stopped(hub.brings(visa=visa, manifest=hub.manifest(visa))) == ("visa_expired", "visa-dates")


def test_one_dataset_s_end_is_not_another_s(hub):
    soon = {"expires": iso(hub.clock.now() + timedelta(days=1))}
    visa = hub.visa(terms={DATASET: soon})
    first, second = hub.manifest(visa), hub.manifest(visa, names=(OTHER,))
    at_site(hub, 2)
    assert stopped(hub.brings(visa=visa, manifest=first)) == ("visa_expired", "visa-dates")
    assert hub.brings(visa=visa, manifest=second).state == "pending_review"


def test_a_visa_made_for_another_hub(hub):
    visa = hub.visa(hub="http://elsewhere.test")
    assert stopped(hub.brings(visa=visa, manifest=hub.manifest(visa))) == ("visa_invalid", "hub-address")


def test_a_manifest_by_another_key_than_the_visa_names(hub):
    visa = hub.visa()
    manifest = hub.manifest(visa, key=SigningKey.generate())
    assert stopped(hub.brings(visa=visa, manifest=manifest)) == ("manifest_invalid", "manifest-seal")


def test_a_manifest_that_names_another_key_than_sealed_it(hub):
    visa = hub.visa()
    manifest = hub.manifest(visa, requester_key=SigningKey.generate().key_id)
    assert stopped(hub.brings(visa=visa, manifest=manifest)) == ("manifest_invalid", "requester-key")


def test_a_visa_that_puts_another_key_in_the_requester_s_place(hub):
    mallory = SigningKey.generate()
    visa = hub.visa(requester_key=mallory.key_id)
    manifest = hub.manifest(visa, key=mallory, requester_key=mallory.key_id)
    assert stopped(hub.brings(visa=visa, manifest=manifest)) == ("request_invalid", "request-seal")


def test_a_request_that_names_another_key_than_sealed_it(hub):
    mallory = SigningKey.generate()
    request = hub.asked(requester_key=mallory.key_id)
    visa = hub.visa(request=request, requester_key=hub.fed.requester.key_id)
    row = hub.brings(visa=visa, manifest=hub.manifest(visa), request=request)
    assert stopped(row) == ("request_invalid", "requester-key")


def test_an_invented_requester_is_not_approved_by_a_rule_that_pins_the_real_one(hub):
    """All of it is sealed as it should be, by a key that the hub made up for the same name."""
    end = hub.clock.now() + timedelta(days=5)
    for name in (DATASET, OTHER):
        rule = Rule(hub.fed.requester.key_id, name, end, code_family="benchmark")
        add_rule(hub.site.node, rule, by="curator")
    mallory = SigningKey.generate()
    request = hub.asked(key=mallory)
    visa = hub.visa(request=request)
    manifest = hub.manifest(visa, key=mallory)
    row = hub.brings(visa=visa, manifest=manifest, request=request)
    assert row.requester_key == mallory.key_id
    assert approvals(hub) == []
    lawful = hub.visa()
    row = hub.brings(visa=lawful, manifest=hub.manifest(lawful))
    assert approvals(hub) == [row.job]


# -- more than the terms ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "narrow",
    [
        {"output_classes": (OutputClass.MEASUREMENTS,)},
        {"tool_families": ("measurements",)},
        {"selector": Selector(modality=("CT",))},
    ],
    ids=["output class", "tool", "selection"],
)
def test_the_terms_of_one_dataset_do_not_open_another(hub, narrow):
    visa = hub.visa(terms={OTHER: narrow})
    assert hub.brings(visa=visa, manifest=hub.manifest(visa)).state == "pending_review"
    row = hub.brings(visa=visa, manifest=hub.manifest(visa, names=(OTHER,)))
    assert row.stopped_by == "manifest-within-visa"
    row = hub.brings(visa=visa, manifest=hub.manifest(visa, names=(DATASET, OTHER)))
    assert row.stopped_by == "manifest-within-visa"


def test_a_dataset_that_the_visa_does_not_name(hub):
    narrow = hub.asked(datasets=(dataset_iri(BASE, "east", DATASET),))
    visa = hub.visa(request=narrow)
    row = hub.brings(visa=visa, manifest=hub.manifest(visa, names=(OTHER,)), request=narrow)
    assert stopped(row) == ("manifest_invalid", "manifest-within-visa")


def test_images_for_download_in_a_manifest(hub):
    visa = hub.visa()
    parsed = Manifest.open(hub.manifest(visa), trusted=None)[0]
    output = parsed.outputs[0].model_copy(update={"output_class": OutputClass.DOWNLOAD})
    row = hub.brings(visa=visa, manifest=hub.manifest(visa, outputs=(output,)))
    assert stopped(row) == ("manifest_invalid", "manifest-schema")


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
    answer = CliRunner().invoke(app, ["--home", home, "node", "jobs", "--format", "json"])
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


def approvals(hub: Hub) -> list[str]:
    with reading(hub.site.node.engine) as session:
        return list(session.scalars(select(ApprovalRow.job)))


def refusal(hub: Hub, job: str) -> tuple[str, Check | None]:
    with pytest.raises(FairbankError) as caught, writing(hub.site.node.engine) as session:
        authorise(hub.site.node, session, job, source=hub.site.index)
    assert isinstance(caught.value, JobsError)
    return caught.value.reason.value, caught.value.check
