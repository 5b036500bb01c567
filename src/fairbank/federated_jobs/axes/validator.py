"""Which plans, aggregators, local steps and filters go together; a wrong mix is refused before anybody approves it."""

from __future__ import annotations

from dataclasses import dataclass

from fairbank.federated_jobs.axes.aggregators import AGGREGATORS, AggregatorChoice
from fairbank.federated_jobs.axes.elements import Options, checked_options, chosen
from fairbank.federated_jobs.axes.filters import FILTERS, FilterChoice
from fairbank.federated_jobs.axes.local_steps import LOCAL_STEPS, LocalStepChoice
from fairbank.federated_jobs.axes.plans import PLANS, PlanChoice
from fairbank.federated_jobs.errors import PlanRefused
from fairbank.ontology.signed_objects import Plan, Training


@dataclass(frozen=True, slots=True)
class Mix:
    """The choices of one training job on all four axes, each with its checked options."""

    plan: tuple[PlanChoice, Options]
    aggregator: tuple[AggregatorChoice, Options]
    local_step: tuple[LocalStepChoice, Options]
    filters: tuple[tuple[FilterChoice, Options], ...]
    training: Training


def mix_of(plan: Plan, training: Training | None) -> Mix:
    """Return the choices of a training job with checked options; what goes together is not judged.

    Raises:
        PlanRefused: if an axis has no such choice.
        OptionRefused: if an option is unknown or out of range.
    """
    asked = training or Training()
    the_plan = chosen("plan", PLANS, plan.name.value)
    aggregator = chosen("aggregator", AGGREGATORS, plan.aggregator)
    step = chosen("local step", LOCAL_STEPS, asked.local_step.name)
    filters = [(chosen("filter", FILTERS, each.name), each.options) for each in asked.filters]
    return Mix(
        (the_plan, checked_options("plan", the_plan, plan.options)),
        (aggregator, checked_options("aggregator", aggregator, plan.aggregator_options)),
        (step, checked_options("local step", step, asked.local_step.options)),
        tuple((each, checked_options("filter", each, options)) for each, options in filters),
        asked,
    )


def check_mix(plan: Plan, training: Training | None, *, sites: int) -> Mix:
    """Return the choices of a training job that go together.

    Args:
        sites: how many sites the job names.

    Raises:
        PlanRefused: naming the first two things that do not.
        OptionRefused: if an option is unknown or out of range.
    """
    mix = mix_of(plan, training)
    for choice in (mix.plan[0], mix.aggregator[0]):
        if sites < choice.minimum_sites:
            raise PlanRefused(
                f"{choice.name!r} needs {choice.minimum_sites} sites, and the job names {sites}.",
                why=choice.title + ".",
                todo="Name more datasets, or choose another.",
            )
    places = [each.place for each, _ in mix.filters]
    if places != sorted(places):
        order = ", ".join(each.name for each, _ in sorted(mix.filters, key=lambda pair: pair[0].place))
        raise PlanRefused(
            "The filters are in an order that loses what the first ones made.",
            why="Each works on what the one before it leaves.",
            todo=f"Name them in this order: {order}.",
        )
    return mix
