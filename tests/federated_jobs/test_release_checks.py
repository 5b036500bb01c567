"""Models that remember too much are held, and their committees decide; everything else goes on as before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.catalogue.granting import Someone, a_committee
from tests.federated_jobs.test_model_registry import moved

from fairbank import audit
from fairbank.catalogue import accounts, blobs
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.governance.store import NoticeRow
from fairbank.database import reading, writing
from fairbank.federated_jobs.axes.elements import checked_options
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.code import UPDATE
from fairbank.federated_jobs.errors import OptionRefused
from fairbank.federated_jobs.evaluating import EVALUATE, evaluation_file
from fairbank.federated_jobs.hub.store import OutputRow, ReleaseCheckRow
from fairbank.federated_jobs.node.runner import Product
from fairbank.federated_jobs.release_check import ReleaseDecision, Verdict, judged
from fairbank.ontology.signed_objects import Element, Training

GOOD = {"release_auc": 0.52, "release_tpr": 0.01, "release_copy": 0.2, "release_loss_gap": 0.1}
CHECKED = {"measure_last": True, "release_check": True}
WHY = "The images are public, and nobody in them is known."


def measuring_last(fed: Any, **told: dict[str, float]) -> None:
    """Have each site train as usual and tell some numbers in the last round."""
    for name, site in fed.sites.items():
        site.runner.run = _measuring(site.runner.run, told.get(name, GOOD))


def _measuring(usual: Any, numbers: dict[str, float]) -> Any:
    def run(task: Any) -> list[Product]:
        if task.round < task.manifest.plan.rounds:
            return usual(task)
        task.folder.mkdir(parents=True, exist_ok=True)
        metrics = {"loss": 0.4, **numbers}
        return [Product(UPDATE, evaluation_file(metrics, 12, into=task.folder), subjects=3)]

    return run


def signed_in(fed: Any, name: str) -> None:
    with writing(fed.hub.engine) as session:
        fed.token = accounts.issue_token(session, fed.hub, name=name, hours=1).token


def voted(fed: Any, model: str, decision: str, *, because: str = WHY) -> Any:
    body = json.dumps({"schema": "release-vote/1", "decision": decision, "because": because}).encode()
    return fed.post(f"/v1/models/{model}/release", body)


def model_of(fed: Any, job: str) -> str:
    with reading(fed.hub.engine) as session:
        rows = session.query(OutputRow).filter_by(job=job, name="model").order_by(OutputRow.round)
        return str([row.digest for row in rows][-1])


@pytest.fixture
def held(start: Any) -> tuple[Any, str, str]:
    """Return a federation with a job whose model failed its check, the job, and the model."""
    fed = start("east", "west")
    measuring_last(fed, west=GOOD | {"release_auc": 0.71})
    for name in ("carla", "cem", "cho"):
        Someone(fed.hub, name, Role.COMMITTEE)
    a_committee(fed.hub, ["east", "west"], ["carla", "cem", "cho"], quorum=2, four_eyes=True)
    job = fed.run(rounds=3, plan_options=CHECKED)
    assert fed.state(job) == "completed"
    return fed, job, model_of(fed, job)


def test_a_model_that_passes_is_handed_out_and_tells_so(start: Any) -> None:
    fed = start("east", "west")
    measuring_last(fed)
    job = fed.run(rounds=2, plan_options=CHECKED)
    model = fed.model(job)
    shown = fed.get(f"/v1/models/{model}").json()
    assert shown["model"]["state"] == "registered"
    assert shown["release_check"]["verdict"] == "passed"
    assert {each["node"] for each in shown["release_check"]["findings"]} == {"east", "west"}
    assert fed.get(f"/v1/blobs/{model}").status_code == 200


def test_a_model_that_nobody_measured_is_not_said_to_have_passed(start: Any) -> None:
    fed = start("east", "west")
    assert (
        fed.get(f"/v1/models/{fed.model(fed.run(rounds=2))}").json()["release_check"]["verdict"]
        == "not-measured"
    )
    measuring_last(fed, east={}, west={"release_loss_gap": 0.3})
    model = fed.model(fed.run(rounds=2, plan_options=CHECKED, seed="9"))
    shown = fed.get(f"/v1/models/{model}").json()["release_check"]
    assert (shown["verdict"], shown["not_measured_by"]) == ("not-measured", ["east"])


def test_a_model_that_fails_is_handed_to_nobody_and_its_committee_is_told(held: tuple[Any, str, str]) -> None:
    fed, job, model = held
    shown = fed.get(f"/v1/models/{model}").json()
    assert shown["model"]["state"] == "quarantined"
    failed = [each for each in shown["release_check"]["findings"] if not each["passed"]]
    assert [(each["node"], each["measure"], each["value"], each["most"]) for each in failed] == [
        ("west", "auc", "0.7100", "0.60")
    ]
    assert shown["release_check"]["waits_for"] == ["data committee"]
    with reading(fed.hub.engine) as session:
        made = {row.digest for row in session.query(OutputRow).filter_by(job=job, name="model")}
        told = {row.account for row in session.query(NoticeRow) if row.key.startswith("held:")}
    # The model of the round before is nearly the same one.
    assert model in made and len(made) == 2
    for digest in made:
        answer = fed.get(f"/v1/blobs/{digest}")
        assert (answer.status_code, answer.json()["code"]) == (409, "FB-JOBS-460")
    assert told == {"carla", "cem", "cho"}
    again = fed.manifest(fed.visa(), training=Training(initial_model=model))
    assert fed.post("/v1/jobs", again.seal(fed.requester)).json()["code"] == "FB-JOBS-310"


def test_no_administrator_lifts_what_a_committee_decides(held: tuple[Any, str, str]) -> None:
    fed, _, model = held
    Someone(fed.hub, "root", Role.ADMIN)
    signed_in(fed, "root")
    assert moved(fed, model, "registered").json()["code"] == "FB-JOBS-460"
    assert moved(fed, model, "released").json()["code"] == "FB-JOBS-346"
    assert voted(fed, model, "release").json()["code"] == "FB-JOBS-462"


def test_its_committee_lets_it_go_by_four_eyes_and_the_decision_is_sealed(held: tuple[Any, str, str]) -> None:
    fed, _, model = held
    requester = fed.token
    signed_in(fed, "carla")
    assert fed.get(f"/v1/models/{model}/release").json()["verdict"] == "failed"
    assert voted(fed, model, "release").json().get("decision") is None
    # The same person twice is not two.
    assert voted(fed, model, "release").json().get("decision") is None
    signed_in(fed, "cem")
    assert voted(fed, model, "release").json()["decision"] == "release"
    fed.token = requester
    assert fed.get(f"/v1/blobs/{model}").status_code == 200
    assert fed.get(f"/v1/models/{model}").json()["model"]["state"] == "registered"
    with reading(fed.hub.engine) as session:
        statement = session.get_one(ReleaseCheckRow, model).statement
        acts = {row.act for row in session.query(audit.HubAudit).filter_by(target=model)}
    decision, _ = ReleaseDecision.open(statement, trusted=[fed.hub.key.key_id])
    assert (decision.model, decision.decision.value) == (model, "release")
    assert {each.account for each in decision.votes} == {"carla", "cem"}
    assert {"model.checked", "model.release-vote", "model.release-decided"} <= acts
    signed_in(fed, "cho")
    assert voted(fed, model, "hold").json()["code"] == "FB-JOBS-461"


def test_its_committee_may_hold_it_and_change_its_mind(held: tuple[Any, str, str]) -> None:
    fed, _, model = held
    for name in ("carla", "cem"):
        signed_in(fed, name)
        stands = voted(fed, model, "hold", because="It tells too well who was in it.").json()
    assert stands["decision"] == "hold"
    for name in ("carla", "cem"):
        signed_in(fed, name)
        stands = voted(fed, model, "release").json()
    assert (stands["decision"], len(stands["votes"])) == ("release", 4)


def test_who_asked_for_a_model_never_decides_about_it(held: tuple[Any, str, str]) -> None:
    fed, _, model = held
    assert voted(fed, model, "release").status_code == 403
    Someone(fed.hub, "mallory", Role.COMMITTEE)
    signed_in(fed, "mallory")
    assert voted(fed, model, "release").status_code == 404
    assert fed.get(f"/v1/models/{model}/release").status_code == 404


def test_an_evaluation_that_finds_too_much_holds_a_model_that_was_handed_out(start: Any) -> None:
    fed = start("east", "west")
    model = fed.model(fed.run(rounds=1))
    assert fed.get(f"/v1/blobs/{model}").status_code == 200
    for site in fed.sites.values():
        site.runner.run = _measuring(None, GOOD | {"release_copy": 0.97})
    step = Element(name=EVALUATE, options={"release_check": True})
    job = fed.run(training=Training(local_step=step, initial_model=model))
    assert fed.state(job) == "completed"
    assert fed.get(f"/v1/models/{model}").json()["release_check"]["waits_for"] == ["administrators"]
    assert fed.get(f"/v1/blobs/{model}").json()["code"] == "FB-JOBS-460"
    assert blobs.path_of(fed.hub, model).exists()


def test_a_model_waits_for_its_check_while_its_job_goes_on(start: Any) -> None:
    fed = start("east", "west")
    measuring_last(fed)
    job = fed.submit(fed.manifest(fed.visa(), rounds=3, plan_options=CHECKED))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.close_rounds()
    for site in fed.sites.values():
        site.agent.step()
    fed.close_rounds()
    assert fed.state(job) != "completed"
    answer = fed.get(f"/v1/blobs/{model_of(fed, job)}")
    assert answer.json()["code"] == "FB-JOBS-460"


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({}, Verdict.NOT_MEASURED),
        ({"east": {"before_release_auc": 0.6}}, Verdict.PASSED),
        ({"east": {"before_release_auc": 0.601}}, Verdict.FAILED),
        ({"east": {"before_release_auc": 0.5}, "west": {"before_release_rare_auc": 0.66}}, Verdict.FAILED),
        ({"east": {"before_release_tpr": float("nan")}}, Verdict.NOT_MEASURED),
    ],
)
def test_one_site_beyond_a_threshold_is_enough(told: dict[str, dict[str, float]], verdict: Verdict) -> None:
    assert judged(told, head="before_")[0] is verdict


def test_a_check_without_a_last_look_is_refused() -> None:
    with pytest.raises(OptionRefused):
        checked_options("plan", PLANS["aggregation"], {"release_check": True})
