"""The researcher's side in Python: DataFrames, drafts, the notebook, and what to write about a job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from fairbank.cli import job_commands
from fairbank.cli.main import app
from fairbank.client import Client
from fairbank.clock import FixedClock, iso
from fairbank.errors import MissingExtra, RemoteError
from fairbank.federated_jobs.errors import NotYetMerged
from fairbank.ontology.count_questions import CountQuestion
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import GrantedDataset, Manifest, Purpose, Selector, Visa
from fairbank.signing import SigningKey

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "analyse-from-python.ipynb"
HUB = "https://hub.example"
IRIS = [f"{HUB}/datasets/north/ct", f"{HUB}/datasets/south/ct"]
JOB = "01a1fdee-cff5-7f63-b5f0-d16d1d20c888"


class FakeHub:
    """What a hub with two granted datasets and one finished job answers."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self._key, self._hub_key = SigningKey.generate(), SigningKey.generate()
        self.sent: list[Manifest] = []
        self.asked: list[CountQuestion] = []
        self.files = [{"name": "table.csv", "digest": "sha256:1", "round": 1}]
        now = iso(self.clock.now())
        terms = GrantedDataset(
            iri=IRIS[0],
            selector=Selector(modality=("CT",)),
            output_classes=(OutputClass.MEASUREMENTS,),
            conditions=("Cite the north study.",),
            maximum_runs=5,
            expires="2099-01-01T00:00:00.000Z",
        )
        visa = Visa(
            id=self.clock.new_id(),
            hub=HUB,
            request=f"sha256:{0:064}",
            requester_key=self._key.key_id,
            datasets=(terms, terms.model_copy(update={"iri": IRIS[1], "conditions": ()})),
            purpose=Purpose(data_use=("DUO:0000042",), statement="Research."),
            not_before=now,
            created=now,
        )
        self.visa = json.loads(visa.seal(self._hub_key))
        self.visa_digest = Visa.open(json.dumps(self.visa).encode(), trusted=None)[1].digest
        self.grant = visa.id

    def whoami(self) -> dict[str, Any]:
        return {"account": "ada"}

    def signer(self) -> tuple[dict[str, Any], SigningKey]:
        return self.whoami(), self._key

    def key(self) -> SigningKey:
        return self._key

    def close(self) -> None:
        """Nothing is open."""

    def get(self, path: str, **parameters: Any) -> Any:
        match path.strip("/").split("/"):
            case ["search"]:
                told = {"subjects": 120, "studies": 130}
                totals = {name: {"kind": "exact", "value": value} for name, value in told.items()}
                totals["series"] = {"kind": "below-k", "k": 10}
                return {
                    "datasets": [{"iri": IRIS[0], "title": "North CT", "conditions": [], "totals": totals}]
                }
            case ["v1", "hub"]:
                return {"key": self._hub_key.key_id, "base_iri": HUB}
            case ["v1", "grants"]:
                held = {"id": self.grant, "request": "r", "state": "holds", "envelope": self.visa}
                return {"grants": [held | {"datasets": IRIS}]}
            case ["v1", "requests"]:
                return {"requests": [{"id": "r", "title": "Lungs", "state": "granted", "created": "-"}]}
            case ["v1", "counts", _]:
                return self._counts()
            case ["v1", "jobs", _, "results"]:
                return {"files": self.files, "received": [{"node": "north"}]}
            case ["v1", "jobs", _]:
                return self._job()
            case ["datasets", "north", "ct"]:
                return {"title": "North CT", "publisher": "North Hospital", "licence": "CC-BY-4.0"}
            case ["datasets", "north", "ct", "versions"]:
                times = ["2099-01-01T00:00:00.000Z", "2020-01-01T00:00:00.000Z"]
                return {
                    "versions": [
                        {"version": 2 - place, "digest": f"sha256:v{2 - place}", "received": at}
                        for place, at in enumerate(times)
                    ]
                }
            case _:
                raise RemoteError.from_problem({"title": "Gone.", "status": 404, "code": "FB-CAT-001"})

    def post(self, path: str, body: bytes, **more: Any) -> dict[str, Any]:
        if path == "/v1/counts":
            self.asked.append(CountQuestion.open(body, trusted=[self._key.key_id])[0])
            return {"id": JOB}
        self.sent.append(Manifest.open(body, trusted=[self._key.key_id])[0])
        return {"id": JOB, "state": "running"}

    def watch_job(self, job: str) -> Iterator[dict[str, Any]]:
        yield {"state": "running", "sites": []}
        yield self._job()

    def download(self, digest: str, to: Path) -> Path:
        left_out = "site,reason,series,subjects\nnorth,too_thick,14,12\nsouth,other-reasons,<10,<10\n"
        to.write_text(left_out if digest == "sha256:2" else "site,row,mean\nnorth,s000001-x,-850.0\n")
        return to

    def _counts(self) -> dict[str, Any]:
        waits = {"kind": "waiting", "why": "site-decides", "since": "2026-01-31T12:00:00.000Z"}
        told = [{"kind": "exact", "value": 40}, waits]
        answers = [
            {"dataset": iri, "node": iri.split("/")[-2], "subjects": count}
            for iri, count in zip(IRIS, told, strict=True)
        ]
        created = iso(self.clock.now())
        return {
            "schema": "counts-live/1", "id": JOB, "created": created, "complete": True, "seen": 1, "answers": answers,
        }  # fmt: skip

    def _job(self) -> dict[str, Any]:
        selector = Selector(modality=("CT",)).model_dump(mode="json")
        return {
            "id": JOB,
            "state": "completed",
            "visa": self.visa_digest,
            "manifest": "sha256:m",
            "code": {"name": "intensity-geometry", "version": "1.0.0", "digest": "sha256:c"},
            "datasets": IRIS,
            "selections": [{"iri": IRIS[0], "selector": selector}],
            "created": "2026-01-31T12:00:00.000Z",
            "ended": "2026-02-01T12:00:00.000Z",
            "sites": [{"node": "north", "state": "released", "reason": "none", "round": 1, "since": "-"}],
        }


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
def client(hub: FakeHub) -> Client:
    return Client(api=hub)  # type: ignore[arg-type]


def test_what_is_found_comes_as_a_table(client: Client) -> None:
    found = client.search("lung", modality=["CT"])
    assert list(found.columns) == ["iri", "title", "conditions", "subjects", "studies", "series"]
    assert found.iloc[0]["title"] == "North CT"
    assert found["subjects"].sum() == 120
    assert found["series"].isna().all()
    assert list(client.requests()["state"]) == ["granted"]
    assert list(client.grants()["state"]) == ["holds"]


def test_a_count_that_is_not_told_is_missing_and_says_why(client: Client, hub: FakeHub) -> None:
    draft = client.new_job("intensity-geometry", grant=hub.grant, title="First look")
    counts = client.counts(draft)
    assert counts["subjects"].dtype == pd.Int64Dtype()
    assert counts["subjects"].sum() == 40
    assert counts["subjects"].isna().tolist() == [False, True]
    assert "people decide" in counts["status"][1]
    assert hub.asked[0].visa == hub.visa_digest
    assert hub.asked[0].datasets == draft.datasets


def test_a_draft_is_sent_as_it_is(client: Client, hub: FakeHub) -> None:
    draft = client.new_job("intensity-geometry", grant=hub.grant, title="First look", sex=["F"])
    assert client.submit(draft, quorum=1) == JOB
    assert hub.sent[0].datasets == draft.datasets
    assert hub.sent[0].datasets[0].selector.sex == ("F",)
    assert hub.sent[0].plan.quorum == 1


def test_results_are_one_table_or_say_that_there_is_none(client: Client, hub: FakeHub) -> None:
    assert client.results(JOB)["mean"].tolist() == [-850.0]
    assert list(client.watch(JOB)["state"]) == ["released"]
    hub.files = []
    with pytest.raises(NotYetMerged):
        client.results(JOB)


def test_what_was_left_out_is_a_table_of_reasons(client: Client, hub: FakeHub) -> None:
    assert client.exclusions(JOB).empty
    hub.files.append({"name": "exclusions.csv", "digest": "sha256:2", "round": 1})
    found = client.exclusions(JOB)
    assert list(found["reason"]) == ["too_thick", "other-reasons"]
    assert list(found["subjects"]) == ["12", "<10"]
    text = client.cite(JOB)
    assert (
        "14 series of 12 subjects at north (too_thick); <10 series of <10 subjects at south (other-reasons)"
        in text
    )


def test_the_command_shows_what_was_left_out(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_commands, "api", lambda ctx: hub)
    hub.files.append({"name": "exclusions.csv", "digest": "sha256:2", "round": 1})
    listed = CliRunner().invoke(app, ["job", "results", JOB])
    assert f"fairbank job results {JOB} --excluded" in listed.stderr
    shown = CliRunner().invoke(app, ["job", "results", JOB, "--excluded", "--format", "csv"])
    assert shown.stdout.splitlines()[1:] == ["north,too_thick,14,12", "south,other-reasons,<10,<10"]


def test_without_pandas_the_extra_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairbank.client.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="client"):
        client.search("lung")


def test_a_citation_names_code_versions_selection_and_conditions(client: Client) -> None:
    text = client.cite(JOB)
    assert "intensity-geometry 1.0.0 (code sha256:c) ran at 1 site (north)" in text
    assert "Selected from North CT: every series; modality CT." in text
    # The record that stood when the job was sent, not the newest.
    assert "North Hospital: North CT, version 1 (sha256:v1)" in text
    assert "Licence: CC-BY-4.0." in text
    assert "south/ct, version no longer shown" in text
    assert "We thank North Hospital" in text
    assert "Condition of access to North CT: Cite the north study." in text


def test_the_notebook_runs(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("fairbank.client.HubApi.from_home", lambda settings, clock: hub)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"GRANT": hub.grant}
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            if source.startswith("GRANT ="):
                continue  # the reader's own
            exec(compile(source, f"cell {number}", "exec"), names)
    assert len(hub.sent) == 1
    assert isinstance(names["table"], pd.DataFrame)
