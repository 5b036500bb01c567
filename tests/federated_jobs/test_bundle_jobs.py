"""Jobs with bundles, from the import at the hub to the model: looked at by the hub, by the node, and in the sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load
from safetensors.numpy import save as saved
from tests.federated_jobs import bundles
from tests.federated_jobs.conftest import refusal
from tests.federated_jobs.test_model_files import bring
from tests.federated_jobs.test_model_registry import OverHttp
from tests.federated_jobs.training_sites import WINDOW

from fairbank.catalogue import blobs
from fairbank.database import reading
from fairbank.federated_jobs.code import UPDATE, tool_named
from fairbank.federated_jobs.evaluating import EVALUATE, evaluation_file
from fairbank.federated_jobs.hub import model_files as model_files_of_hub
from fairbank.federated_jobs.hub.store import RoundRow
from fairbank.federated_jobs.manifest import check_code
from fairbank.federated_jobs.node.model_files import place_of
from fairbank.federated_jobs.node.reviewing import review
from fairbank.federated_jobs.node.runner import ConfinedRunner, Product
from fairbank.federated_jobs.training_errors import EvaluationRefused, StartRefused
from fairbank.ontology.signed_objects import Element, Manifest, PlanName, Training
from fairbank.web.acts import start_of
from fairbank.web.model_files import _ensemble_of, card_of

TELL: dict[str, Any] = {
    "task": "classification",
    "label": "clinical_finding",
    "classes": ["healthy", "ill"],
    "image_size": 16,
    "window": WINDOW,
    "local_epochs": 3,
    "batch_size": 4,
}


def brought(fed: Any, file: Path, format: str = "monai-bundle") -> str:
    answer = bring(fed, file, format=format)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["digest"])


def job_with(fed: Any, digest: str, **options: Any) -> Manifest:
    parameters = {**TELL, "bundle": digest, **options.pop("parameters", {})}
    made: Manifest = fed.manifest(fed.visa(), "monai-bundle", parameters=parameters, **options)
    return made


# -- before anybody approves -------------------------------------------------------------------------------------------


def test_people_of_a_site_see_what_a_bundle_names_before_they_decide(start: Any, tmp_path: Path) -> None:
    fed = start("east")
    east = fed.sites["east"]
    digest = bundles.written(tmp_path / "b.zip", bundles.segmenter())
    assert brought(fed, tmp_path / "b.zip") == digest
    job = fed.submit(job_with(fed, digest))
    fed.settle()
    assert place_of(east.node, job, digest).read_bytes() == (tmp_path / "b.zip").read_bytes()
    shown = review(east.node, job, source=east.index).bundle
    assert shown["bundle"] == digest
    assert {"monai.losses.DiceCELoss", "monai.networks.nets.UNet", "torch.optim.Adam"} <= set(
        shown["bundle names"]
    )
    assert "$@rate * 2" in shown["bundle expressions"]
    assert shown["bundle weights"].startswith("none")
    assert fed.get(f"/v1/model-files/{digest}").json()["targets"] == shown["bundle names"]
    east.approve(job)
    assert fed.site_state(job, "east")[0] in ("approved", "queued")


def test_nobody_approves_a_bundle_that_is_not_here_or_has_changed(start: Any, tmp_path: Path) -> None:
    fed = start("east")
    east = fed.sites["east"]
    digest = bundles.written(tmp_path / "b.zip", bundles.classifier())
    brought(fed, tmp_path / "b.zip")
    job = fed.submit(job_with(fed, digest))
    fed.settle()
    place = place_of(east.node, job, digest)
    place.chmod(0o644)
    place.write_bytes(b"something else")
    assert refusal(lambda: east.approve(job)).code == "FB-JOBS-374"
    assert "not usable" in review(east.node, job, source=east.index).bundle["bundle"]
    place.unlink()
    assert refusal(lambda: east.approve(job)).code == "FB-JOBS-374"


def test_the_hub_refuses_a_job_whose_bundle_says_too_much_or_too_little(start: Any, tmp_path: Path) -> None:
    fed = start("east")
    evil = bundles.segmenter(a="$open('/etc/passwd')")
    bundles.written(tmp_path / "evil.zip", evil)
    answer = bring(fed, tmp_path / "evil.zip", format="monai-bundle")
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-ANA-030")
    assert "made/configs/train.json#a" in answer.json()["why"]
    digest = bundles.written(tmp_path / "empty.zip", {"version": "1"})
    brought(fed, tmp_path / "empty.zip")
    answer = fed.post("/v1/jobs", job_with(fed, digest).seal(fed.requester))
    assert (answer.status_code, answer.json()["code"]) == (422, "FB-ANA-033")
    # A bundle may say more when it trains than when it is applied.
    digest = bundles.written(tmp_path / "b.zip", bundles.segmenter(), weights=saved({"w": np.zeros(1)}))
    brought(fed, tmp_path / "b.zip")
    labels = [{"channel": 1, "structure": "Lung"}]
    parameters = {"model": digest, "format": "monai-bundle", "labels": labels}
    applied = fed.manifest(fed.visa(), "segmentation-inference", parameters=parameters)
    assert fed.post("/v1/jobs", applied.seal(fed.requester)).json()["code"] == "FB-ANA-030"


def test_a_site_refuses_a_bundle_that_its_hub_let_pass(start: Any, tmp_path: Path, monkeypatch: Any) -> None:
    fed = start("east")
    digest = bundles.written(
        tmp_path / "b.zip", bundles.classifier(a={"_target_": "subprocess.check_output"})
    )
    # A hub that looks at nothing.
    monkeypatch.setattr(model_files_of_hub, "_check", lambda *_: None)
    monkeypatch.setattr(model_files_of_hub, "check_for", lambda *_: None)
    brought(fed, tmp_path / "b.zip")
    job = fed.submit(job_with(fed, digest))
    fed.settle()
    assert fed.site_state(job, "east") == ("rejected", "option_refused")
    east = fed.sites["east"]
    assert not place_of(east.node, job, digest).exists()
    assert refusal(lambda: east.approve(job)).code == "FB-JOBS-045"


def test_a_bundle_may_not_be_mixed_with_steps_that_need_more_than_a_network(start: Any) -> None:
    fed = start("east")
    digest = "sha256:" + "0" * 64
    check_code(job_with(fed, digest, training=Training(frozen=("net*",))))
    weighted = Training(local_step=Element(name="weighted-loss"))
    assert refusal(lambda: check_code(job_with(fed, digest, training=weighted))).code == "FB-JOBS-325"
    scaffold = Training(local_step=Element(name="scaffold"))
    assert refusal(lambda: check_code(job_with(fed, digest, training=scaffold))).code == "FB-JOBS-325"
    check_code(job_with(fed, digest, training=scaffold, parameters={"optimizer": "sgd"}))


# -- start from weights that somebody brought --------------------------------------------------------------------------


def test_a_template_starts_from_the_weights_of_a_bundle_by_its_digest(start: Any, tmp_path: Path) -> None:
    fed = start("east")
    pretrained = saved({"w": np.array([5, 6, 7, 8], dtype=np.float16)}, metadata={"made": "elsewhere"})
    digest = bundles.written(tmp_path / "b.zip", bundles.segmenter(), weights=pretrained)
    brought(fed, tmp_path / "b.zip")
    weights = start_of(OverHttp(fed), digest)  # type: ignore[arg-type]
    assert weights != digest
    rows = {row["digest"]: row["format"] for row in fed.get("/v1/model-files").json()["files"]}
    assert rows == {digest: "monai-bundle", weights: "safetensors"}
    job = fed.run(training=Training(initial_model=weights))
    assert fed.state(job) == "completed"
    # The site of this federation adds one.
    merged = load(blobs.path_of(fed.hub, fed.model(job)).read_bytes())["w"]
    assert merged.tolist() == [6, 7, 8, 9]
    assert start_of(OverHttp(fed), weights) == weights  # type: ignore[arg-type]


def test_weights_by_themselves_can_be_brought_and_only_their_bringer_starts_from_them(
    start: Any, tmp_path: Path
) -> None:
    fed = start("east")
    (tmp_path / "w.safetensors").write_bytes(saved({"w": np.zeros((), dtype=np.float64)}))
    digest = brought(fed, tmp_path / "w.safetensors", "safetensors")
    kept = load(blobs.path_of(fed.hub, digest).read_bytes())["w"]
    assert (kept.shape, kept.dtype) == ((1,), np.float32)
    (tmp_path / "odd.safetensors").write_bytes(b"no weights")
    assert bring(fed, tmp_path / "odd.safetensors", format="safetensors").json()["code"] == "FB-JOBS-270"
    other = fed.manifest(fed.visa(), training=Training(initial_model="sha256:" + "1" * 64))
    assert fed.post("/v1/jobs", other.seal(fed.requester)).json()["code"] == StartRefused.code
    bare = bundles.written(tmp_path / "bare.zip", bundles.segmenter())
    brought(fed, tmp_path / "bare.zip")
    with pytest.raises(StartRefused):
        start_of(OverHttp(fed), bare)  # type: ignore[arg-type]


# -- ensembles ---------------------------------------------------------------------------------------------------------


def together(members: list[str], combine: str = "mean", **changes: Any) -> Training:
    options = {"members": members, "combine": combine}
    named = {"initial_model": members[0], **changes}
    return Training(local_step=Element(name=EVALUATE, options=options), **named)


def test_the_sites_of_an_evaluation_get_each_model_of_an_ensemble(start: Any, tmp_path: Path) -> None:
    fed = start("east", "north")
    made = fed.run(plan_name=PlanName.ENSEMBLE)
    files = {row["name"]: row["digest"] for row in fed.get(f"/v1/jobs/{made}/results").json()["files"]}
    card, _ = card_of(OverHttp(fed), files["model-north"])  # type: ignore[arg-type]
    members = list(_ensemble_of(OverHttp(fed), card))  # type: ignore[arg-type]
    assert members == [files["model-east"], files["model-north"]]
    seen: list[list[str]] = []

    def measured(task: Any) -> list[Product]:
        seen.append([each.name for each in task.models])
        task.folder.mkdir(parents=True, exist_ok=True)
        return [Product(UPDATE, evaluation_file({"dice": 0.5}, 12, into=task.folder), subjects=3)]

    for site in fed.sites.values():
        site.runner.run = measured
    job = fed.run(training=together(members))
    assert fed.state(job) == "completed"
    assert seen == [[f"model-{each[7:]}" for each in members]] * 2
    for site in fed.sites.values():
        del site.runner.run
    alone = fed.run()
    with pytest.raises(EvaluationRefused):
        _ensemble_of(OverHttp(fed), card_of(OverHttp(fed), fed.model(alone))[0])  # type: ignore[arg-type]


def test_ensembles_that_cannot_be_evaluated_are_refused(start: Any) -> None:
    fed = start("east")
    model, other = fed.model(fed.run()), fed.model(fed.run(rounds=2))
    asked = [
        (together([model, other], initial_model=other), "FB-JOBS-352"),
        (together([model, other], "vote"), "FB-JOBS-352"),
        (together([model, "sha256:" + "2" * 64]), "FB-JOBS-310"),
        (together([model]), "FB-JOBS-015"),
        (together([model, model]), "FB-JOBS-015"),
        (together([model, other], "median"), "FB-JOBS-015"),
    ]
    for training, code in asked:
        manifest = fed.manifest(fed.visa(), training=training)
        assert fed.post("/v1/jobs", manifest.seal(fed.requester)).json()["code"] == code


# -- the whole way -----------------------------------------------------------------------------------------------------


IN_SANDBOX = pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="bubblewrap is not installed")


def trained(start: Any, folder: Path) -> tuple[Any, Manifest, str]:
    """Train a bundle for two rounds in the sandbox of one site; return federation, manifest and job."""
    pytest.importorskip("fairbank.federated_jobs.algorithms.session", reason="needs the extra 'train'")
    from tests.federated_jobs.test_training_jobs import with_images

    fed = start()
    east = fed.add("east")
    with_images(east, ["ill", "healthy"] * 8, folder, seed=0)
    east.runner = ConfinedRunner(east.node)
    east.restart()
    digest = bundles.written(folder / "b.zip", bundles.classifier())
    brought(fed, folder / "b.zip")
    manifest = job_with(fed, digest, rounds=2)
    return fed, manifest, sent(fed, manifest)


def sent(fed: Any, manifest: Manifest) -> str:
    job = str(fed.submit(manifest))
    fed.settle()
    fed.sites["east"].approve(job)
    fed.settle()
    assert fed.state(job) == "completed", fed.site_state(job, "east")
    return job


@pytest.mark.sandbox
@IN_SANDBOX
def test_a_bundle_trains_for_two_rounds_in_the_sandbox_of_a_site(start: Any, tmp_path: Path) -> None:
    fed, manifest, job = trained(start, tmp_path)
    rounds = fed.get(f"/v1/jobs/{job}/training").json()["done"]
    told = [site["notes"] for each in rounds for site in each["sites"]]
    assert len(rounds) == 2 and told[1]["after_loss"] < told[0]["before_loss"]
    assert [notes["n_train"] for notes in told] == [13, 13]
    names = set(load(blobs.path_of(fed.hub, fed.model(job)).read_bytes()))
    assert any(name.startswith("net.") for name in names)
    assert tool_named("monai-bundle").models_in(manifest.parameters) == (manifest.parameters["bundle"],)
    fed.sites["east"].runner.close()


@pytest.mark.long
@pytest.mark.sandbox
@IN_SANDBOX
def test_models_of_a_bundle_are_measured_together_in_the_sandbox_of_a_site(
    start: Any, tmp_path: Path
) -> None:
    fed, manifest, job = trained(start, tmp_path)
    with reading(fed.hub.engine) as session:
        first = str(session.get_one(RoundRow, (job, 1)).result_digest)
    asked = together([fed.model(job), first], "vote")
    parameters = {**manifest.parameters}
    measured = sent(fed, fed.manifest(fed.visa(), "monai-bundle", parameters=parameters, training=asked))
    files = {row["name"]: row["digest"] for row in fed.get(f"/v1/jobs/{measured}/results").json()["files"]}
    told = json.loads(blobs.path_of(fed.hub, files["metrics"]).read_bytes())["sites"]["east"]
    assert 0.0 <= told["before_accuracy"] <= 1.0 and told["n_heldout"] >= 2
    fed.sites["east"].runner.close()
