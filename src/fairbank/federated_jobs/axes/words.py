"""Choices on the axes of training as people write them: `NAME`, or `NAME,OPTION=VALUE,…`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from fairbank.federated_jobs.axes.aggregators import AGGREGATORS
from fairbank.federated_jobs.axes.elements import C, Choice, chosen
from fairbank.federated_jobs.axes.filters import FILTERS
from fairbank.federated_jobs.axes.local_steps import LOCAL_STEPS
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.errors import OptionRefused
from fairbank.federated_jobs.secagg.limits import USUAL_BOUND
from fairbank.ontology.signed_objects import (
    DifferentialPrivacy,
    Element,
    Objective,
    PlanName,
    PrivacyBudget,
    SecureAggregation,
    Training,
)

# A comma begins another option where a name and an equals sign follow it; other commas are part of a list.
_NEXT_OPTION = re.compile(r",(?=[a-z][a-z0-9_]*=)")
# A delta of at most a tenth of one over the patients: this one serves sites of up to 10,000.
USUAL_DELTA, USUAL_CLIP_NORM = "0.00001", "1"
_WHOLE = re.compile(r"-?\d+")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person chose on the axes; None and empty stand for what is usual for the tool."""

    plan: PlanName | None = None
    plan_options: Mapping[str, JsonValue] | None = None
    aggregator: Element | None = None
    training: Training | None = None
    by_group: bool = False
    privacy_budget: PrivacyBudget | None = None


def chosen_in_words(
    *,
    plan: str | None = None,
    plan_options: Sequence[str] = (),
    aggregator: str | None = None,
    local_step: str | None = None,
    filters: Sequence[str] = (),
    frozen: Sequence[str] = (),
    start_from: str | None = None,
    objective: Objective | None = None,
    by_group: bool = False,
    epsilon: str | None = None,
    delta: str | None = None,
    clip_norm: str | None = None,
    secure_aggregation: bool = False,
    bound: str | None = None,
) -> Chosen:
    """Read what a person wrote.

    Args:
        plan_options: `OPTION=VALUE` each.
        aggregator, local_step, filters: `NAME` or `NAME,OPTION=VALUE,…`.
        start_from: digest of a model.
        by_group: also ask for metrics by sex, age and maker.
        epsilon: what all rounds may cost each patient of a site; noise is added if it is given.
        delta, clip_norm: beside it; `USUAL_DELTA` and `USUAL_CLIP_NORM` by default.
        secure_aggregation: updates are masked.
        bound: by how much one weight may change in a round where they are; as usual by default.

    Raises:
        PlanRefused: if an axis has no such choice.
        OptionRefused: if an option is unknown, or is not written as OPTION=VALUE, or noise is given no epsilon.
    """
    if epsilon is None and (delta is not None or clip_norm is not None):
        raise OptionRefused(
            "A delta, or a clipping norm, is given without an epsilon.",
            why="How much noise there is follows from epsilon.",
            todo="Give an epsilon, such as 3, or none of them.",
        )
    noise = None if epsilon is None else DifferentialPrivacy(clip_norm=clip_norm or USUAL_CLIP_NORM)
    if bound is not None and not secure_aggregation:
        raise OptionRefused(
            "A bound is given, and secure aggregation is not asked for.",
            why="The bound belongs to secure aggregation; unknown options are refused.",
            todo="Add --secure-aggregation, or leave the bound out.",
        )
    the_plan = chosen("plan", PLANS, plan or PlanName.AGGREGATION.value)
    written = {
        "local_step": element_from("local step", LOCAL_STEPS, local_step) if local_step else None,
        "filters": tuple(element_from("filter", FILTERS, each) for each in filters) or None,
        "frozen": tuple(frozen) or None,
        "initial_model": start_from,
        "objective": objective,
        "differential_privacy": noise,
        "secure_aggregation": SecureAggregation(bound=bound or USUAL_BOUND) if secure_aggregation else None,
    }
    given = {name: value for name, value in written.items() if value is not None}
    return Chosen(
        plan=PlanName(plan) if plan else None,
        plan_options=options_from("plan", the_plan, plan_options) if plan_options else None,
        aggregator=element_from("aggregator", AGGREGATORS, aggregator) if aggregator else None,
        training=Training.model_validate(given) if given else None,
        by_group=by_group,
        privacy_budget=None
        if epsilon is None
        else PrivacyBudget(epsilon=epsilon, delta=delta or USUAL_DELTA),
    )


def element_from(axis: str, table: Mapping[str, C], text: str) -> Element:
    """Read one choice.

    Raises:
        PlanRefused: if the axis has no such choice.
        OptionRefused: if an option is unknown, or is not written as OPTION=VALUE.
    """
    name, comma, rest = text.partition(",")
    choice = chosen(axis, table, name)
    pairs = _NEXT_OPTION.split(rest) if comma else []
    return Element(name=name, options=options_from(axis, choice, pairs))


def options_from(axis: str, choice: Choice, pairs: Sequence[str]) -> dict[str, JsonValue]:
    """Read options: whole numbers and true or false become such, lists are written with commas, all else stays text.

    Raises:
        OptionRefused: if one is unknown, or is not written as OPTION=VALUE.
    """
    fields = choice.options.model_fields
    read: dict[str, JsonValue] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in fields:
            raise OptionRefused(
                f"{pair!r} is no option of the {axis} {choice.name!r}.",
                why="An option is written as OPTION=VALUE, and unknown ones are refused.",
                todo=f"Its options are: {', '.join(sorted(fields)) or 'none'}.",
            )
        many = "tuple[" in str(fields[name].annotation)
        read[name] = [_value(each) for each in text.split(",")] if many else _value(text)
    return read


def _value(text: str) -> JsonValue:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if _WHOLE.fullmatch(text) else text
