"""What does not go with secure aggregation, as a table beside `rules.RULES`.

The hub adds masked updates and sees their sum alone. So whatever looks at one update, or rests on numbers that a mask
would spoil, cannot work. The rules look at properties of choices, so that one that is added later is judged too.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from fairbank.federated_jobs.axes.aggregators import AggregatorOptions
from fairbank.federated_jobs.axes.plan_options import AggregationOptions
from fairbank.federated_jobs.axes.rules import Mix, Numbers, Rule, chosen_sites
from fairbank.federated_jobs.secagg.limits import MOST_BOUND, fewest_survivors


def _asked(mix: Mix) -> bool:
    return mix.training.secure_aggregation is not None


def _other_plan(mix: Mix, of: Numbers) -> str | None:
    plan = mix.plan[0]
    if not _asked(mix) or (plan.aggregates and not (plan.asynchronous or plan.hands_on or plan.sealed)):
        return None
    return f"Secure aggregation is asked for, and {plan.name!r} never adds up the updates of one round."


def _other_aggregator(mix: Mix, of: Numbers) -> str | None:
    choice = mix.aggregator[0]
    if not _asked(mix) or choice.linear:
        return None
    return f"Secure aggregation is asked for, and {choice.name!r} looks at single updates."


def _updates_judged(mix: Mix, of: Numbers) -> str | None:
    options = mix.aggregator[1]
    if not _asked(mix) or not isinstance(options, AggregatorOptions):
        return None
    if options.judges_updates:
        return (
            "Secure aggregation is asked for, and the aggregator's options have the hub judge single updates."
        )
    return None


def _changed_form(mix: Mix, of: Numbers) -> str | None:
    found = next(
        (
            each.name
            for each, _ in mix.filters
            if not each.keeps_names or each.stateful or each.sparse or each.local_layers
        ),
        None,
    )
    if not _asked(mix) or found is None:
        return None
    return (
        f"Secure aggregation is asked for, and after {found!r} updates cannot be added up number by number."
    )


def _exchanges_more(mix: Mix, of: Numbers) -> str | None:
    step = mix.local_step[0]
    if not _asked(mix) or not step.exchanges:
        return None
    return f"Secure aggregation is asked for, and {step.name!r} exchanges more than weights."


def _layers_stay(mix: Mix, of: Numbers) -> str | None:
    if not _asked(mix) or not mix.local_step[0].local_layers:
        return None
    return f"Secure aggregation is asked for, and with {mix.local_layers!r} some layers stay at each site."


def _last_one_measures(mix: Mix, of: Numbers) -> str | None:
    options = mix.plan[1]
    if _asked(mix) and isinstance(options, AggregationOptions) and options.measure_last:
        return "Secure aggregation is asked for, and the last round only measures."
    return None


def _too_few(mix: Mix, of: Numbers) -> str | None:
    if not _asked(mix) or not mix.plan[0].aggregates:
        return None
    asked = chosen_sites(mix, of.sites)
    least = fewest_survivors(asked)
    if asked < least:
        return f"Secure aggregation takes {least} sites, and a round asks {asked}."
    if of.quorum < least:
        return f"With {asked} sites, secure aggregation takes {least}, and the quorum is {of.quorum}."
    return None


def _bad_bound(mix: Mix, of: Numbers) -> str | None:
    asked = mix.training.secure_aggregation
    if asked is None:
        return None
    try:
        bound = Decimal(asked.bound)
    except InvalidOperation:
        return f"The bound of secure aggregation is {asked.bound!r}, which is no number."
    if not bound.is_finite() or not 0 < bound <= MOST_BOUND:
        return f"The bound of secure aggregation is {asked.bound}, and it has to be above 0 and at most {MOST_BOUND}."
    return None


MASKING_RULES: tuple[Rule, ...] = (
    Rule(
        "secure aggregation × plan",
        "Masks cancel only when the updates of one round are added up.",
        "Use the plan 'aggregation', or leave secure aggregation out.",
        _other_plan,
    ),
    Rule(
        "secure aggregation × aggregator",
        "The hub sees the sum of the updates and none of them.",
        "Choose an aggregator that is a mean; 'fairbank job plans' tells which are. Or leave secure aggregation out.",
        _other_aggregator,
    ),
    Rule(
        "secure aggregation × aggregator that refuses odd updates",
        "The hub sees the sum of the updates and none of them.",
        "Leave these options out, or secure aggregation. Sites can shorten their own updates with "
        "the filter 'clip-norm'.",
        _updates_judged,
    ),
    Rule(
        "secure aggregation × filter",
        "Masked numbers can neither be made smaller nor left out.",
        "Leave the filter out; 'difference' and 'clip-norm' go with it.",
        _changed_form,
    ),
    Rule(
        "secure aggregation × local step that exchanges more than weights",
        "What it exchanges would leave without a mask.",
        "Choose a local step that exchanges weights only, or leave secure aggregation out.",
        _exchanges_more,
    ),
    Rule(
        "secure aggregation × layers that stay at a site",
        "All sites have to add up the same numbers.",
        "Share all layers, or leave secure aggregation out.",
        _layers_stay,
    ),
    Rule(
        "secure aggregation × last round that measures",
        "A round without updates has nothing to mask.",
        "Leave measure_last out, or secure aggregation.",
        _last_one_measures,
    ),
    Rule(
        "secure aggregation × number of sites, quorum",
        "Of fewer sites somebody could work out what a single one sent, or open what one has masked.",
        "Name more datasets, or raise the quorum: more than two thirds of the sites of a round, and three at least.",
        _too_few,
    ),
    Rule(
        "secure aggregation × bound",
        "What is beyond it is cut off, and the sum of all sites has to fit into 64 bits.",
        "The usual bound is 8.",
        _bad_bound,
    ),
)
