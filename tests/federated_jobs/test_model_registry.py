"""Models of the registry: cards sealed by the hub, lines and versions, states, evaluation, and what is handed out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fairbank.catalogue import accounts, blobs
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import UPDATE
from fairbank.federated_jobs.evaluating import EVALUATE, evaluation_file
from fairbank.federated_jobs.hub import model_registry
from fairbank.federated_jobs.hub.store import ModelRow, RoundRow
from fairbank.federated_jobs.node.runner import Product
from fairbank.federated_jobs.training_errors import CardUntrusted
from fairbank.federated_jobs.update_notes import annotate
from fairbank.ontology.model_cards import MODEL_MOVES, ModelCard, ModelState
from fairbank.ontology.signed_objects import Element, Objective, Training
from fairbank.signing import SigningKey
from fairbank.web.model_files import card_of, fetch_model

LABELLED = {"label": "clinical_finding", "classes": ["healthy", "ill"]}


class OverHttp:
    """The requester's connection to a federation of a test."""

    def __init__(self, fed: Any, *, key: str | None = None) -> None:
        self._fed, self._key = fed, key or fed.hub.key.key_id

    def get(self, path: str, **parameters: Any) -> Any:
        if path == "/v1/hub":
            return {"key": self._key, "base_iri": self._fed.hub.base_iri}
        answer = self._fed.get(path, **{k: v for k, v in parameters.items() if k != "signed_in"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def download(self, digest: str, to: Path) -> Path:
        to.write_bytes(self._fed.get(f"/v1/blobs/{digest}").content)
        return to


def measuring(site: Any, **metrics: float) -> None:
    """Have a site's worker measure a model and train nothing."""

    def run(task: Any) -> list[Product]:
        task.folder.mkdir(parents=True, exist_ok=True)
        return [Product(UPDATE, evaluation_file(metrics, 12, into=task.folder), subjects=3)]

    site.runner.run = run


def evaluation_of(model: str, **changes: Any) -> Training:
    return Training(local_step=Element(name=EVALUATE), initial_model=model, **changes)


def moved(fed: Any, model: str, state: str) -> Any:
    body = json.dumps({"schema": "model-state/1", "state": state}).encode()
    return fed.post(f"/v1/models/{model}/state", body)


def as_administrator(fed: Any) -> None:
    with writing(fed.hub.engine) as session:
        accounts.create_account(
            session, fed.hub, name="root", password="correct horse battery", roles=[accounts.Role.ADMIN]
        )
        fed.token = accounts.issue_token(session, fed.hub, name="root", hours=1).token


def exchanging(site: Any) -> list[dict[str, list[float]]]:
    """Have a site send control variates beside its weights; return what it starts its rounds from."""
    started: list[dict[str, list[float]]] = []

    def run(task: Any) -> list[Product]:
        task.folder.mkdir(parents=True, exist_ok=True)
        zeros = {name: np.zeros(4, dtype=np.float32) for name in ("w", "control.w")}
        base = load_file(task.global_model) if task.global_model else zeros
        started.append({name: values.tolist() for name, values in base.items()})
        raw, target = task.folder / "raw", task.folder / "update.safetensors"
        save_file({"w": base["w"] + np.float32(1), "control.w": base["control.w"] + np.float32(2)}, raw)
        annotate(raw, {"n_train": 3}, to=target)
        return [Product(UPDATE, target)]

    site.runner.run = run
    return started


def test_a_registered_model_holds_its_own_tensors_and_rounds_go_on_with_the_others(start, tmp_path):
    fed = start("east", "west")
    started, _ = (exchanging(site) for site in fed.sites.values())
    job = fed.run(
        "classification",
        rounds=3,
        parameters={**LABELLED, "optimizer": "sgd", "momentum": "0"},
        training=Training(local_step=Element(name="scaffold")),
    )
    assert fed.state(job) == "completed"
    assert [one["control.w"][0] for one in started] == [0, 2, 4]

    digest = fed.model(job)
    files = fetch_model(OverHttp(fed), digest, tmp_path / "model").files
    weights = load_file(next(file for file in files if file.name == "model.safetensors"))
    assert {name: values.tolist() for name, values in weights.items()} == {"w": [3.0] * 4}
    card = card_of(OverHttp(fed), digest)[0]
    assert card.model == digest and [one.digest for one in card.files if one.name == "model"] == [digest]
    # What travels from round to round is handed to no requester.
    with reading(fed.hub.engine) as session:
        carried = session.get_one(RoundRow, (job, 3)).result_digest
    assert carried != digest and fed.get(f"/v1/blobs/{carried}").status_code == 404


# -- the card ------------------------------------------------------------------------------------------------------


def test_a_completed_training_has_a_card_that_the_hub_sealed(fed):
    job = fed.run(rounds=3, training=Training(objective=Objective.WORST_SITE))
    digest = fed.model(job)
    card, sealed = ModelCard.open(fed.get(f"/v1/models/{digest}/card").content, trusted=[fed.hub.key.key_id])
    shown = fed.get(f"/v1/models/{digest}").json()["model"]
    assert (card.model, card.version, card.line, card.previous) == (digest, 1, job, None)
    assert (shown["card"], shown["state"], shown["line"]) == (sealed.digest, "registered", job)
    assert card.objective.objective is Objective.WORST_SITE
    assert [site.node for site in card.sites] == ["east", "north", "west"]
    assert {site.rounds for site in card.sites} == {3}
    # What no update said is in no card; what it said is there as text, since nothing sealed holds a fraction.
    assert {tuple(site.local.items()) for site in card.sites} == {(("loss", "0.5"),)}
    assert all(site.settings is not None for site in card.sites)
    assert {each.name for each in card.files} == {"model", "metrics"} and card.files[0].digest == digest
    assert not next(each.on for each in card.protections if each.name == "differential privacy")


def test_a_model_that_starts_from_another_is_the_next_version_of_its_line(start):
    fed = start("east")
    first = fed.run(rounds=1)
    base = fed.model(first)
    second = fed.run(rounds=1, training=Training(initial_model=base), seed="1")
    with reading(fed.hub.engine) as session:
        rows = {row.job: row for row in session.query(ModelRow)}
        assert (rows[first].line, rows[first].version) == (first, 1)
        assert (rows[second].line, rows[second].version) == (first, 2)
        assert session.get_one(RoundRow, (second, 1)).global_digest == base
    began = load_file(blobs.path_of(fed.hub, base))["w"]
    assert (load_file(blobs.path_of(fed.hub, fed.model(second)))["w"] == began + 1).all()


def test_numbers_that_no_card_can_hold_do_not_keep_a_training_from_its_end(start):
    fed = start("east")
    site = fed.sites["east"]

    def run(task: Any) -> list[Product]:
        task.folder.mkdir(parents=True, exist_ok=True)
        bare, target = task.folder / "bare", task.folder / "update.safetensors"
        save_file({"w": np.zeros(4, dtype=np.float32)}, bare)
        annotate(bare, {"n_train": 10**16 - 1, "after_loss": 1e300, "before__": 1.0}, to=target)
        return [Product(UPDATE, target)]

    site.runner.run = run
    job = fed.run(training=Training())
    assert fed.state(job) == "completed"
    card = ModelCard.open(fed.get(f"/v1/models/{fed.model(job)}/card").content, trusted=None)[0]
    (told,) = card.sites
    assert (told.counts, told.local, told.merged) == ({"n_train": 2**53 - 1}, {"loss": "1e300"}, {})


def test_a_job_starts_from_no_model_of_another_account(start):
    fed = start("east")
    job = fed.run()
    model = fed.model(job)
    with writing(fed.hub.engine) as session:
        from fairbank.federated_jobs.hub.store import JobRow

        session.get_one(JobRow, job).account = "bob"
    manifest = fed.manifest(fed.visa(), training=Training(initial_model=model))
    answer = fed.post("/v1/jobs", manifest.seal(fed.requester))
    assert answer.json()["code"] == "FB-JOBS-310"
    with reading(fed.hub.engine) as session:
        assert not model_registry.usable_by(session, "ada", model)
        assert model_registry.usable_by(session, "bob", model)


# -- what is handed out ----------------------------------------------------------------------------------------------


def test_a_model_is_fetched_whole_with_its_card(start, tmp_path):
    fed = start("east")
    digest = fed.model(fed.run())
    fetched = fetch_model(OverHttp(fed), digest, tmp_path / "model")
    assert {file.name for file in fetched.folder.iterdir()} == {
        "model.safetensors", "metrics.json", "card.json", "card.dsse.json", "card.md", "card.html",
    }  # fmt: skip
    assert "no merged model was measured" in (fetched.folder / "card.md").read_text()
    assert ModelCard.parse((fetched.folder / "card.json").read_bytes()) == fetched.card


@pytest.mark.parametrize("how", ["another key", "another model", "other bytes"])
def test_nothing_is_written_of_a_model_whose_card_or_files_are_not_the_hubs(start, tmp_path, how):
    fed = start("east")
    digest = fed.model(fed.run())
    api = OverHttp(fed, key=SigningKey.generate().key_id if how == "another key" else None)
    if how == "another model":
        other = fed.model(fed.run(rounds=2))
        real = api.get
        api.get = lambda path, **more: real(path.replace(digest, other), **more)  # type: ignore[method-assign]
    if how == "other bytes":
        api.download = lambda digest, to: to.write_bytes(b"x") and to  # type: ignore[method-assign]
    with pytest.raises(CardUntrusted):
        fetch_model(api, digest, tmp_path / "model")
    assert list(tmp_path.glob("model*")) == [] and list(tmp_path.glob(".model*")) == []


def test_a_withdrawn_model_is_handed_to_nobody_and_stays_withdrawn(start):
    fed = start("east")
    digest = fed.model(fed.run())
    assert fed.get(f"/v1/blobs/{digest}").status_code == 200
    assert moved(fed, digest, "quarantined").json()["code"] == "FB-JOBS-346"
    assert moved(fed, digest, "released").json()["code"] == "FB-JOBS-346"
    assert moved(fed, digest, "withdrawn").json() == {"digest": digest, "state": "withdrawn"}
    assert fed.get(f"/v1/blobs/{digest}").status_code == 404
    assert fed.get(f"/v1/models/{digest}").json()["model"]["state"] == "withdrawn"
    assert fed.get(f"/v1/models/{digest}/card").status_code == 200
    as_administrator(fed)
    assert moved(fed, digest, "registered").json()["code"] == "FB-JOBS-346"


def test_an_administrator_puts_a_model_into_quarantine_and_takes_it_out(start):
    fed = start("east")
    digest, of_ada = fed.model(fed.run()), fed.token
    as_administrator(fed)
    of_root, fed.token = fed.token, of_ada
    for state, status in (("quarantined", 404), ("registered", 200)):
        fed.token = of_root
        assert moved(fed, digest, state).status_code == 200
        fed.token = of_ada
        assert fed.get(f"/v1/blobs/{digest}").status_code == status


def test_every_state_leads_to_withdrawn_and_none_out_of_it():
    assert MODEL_MOVES[ModelState.WITHDRAWN] == frozenset()
    assert all(
        ModelState.WITHDRAWN in MODEL_MOVES[each] for each in ModelState if each is not ModelState.WITHDRAWN
    )


# -- evaluation ------------------------------------------------------------------------------------------------------


def test_an_evaluation_measures_a_model_at_each_site_and_makes_none(fed):
    model = fed.model(fed.run())
    for site, dice in zip(fed.sites.values(), (0.9, 0.6, 0.8), strict=True):
        measuring(site, dice=dice)
    job = fed.run(training=evaluation_of(model, objective=Objective.WORST_SITE))
    assert fed.state(job) == "completed"
    files = {file["name"]: file for file in fed.get(f"/v1/jobs/{job}/results").json()["files"]}
    assert set(files) == {"metrics", "table.csv"}
    table = fed.get(f"/v1/blobs/{files['table.csv']['digest']}").text
    assert table == "site,dice,n_heldout\neast,0.9,12\nnorth,0.6,12\nwest,0.8,12\n"
    told = fed.get(f"/v1/jobs/{job}/training").json()
    assert told["evaluation"] and told["initial_model"] == model
    assert fed.get(f"/v1/models/{model}").json()["evaluations"] == [job]
    from fairbank.federated_jobs.training_record import TrainingRecord

    standing = TrainingRecord.parse(told).standing()
    assert standing is not None and (standing[0].value, standing[0].worst) == (0.6, "north")


def test_a_site_that_sends_weights_for_an_evaluation_is_stopped_at_its_gate(start):
    fed = start("east")
    model = fed.model(fed.run())
    job = fed.run(training=evaluation_of(model))
    assert fed.site_state(job, "east") == ("withheld", "gate_refused")


@pytest.mark.parametrize("plan", [{"rounds": 2}, {"model": None}])
def test_an_evaluation_names_one_model_and_has_one_round(start, plan):
    fed = start("east")
    model = fed.model(fed.run()) if plan.get("model", "") is not None else None
    training = Training(local_step=Element(name=EVALUATE), initial_model=model)
    manifest = fed.manifest(fed.visa(), rounds=plan.get("rounds", 1), training=training)
    answer = fed.post("/v1/jobs", manifest.seal(fed.requester))
    assert answer.json()["code"] == "FB-JOBS-352"


def test_a_site_refuses_a_first_round_from_another_model_than_the_manifest_names(start):
    fed = start("east")
    model, other = fed.model(fed.run()), fed.model(fed.run(rounds=2))
    job = fed.submit(fed.manifest(fed.visa(), training=Training(initial_model=model)))
    fed.settle()
    fed.sites["east"].approve(job)
    fed.close_rounds()
    with writing(fed.hub.engine) as session:
        session.get_one(RoundRow, (job, 1)).global_digest = other
    fed.settle()
    assert fed.site_state(job, "east") == ("failed", "manifest_invalid")


def looking_last(site: Any, *, loss: float) -> None:
    """Have a site measure in the job's last round what it is handed, and train in those before."""
    train = site.runner.run

    def run(task: Any) -> list[Product]:
        if task.round < task.manifest.plan.rounds:
            return train(task)
        task.folder.mkdir(parents=True, exist_ok=True)
        value = load_file(task.global_model)["w"][0]
        file = evaluation_file({"loss": loss + float(value)}, 12, into=task.folder)
        return [Product(UPDATE, file, subjects=3)]

    site.runner.run = run


def test_a_training_may_end_with_a_look_at_its_model_which_the_card_tells(start):
    fed = start("east", "west")
    for number, site in enumerate(fed.sites.values()):
        site.runner.step = 1.0
        looking_last(site, loss=float(number))
    job = fed.run(rounds=3, plan_options={"measure_last": True})
    assert fed.state(job) == "completed"
    digest = fed.model(job)
    card = card_of(OverHttp(fed), digest)[0]
    # Steps of 1 and 2 were made; the third round measured what they came to.
    assert {site.node: dict(site.merged) for site in card.sites} == {
        "east": {"loss": "3"},
        "west": {"loss": "4"},
    }
    assert all(dict(site.local) == {"loss": "0.5"} and site.counts["n_train"] == 6 for site in card.sites)
    assert (card.objective.value, card.objective.after_round, card.rounds) == ("3.5", 2, 2)
    assert fed.job(job)["history"][2]["model"] == fed.job(job)["history"][1]["model"] == digest


def test_sites_that_are_late_for_the_last_look_do_not_cost_the_job_its_model(start):
    fed = start("east", "west")
    job = fed.submit(
        fed.manifest(fed.visa(), rounds=2, round_deadline_s=600, plan_options={"measure_last": True})
    )
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.close_rounds()
    for site in fed.sites.values():
        site.agent.step()
    fed.close_rounds()
    assert fed.job(job)["round"] == 2
    fed.clock.advance(601)
    fed.close_rounds()
    assert fed.state(job) == "completed"
    assert card_of(OverHttp(fed), fed.model(job))[0].objective.value is None


def test_what_an_evaluating_site_sends_is_one_number_and_its_notes(tmp_path):
    file = evaluation_file({"dice": 0.5}, 7, into=tmp_path)
    assert {name: value.tolist() for name, value in load_file(file).items()} == {"evaluated": [1.0]}
    assert [one.name for one in tmp_path.iterdir()] == ["evaluation.safetensors"]
    with pytest.raises(FairbankError):
        card_of(_Nothing(), "sha256:" + "0" * 64)  # type: ignore[arg-type]


class _Nothing:
    def get(self, path: str, **parameters: Any) -> Any:
        return {"key": SigningKey.generate().key_id, "base_iri": "http://hub.test"}


def test_the_worker_s_numbers_leave_only_with_enough_held_out_subjects(tmp_path):
    """What the gate is told is how many subjects were held out, not how many the cohort has."""
    from types import SimpleNamespace

    from fairbank.federated_jobs.node.runner import ConfinedRunner
    from fairbank.federated_jobs.node.worker_answers import Evaluation
    from fairbank.federated_jobs.update_notes import notes_of

    asked: list[Any] = []

    def evaluate(weights: Any, *, timeout_s: float, grouped: bool, release_check: Any) -> Evaluation:
        assert release_check is None
        asked.append(weights)
        return Evaluation({"mse": 0.25}, 16, subjects=(9, 2))

    node = SimpleNamespace(settings=SimpleNamespace(release_minimum_count=3))
    runner = ConfinedRunner(node)  # type: ignore[arg-type]
    runner._wall_s = lambda manifest: 1  # type: ignore[method-assign]
    plan = SimpleNamespace(options={}, rounds=1)
    manifest = SimpleNamespace(training=evaluation_of("sha256:" + "0" * 64), outputs=(), plan=plan)
    task = SimpleNamespace(manifest=manifest, global_model=tmp_path / "m", folder=tmp_path, round=1)
    (product,) = runner._train(SimpleNamespace(evaluate=evaluate), task)  # type: ignore[arg-type]
    assert product.subjects == 2 and asked == [tmp_path / "m"]
    assert notes_of(product.path) == {"n_heldout": 16.0, "before_mse": 0.25}
    # In the last look of a training, where the model is made already, a site that may tell nothing says so.
    manifest.training, plan.options = Training(), {"measure_last": True}
    (product,) = runner._train(SimpleNamespace(evaluate=evaluate), task)  # type: ignore[arg-type]
    assert product.subjects is None and notes_of(product.path) == {"n_heldout": 0.0}
