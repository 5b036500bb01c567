"""The commands about trainings and models, from a hub that runs to files on the disk."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.federated_jobs.test_model_registry import OverHttp
from typer.testing import CliRunner

from fairbank.cli import job_trainings, model_commands
from fairbank.cli.job_commands import app as job_app
from fairbank.cli.model_commands import app as model_app
from fairbank.errors import FairbankError, RemoteError
from fairbank.ontology.signed_objects import Training


class Asking(OverHttp):
    """The connection as the commands use it."""

    def get(self, path: str, **parameters: Any) -> Any:
        if path == "/v1/hub":
            return super().get(path)
        answer = self._fed.get(path, **{k: v for k, v in parameters.items() if k != "signed_in"})
        if answer.status_code >= 400:
            raise RemoteError.from_problem(answer.json())
        return answer.json()

    def post(self, path: str, body: Any, *, signed_in: bool = False) -> Any:
        return self._fed.post(path, json.dumps(body).encode()).json()

    def watch_job(self, job: str) -> Any:
        yield self.get(f"/v1/jobs/{job}")


@pytest.fixture
def said(fed, monkeypatch):
    """Return what runs a command and returns its outputs, with a training and an analysis that are over."""
    for module in (job_trainings, model_commands):
        monkeypatch.setattr(module, "api", lambda ctx: Asking(fed))

    def run(app: Any, *words: str) -> str:
        done = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return str(done.output)

    return run


def test_a_training_is_watched_reported_and_exported_and_its_model_fetched(fed, said, tmp_path):
    job = fed.run(rounds=2, training=Training())
    watched = said(job_app, "watch", job)
    assert "round 2 of 2: 3 updates" in watched and "completed, round 2 of 2: east released" in watched
    said(job_app, "report", job, "--to", str(tmp_path / "report.html"))
    assert "loss" in (tmp_path / "report.html").read_text()
    said(job_app, "tensorboard", job, "--to", str(tmp_path / "runs"))
    assert {one.parent.name for one in (tmp_path / "runs").glob("*/events*")} == {
        "east",
        "north",
        "west",
        "federation",
    }
    assert [row["node"] for row in json.loads(said(job_app, "settings", job, "--format", "json"))] == [
        "east", "north", "west",
    ]  # fmt: skip
    model = fed.model(job)
    assert json.loads(said(model_app, "list", "--format", "json"))[0]["version"] == 1
    assert said(model_app, "show", model, "--card").startswith("# Model card: A job, version 1")
    said(model_app, "get", model, "--to", str(tmp_path / "model"))
    assert (tmp_path / "model" / "card.html").read_text().startswith("<!doctype html>")
    with pytest.raises(FairbankError, match="something in"):
        said(model_app, "get", model, "--to", str(tmp_path / "model"))
    assert "withdrawn" in said(model_app, "withdraw", model)


def test_an_analysis_is_watched_by_its_states(fed, said):
    job = fed.run("intensity-geometry")
    assert "completed, round 1 of 1" in said(job_app, "watch", job)
