"""How many subjects an output was computed on, as the gate is told; and metrics of too few, which stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fairbank.database import writing
from fairbank.federated_jobs.node import rounds
from fairbank.federated_jobs.node.runner import _notes
from fairbank.federated_jobs.node.worker_answers import RoundOutcome
from fairbank.federated_jobs.states import SiteState

OUTCOME = RoundOutcome(
    file=Path("update"),
    digest="",
    bytes=1,
    base_digest="",
    n_train=40,
    n_heldout=8,
    before={"mse": 0.5},
    after={"mse": 0.25},
    subjects=(9, 2),
)


def test_metrics_of_enough_held_out_subjects_travel_with_an_update():
    assert _notes(OUTCOME, k=2) == {"n_train": 40, "n_heldout": 8, "before_mse": 0.5, "after_mse": 0.25}


def test_metrics_of_fewer_held_out_subjects_than_the_minimum_stay():
    assert _notes(OUTCOME, k=3) == {"n_train": 40}


def test_what_tells_of_a_class_of_few_subjects_stays():
    told = {
        "loss": 0.4,
        "accuracy": 0.9,
        "auroc": 0.8,
        "auroc_low": 0.7,
        "sensitivity": 0.5,
        "personal_f_one": 0.6,
    }
    outcome = replace(OUTCOME, before=told, after={}, subjects=(40, 8), classes=(6, 2))
    assert set(_notes(outcome, k=3)) == {"n_train", "n_heldout", "before_loss", "before_accuracy"}
    assert set(_notes(outcome, k=2)) == {"n_train", "n_heldout", *(f"before_{name}" for name in told)}


def test_the_gate_counts_the_subjects_that_were_used_not_those_of_the_cohort(start, monkeypatch):
    fed = start("east")
    site = fed.sites["east"]
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    site.approve(job)
    run = site.runner.run
    monkeypatch.setattr(site.runner, "run", lambda task: [replace(one, subjects=1) for one in run(task)])
    with writing(site.node.engine) as session:
        rounds.take(session, rounds.RoundOrder(job, 1, "lease", None), site=site.agent._site)
    assert rounds.work(site.agent._site, job, 1) is SiteState.WITHHELD
