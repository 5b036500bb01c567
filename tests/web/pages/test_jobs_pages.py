"""Jobs on pages: the list, one job, and starting one; each reader sees what is for her."""

from __future__ import annotations

from typing import Any

from tests.web.filled_hub import Filled

from fairbank.federated_jobs.reasons import Reason
from fairbank.web.job_words import REASONS

JSON = {"Accept": "application/json"}


def seen(filled: Filled, who: str, address: str) -> Any:
    answer = filled.client.get(address, headers={**filled.people[who].headers, **JSON})
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- the list ----------------------------------------------------------------------------------------------------------


def test_a_line_says_how_far_a_job_is_and_for_whom_it_waits(filled: Filled) -> None:
    rows = {row["job"]["id"]: row for row in seen(filled, "rita", "/jobs")["rows"]}
    training, asked, analysed = (rows[filled.jobs[name]] for name in ("training", "asked", "analysed"))
    assert (training["job"]["done"], len(training["job"]["sites"])) == (1, 2)
    assert (training["job"]["round"], training["job"]["rounds"]) == (3, 5)
    assert [(one["node"], bool(one.get("silent"))) for one in training["awaited"]] == [("beta", True)]
    # Beta has said yes to this one and is not waited for.
    assert [(one["node"], one["state"]) for one in asked["awaited"]] == [("alpha", "pending_review")]
    assert analysed["awaited"] == []


def test_the_states_that_are_chosen_are_those_that_are_shown(filled: Filled) -> None:
    everything = seen(filled, "rita", "/jobs")
    numbers = {choice["key"]: choice["number"] for choice in everything["choices"]}
    assert sum(numbers.values()) == everything["found"] == len(everything["rows"])
    for key, number in numbers.items():
        chosen = seen(filled, "rita", f"/jobs?state={key}")
        assert chosen["found"] == len(chosen["rows"]) == number
    assert seen(filled, "rita", "/jobs?q=DENSITIES")["found"] == 1
    assert seen(filled, "rita", "/jobs?q=100%25")["found"] == 0


def test_jobs_of_others_are_shown_to_whoever_looks_after_all_and_to_nobody_else(filled: Filled) -> None:
    hers = seen(filled, "rita", "/jobs")["found"]
    assert hers == 6
    for who in ("otto", "carla", "cora"):
        assert seen(filled, who, "/jobs?show=all")["found"] == 0
    assert seen(filled, "ursula", "/jobs")["found"] == hers


def test_every_reason_has_words() -> None:
    assert set(REASONS) == set(Reason)
    assert all(text.endswith(".") for reason, text in REASONS.items() if reason is not Reason.NONE)
