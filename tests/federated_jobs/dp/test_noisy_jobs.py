"""A job with noise through a hub and a node: set aside before its runner is asked, spent as its update is staged."""

from __future__ import annotations

from typing import Any

import pytest

from fairbank.database import reading
from fairbank.federated_jobs.node import noise_ledger
from fairbank.federated_jobs.node.policy_file import FILE_NAME
from fairbank.federated_jobs.node.reviewing import review
from fairbank.federated_jobs.training_errors import BudgetExceeded
from fairbank.ontology.signed_objects import DifferentialPrivacy, PrivacyBudget, Training

NOISE = {
    "privacy_budget": PrivacyBudget(epsilon="3", delta="0.001"),
    "training": Training(differential_privacy=DifferentialPrivacy(clip_norm="1")),
}
PARAMETERS = {"network": "lenet", "batch_size": 8}


@pytest.fixture
def fed(start: Any) -> Any:
    made = start()
    made.add("east", subjects=40)
    return made


def submitted(fed: Any, **more: Any) -> str:
    job = fed.submit(
        fed.manifest(fed.visa(), "classification", **{"parameters": PARAMETERS, "rounds": 2, **NOISE, **more})
    )
    fed.settle()
    return str(job)


def acts(fed: Any, job: str) -> list[tuple[int, str]]:
    with reading(fed.sites["east"].node.engine) as session:
        return [(line.round, line.act.value) for line in noise_ledger.lines_of(session, job)]


def test_a_job_is_set_aside_whole_and_spent_round_by_round(fed: Any) -> None:
    site, seen, plans = fed.sites["east"], [], []
    job = submitted(fed)

    def before(task: Any) -> None:
        seen.append(acts(fed, job))
        plans.append(task.noise)

    site.runner.before = before
    words = review(site.node, job, source=site.index).noise
    assert "before 0.00, after" in words
    site.approve(job)
    fed.settle()
    assert fed.site_state(job, "east")[0] in ("released", "completed")
    reserved = [(1, "reserved"), (2, "reserved")]
    assert seen == [reserved, [*reserved, (1, "spent")]]
    assert acts(fed, job) == [*reserved, (1, "spent"), (2, "spent")]
    assert plans[0] == plans[1]
    assert plans[0].steps == 4


def test_a_job_beyond_the_budget_is_refused_before_anything_is_read(fed: Any) -> None:
    site = fed.sites["east"]
    first, second = submitted(fed), submitted(fed)
    policy = site.node.settings.home / FILE_NAME
    site.approve(first)
    site.approve(second)
    policy.write_text(policy.read_text() + '\nepsilon_cap = "3.5"\n')
    fed.settle()
    states = {fed.site_state(job, "east") for job in (first, second)}
    assert ("failed", "policy_declined") in states
    assert {job for job, _ in site.runner.calls} in ({first}, {second})
    third = submitted(fed)
    with pytest.raises(BudgetExceeded):
        site.approve(third)


def test_without_the_library_nobody_approves_it(fed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from fairbank.errors import MissingExtra

    job = submitted(fed)
    monkeypatch.setattr("fairbank.federated_jobs.node.noise_budget.find_spec", lambda name: None)
    with pytest.raises(MissingExtra):
        fed.sites["east"].approve(job)
