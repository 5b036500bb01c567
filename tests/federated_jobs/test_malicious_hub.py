"""A hub that forges, alters or confuses: the site refuses, and says which check did."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.federated_jobs.lying_hub import ZERO, Hub, altered, job_of, stopped

from fairbank.clock import iso
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.errors import JobsError
from fairbank.federated_jobs.manifest import open_chain
from fairbank.federated_jobs.node.approval import receive
from fairbank.federated_jobs.protocol import Lease, LeaseKind
from fairbank.signing import SigningKey, payload_type, seal


@pytest.fixture
def hub(start) -> Hub:
    return Hub(start("east"))


def test_a_lawful_job_waits_for_the_site_s_people(hub):
    visa = hub.visa()
    row = hub.brings(visa=visa, manifest=hub.manifest(visa))
    assert (row.state, row.reason, row.stopped_by) == ("pending_review", "none", None)


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
    row = hub.brings(**objects, job=job_of(hub.manifest(visa)))
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
