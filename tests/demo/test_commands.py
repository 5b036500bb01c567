"""The command line against the running federation: every act that only reads, for people and for programs."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fairbank.demo.federation import MEMBER, RESEARCHER

Run = Callable[..., Any]

ADA, GRACE, HUB, NODE = RESEARCHER, MEMBER, "hub", "harbour"
DATASETS = "SELECT ?d WHERE { ?d a <http://www.w3.org/ns/dcat#Dataset> }"
# Who asks, what, and what at least one row has to hold.
ACTS = [
    (ADA, "search", "Harbour MR collection"),
    (ADA, "search lung --modality XX", ""),
    (ADA, "search --facets", "modality"),
    (ADA, "search --modality MR", "harbour-mr"),
    (ADA, f"sparql|{DATASETS}", "/datasets/harbour/harbour-mr"),
    (ADA, "dataset list", "harbour-mr"),
    (ADA, "dataset show {base}/datasets/harbour/harbour-mr", "Harbour"),
    (ADA, "request list", "granted|active"),
    (ADA, "request show {request}", "granted"),
    (ADA, "grant list", "holds"),
    (ADA, "grant show {request}", "measurements"),
    (ADA, "job list", "completed"),
    (ADA, "job show {job}", "released"),
    (ADA, "model list", "Denoising autoencoder"),
    (ADA, "model show {model}", "slice-autoencoder"),
    (ADA, "tool list", "intensity-geometry"),
    (ADA, "tool show slice-autoencoder", "width"),
    (ADA, "whoami", "ada"),
    (ADA, "catalogue status", ""),
    (GRACE, "review list --all", "granted"),
    (GRACE, "review show {request}", "granted|active"),
    (GRACE, "whoami", "committee"),
    (HUB, "hub show", "ed25519:"),
    (HUB, "hub nodes", "southvale"),
    (HUB, "hub accounts", "grace"),
    (HUB, "committee members", "grace"),
    (HUB, "audit show", "job.completed"),
    (HUB, "audit verify", "sha256:"),
    (NODE, "node show", "Harbour|harbour"),
    (NODE, "node jobs list", "slice-autoencoder"),
    (NODE, "node outbox list", ""),
    (NODE, "node outputs", ""),
    (NODE, "node rules", ""),
    (NODE, "node ledger", "update"),
    (NODE, "harvest sources", "archive"),
    (NODE, "harvest check archive", ""),
    (NODE, "dataset local", "harbour-mr"),
    (NODE, "deid status neuro", "ok"),
    (NODE, "deid quarantine neuro", "q-"),
    (NODE, "deid facts neuro", "MR"),
    (NODE, "audit show", "release.stage"),
    (NODE, "audit verify", "sha256:"),
]


@pytest.fixture(scope="module")
def names(told: Any) -> dict[str, str]:
    """What the placeholders of the acts stand for."""
    person = told.federation.person(RESEARCHER)
    models = person.get("/v1/models", signed_in=True)["models"]
    final = next(model for model in models if model["digest"] == told.report.training.model)
    return {
        "base": told.federation.hub_url,
        "request": person.get("/v1/requests", signed_in=True)["requests"][-1]["id"],
        "job": final["job"],
        "model": final["digest"],
    }


@pytest.fixture
def ask(told: Any, names: dict[str, str], fairbank: Run) -> Run:
    """Run a command in one of the demo's homes."""

    def ask(who: str, act: str, *more: str) -> Any:
        command, _, query = act.partition("|")
        words = command.format(**names).split() + ([query] if query else [])
        return fairbank(*words, *more, home=told.home / who)

    return ask


@pytest.mark.parametrize(("who", "act", "expected"), ACTS, ids=[f"{who} {act}" for who, act, _ in ACTS])
def test_what_people_ask_is_answered_in_three_formats(ask: Run, who: str, act: str, expected: str) -> None:
    words = expected.split("|")
    table = ask(who, act).ok()
    assert any(word in table.out for word in words), table
    parsed = ask(who, act, "--format", "json").ok().out
    assert any(word in json.dumps(json.loads(parsed), ensure_ascii=False) for word in words)
    rows = list(csv.reader(io.StringIO(ask(who, act, "--format", "csv").ok().out)))
    assert rows and all(len(row) == len(rows[0]) for row in rows), "every row has a cell for each column"


def test_a_query_can_come_back_in_another_form(ask: Run) -> None:
    query = "CONSTRUCT { ?d a ?t } WHERE { ?d a ?t } LIMIT 3"
    assert " a " in ask(ADA, f"sparql|{query}", "--accept", "text/turtle").ok().out
    assert ask(ADA, "sparql|ASK { ?s ?p ?o }", "--format", "json").ok().out.count("true") == 1


def test_what_left_can_be_read_byte_for_byte(ask: Run) -> None:
    rows = json.loads(ask(NODE, "node ledger", "--format", "json").ok().out)
    record = next(row for row in rows if row["class"] == "record")
    content = ask(NODE, f"node content {record['seq']}").ok().out
    assert len(content.encode()) == record["bytes"]
    assert json.loads(content)["payloadType"].endswith("record.v1+json")


def test_results_and_models_are_fetched(ask: Run, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = json.loads(ask(ADA, "job list", "--format", "json").ok().out)
    analysis = next(job for job in jobs if "Intensity" in job["title"])
    ask(ADA, f"job results {analysis['id']} --to {tmp_path / 'results'}").ok()
    # Rows that tell a reason of too few subjects stay at their site.
    assert (tmp_path / "results" / "table.csv").read_text().count("\n") > 20
    ask(ADA, f"model fetch {{model}} --to {tmp_path / 'model.safetensors'}").ok()
    assert (tmp_path / "model.safetensors").stat().st_size > 1_000


def test_a_preview_explains_what_is_withheld(ask: Run) -> None:
    assert "fewer than the smallest count" in ask(NODE, "harvest preview harbour-mr --explain").ok().out


def test_other_counts_are_not_published_before_they_are_due(ask: Run) -> None:
    ask(NODE, "harvest publish harbour-mr").refused("FB-HARV-068", "again from")


def test_a_preview_shows_what_would_be_published(ask: Run) -> None:
    assert "harbour" in ask(NODE, "harvest preview harbour-mr").ok().out.lower()


# -- what is refused -----------------------------------------------------------------------------------------------


def test_a_job_with_an_unknown_option_is_refused_before_it_is_sent(ask: Run) -> None:
    before = ask(ADA, "job list", "--format", "json").out
    ask(ADA, "job submit slice-autoencoder --grant {request} --title Odd --parameter depth=3").refused(
        "FB-JOBS-", "has no option 'depth'", "image_size"
    )
    ask(ADA, "job submit slice-autoencoder --grant {request} --title Odd --parameter width=1000").refused(
        "FB-JOBS-", "'width'", "fairbank tool show"
    )
    assert ask(ADA, "job list", "--format", "json").out == before


def test_a_researcher_is_not_shown_what_the_operator_sees(ask: Run) -> None:
    ask(ADA, "hub accounts").refused("FB-CAT-002", code=2)


@pytest.fixture
def curator(told: Any) -> list[str]:
    """How the person of the site says who she is."""
    biobank = next(site.biobank for site in told.federation.sites if site.biobank.name == NODE)
    return ["--as", biobank.curator, "--passphrase-file", str(told.federation.passphrase_file(biobank))]


@pytest.fixture
def unapproved(ask: Run) -> Iterator[str]:
    """A job that nobody has approved."""
    sent = ask(ADA, "job submit intensity-geometry --grant {request} --title Unasked --format json").ok()
    job = json.loads(sent.out)["id"]
    yield job
    ask(ADA, f"job cancel {job}").ok()


def test_a_job_that_no_site_approved_does_not_run(told: Any, ask: Run, unapproved: str) -> None:
    deadline = time.monotonic() + 60
    while unapproved not in ask(NODE, "node jobs list", "--format", "json").ok().out:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    workers = [one.name() for one in told.descendants("node-harbour") if "bwrap" in one.name()]
    assert workers == []
    shown = json.loads(ask(ADA, f"job show {unapproved}", "--format", "json").ok().out)
    assert "pending_review" in json.dumps(shown)
    assert json.loads(ask(ADA, f"job results {unapproved}", "--format", "json").ok().out) == []
    ask(NODE, f"node let-go {unapproved}").refused("FB-JOBS-")


def test_a_job_that_a_site_rejected_cannot_be_approved(ask: Run, unapproved: str, curator: list[str]) -> None:
    deadline = time.monotonic() + 60
    while (said := ask(NODE, f"node jobs reject {unapproved}", *curator)).code != 0:
        assert time.monotonic() < deadline, said
        time.sleep(0.2)
    ask(NODE, f"node jobs approve {unapproved}", *curator).refused("FB-JOBS-045")


def test_nobody_decides_at_a_site_without_a_persons_passphrase(
    told: Any, ask: Run, unapproved: str, curator: list[str], tmp_path: Any
) -> None:
    deadline = time.monotonic() + 60
    while unapproved not in ask(NODE, "node jobs list", "--format", "json").ok().out:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    ask(NODE, f"node jobs approve {unapproved}").refused("FB-REL-", "--as")
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("not the passphrase")
    ask(NODE, f"node jobs approve {unapproved}", *curator[:3], wrong).refused(
        "FB-REL-", "passphrase is wrong"
    )
