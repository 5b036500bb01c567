"""The compute plans as state machines: who trains when, from which model, and when it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from fairbank.federated_jobs.axes.elements import checked_options
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.plans.machine import Closed, Done, Ending, Merging, Setting, Step
from fairbank.federated_jobs.plans.registry import machine_of
from fairbank.ontology.signed_objects import Objective, PlanName

SITES = ("east", "north", "west")
Notes = Callable[[str, int], dict[str, float]]


@dataclass
class Run:
    """What a plan asked for, round by round, and how it ended."""

    steps: list[Step] = field(default_factory=list)
    done: Done | None = None

    @property
    def visits(self) -> list[str]:
        return ["+".join(step.participants) for step in self.steps]

    @property
    def bases(self) -> list[str | None]:
        return [step.base for step in self.steps]


def setting(name: str, sites: tuple[str, ...] = SITES, **options: Any) -> Setting:
    rounds = options.pop("rounds", None)
    more = {key: options.pop(key) for key in ("quorum", "seed", "initial", "objective") if key in options}
    choice = PLANS[name]
    checked = checked_options("plan", choice, options)
    fixed = choice.rounds(checked, len(sites)) if choice.rounds else 4
    return replace(Setting(sites, rounds or fixed, 1, "7", checked), **more)


def run(
    of: Setting,
    name: str,
    *,
    notes: Notes = lambda site, number: {},
    lost: dict[int, str] | None = None,
    late: dict[int, str] | None = None,
) -> Run:
    """Run a plan to its end, its state through JSON each time as the hub keeps it; models are named by their rounds.

    Args:
        lost: which site drops out in which round.
        late: which does not deliver in which round, and is there again afterwards.
    """
    machine, seen, number, sites = machine_of(PlanName(name)), Run(), 1, of.sites
    step = machine.first(of)
    while True:
        seen.steps.append(step)
        assert len(seen.steps) <= of.rounds, "more rounds than the sealed plan has"
        sites = tuple(site for site in sites if site != (lost or {}).get(number))
        there = [s for s in step.participants if s in sites and s != (late or {}).get(number)]
        result = f"model-{number}" if there else step.base
        told = {site: notes(site, number) for site in there}
        state = json.loads(json.dumps(step.state))
        closed = Closed(number, step.base, result, tuple(sorted(there)), told)
        after = machine.next(replace(of, sites=sites), state, closed)
        if isinstance(after, Done):
            seen.done = after
            return seen
        step, number = after, number + 1


def losses(**by_site: list[float]) -> Notes:
    """Return notes in which each site tells one loss after another, one for each of its passes."""
    told = {site: iter(values) for site, values in by_site.items()}
    return lambda site, number: {"after_loss": next(told[site]), "n_train": 10.0}


# -- the aggregation server ------------------------------------------------------------------------------------------


def test_all_sites_train_in_every_round_until_the_last():
    seen = run(setting("aggregation"), "aggregation")
    assert seen.visits == ["east+north+west"] * 4
    assert seen.bases == [None, "model-1", "model-2", "model-3"]
    assert seen.done == Done(Ending.ALL_ROUNDS, "model-4")


def test_a_share_of_the_sites_is_drawn_anew_for_each_round_and_the_same_from_the_same_seed():
    sites = tuple(f"site-{number:02}" for number in range(10))
    wish = setting("aggregation", sites, site_fraction="0.3", rounds=20)
    seen = run(wish, "aggregation")
    assert all(len(step.participants) == 3 for step in seen.steps)
    assert len(set(seen.visits)) > 10
    assert {site for step in seen.steps for site in step.participants} == set(sites)
    assert run(wish, "aggregation").visits == seen.visits
    assert run(replace(wish, seed="8"), "aggregation").visits != seen.visits


def test_never_fewer_sites_are_drawn_than_the_quorum_needs():
    seen = run(setting("aggregation", site_fraction="0.1", quorum=2), "aggregation")
    assert {len(step.participants) for step in seen.steps} == {2}


def test_a_round_may_close_with_the_quorum():
    wish = setting("aggregation", close_at_quorum=True, quorum=2)
    assert {step.enough for step in run(wish, "aggregation").steps} == {2}
    assert {step.enough for step in run(setting("aggregation"), "aggregation").steps} == {None}


def converging(*values: float) -> Notes:
    return lambda site, number: {"before_loss": values[number - 1]}


def test_a_training_ends_when_its_metric_stands_still_and_gives_the_best_model():
    wish = setting("aggregation", patience=2, min_delta="0.05", rounds=9)
    # What sites find before round 3 is about the model of round 2.
    seen = run(wish, "aggregation", notes=converging(1.0, 0.8, 0.5, 0.49, 0.48, 0.1))
    assert len(seen.steps) == 5
    assert seen.done == Done(Ending.CONVERGED, "model-2")


def test_a_training_whose_sites_tell_no_metric_goes_on_to_its_last_round():
    wish = setting("aggregation", patience=1)
    assert run(wish, "aggregation").done == Done(Ending.ALL_ROUNDS, "model-4")


@pytest.mark.parametrize(
    ("objective", "rounds"), [(Objective.MEAN, 5), (Objective.WORST_SITE, 3), (Objective.WEIGHTED, 3)]
)
def test_the_objective_of_the_manifest_says_what_is_judged(objective, rounds):
    # One site gets better, the one with most held-out subjects gets worse.
    def notes(site: str, number: int) -> dict[str, float]:
        better = site != "west"
        return {"before_dice": 0.5 + (0.05 if better else -0.04) * number, "n_heldout": 1 if better else 90}

    wish = setting("aggregation", metric="dice", patience=2, objective=objective, rounds=5)
    assert len(run(wish, "aggregation", notes=notes).steps) == rounds


# -- plans in which the model goes round -----------------------------------------------------------------------------


def test_single_weight_transfer_visits_each_site_once():
    seen = run(setting("single-weight-transfer"), "single-weight-transfer")
    assert seen.visits == ["east", "north", "west"]
    assert seen.bases == [None, "model-1", "model-2"]
    assert {step.merging for step in seen.steps} == {Merging.HAND_ON}
    assert seen.done == Done(Ending.ALL_ROUNDS, "model-3")


def test_it_stays_until_the_metric_stalls_and_hands_on_the_best_model():
    wish = setting("single-weight-transfer", max_passes=4)
    told = losses(east=[1.0, 0.6, 0.7], north=[0.5, 0.4, 0.3, 0.2], west=[0.3, 0.3])
    seen = run(wish, "single-weight-transfer", notes=told)
    assert seen.visits == ["east"] * 3 + ["north"] * 4 + ["west"] * 2
    # The second pass at the first site was its best.
    assert seen.bases[3] == "model-2"
    assert seen.done == Done(Ending.ALL_SITES, "model-8")


def test_cyclic_weight_transfer_goes_round():
    seen = run(setting("cyclic-weight-transfer", cycles=3), "cyclic-weight-transfer")
    assert seen.visits == ["east", "north", "west"] * 3
    assert seen.done == Done(Ending.ALL_ROUNDS, "model-9")


def test_adjusted_to_sizes_a_site_has_as_many_passes_as_it_has_times_the_samples_of_the_smallest():
    samples = {"east": 10.0, "north": 31.0, "west": 900.0}
    wish = setting("cyclic-weight-transfer", cycles=2, size_adjusted=True, most_passes=4)
    seen = run(wish, "cyclic-weight-transfer", notes=lambda site, number: {"n_train": samples[site]})
    assert seen.visits == ["east", "north", "west", "east", *["north"] * 3, *["west"] * 4]
    assert seen.done is not None and seen.done.ending is Ending.ALL_SITES


def test_institutional_incremental_hands_on_the_last_model_of_each_site():
    told = losses(east=[1.0, 2.0], north=[1.0, 0.5], west=[1.0, 0.5])
    seen = run(setting("institutional-incremental", passes=2), "institutional-incremental", notes=told)
    assert seen.visits == ["east", "east", "north", "north", "west", "west"]
    assert seen.bases[2] == "model-2"


def test_it_leaves_a_site_that_has_converged_earlier():
    told = losses(east=[1.0, 1.0], north=[1.0, 0.5, 0.2], west=[1.0, 2.0])
    wish = setting("institutional-incremental", passes=3, patience=1)
    seen = run(wish, "institutional-incremental", notes=told)
    assert seen.visits == ["east"] * 2 + ["north"] * 3 + ["west"] * 2


def test_cyclic_institutional_incremental_may_hand_on_the_best_local_model():
    def told() -> Notes:
        return losses(east=[1.0, 2.0, 1.0, 2.0], north=[1.0, 2.0, 1.0, 2.0], west=[1.0, 2.0, 1.0, 2.0])

    name = "cyclic-institutional-incremental"
    best = run(setting(name, passes=2, best_local=True), name, notes=told())
    last = run(setting(name, passes=2), name, notes=told())
    assert best.visits == last.visits == ["east", "east", "north", "north", "west", "west"] * 2
    assert (best.bases[2], last.bases[2]) == ("model-1", "model-2")
    assert best.done == Done(Ending.ALL_ROUNDS, "model-11")


@pytest.mark.parametrize("name", [name for name, plan in PLANS.items() if plan.hands_on])
def test_a_site_that_is_lost_is_passed_over_and_the_model_goes_on_as_it_was(name):
    seen = run(setting(name), name, lost={2: "north"})
    assert seen.visits[:3] == ["east", "north", "west"]
    assert seen.bases[2] == "model-1"
    assert "north" not in "".join(seen.visits[2:])


def test_a_site_that_is_late_is_asked_again_in_the_next_cycle():
    seen = run(setting("cyclic-weight-transfer"), "cyclic-weight-transfer", late={2: "north"})
    assert seen.visits == ["east", "north", "west", "east", "north", "west"]
    assert seen.bases[2] == "model-1"


def test_if_all_sites_are_lost_there_is_no_model():
    name = "single-weight-transfer"
    seen = run(setting(name), name, lost={1: "east", 2: "north", 3: "west"})
    assert seen.done is not None and seen.done.model is None


# -- the others ------------------------------------------------------------------------------------------------------


def test_an_ensemble_keeps_every_model_of_one_round():
    seen = run(setting("ensemble", quorum=2), "ensemble")
    assert [(step.participants, step.merging, step.at_least) for step in seen.steps] == [
        (SITES, Merging.KEEP_ALL, 2)
    ]
    assert seen.done == Done(Ending.ALL_ROUNDS, None)


def test_a_version_is_made_of_one_update_or_of_as_many_as_the_buffer_holds():
    one = run(setting("bounded-staleness", staleness=5), "bounded-staleness").steps[0]
    some = run(setting("buffered-asynchronous", buffer=2), "buffered-asynchronous").steps[0]
    assert (one.enough, one.staleness, some.enough, some.staleness) == (1, 5, 2, 10)


@pytest.mark.parametrize("name", list(PLANS))
def test_every_plan_starts_from_the_model_that_the_manifest_names(name):
    assert run(setting(name, initial="sha256:start"), name).bases[0] == "sha256:start"


@pytest.mark.parametrize("name", list(PLANS))
@pytest.mark.parametrize("lost", range(1, 4))
def test_every_plan_ends_whoever_is_lost(name, lost):
    assert run(setting(name), name, lost={lost: SITES[lost % 3]}).done is not None
