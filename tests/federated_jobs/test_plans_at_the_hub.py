"""Compute plans in a federation: who is asked, what is merged, who is passed over; whatever is killed in between."""

from __future__ import annotations

import json
from typing import Any

import pytest
from safetensors.numpy import load as load_bytes
from sqlalchemy import select, update
from tests.federated_jobs.conftest import refusal

from fairbank.catalogue import blobs
from fairbank.catalogue.accounts import Role, create_account, issue_token
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub import rounds as hub_rounds
from fairbank.federated_jobs.hub.rounds import close_ready
from fairbank.federated_jobs.hub.store import ModelRow, RoundRow
from fairbank.federated_jobs.node.errors import WorkerOutOfMemory
from fairbank.federated_jobs.node.store import ReviewRow, WorkRow
from fairbank.ontology.signed_objects import PlanName, Training
from fairbank.release.outbox import Outbox
from fairbank.release.store import ReleaseRow

CYCLIC = PlanName.CYCLIC_WEIGHT_TRANSFER


class Killed(BaseException):
    """Stands for kill -9: nothing in the product catches it."""


def _killed(*args: object, **options: object) -> None:
    raise Killed


def _fails(task: object) -> None:
    raise WorkerOutOfMemory("too much")


def approved(fed, plan: PlanName, **options: Any) -> str:
    """Submit a job that all sites approve; nobody has claimed its first round yet."""
    job = fed.submit(fed.manifest(fed.visa(), plan_name=plan, **options))
    fed.settle()
    for site in fed.sites.values():
        site.approve(job)
    fed.close_rounds()
    return job


def value(fed, digest: str) -> float:
    """Return the one number of which all weights of a fake model are copies."""
    weights = load_bytes(blobs.path_of(fed.hub, digest).read_bytes())["w"]
    assert len(set(weights.tolist())) == 1
    return float(weights[0])


def final(fed, job: str) -> float:
    assert fed.state(job) == "completed", fed.job(job)["reason"]
    with reading(fed.hub.engine) as session:
        rows = session.scalars(select(ModelRow).where(ModelRow.job == job)).all()
    assert len(rows) == 1
    return value(fed, rows[0].digest)


def history(fed, job: str) -> list[dict[str, Any]]:
    return list(fed.job(job)["history"])


# -- the model goes round --------------------------------------------------------------------------------------------


def test_a_model_goes_round_and_nobody_trains_out_of_turn(fed):
    job = approved(fed, CYCLIC, plan_options={"cycles": 2})
    fed.settle()
    # The fake of a site adds its step times the round: 1·1 + 2·2 + 3·3 + 1·4 + 2·5 + 3·6.
    assert final(fed, job) == 46
    assert {name: [number for _, number in site.runner.calls] for name, site in fed.sites.items()} == {
        "east": [1, 4],
        "north": [2, 5],
        "west": [3, 6],
    }
    told = history(fed, job)
    assert [each["asked"] for each in told] == [["east"], ["north"], ["west"]] * 2
    assert all(each["merged"] == each["asked"] and each["merging"] == "hand-on" for each in told)
    assert [each["base"] for each in told[1:]] == [each["model"] for each in told[:-1]]


def test_a_site_that_is_lost_or_never_answers_is_passed_over_and_the_record_says_so(fed):
    fed.sites["east"].runner.before = _fails
    job = approved(fed, CYCLIC, plan_options={"cycles": 2}, quorum=1, round_deadline_s=600)
    # West answers to nothing until its first round is over.
    fed.settle("east", "north")
    assert fed.job(job)["round"] == 3
    fed.clock.advance(601)
    fed.settle("east", "north")
    fed.settle()
    assert final(fed, job) == 2 * 2 + 2 * 4 + 3 * 5
    told = history(fed, job)
    assert [(each["asked"], each["late"], each["lost"]) for each in told] == [
        (["east"], [], ["east"]),
        (["north"], [], []),
        (["west"], ["west"], []),
        (["north"], [], []),
        (["west"], [], []),
    ]
    # Nobody has trained before the second round, which therefore starts from the seed.
    assert all(place not in told[number] for number, place in ((0, "model"), (1, "base")))


def test_a_model_that_too_few_sites_have_trained_is_none(fed):
    job = approved(fed, PlanName.SINGLE_WEIGHT_TRANSFER, quorum=2, round_deadline_s=600)
    for _ in range(3):
        fed.settle("east")
        fed.clock.advance(601)
        fed.close_rounds()
    assert (fed.state(job), fed.job(job)["reason"]) == ("failed", "quorum_not_met")
    # The plan has come to its end, so there is no round in which anything could be tried again.
    assert fed.post(f"/v1/jobs/{job}/retry", b"{}").json()["code"] == "FB-JOBS-164"


def test_a_site_tried_again_waits_until_it_is_asked(fed):
    north = fed.sites["north"]
    north.runner.before = _fails
    job = approved(fed, CYCLIC, plan_options={"cycles": 2}, quorum=2)
    while fed.job(job)["round"] < 3:
        for site in fed.sites.values():
            site.agent.step()
        fed.close_rounds()
    north.runner.before = lambda task: None
    assert fed.post(f"/v1/jobs/{job}/retry", b"{}").status_code == 200
    assert fed.site_state(job, "north")[0] == "approved"
    fed.settle()
    assert final(fed, job) == 1 * 1 + 3 * 3 + 1 * 4 + 2 * 5 + 3 * 6


def test_a_visit_may_end_with_an_earlier_model_and_that_one_is_registered(start):
    fed = start("east", "north")
    told = {1: 0.5, 2: 0.9, 3: 0.4, 4: 0.6}
    for site in fed.sites.values():
        site.runner.notes = lambda task: {"after_loss": told[task.round]}
    job = approved(fed, PlanName.SINGLE_WEIGHT_TRANSFER, plan_options={"max_passes": 3})
    fed.settle()
    # East's first pass was its best, and north's first.
    assert final(fed, job) == 1 * 1 + 2 * 3
    assert fed.job(job)["round"] == 4
    with reading(fed.hub.engine) as session:
        assert session.scalars(select(ModelRow.round)).all() == [3]


# -- many at a time --------------------------------------------------------------------------------------------------


def test_only_the_sites_that_were_drawn_train_in_a_round(fed):
    job = approved(fed, PlanName.AGGREGATION, rounds=4, quorum=1, plan_options={"site_fraction": "0.4"})
    fed.settle()
    assert fed.state(job) == "completed"
    drawn = [each["asked"] for each in history(fed, job)]
    assert all(len(each) == 2 for each in drawn)
    for name, site in fed.sites.items():
        assert [number for _, number in site.runner.calls] == [n for n in range(1, 5) if name in drawn[n - 1]]


def test_a_round_that_closes_at_its_quorum_waits_for_nobody_else(fed):
    job = approved(fed, PlanName.AGGREGATION, rounds=2, quorum=2, plan_options={"close_at_quorum": True})
    fed.settle("east", "north")
    assert fed.state(job) == "completed"
    assert [each["late"] for each in history(fed, job)] == [["west"], ["west"]]


def test_a_training_that_has_converged_ends_early_with_its_best_model(fed):
    for site in fed.sites.values():
        site.runner.notes = lambda task: {"before_loss": {1: 1.0, 2: 0.5, 3: 0.7}[task.round]}
    job = approved(fed, PlanName.AGGREGATION, rounds=9, plan_options={"patience": 1})
    fed.settle()
    assert fed.job(job)["round"] == 3
    # The model that the sites found best before round 2 is that of round 1: the mean of 1, 2 and 3.
    assert final(fed, job) == 2


def test_models_of_an_ensemble_may_be_the_same_to_the_byte(fed):
    for site in fed.sites.values():
        site.runner.step = 1.0
    job = approved(fed, PlanName.ENSEMBLE)
    fed.settle()
    assert final(fed, job) == 1
    names = {file["name"] for file in fed.get(f"/v1/jobs/{job}/results").json()["files"]}
    assert {"model-east", "model-north", "model-west"} < names


def test_an_ensemble_is_the_model_of_each_site_and_a_file_that_says_how_they_go_together(fed):
    job = approved(fed, PlanName.ENSEMBLE, quorum=2)
    fed.sites["north"].runner.before = _fails
    fed.settle()
    assert fed.state(job) == "completed"
    files = {file["name"]: file for file in fed.get(f"/v1/jobs/{job}/results").json()["files"]}
    assert set(files) == {"model-east", "model-west", "ensemble", "metrics"}
    described = json.loads(blobs.path_of(fed.hub, files["ensemble"]["digest"]).read_bytes())
    assert [(each["site"], each["model"]) for each in described["members"]] == [
        (site, files[f"model-{site}"]["digest"]) for site in ("east", "west")
    ]
    assert described["combine"] == ["mean", "vote"]
    assert [value(fed, files[f"model-{site}"]["digest"]) for site in ("east", "west")] == [1, 3]
    listed = fed.get("/v1/models").json()["models"]
    assert {model["digest"] for model in listed} == {each["model"] for each in described["members"]}


# -- nobody waits ----------------------------------------------------------------------------------------------------


def _stages_only(site, monkeypatch) -> None:
    """Let a site compute what it is asked for, and be killed before it sends."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Outbox, "send", _killed)
        site.agent.step()


def test_a_slow_site_s_update_goes_into_the_version_that_is_being_made_when_it_comes(fed, monkeypatch):
    job = approved(fed, PlanName.BUFFERED, rounds=4, quorum=1, plan_options={"buffer": 2, "staleness": 2})
    west = fed.sites["west"]
    _stages_only(west, monkeypatch)
    for name in ("east", "north"):
        fed.sites[name].agent.step()
    fed.close_rounds()
    assert fed.job(job)["round"] == 2
    # East starts from the new version; west brings what it made of the old one.
    fed.sites["east"].agent.step()
    west.restart().resume()
    fed.close_rounds()
    told = history(fed, job)
    assert (told[1]["merged"], told[1]["behind"]) == (["east", "west"], {"west": 1})
    fed.settle()
    assert fed.state(job) == "completed"
    assert [number for _, number in west.runner.calls][:2] == [1, 3]
    with reading(west.node.engine) as session:
        assert {row.state for row in session.scalars(select(ReleaseRow))} == {"sent"}


def test_an_update_that_is_too_old_is_kept_back_and_its_site_goes_on_from_the_newest_model(fed, monkeypatch):
    job = approved(fed, PlanName.BOUNDED_STALENESS, rounds=5, quorum=1, plan_options={"staleness": 1})
    west = fed.sites["west"]
    _stages_only(west, monkeypatch)
    for name in ("east", "north", "east"):
        fed.sites[name].agent.step()
        fed.close_rounds()
    assert fed.job(job)["round"] == 4
    west.restart().resume()
    fed.settle()
    assert fed.state(job) == "completed"
    with reading(west.node.engine) as session:
        states = {row.round: row.state for row in session.scalars(select(ReleaseRow))}
    assert states.pop(1) == "withheld"
    assert set(states.values()) == {"sent"}
    assert all(len(each["merged"]) >= 1 for each in history(fed, job))
    assert "west" in {node for each in history(fed, job) for node in each["merged"]}


def test_a_site_that_never_answers_holds_nobody_up(fed):
    job = approved(fed, PlanName.BOUNDED_STALENESS, rounds=6, quorum=2)
    fed.settle("east", "north")
    assert fed.state(job) == "completed"
    assert {node for each in history(fed, job) for node in each["merged"]} == {"east", "north"}


# -- the model that a job starts from --------------------------------------------------------------------------------


def test_a_job_starts_from_a_model_of_its_requester(fed):
    first = approved(fed, PlanName.AGGREGATION)
    fed.settle()
    start_from = Training(initial_model=fed.model(first))
    second = approved(fed, PlanName.AGGREGATION, training=start_from)
    fed.settle()
    assert final(fed, second) == final(fed, first) + 2
    with reading(fed.hub.engine) as session:
        told = session.scalars(select(ModelRow.provenance).where(ModelRow.job == second)).one()["training"]
    assert (told["plan"], told["aggregator"]) == ("aggregation", "fedavg")
    assert told["initial_model"] == fed.model(first)


def test_a_model_of_somebody_else_is_not_started_from(fed):
    first = approved(fed, PlanName.AGGREGATION)
    fed.settle()
    with writing(fed.hub.engine) as session:
        create_account(
            session, fed.hub, name="eve", password="correct horse battery", roles=[Role.RESEARCHER]
        )
        issue_token(session, fed.hub, name="eve", hours=1)
        session.execute(update(hub_rounds.JobRow).where(hub_rounds.JobRow.id == first).values(account="eve"))
    manifest = fed.manifest(fed.visa(), training=Training(initial_model=fed_model(fed, first)))
    answer = fed.post("/v1/jobs", manifest.seal(fed.requester))
    assert (answer.status_code, answer.json()["code"]) == (403, "FB-JOBS-310")


def fed_model(fed, job: str) -> str:
    with reading(fed.hub.engine) as session:
        return session.scalars(select(ModelRow.digest).where(ModelRow.job == job)).one()


@pytest.mark.parametrize("told", ["another", "none"])
def test_a_site_starts_from_no_other_model_than_the_sealed_one(fed, told):
    first = approved(fed, PlanName.AGGREGATION, rounds=2)
    fed.settle()
    models = [each["model"] for each in history(fed, first)]
    job = approved(fed, PlanName.AGGREGATION, training=Training(initial_model=models[0]))
    with writing(fed.hub.engine) as session:
        session.get_one(RoundRow, (job, 1)).global_digest = models[1] if told == "another" else None
    east = fed.sites["east"]
    calls = len(east.runner.calls)
    east.agent.step()
    assert len(east.runner.calls) == calls
    with reading(east.node.engine) as session:
        assert session.get_one(ReviewRow, job).error == "FB-JOBS-048"


# -- kill -9 ---------------------------------------------------------------------------------------------------------

PLANS = {
    CYCLIC: {"plan_options": {"cycles": 2}},
    PlanName.ENSEMBLE: {},
    PlanName.BUFFERED: {"rounds": 3, "plan_options": {"buffer": 3}},
}


def outputs(fed, job: str) -> list[tuple[int, str, str]]:
    assert fed.state(job) == "completed"
    files = fed.get(f"/v1/jobs/{job}/results").json()["files"]
    # The description names the code, and the metrics what the fakes told: all of it is the same to the byte.
    return [(file["round"], file["name"], file["digest"]) for file in files]


@pytest.mark.parametrize("plan", list(PLANS))
def test_a_hub_killed_at_every_place_of_every_round_comes_to_the_same_bits(start, monkeypatch, plan):
    fed = start("east", "north", "west", folder="undisturbed")
    expected = outputs(fed, _through(fed, plan, lambda: None))
    fed = start("east", "north", "west")
    places, killed = iter(["merge", "_commit", "open_round", "complete"] * 20), []

    def killed_in_between() -> None:
        place = next(places)
        with monkeypatch.context() as patch:
            # An ensemble is not merged, and has no second round.
            name = "keep_all" if (place, plan) == ("merge", PlanName.ENSEMBLE) else place
            patch.setattr(hub_rounds, name, _killed)
            try:
                close_ready(fed.hub)
            except Killed:
                killed.append(place)
                fed.restart_hub()

    assert outputs(fed, _through(fed, plan, killed_in_between)) == expected
    assert killed


def _through(fed, plan: PlanName, disturb) -> str:
    job = approved(fed, plan, **PLANS[plan])
    while fed.state(job) == "running":
        for site in fed.sites.values():
            site.agent.step()
        disturb()
        fed.close_rounds()
    return job


def test_a_node_killed_in_its_second_turn_comes_to_the_same_model(start, monkeypatch):
    fed = start("east", "north", "west")
    job = approved(fed, CYCLIC, plan_options={"cycles": 2})
    north = fed.sites["north"]
    while fed.job(job)["round"] < 5:
        for site in fed.sites.values():
            site.agent.step()
        fed.close_rounds()
    _stages_only(north, monkeypatch)
    with reading(north.node.engine) as session:
        assert session.get_one(WorkRow, (job, 5)).state == "staged"
    north.restart().resume()
    fed.settle()
    assert final(fed, job) == 46
    assert [number for _, number in north.runner.calls] == [2, 5]


def test_a_wrong_mix_is_refused_before_anybody_is_asked(fed):
    manifest = fed.manifest(fed.visa(), plan_name=CYCLIC, rounds=4)
    answer = fed.post("/v1/jobs", manifest.seal(fed.requester))
    assert answer.json()["code"] == "FB-JOBS-300"
    assert "6 rounds at 3 sites" in answer.json()["title"]
    assert refusal(lambda: fed.manifest(fed.visa(), plan_name=PlanName.SINGLE_PASS)).code == "FB-JOBS-300"
