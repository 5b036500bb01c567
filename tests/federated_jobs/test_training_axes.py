"""What goes together on the axes of training, how choices are written, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.federated_jobs.conftest import refusal
from typer.testing import CliRunner

from fairbank.cli.job_commands import app
from fairbank.federated_jobs.axes.aggregators import AGGREGATORS, AggregatorChoice
from fairbank.federated_jobs.axes.elements import Choice, checked_options
from fairbank.federated_jobs.axes.filters import FilterChoice
from fairbank.federated_jobs.axes.going_together import AXES, mix_with, numbers, options_of, refused_with
from fairbank.federated_jobs.axes.local_steps import LocalStepChoice
from fairbank.federated_jobs.axes.plan_options import AggregationOptions, BufferedOptions
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.axes.rules import RULES, Mix, Numbers
from fairbank.federated_jobs.axes.validator import clashes
from fairbank.federated_jobs.axes.words import chosen_in_words
from fairbank.ontology.signed_objects import (
    DifferentialPrivacy,
    Objective,
    PlanName,
    SecureAggregation,
    Training,
)

TURN, BUFFERED, ONCE = (
    PLANS[name] for name in ("cyclic-weight-transfer", "buffered-asynchronous", "single-weight-transfer")
)
PEERS = PLANS["peer-to-peer"]
_WORDS = {"title": "for a test", "source": "none"}
ROBUST = AggregatorChoice(
    name="robust", minimum_sites=3, coordinatewise=True, weighs_staleness=True, **_WORDS
)
MEAN = AggregatorChoice(name="mean", linear=True, **_WORDS)
CONTROL = LocalStepChoice(name="control", exchanges="control.", **_WORDS)
LOOKS = LocalStepChoice(name="looks", **_WORDS)
NOISY = Training(differential_privacy=DifferentialPrivacy(clip_norm="1"))
AT_HOME = LocalStepChoice(name="at-home", local_layers=True, **_WORDS)
SHARE = FilterChoice(name="some-layers", local_layers=True, stateful=True, **_WORDS)
SPARSE = FilterChoice(name="sparse", place=30, stateful=True, sparse=True, **_WORDS)
BOUND = FilterChoice(name="bound", place=20, protects=True, weights_only=True, **_WORDS)
HALF = FilterChoice(name="half", place=40, **_WORDS)
LOCKED = FilterChoice(name="locked", place=90, linear=True, encrypts=True, weights_only=False, **_WORDS)


def mixed(*choices: Choice) -> Mix:
    mix = None
    for choice in choices or (PLANS["aggregation"],):
        mix = mix_with(choice, into=mix)
    assert mix is not None
    return mix


def few(mix: Mix, **changes: int) -> Numbers:
    return replace(numbers(mix, sites=3), **changes)


_IN_ORDER: Mix = mixed(SPARSE, HALF)
# A rule by what it is about, and a job of three sites that breaks it and no other.
BROKEN: dict[str, tuple[Mix, Callable[[Mix], Numbers]]] = {
    "plan × number of sites": (
        mixed(PLANS["bounded-staleness"]),
        lambda mix: replace(few(mix), sites=1, quorum=1),
    ),
    "aggregator × quorum, share of sites, buffer": (mixed(ROBUST), lambda mix: few(mix, quorum=2)),
    "share of sites × quorum": (
        replace(mixed(), plan=(PLANS["aggregation"], AggregationOptions(site_fraction="0.5"))),
        few,
    ),
    "buffer × number of sites": (
        replace(mixed(), plan=(BUFFERED, BufferedOptions(buffer=4))),
        few,
    ),
    "rounds × plan": (mixed(TURN), lambda mix: few(mix, rounds=5)),
    "aggregator × plan that hands on or keeps models": (mixed(TURN, MEAN), few),
    "aggregator × plan that waits for nobody": (mixed(BUFFERED, MEAN), few),
    "local step that exchanges more than weights × plan": (mixed(TURN, CONTROL), few),
    "local step that exchanges more than weights × aggregator": (mixed(ROBUST, CONTROL), few),
    "layers that stay at a site × plan that hands on or keeps models": (mixed(TURN, SHARE), few),
    "local step that exchanges more than weights × model to start from": (
        replace(mixed(CONTROL), training=Training(initial_model="sha256:" + "0" * 64)),
        few,
    ),
    "layers that stay at a site × model to start from": (
        replace(mixed(AT_HOME), training=Training(initial_model="sha256:" + "0" * 64)),
        few,
    ),
    "filter that feeds an error back × plan that visits once": (mixed(ONCE, SPARSE), few),
    "filter that leaves values out × aggregator that judges each weight by itself": (
        mixed(SPARSE, ROBUST),
        few,
    ),
    "filter × filter": (replace(_IN_ORDER, filters=_IN_ORDER.filters[::-1]), few),
    "filter × itself": (mixed(HALF, HALF), few),
    "filter × filter of the same place": (mixed(HALF, replace(HALF, name="other-half")), few),
    "filter that protects weights × local step that exchanges more": (mixed(CONTROL, BOUND), few),
    "rounds × last round that measures": (
        replace(mixed(), plan=(PLANS["aggregation"], AggregationOptions(measure_last=True))),
        lambda mix: few(mix, rounds=1),
    ),
    "layers that stay at a site × last round that measures": (
        replace(mixed(SHARE), plan=(PLANS["aggregation"], AggregationOptions(measure_last=True))),
        few,
    ),
    "noise (differential privacy) × local step that looks at images by itself": (
        replace(mixed(LOOKS), training=NOISY),
        few,
    ),
    "noise (differential privacy) × plan": (replace(mixed(TURN), training=NOISY), few),
    "rounds × plan of peers": (mixed(PEERS), lambda mix: few(mix, rounds=1)),
    "filter × plan whose updates are sealed": (mixed(PEERS, HALF), few),
    "filter that encrypts × any other filter": (mixed(HALF, LOCKED), few),
    "filter that encrypts × aggregator": (mixed(ROBUST, LOCKED), few),
    "filter that encrypts × plan": (mixed(TURN, LOCKED), few),
    "filter that encrypts × rounds": (mixed(LOCKED), lambda mix: few(mix, rounds=1)),
    "filter that encrypts × number of sites": (mixed(LOCKED), lambda mix: few(mix, quorum=1)),
    "filter that encrypts × secure aggregation": (
        replace(mixed(LOCKED), training=Training(secure_aggregation=SecureAggregation(bound="1"))),
        few,
    ),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.axes)
def test_each_rule_finds_what_breaks_it_and_says_so(rule):
    mix, of = BROKEN[rule.axes]
    found = clashes(mix, of(mix))
    assert [each.axes for each, _ in found] == [rule.axes]
    assert found[0][1].endswith(".") and rule.why.endswith(".") and rule.todo.endswith(".")


@pytest.mark.parametrize(
    "mix",
    [
        mixed(ROBUST),
        mixed(CONTROL),
        mixed(SHARE),
        mixed(SPARSE, HALF),
        mixed(TURN, SPARSE),
        mixed(BUFFERED, HALF),
    ],
    ids=lambda mix: mix.plan[0].name,
)
def test_what_goes_together_is_let_through(mix):
    assert clashes(mix, few(mix)) == []


def test_a_number_of_bad_sites_says_how_many_updates_krum_needs():
    class Krum(AggregationOptions):
        byzantine: int = 2

    mix = replace(mixed(), aggregator=(replace(ROBUST, options=Krum), Krum()))
    assert "needs 7 sites" in clashes(mix, few(mix))[0][1]
    assert clashes(mix, Numbers(7, 5, quorum=7)) == []


@pytest.mark.parametrize(("axis", "name"), [(axis, name) for axis, table in AXES.items() for name in table])
def test_what_is_said_not_to_go_together_is_refused(axis, name):
    choice = AXES[axis][name]
    for other_axis, other, what in refused_with(choice):
        both = mix_with(AXES[other_axis][other], into=mix_with(choice))
        assert what in {said for _, said in clashes(both, numbers(both))}
    assert len(options_of(choice)) == len(choice.options.model_fields)


# -- in words --------------------------------------------------------------------------------------------------------


def test_choices_are_read_as_people_write_them():
    read = chosen_in_words(
        plan="aggregation",
        plan_options=["site_fraction=0.5", "patience=3", "close_at_quorum=true", "min_delta=1"],
        aggregator="fedavg",
        frozen=["encoder.*"],
        objective=Objective.WORST_SITE,
    )
    assert read.plan is PlanName.AGGREGATION
    assert checked_options("plan", PLANS["aggregation"], read.plan_options or {}) == AggregationOptions(
        site_fraction="0.5", patience=3, close_at_quorum=True, min_delta="1"
    )
    assert read.aggregator is not None and read.aggregator.name == "fedavg"
    assert read.training == Training(frozen=("encoder.*",), objective=Objective.WORST_SITE)
    assert chosen_in_words().training is None


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"plan": "gossip"}, "FB-JOBS-300"),
        ({"aggregator": "fedavg,speed=3"}, "FB-JOBS-015"),
        ({"aggregator": "sum"}, "FB-JOBS-300"),
        ({"filters": ["shrink"]}, "FB-JOBS-300"),
        ({"plan_options": ["patience"]}, "FB-JOBS-015"),
    ],
)
def test_what_there_is_not_is_refused(given, code):
    assert refusal(lambda: chosen_in_words(**given)).code == code


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("aggregation", {"site_fraction": "0"}),
        ("aggregation", {"site_fraction": "1.1"}),
        ("aggregation", {"min_delta": "-1"}),
        ("cyclic-weight-transfer", {"cycles": 0}),
        ("buffered-asynchronous", {"buffer": 0}),
        ("ensemble", {"cycles": 2}),
        ("single-weight-transfer", {"metric": "Loss!"}),
    ],
)
def test_an_option_out_of_its_range_is_refused(name, options):
    assert refusal(lambda: checked_options("plan", PLANS[name], options)).code == "FB-JOBS-015"


def test_the_command_lists_every_choice_and_explains_each():
    runner = CliRunner()
    listed = runner.invoke(app, ["plans", "--format", "json"]).stdout
    assert all(f'"{name}"' in listed for table in AXES.values() for name in table)
    one = runner.invoke(app, ["plans", "buffered-asynchronous"])
    assert "buffer" in one.stdout and one.exit_code == 0
    assert set(AGGREGATORS) <= set(AXES["aggregator"])
