"""A hub that goes past dates, addresses, keys and terms: the site refuses, and says which check did."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.federated_jobs.conftest import BASE, DATASET
from tests.federated_jobs.lying_hub import OTHER, Hub, approvals, at_site, stopped

from fairbank.clock import iso
from fairbank.federated_jobs.manifest import dataset_iri
from fairbank.federated_jobs.node.rules import Rule, add_rule
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Manifest, Selector
from fairbank.signing import SigningKey


@pytest.fixture
def hub(start) -> Hub:
    return Hub(start("east"))


# -- clocks, addresses, keys -----------------------------------------------------------------------------------------


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
