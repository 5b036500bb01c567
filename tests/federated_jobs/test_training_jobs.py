"""A job that trains with labels, from the manifest to the merged model: real images and nodes, without the sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from tests.analysis.made_up import write_series
from tests.federated_jobs.conftest import FakeSeries
from tests.federated_jobs.training_sites import QUICK, SIZE

from fairbank import audit
from fairbank.database import reading, writing
from fairbank.errors import FairbankError
from fairbank.federated_jobs.manifest import check_code
from fairbank.federated_jobs.node.labels import remove_word, set_word, words
from fairbank.federated_jobs.node.runner import GROUPS_FILE, Product, RoundTask, _keep_groups, _notes
from fairbank.federated_jobs.node.sandbox_policy import JobFolder
from fairbank.federated_jobs.node.sandbox_staging import stage_series
from fairbank.federated_jobs.node.worker_answers import RoundOutcome
from fairbank.federated_jobs.training_errors import LabelRefused, LocalStepUnfit
from fairbank.federated_jobs.update_notes import annotate
from fairbank.harvest.clinical.store import VariableDefinitionRow, VariableRow
from fairbank.harvest.datasets import DatasetRow
from fairbank.ontology.signed_objects import Element, Training

session_module = pytest.importorskip(
    "fairbank.federated_jobs.algorithms.session", reason="needs the extra 'train'"
)

PARAMETERS = {
    **QUICK,
    "network": "lenet",
    "local_epochs": 3,
    "optimizer": "adam",
    "learning_rate": "0.005",
    "label": "clinical_finding",
    "classes": ["healthy", "ill"],
}


class InThisProcess:
    """Trains as a worker would, from staged files, in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sessions: dict[str, Any] = {}
        self.outcomes: list[RoundOutcome] = []

    def run(self, task: RoundTask) -> list[Product]:
        manifest, folder = task.manifest, JobFolder(self.folder / task.manifest.id)
        if manifest.id not in self.sessions:
            stage_series(task.series(), folder)
            self.sessions[manifest.id] = session_module.TrainingSession.open(
                name=manifest.code.name,
                digest=manifest.code.digest,
                parameters=task.tool.check_parameters(manifest.parameters),
                job_seed=manifest.seed,
                site=task.site,
                inputs=folder.inputs,
                scratch=folder.scratch,
                training=manifest.training.model_dump(mode="json") if manifest.training else None,
                rounds=manifest.plan.rounds,
            )
        told = self.sessions[manifest.id].train(task.round, task.global_model, previous=task.previous_round)
        task.folder.mkdir(parents=True, exist_ok=True)
        target = task.folder / "update.safetensors"
        fields = ("digest", "bytes", "base_digest", "n_train", "n_heldout", "before", "after", "subjects")
        more = ("n_steps", "unlabelled", "groups")
        outcome = RoundOutcome(file=target, **{name: getattr(told, name) for name in (*fields, *more)})
        self.outcomes.append(outcome)
        annotate(folder.scratch / told.file, _notes(outcome, k=2), to=target)
        _keep_groups(task, outcome)
        return [Product("update", target, subjects=told.subjects[0])]

    def jobs(self) -> list[str]:
        return sorted(self.sessions)

    def cancel(self, job: str) -> None: ...

    def forget(self, job: str) -> None:
        self.sessions.pop(job, None)

    def close(self) -> None: ...


def with_images(site: Any, codes: list[str | None], folder: Path, *, seed: int) -> None:
    """Give a site one image for each code, bright on the left for the first code, and the codes as a variable."""
    chance = np.random.default_rng(seed)
    series = []
    for number, code in enumerate(codes):
        frame = chance.normal(0.0, 30.0, (1, SIZE, SIZE))
        frame[0, :, slice(0, SIZE // 2) if code == codes[0] else slice(SIZE // 2, SIZE)] += 150.0
        made = folder / f"{site.name}-{number}"
        write_series(made, frame)
        series.append(FakeSeries(f"9.{number}", f"subject-{number}", f"sha256:{number:064x}", made))
    site.index.series["collection"] = series
    now = site.node.clock.now()
    with writing(site.node.engine) as session:
        session.add(
            DatasetRow(
                slug="collection", project="p", title="", description="", keywords=[], publisher="", contact=None,
                licence=None, access_rights="", collection_kind="", data_use=[], stewardship=None, version=0,
                published_digest=None, created=now, updated=now,
            )
        )  # fmt: skip
        session.add(
            VariableDefinitionRow(
                project="p", name="finding", place=0, source="s", mapping="", run="",
                definition={"values": [{"code": code} for code in sorted({*codes} - {None})]},
            )
        )  # fmt: skip
        for number, code in enumerate(codes):
            if code is not None:
                session.add(
                    VariableRow(
                        project="p",
                        subject=f"subject-{number}",
                        variable="finding",
                        value=code,
                        source="s",
                        run="",
                    )
                )
    site.runner = InThisProcess(folder / f"workers-{site.name}")
    site.restart()


@pytest.fixture
def fed(start: Any, tmp_path: Path) -> Any:
    fed = start()
    for seed, (name, codes) in enumerate(
        {"east": ["J18.9", "Z00"] * 7 + [None, None, "R05"], "west": ["ill", "healthy"] * 7}.items()
    ):
        with_images(fed.add(name), codes, tmp_path, seed=seed)
    set_word(fed.sites["east"].node, label="clinical_finding", code="J18.9", word="ill", by="ada")
    set_word(fed.sites["east"].node, label="clinical_finding", code="Z00", word="healthy", by="ada")
    return fed


def ended(fed: Any, **options: Any) -> str:
    job = fed.submit(fed.manifest(fed.visa(), "classification", parameters=PARAMETERS, rounds=3, **options))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.settle()
    assert fed.state(job) == "completed", [fed.site_state(job, name) for name in fed.sites]
    return str(job)


def test_two_sites_with_codes_of_their_own_train_one_classifier(fed: Any) -> None:
    training = Training(local_step=Element(name="fedprox", options={"mu": "0.1"}))
    job = ended(fed, training=training)
    east, west = (fed.sites[name].runner.outcomes for name in ("east", "west"))
    assert [each[-1].after["accuracy"] for each in (east, west)] == [1.0, 1.0]
    assert east[-1].before["loss"] < east[0].before["loss"]
    assert (east[-1].unlabelled, west[-1].unlabelled) == (3, 0)
    assert east[-1].subjects[0] == 14

    # What travels are numbers that the gate allows, and no word of a label.
    site = fed.sites["east"]
    folder = site.node.settings.home / "jobs" / job / "products"
    sent = [file.read_bytes() for file in site.node.outbox_path.rglob("*") if file.is_file()]
    assert any(b"n_steps" in body and b"after_loss" in body for body in sent)
    assert any(b'"n_unlabelled":"3"' in body for body in sent)
    for body in sent:
        assert b"J18.9" not in body and b"healthy" not in body
    told = json.loads((folder / GROUPS_FILE).read_text())
    assert told["n_unlabelled"] == 3 and set(told["groups"]) == {"manufacturer"}


def test_a_label_that_no_site_knows_ends_with_a_code(fed: Any) -> None:
    parameters = {**PARAMETERS, "label": "clinical_smoker"}
    job = fed.submit(fed.manifest(fed.visa(), "classification", parameters=parameters))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.settle()
    assert fed.site_state(job, "east") == ("failed", "code_failed")


def test_a_local_step_that_does_not_fit_is_refused_before_anybody_approves(fed: Any) -> None:
    training = Training(local_step=Element(name="scaffold"))
    manifest = fed.manifest(fed.visa(), "classification", parameters=PARAMETERS, training=training)
    with pytest.raises(LocalStepUnfit, match="scaffold"):
        check_code(manifest)
    with pytest.raises(FairbankError, match="'noop'"):
        check_code(fed.manifest(fed.visa(), "noop", training=Training(frozen=("conv*",))))


class TestWordsOfLabels:
    def test_they_are_set_listed_and_removed_with_an_entry_in_the_log(self, fed: Any) -> None:
        node = fed.sites["west"].node
        set_word(node, label="clinical_finding", code="J18", word="ill", by="ada")
        set_word(node, label="clinical_finding", code="J18", word="healthy", by="ada")
        with reading(node.engine) as session:
            assert [(row.code, row.word) for row in words(session)] == [("J18", "healthy")]
        remove_word(node, label="clinical_finding", code="J18", by="ada")
        with reading(node.engine) as session:
            assert list(words(session)) == []
            acts = list(session.scalars(select(audit.NodeAudit.act).order_by(audit.NodeAudit.seq)))
        assert acts[-3:] == ["label.set", "label.set", "label.remove"]

    @pytest.mark.parametrize(
        "said", [{"label": "PatientID"}, {"word": ""}, {"word": "x" * 65}], ids=["label", "empty", "long"]
    )
    def test_what_no_job_could_name_is_refused(self, fed: Any, said: dict[str, str]) -> None:
        given = {"label": "clinical_finding", "code": "J18", "word": "ill"} | said
        with pytest.raises(LabelRefused):
            set_word(fed.sites["west"].node, **given, by="ada")

    def test_only_what_is_there_can_be_removed(self, fed: Any) -> None:
        with pytest.raises(LabelRefused, match="Nothing is said"):
            remove_word(fed.sites["west"].node, label="clinical_finding", code="J18", by="ada")
