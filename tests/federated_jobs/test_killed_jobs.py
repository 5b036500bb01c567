"""`kill -9` of the hub or of a node at a random moment of two jobs: the results are the same to the byte."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.federated_jobs.killed_federation import JOBS, PLANS, ROUNDS, SITES, KilledFederation, Moment

from fairbank.demo.processes import Processes
from fairbank.ontology.signed_objects import PlanName

pytestmark = pytest.mark.sandbox

SEEDS, MORE_SEEDS = range(5), range(5, 50)


def plan_of(seed: int) -> PlanName:
    """Return the plan of a seed: of the first few the usual one, of all of them each plan with each victim."""
    return PlanName.AGGREGATION if seed in SEEDS else list(PLANS)[(seed + seed // 9) % 3]


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KilledFederation]:
    home = tmp_path_factory.mktemp("killed")
    with Processes(home / "logs") as processes:
        yield KilledFederation(home, processes)


def test_what_is_compared_is_there(federation: KilledFederation) -> None:
    undisturbed = federation.undisturbed(PlanName.AGGREGATION)
    assert {name for tool, _, name in undisturbed.outputs if tool == JOBS[0][0]} >= {
        "table.csv",
        "table.json",
        "plot.svg",
    }
    models = {number: digest for (_, number, name), digest in undisturbed.outputs.items() if name == "model"}
    assert sorted(models) == list(range(1, ROUNDS + 1)) and len(set(models.values())) == ROUNDS
    assert len(undisturbed.uploads) == len(SITES) * (1 + ROUNDS)
    assert undisturbed.released == undisturbed.uploads
    assert set(undisturbed.ledger.values()) == {1} and len(undisturbed.ledger) == len(undisturbed.uploads)


@pytest.mark.parametrize(
    "seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.long) for seed in MORE_SEEDS)]
)
def test_a_kill_changes_no_result_and_releases_nothing_twice(federation: KilledFederation, seed: int) -> None:
    plan = plan_of(seed)
    undisturbed = federation.undisturbed(plan)
    assert federation.killed_at(Moment.drawn(seed), plan) == undisturbed
