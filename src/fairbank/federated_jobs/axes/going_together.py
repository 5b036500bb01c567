"""What there is on the axes of training, and what goes with what: found by asking the rules, not written down twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fairbank.federated_jobs.axes.aggregators import AGGREGATORS, AggregatorChoice
from fairbank.federated_jobs.axes.elements import Choice, Options, chosen
from fairbank.federated_jobs.axes.filters import FILTERS, FilterChoice
from fairbank.federated_jobs.axes.local_steps import LOCAL_STEPS, LocalStepChoice
from fairbank.federated_jobs.axes.plan_options import AggregationOptions
from fairbank.federated_jobs.axes.plans import PLANS, PlanChoice
from fairbank.federated_jobs.axes.rules import Mix, Numbers
from fairbank.federated_jobs.axes.validator import clashes
from fairbank.federated_jobs.secagg.limits import USUAL_BOUND
from fairbank.ontology.signed_objects import SecureAggregation, Training

AXES: Mapping[str, Mapping[str, Choice]] = {
    "plan": PLANS,
    "aggregator": AGGREGATORS,
    "local step": LOCAL_STEPS,
    "filter": FILTERS,
}
# Enough for all that needs many sites.
_SITES = 20


@dataclass(frozen=True, slots=True)
class OptionWords:
    """One option: its name, its kind and range in words, and what it is if nobody says anything."""

    name: str
    kind: str
    default: str


def options_of(choice: Choice) -> list[OptionWords]:
    """Return the options of a choice, sorted by name."""
    schema: dict[str, Any] = choice.options.model_json_schema()
    needed = schema.get("required", [])
    return [
        OptionWords(name, _kind(part), "required" if name in needed else _default(part))
        for name, part in sorted(schema.get("properties", {}).items())
    ]


def needs_more_than(choice: Choice, sites: int) -> bool:
    """Tell whether a choice needs more sites than so many."""
    return isinstance(choice, PlanChoice | AggregatorChoice) and choice.minimum_sites > sites


def refused_with(choice: Choice) -> list[tuple[str, str, str]]:
    """Return what a choice does not go with, all options as usual: the axis, the other choice, and why."""
    own = mix_with(choice)
    found = []
    for axis, table in AXES.items():
        for other in table.values():
            if other.name == choice.name or (
                type(other) is type(choice) and not isinstance(other, FilterChoice)
            ):
                continue
            alone, both = mix_with(other), mix_with(other, into=own)
            # What clashes with the usual choices already is no matter of these two.
            known = [rule for mix in (own, alone) for rule, _ in clashes(mix, numbers(mix))]
            said = (what for rule, what in clashes(both, numbers(both)) if rule not in known)
            if (what := next(said, None)) is not None:
                found.append((axis, other.name, what))
    return found


def refused_under_masks(choice: Choice) -> str | None:
    """Return why a choice does not go with secure aggregation, all options as usual; None if it does."""
    own = mix_with(choice)
    masking = SecureAggregation(bound=USUAL_BOUND)
    masked = replace(own, training=own.training.model_copy(update={"secure_aggregation": masking}))
    before = [rule for rule, _ in clashes(own, numbers(own))]
    return next((what for rule, what in clashes(masked, numbers(masked)) if rule not in before), None)


def mix_with(choice: Choice, *, into: Mix | None = None) -> Mix:
    """Return a mix with one choice in it, and all else as usual or as in another mix."""
    mix = into or _usual()
    # A choice may have options without which it does nothing, so they are not checked here.
    options = choice.options.model_construct()
    match choice:
        case PlanChoice():
            return replace(mix, plan=(choice, options))
        case AggregatorChoice():
            return replace(mix, aggregator=(choice, options))
        case LocalStepChoice():
            return replace(mix, local_step=(choice, options))
        case FilterChoice():
            both = [*mix.filters, (choice, options)]
            return replace(mix, filters=tuple(sorted(both, key=lambda pair: pair[0].place)))
        case _:
            raise AssertionError(f"no axis has {type(choice).__name__}")


def numbers(mix: Mix, *, sites: int = _SITES) -> Numbers:
    """Return the numbers of a job with many sites that fit a plan."""
    choice, options = mix.plan
    return Numbers(sites, choice.rounds(options, sites) if choice.rounds else 5, quorum=sites)


def all_choices() -> Iterator[tuple[str, Choice]]:
    """Return every choice with its axis, in the order of the tables."""
    for axis, table in AXES.items():
        for choice in table.values():
            yield axis, choice


def choice_named(name: str) -> tuple[str, Choice]:
    """Return the choice of a name with its axis.

    Raises:
        PlanRefused: if no axis has it.
    """
    for axis, choice in all_choices():
        if choice.name == name:
            return axis, choice
    table: dict[str, Choice] = {choice.name: choice for _, choice in all_choices()}
    return "", chosen("choice", table, name)


def _usual() -> Mix:
    return Mix(
        (PLANS["aggregation"], AggregationOptions()),
        (AGGREGATORS["fedavg"], _defaults(AGGREGATORS["fedavg"])),
        (LOCAL_STEPS["plain"], _defaults(LOCAL_STEPS["plain"])),
        (),
        Training(),
    )


def _defaults(choice: Choice) -> Options:
    return choice.options.model_construct()


def _kind(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return " | ".join(map(str, part["enum"]))
    several = [each for each in part.get("anyOf", []) if each.get("type") != "null"]
    if several:
        # A decimal is taken as text or as a whole number.
        words = list(dict.fromkeys(_kind(each) for each in several))
        return "decimal" if "decimal" in words or "number" in words else " or ".join(words)
    kind = str(part.get("type", "value"))
    if kind == "array":
        return f"list of {_kind(part.get('items', {}))}"
    word = {"integer": "whole number", "boolean": "true | false", "number": "decimal", "string": "text"}.get(
        kind, kind
    )
    low, high = (
        part.get("minimum", part.get("exclusiveMinimum")),
        part.get("maximum", part.get("exclusiveMaximum")),
    )
    return f"{word}, {low} to {high}" if low is not None and high is not None else word


def _default(part: Mapping[str, Any]) -> str:
    default = part.get("default")
    if default is None:
        return "none"
    if isinstance(default, bool):
        return "true" if default else "false"
    return ",".join(map(str, default)) if isinstance(default, list) else str(default)
