"""Which plans, aggregators, local steps and filters go together; a wrong mix is refused before anybody approves it."""

from __future__ import annotations

from fairbank.federated_jobs.axes.aggregators import AGGREGATORS
from fairbank.federated_jobs.axes.elements import checked_options, chosen
from fairbank.federated_jobs.axes.filters import FILTERS
from fairbank.federated_jobs.axes.local_steps import LOCAL_STEPS
from fairbank.federated_jobs.axes.masking_rules import MASKING_RULES
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.axes.rules import RULES, Mix, Numbers, Rule
from fairbank.federated_jobs.training_errors import PlanRefused
from fairbank.ontology.signed_objects import Plan, Training


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


def clashes(mix: Mix, numbers: Numbers) -> list[tuple[Rule, str]]:
    """Return every rule that a job breaks, with what it says of it."""
    found = ((rule, rule.finds(mix, numbers)) for rule in (*RULES, *MASKING_RULES))
    return [(rule, what) for rule, what in found if what is not None]


def check_mix(plan: Plan, training: Training | None, *, sites: int) -> Mix:
    """Return the choices of a training job that go together.

    Args:
        sites: how many sites the job names.

    Raises:
        PlanRefused: naming the first two things that do not.
        OptionRefused: if an option is unknown or out of range.
    """
    mix = mix_of(plan, training)
    numbers = Numbers(sites, plan.rounds, plan.quorum, aggregator_options=bool(plan.aggregator_options))
    for rule, what in clashes(mix, numbers):
        raise PlanRefused(what, why=rule.why, todo=rule.todo)
    return mix


def usual_rounds(plan: Plan, *, sites: int) -> int | None:
    """Return how many rounds a plan fixes by its options; None where the job says it freely.

    Raises:
        PlanRefused: if there is no such plan.
        OptionRefused: if an option is unknown or out of range.
    """
    choice = chosen("plan", PLANS, plan.name.value)
    return choice.rounds(checked_options("plan", choice, plan.options), sites) if choice.rounds else None
