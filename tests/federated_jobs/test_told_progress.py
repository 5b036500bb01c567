"""How far a round is at a site, as its requester sees it: in steps that no small count shows through."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairbank.database import reading
from fairbank.errors import RemoteError
from fairbank.federated_jobs.hub.store import LeaseRow
from fairbank.federated_jobs.node import progress
from fairbank.federated_jobs.node.reporting import renew
from fairbank.ontology.errors import MalformedObject

STEPS = (0, 4, 26, 33, 60, 99, 100)


def told(
    fed, *, rounds: int = 1, say=STEPS, between=lambda outbox: outbox
) -> list[tuple[int, str, int | None]]:
    """Run a job at the site "east"; return what its requester sees as its worker says these percents."""
    site, seen = fed.sites["east"], []

    def look(job: str) -> None:
        view = fed.job(job)["sites"][0]
        seen.append((view["round"], view["state"], view.get("percent")))

    def computing(task) -> None:
        job = task.manifest.id
        with reading(fed.hub.engine) as session:
            lease = session.get_one(LeaseRow, (job, "east", task.round)).id
        for percent in say:
            progress.note(site.node, job, percent)
            renew(site.node, between(site.outbox), job, lease, timeout_s=10)
            look(job)

    site.runner.before = computing
    look(fed.run(rounds=rounds))
    return seen


@pytest.mark.parametrize(
    ("subjects", "seen"),
    [
        # k is 2: fifty subjects make steps of 5 %, eight of 25 %, seven none.
        (50, [0, 0, 25, 30, 60, 95, 100]),
        (8, [0, 0, 25, 25, 50, 75, 100]),
        (7, [None] * 7),
    ],
)
def test_a_requester_sees_steps_of_which_each_stands_for_enough_subjects(start, subjects, seen):
    fed = start()
    fed.add("east", subjects=subjects)
    assert told(fed) == [*((1, "running", percent) for percent in seen), (1, "released", None)]


def test_a_round_begins_anew_and_nothing_is_told_between_rounds(start):
    fed = start()
    fed.add("east", subjects=8)
    first, second, end = told(fed, rounds=2, say=(80,))
    assert (first, second) == ((1, "running", 75), (2, "running", 75))
    assert end == (2, "released", None)


def test_a_renewal_that_comes_late_takes_nothing_back(start):
    fed = start()
    fed.add("east", subjects=50)
    assert [percent for _, _, percent in told(fed, say=(60, 40))][:2] == [60, 60]


def test_a_site_may_keep_its_progress_to_itself(start):
    fed = start()
    fed.add("east", subjects=50, node_tells_progress="no")
    assert {percent for _, _, percent in told(fed)} == {None}


def test_a_lease_lives_on_at_a_hub_that_knows_of_no_progress(start):
    fed = start()
    fed.add("east", subjects=50)

    class OfTheHubBefore:
        def __init__(self, outbox) -> None:
            self._outbox = outbox

        def control(self, method, path, message, **options):
            if message.percent is not None:
                error = RemoteError("unknown key percent")
                error.status, error.remote_code = 422, MalformedObject.code
                raise error
            return self._outbox.control(method, path, message, **options)

    seen = told(fed, between=OfTheHubBefore)
    assert {(state, percent) for _, state, percent in seen[:-1]} == {("running", None)}


@pytest.mark.parametrize("k", [1, 2, 5, 10, 30])
def test_no_step_stands_for_fewer_than_k_subjects(k):
    for subjects in range(k, 1000):
        step = progress.step_for(subjects, k=k)
        assert step == 0 or subjects * step / 100 >= k


def test_what_is_told_says_no_more_of_a_cohort_than_how_wide_its_steps_are():
    def values(subjects: int) -> set[int | None]:
        step = progress.step_for(subjects, k=10)
        done = (100 * part // subjects for part in range(subjects + 1))
        return {replace(progress.Progress(percent, step)).told for percent in done}

    assert values(200) == values(1000) == set(range(0, 101, 5))
    assert values(40) == values(199) == {0, 25, 50, 75, 100}
