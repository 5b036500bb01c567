"""What a requester types about jobs, against a hub and sites that answer: tried again, what it cost, who goes first."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fairbank.cli import job_commands, job_trainings
from fairbank.cli.main import app
from fairbank.federated_jobs.node.errors import WorkerOutOfMemory
from fairbank.web.api_client import HubApi

Typed = Callable[..., Result]


@pytest.fixture
def fed(start):
    return start("east", "north")


@pytest.fixture
def typed(fed, tmp_path, monkeypatch) -> Typed:
    def connected(ctx: Any) -> HubApi:
        return HubApi(fed.url, clock=fed.clock, home=tmp_path, token=fed.token)

    for module in (job_commands, job_trainings):
        monkeypatch.setattr(module, "api", connected)
    return lambda *words: CliRunner().invoke(app, ["job", *words])


def fails_once(fed, name: str) -> None:
    left = [WorkerOutOfMemory("It failed.")]

    def before(task) -> None:
        if left:
            raise left.pop()

    fed.sites[name].runner.before = before


def told(words: Sequence[str], shown: str) -> bool:
    return all(word in shown for word in words)


def test_a_failed_job_is_tried_again_where_it_failed(fed, typed):
    fails_once(fed, "east")
    job = fed.run()
    shown = typed("show", job)
    assert (shown.exit_code, fed.state(job)) == (0, "failed")
    assert told(("east", "out_of_memory", "failed, round 1 of 1"), shown.stdout + shown.stderr)
    watched = typed("watch", job)
    assert watched.exit_code == 1 and f"fairbank job show {job}" in watched.stderr
    assert told(("failed (quorum_not_met), round 1 of 1", "east failed (out_of_memory)"), watched.stderr)
    again = typed("retry", job)
    assert again.exit_code == 0 and "The job is running; it is tried again at east" in again.stderr
    fed.settle()
    assert fed.state(job) == "completed"
    watched = typed("watch", job)
    assert watched.exit_code == 0 and f"fairbank job results {job} --to results" in watched.stderr
    assert "completed, round 1 of 1: east released, north released" in watched.stderr


def test_a_job_that_did_not_fail_is_not_tried_again(fed, typed):
    job = fed.run()
    refused = typed("retry", job)
    assert refused.exit_code == 1 and "completed" in str(refused.exception)
    # One site alone cannot bring back a job that needs two.
    fails_once(fed, "east")
    fails_once(fed, "north")
    assert "Too few sites" in str(typed("retry", fed.run(), "--node", "east").exception)


def test_what_jobs_cost_is_shown_by_site(fed, typed):
    assert "Nothing has been computed." in typed("usage").stderr
    for site in fed.sites.values():
        site.runner.before = lambda task: setattr(task.spent, "cpu_s", task.spent.cpu_s + 3.4)
    jobs = [fed.run(), fed.run()]
    of_one = json.loads(typed("usage", jobs[0], "--format", "json").stdout)
    assert [(row["node"], row["jobs"], row["cpu_s"]) for row in of_one] == [("east", 1, 5), ("north", 1, 5)]
    of_all = json.loads(typed("usage", "--format", "json").stdout)
    assert [(row["account"], row["node"], row["jobs"], row["cpu_s"]) for row in of_all] == [
        ("ada", "east", 2, 10),
        ("ada", "north", 2, 10),
    ]


def test_a_requester_lowers_the_priority_of_a_job_and_does_not_raise_it(fed, typed):
    job = fed.submit(fed.manifest(fed.visa()))
    lowered = typed("priority", job, "low")
    assert (lowered.exit_code, lowered.stderr.strip()) == (0, "The priority of the job is low.")
    assert typed("priority", job, "high").exit_code == 1
    assert typed("priority", job, "urgent").exit_code == 2
    assert fed.job(job)["priority"] == "low"
