"""The one table of protections, and all who read from it."""

from __future__ import annotations

import json

import pytest

from fairbank.federated_jobs.model_limits import protections_of
from fairbank.federated_jobs.node.what_leaves import warnings
from fairbank.federated_jobs.protections import (
    CHOSEN,
    PROTECTIONS,
    ProtectionName,
    protections_in,
    protections_on,
    rows_of,
)
from fairbank.ontology.signed_objects import DifferentialPrivacy, Element, SecureAggregation, Training


@pytest.mark.parametrize(
    ("aggregator", "training", "on"),
    [
        ("fedavg", Training(), set()),
        ("krum", Training(), {"robust-merging"}),
        ("fedavg", Training(filters=(Element(name="clip-norm"),)), {"clip-norm"}),
        ("fedavg", Training(filters=(Element(name="ckks"),)), {"encryption"}),
        (
            "fedavg",
            Training(
                differential_privacy=DifferentialPrivacy(clip_norm="1"),
                secure_aggregation=SecureAggregation(bound="1"),
            ),
            {"differential-privacy", "secure-aggregation"},
        ),
    ],
)
def test_what_a_training_chooses_is_on_beside_what_all_have(aggregator, training, on):
    found = protections_on(aggregator, training)
    assert {one.value for one in found if one in CHOSEN} == on
    assert {one for one in ProtectionName if one not in CHOSEN} <= found


def test_no_protection_says_that_it_stops_all():
    assert set(PROTECTIONS) == set(ProtectionName)
    for row in rows_of(()):
        assert all(row.values()) and row["on"] in ("always", "no")


def test_site_card_and_record_say_the_same(start):
    fed = start("east")
    job = fed.run(rounds=1)
    with_noise = fed.manifest(fed.visa())
    with_noise = with_noise.model_copy(
        update={"training": Training(differential_privacy=DifferentialPrivacy(clip_norm="1"))}
    )
    noise = PROTECTIONS[ProtectionName.NOISE]
    plain = fed.manifest(fed.visa())
    assert any(noise.title in line for line in warnings(plain) if line.startswith("Not in place"))
    assert not any(noise.title in line for line in warnings(with_noise) if line.startswith("Not in place"))
    assert f"{noise.title}: {noise.leaves_open}" in warnings(with_noise)
    card = {one.name: one for one in protections_of(plain)}
    assert card["rules of the sites"].meaning == PROTECTIONS[ProtectionName.SITE_RULES].stops
    told = fed.get(f"/v1/jobs/{job}/training").json()["protections"]
    assert told == sorted(one.value for one in protections_in(plain))


def test_the_command_tells_of_what_is_chosen(fairbank):
    said = json.loads(fairbank("job", "protections", "--aggregator", "median", "--format", "json").ok().out)
    assert {one["protection"]: one["on"] for one in said}["robust-merging"] == "yes"
    assert {one["protection"]: one["on"] for one in said}["secure-aggregation"] == "no"
    fairbank("job", "protections", "01a1fdee-cff5-7f63-b5f0-d16d1d20c888", "--plan", "ensemble").refused(
        "no choice beside it",
        code=2,
    )
