"""Effective settings: signed by each site, compared by the hub; who deviates does not train."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairbank.database import reading
from fairbank.errors import FairbankError
from fairbank.federated_jobs.hub import rounds as hub_rounds
from fairbank.federated_jobs.hub.store import JobRow, SettingsRow
from fairbank.federated_jobs.node import effective_settings
from fairbank.federated_jobs.training_settings import (
    Gpu,
    Library,
    SiteSettings,
    Vendor,
    Version,
    envelope_of,
    opened_settings,
    sealed_settings,
    value_digest,
)
from fairbank.ontology.signed_objects import Training
from fairbank.release.gate import judge_control
from fairbank.signing import SigningKey


def with_settings(monkeypatch: pytest.MonkeyPatch, node: str, **changes: Any) -> None:
    """Have one node tell other settings than it has."""
    real = effective_settings.effective_settings

    def changed(own: Any, *arguments: Any) -> SiteSettings:
        found = real(own, *arguments)
        return found.model_copy(update=changes) if own.name == node else found

    monkeypatch.setattr(effective_settings, "effective_settings", changed)


def test_every_site_signs_its_settings_before_its_first_update(fed):
    job = fed.run(training=Training())
    view = fed.get(f"/v1/jobs/{job}/settings").json()
    assert [site["node"] for site in view["sites"]] == ["east", "north", "west"] and view["silent"] == []
    assert all(site["deviates"] == site["differs"] == site["parameters"] == [] for site in view["sites"])
    assert {"fairbank", "numpy", "python"} <= set(view["sites"][0]["versions"])
    with reading(fed.hub.engine) as session:
        row = session.get_one(SettingsRow, (job, "east"))
        statement, sealed = opened_settings(row.statement, trusted=[fed.sites["east"].node.key.key_id])
    assert (statement.job, sealed.digest) == (job, row.digest)


def test_a_site_with_another_seed_is_taken_out_and_the_others_go_on(fed, monkeypatch):
    with_settings(monkeypatch, "north", seed=value_digest("another"))
    job = fed.run(training=Training(), quorum=2)
    assert fed.state(job) == "completed"
    assert fed.site_state(job, "north") == ("failed", "settings_deviate")
    assert fed.sites["north"].runner.calls == []
    told = {site["node"]: site["deviates"] for site in fed.get(f"/v1/jobs/{job}/settings").json()["sites"]}
    assert told == {"east": [], "north": ["seed"], "west": []}


def test_the_parameter_that_deviates_is_named_and_its_value_is_not(fed, monkeypatch):
    names = ("samples", "weights")
    expected = [value_digest(100), value_digest(431_080)]
    with_settings(monkeypatch, "east", parameters=(value_digest(99), expected[1]))
    job = fed.run(training=Training(), quorum=2)
    east = fed.get(f"/v1/jobs/{job}/settings").json()["sites"][0]
    assert (east["deviates"], east["parameters"]) == (["parameters"], [names[0]])


def test_versions_and_hardware_are_shown_and_stop_nobody(fed, monkeypatch):
    old = (Version(library=Library.TORCH, major=1, minor=0, patch=0),)
    with_settings(monkeypatch, "west", versions=old, vendor=Vendor.ARM)
    job = fed.run(training=Training())
    assert fed.state(job) == "completed"
    west = fed.get(f"/v1/jobs/{job}/settings").json()["sites"][2]
    assert "vendor" in west["differs"] and "torch" in west["differs"] and west["deviates"] == []


@pytest.mark.parametrize(
    ("asked", "change"),
    [("hardware", {"gpu": Gpu.AMD}), ("versions", {"versions": ()})],
    ids=["hardware", "versions"],
)
def test_a_manifest_may_ask_for_the_same_everywhere(start, monkeypatch, asked, change):
    fed = start("east", "north")
    with_settings(monkeypatch, "north", **change)
    job = fed.run(training=Training(same_everywhere=(asked,)), quorum=1)
    assert fed.site_state(job, "north") == ("failed", "settings_deviate")
    assert fed.state(job) == "completed"


def test_an_update_of_a_site_that_has_told_nothing_is_refused(start, monkeypatch):
    fed = start("east")
    monkeypatch.setattr("fairbank.federated_jobs.node.rounds.tell_settings", lambda *given: None)
    job = fed.run(training=Training())
    assert fed.state(job) != "completed"
    with reading(fed.hub.engine) as session:
        assert session.query(hub_rounds.UpdateRow).count() == 0


def test_a_job_that_says_nothing_of_its_training_goes_on_without_statements(start, monkeypatch):
    fed = start("east")
    monkeypatch.setattr("fairbank.federated_jobs.node.rounds.tell_settings", lambda *given: None)
    assert fed.state(fed.run()) == "completed"


def test_settings_sealed_with_another_key_are_not_taken(start):
    fed = start("east")
    job = fed.submit(fed.manifest(fed.visa(), training=Training()))
    site = fed.sites["east"]
    forged = sealed_settings(a_statement(job), SigningKey.generate())
    with pytest.raises(FairbankError) as caught:
        site.outbox.control("POST", f"/v1/jobs/{job}/sites/east/settings", forged)
    assert getattr(caught.value, "remote_code", "") == "FB-CORE-013"
    with reading(fed.hub.engine) as session:
        assert session.get(SettingsRow, (job, "east")) is None


def test_a_site_that_tells_the_same_again_changes_nothing(start):
    fed = start("east")
    job = fed.run(training=Training())
    site = fed.sites["east"]
    with reading(fed.hub.engine) as session:
        before = session.get_one(SettingsRow, (job, "east"))
        told, _ = opened_settings(before.statement, trusted=[site.node.key.key_id])
        changes = session.get_one(JobRow, job).changes
    again = sealed_settings(told.model_copy(update={"created": "2026-01-16T12:00:00.000Z"}), site.node.key)
    site.outbox.control("POST", f"/v1/jobs/{job}/sites/east/settings", again)
    with reading(fed.hub.engine) as session:
        assert session.get_one(SettingsRow, (job, "east")).digest == before.digest
        assert session.get_one(JobRow, job).changes == changes


def test_one_changed_word_spoils_the_signature():
    key = SigningKey.generate()
    signed = sealed_settings(a_statement("01a1fdee-cff5-7f63-b5f0-d16d1d20c888"), key)
    assert opened_settings(envelope_of(signed, key.key_id), trusted=[key.key_id])[0].vendor is Vendor.OTHER
    changed = signed.model_copy(update={"vendor": Vendor.INTEL})
    with pytest.raises(FairbankError):
        opened_settings(envelope_of(changed, key.key_id), trusted=[key.key_id])


def test_the_gate_lets_a_statement_out_and_it_holds_no_free_text():
    signed = sealed_settings(a_statement("01a1fdee-cff5-7f63-b5f0-d16d1d20c888"), SigningKey.generate())
    assert judge_control(signed).allowed
    with pytest.raises(FairbankError):
        SiteSettings.parse({**json.loads(signed.to_bytes()), "signature": "a hospital's name"})


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("NVIDIA H200", Gpu.NVIDIA_DATACENTRE),
        ("NVIDIA A100-SXM4-80GB", Gpu.NVIDIA_DATACENTRE),
        ("NVIDIA GeForce RTX 4090", Gpu.NVIDIA_WORKSTATION),
    ],
)
def test_a_gpu_is_told_by_its_class(tmp_path, model, expected):
    (tmp_path / "0000").mkdir()
    (tmp_path / "0000" / "information").write_text(f"Model: \t\t {model}\nGPU UUID: GPU-1234\n")
    assert effective_settings.gpu(tmp_path) is expected


def a_statement(job: str) -> SiteSettings:
    digest = "sha256:" + "0" * 64
    return SiteSettings(
        job=job,
        manifest=digest,
        code=digest,
        parameters=(digest,),
        training=digest,
        seed=digest,
        versions=(Version(library=Library.PYTHON, major=3, minor=11, patch=2),),
        processor=effective_settings.processor(),
        vendor=Vendor.OTHER,
        gpu=Gpu.NONE,
        created="2026-01-15T12:00:00.000Z",
    )
