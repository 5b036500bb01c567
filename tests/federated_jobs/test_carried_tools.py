"""Sealed tool manifests that come with a job: kept at the site, shown, and counted by their seal alone."""

from __future__ import annotations

import json

import pytest
from tests.federated_jobs.test_tool_registry import Registry

from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.node import carried_tools
from fairbank.federated_jobs.node.carried_tools import FOLDER, carried, keep
from fairbank.federated_jobs.node.policy_file import sealed_manifests
from fairbank.federated_jobs.node.reviewing import review
from fairbank.federated_jobs.node.site_policy import publishers_of
from fairbank.federated_jobs.protocol import Lease, LeaseKind
from fairbank.signing import SigningKey


@pytest.fixture
def fed(start):
    return start("east", "north")


def test_a_job_brings_its_tool_s_sealed_manifest_and_the_hub_s_word(fed):
    registry, site = Registry(fed), fed.sites["east"]
    registry.accepted()
    job = fed.submit(fed.manifest(fed.visa()))
    site.agent.step()
    shown = review(site.node, job, source=site.index)
    assert shown.told is not None
    assert shown.told.review.startswith("accepted, as the hub said")
    assert registry.keys["ada"].key_id in shown.told.publisher
    # What the hub brings is never shown as what the site itself knows.
    assert shown.publisher == "part of fairbank"
    code, key = tool_named("noop").code(), registry.keys["ada"].key_id
    assert publishers_of(code, sealed_manifests(site.node), pinned={key}) == {key}
    assert publishers_of(code, sealed_manifests(site.node), pinned={SigningKey.generate().key_id}) == set()


def test_without_a_registry_nothing_comes_and_the_job_comes_all_the_same(fed):
    site = fed.sites["east"]
    job = fed.submit(fed.manifest(fed.visa()))
    site.agent.step()
    assert review(site.node, job, source=site.index).told is None
    assert not (site.node.settings.home / FOLDER).exists()


def test_a_manifest_that_a_hub_made_up_is_not_kept(fed):
    registry, site = Registry(fed), fed.sites["east"]
    made_up = registry.manifest().seal(fed.hub.key)
    broken = json.loads(registry.manifest().seal(registry.keys["ada"]))
    broken["signatures"][0]["sig"] = "AAAA" + broken["signatures"][0]["sig"][4:]
    for envelope in (made_up.decode(), json.dumps(broken), "{}", "x" * 300_000):
        keep(site.node, _lease(fed, envelope))
    assert carried(site.node) == []


def test_only_so_many_are_kept_whatever_a_hub_brings(fed, monkeypatch):
    monkeypatch.setattr(carried_tools, "MOST_KEPT", 2)
    registry, site = Registry(fed), fed.sites["east"]
    sealed = [
        registry.manifest(publisher=f"Example {number}").seal(registry.keys["ada"]) for number in range(3)
    ]
    for envelope in [*sealed, sealed[0]]:
        keep(site.node, _lease(fed, envelope.decode()))
    assert {one.manifest.publisher for one in carried(site.node)} == {"Example 0", "Example 1"}


def _lease(fed, envelope: str) -> Lease:
    return Lease(
        id=fed.clock.new_id(),
        kind=LeaseKind.REVIEW,
        job=fed.clock.new_id(),
        expires="2026-01-05T00:00:00.000Z",
        tool_manifest=envelope,
        tool_state="accepted",
        hub_audit_seq=1,
        hub_audit_hash="sha256:" + "0" * 64,
    )
