"""What a site's people read before they decide: code, columns, privacy cost, and what a training may reveal."""

from __future__ import annotations

import json
from functools import partial

import pytest
from typer.testing import CliRunner

from fairbank.cli.main import app
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.node import reviewing
from fairbank.federated_jobs.node.pausing import pause_job
from fairbank.federated_jobs.node.policy_file import MANIFESTS
from fairbank.federated_jobs.node.what_leaves import leaves, privacy_cost, publisher, warnings
from fairbank.ontology.signed_objects import PrivacyBudget
from fairbank.ontology.tools import LegalStatus, ToolInputs, ToolManifest
from fairbank.release.suspension import suspend
from fairbank.signing import SigningKey

MEASURES = tool_named("intensity-geometry")


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


def sealed_tool(key: SigningKey) -> bytes:
    manifest = ToolManifest(
        code=MEASURES.code(),
        title="A tool",
        description="Measures.",
        publisher="Example Institute",
        publisher_key=key.key_id,
        entry_point="example.tool:TOOL",
        inputs=ToolInputs(),
        parameters={},
        outputs=MEASURES.outputs,
        intended_use="Research.",
        legal_status=LegalStatus.RESEARCH_ONLY,
        licence="Apache-2.0",
        created="2026-01-05T00:00:00.000Z",
    )
    return manifest.seal(key)


def test_the_columns_of_measurements_are_said_before_they_leave(fed):
    (one,) = leaves(fed.manifest(fed.visa(), "intensity-geometry"), at_least=10)
    assert one.columns is not None
    assert "modality (word)" in one.columns
    assert (one.output_class.value, one.minimum_count) == ("measurements", 10)
    assert "columns: " in str(one)


def test_a_training_says_what_it_may_reveal_and_a_measurement_does_not(fed):
    visa = fed.visa()
    assert warnings(fed.manifest(visa, "intensity-geometry")) == ()
    said = " ".join(warnings(fed.manifest(visa, "noop")))
    for word in ("rebuild", "noise", "secure aggregation", "hub"):
        assert word in said
    (update,) = leaves(fed.manifest(visa, "noop"), at_least=10)
    assert update.columns is None


def test_the_privacy_cost_is_what_the_manifest_asks_for(fed):
    manifest = fed.manifest(fed.visa(), "noop", rounds=3)
    assert "no budget" in privacy_cost(manifest) and "3 rounds" in privacy_cost(manifest)
    budget = manifest.model_copy(update={"privacy_budget": PrivacyBudget(epsilon="1.5", delta="0.00001")})
    assert "epsilon 1.5" in privacy_cost(budget)


def test_who_answers_for_code_is_told_by_its_seal():
    key, forger = SigningKey.generate(), SigningKey.generate()
    assert publisher(MEASURES.code(), []) == "part of fairbank"
    assert key.key_id in publisher(MEASURES.code(), [b"none", sealed_tool(key)])
    forged = json.loads(sealed_tool(key))
    forged["signatures"] = json.loads(sealed_tool(forger))["signatures"]
    assert publisher(MEASURES.code(), [json.dumps(forged).encode()]) == "part of fairbank"
    unknown = MEASURES.code().model_copy(update={"digest": "sha256:" + "2" * 64})
    assert "not installed here" in publisher(unknown, [])


def fairbank(site, *words: str) -> tuple[int, str]:
    answer = CliRunner().invoke(app, ["--home", str(site.node.settings.home), *words])
    return answer.exit_code, answer.stdout


def test_a_job_is_shown_whole_before_it_is_decided(fed, site, monkeypatch):
    key = SigningKey.generate()
    folder = site.node.settings.home / MANIFESTS
    folder.mkdir()
    (folder / "tool.json").write_bytes(sealed_tool(key))
    visa = fed.visa()
    measured, trained = fed.submit(fed.manifest(visa, "intensity-geometry")), fed.submit(fed.manifest(visa))
    fed.settle()
    monkeypatch.setattr(reviewing, "review", partial(reviewing.review, source=site.index))
    status, printed = fairbank(site, "node", "jobs", "show", measured, "--format", "json")
    shown = json.loads(printed)
    assert status == 0
    assert shown["publisher"].startswith(f"Example Institute, {key.key_id}")
    assert shown["code digest"] == MEASURES.digest
    assert "columns" in shown["would leave"][0]
    assert (shown["subjects here"], shown["training"]) == (3, "no model is trained")
    shown = json.loads(fairbank(site, "node", "jobs", "show", trained, "--format", "json")[1])
    assert len(shown["training"]) == 3
    pause_job(site.node, trained, by="curator")
    listed = json.loads(fairbank(site, "node", "jobs", "list", "--format", "json")[1])
    assert {one["job"]: one["paused"] for one in listed} == {measured: "", trained: "yes"}


def test_the_status_of_a_node_says_what_it_approves_and_what_waits(fed, site):
    fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    shown = json.loads(fairbank(site, "node", "status", "--format", "json")[1])
    # The command goes by this machine's clock, by which the hub has sealed nothing for long.
    assert {one["code"] for one in shown["needs somebody"]} <= {"FB-JOBS-057"}
    assert (shown["takes part"], shown["jobs that wait for a decision"]) == ("yes", 1)
    (site.node.settings.home / "policy.toml").unlink()
    shown = json.loads(fairbank(site, "node", "status", "--format", "json")[1])
    assert shown["approves by itself"].startswith("no policy file")
    suspend(site.node, by="curator")
    (site.node.settings.home / "policy.toml").write_text("allow = [")
    status, printed = fairbank(site, "node", "status", "--format", "json")
    shown = json.loads(printed)
    assert status == 1
    assert shown["takes part"].startswith("no: paused since")
    assert [one["code"] for one in shown["needs somebody"]][:2] == ["FB-REL-032", "FB-JOBS-183"]
    assert shown["approves by itself"].startswith("nothing: ") and "TOML" in shown["approves by itself"]
    assert fairbank(site, "node", "policy", "show")[0] != 0


def test_pausing_the_node_asks_for_the_word_all(fed, site):
    assert fairbank(site, "node", "pause")[0] == 2
    assert fairbank(site, "node", "pause", "--all")[0] == 0
    assert fairbank(site, "node", "resume")[0] == 0
