"""The one table of protections, and all who read from it."""

from __future__ import annotations

import json

import pytest

from fairbank.catalogue.nodes import listing
from fairbank.database import reading
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
from fairbank.web.trainings import rules_of_sites


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


class TheList:
    """What the hub tells at `/v1/nodes`; the hub of these tests has only the routes of jobs."""

    def __init__(self, fed):
        self._fed = fed

    def get(self, path):
        assert path == "/v1/nodes"
        with reading(self._fed.hub.engine) as session:
            return {"nodes": [{"name": one.name, "training": one.training} for one in listing(session)]}


def test_nodes_tell_what_their_sites_ask_for_and_requesters_see_who_would_refuse(start):
    fed = start("east", "north")
    strict = 'schema = "site-policy/1"\n[training]\nsecure_aggregation = "required"\nminimum_images = 64\n'
    (fed.sites["east"].node.settings.home / "policy.toml").write_text(strict)
    (fed.sites["north"].node.settings.home / "policy.toml").write_text("allow = [")
    for site in fed.sites.values():
        site.restart().resume()
    nodes = {one["name"]: one["training"] for one in TheList(fed).get("/v1/nodes")["nodes"]}
    assert (nodes["east"]["secure_aggregation"], nodes["east"]["minimum_images"]) == ("required", 64)
    assert (nodes["east"]["halted"], nodes["north"]["halted"]) == (False, True)

    masked = {ProtectionName.MASKS}
    assert [one["refuses"] for one in rules_of_sites(TheList(fed), set())] == [
        "secure_aggregation required",
        "halted",
    ]
    assert [one["refuses"] for one in rules_of_sites(TheList(fed), masked, quorum=3, nodes=["east"])] == [
        "no"
    ]
    assert [one["refuses"] for one in rules_of_sites(TheList(fed), masked, quorum=2, nodes=["east"])] == [
        "minimum_survivors 3"
    ]


def test_a_node_that_has_told_nothing_is_said_to(start):
    fed = start("east")

    assert [one["refuses"] for one in rules_of_sites(TheList(fed), set())] == ["not told"]


def test_the_command_tells_of_what_is_chosen(fairbank):
    told = fairbank("job", "protections", "--aggregator", "median", "--format", "json").ok().out
    said = json.loads(told)["protections"]
    assert {one["protection"]: one["on"] for one in said}["robust-merging"] == "yes"
    assert {one["protection"]: one["on"] for one in said}["secure-aggregation"] == "no"
    fairbank("job", "protections", "01a1fdee-cff5-7f63-b5f0-d16d1d20c888", "--plan", "ensemble").refused(
        "no choice beside it",
        code=2,
    )
