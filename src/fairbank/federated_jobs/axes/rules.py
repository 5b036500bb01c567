"""What does not go together on the axes of training, as a table: which properties clash, and the sentence that is said.

A rule looks at properties of choices and not at their names, so that a choice that is added later is judged by being
there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from fairbank.federated_jobs.axes.aggregators import AggregatorChoice, AggregatorOptions
from fairbank.federated_jobs.axes.elements import Options
from fairbank.federated_jobs.axes.filters import FilterChoice
from fairbank.federated_jobs.axes.local_steps import LocalStepChoice
from fairbank.federated_jobs.axes.plan_options import AggregationOptions, BufferedOptions
from fairbank.federated_jobs.axes.plans import PlanChoice
from fairbank.ontology.signed_objects import Training

USUAL_AGGREGATOR = "fedavg"
# In the last round of peers one site's model comes in the open; in those before they take from each other.
_ROUNDS_OF_PEERS = 2
# One that trains, and the last one, that measures what it has made.
_ROUNDS_AND_A_LOOK = 2
# A sum of one update is that update.
_SITES_TO_ADD = 2


@dataclass(frozen=True, slots=True)
class Mix:
    """The choices of one training job on all four axes, each with its checked options."""

    plan: tuple[PlanChoice, Options]
    aggregator: tuple[AggregatorChoice, Options]
    local_step: tuple[LocalStepChoice, Options]
    filters: tuple[tuple[FilterChoice, Options], ...]
    training: Training

    @property
    def local_layers(self) -> str | None:
        """Return the name of the choice by which some layers stay at the sites, None if all leave."""
        if self.local_step[0].local_layers:
            return self.local_step[0].name
        return next((each.name for each, _ in self.filters if each.local_layers), None)


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a job that a rule may look at.

    Attributes:
        sites: how many sites the job names.
        rounds: how many rounds it asks for.
        quorum: how many sites must deliver.
        aggregator_options: whether it gives its aggregator options.
    """

    sites: int
    rounds: int
    quorum: int
    aggregator_options: bool = False


Found = Callable[[Mix, Numbers], str | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that does not go together.

    Attributes:
        axes: the two things that clash.
        why: why they do, in a sentence.
        todo: what to do instead.
        finds: returns what clashes in a job, in a sentence; None if nothing does.
    """

    axes: str
    why: str
    todo: str
    finds: Found


def chosen_sites(mix: Mix, sites: int) -> int:
    """Return how many of so many sites train in one round."""
    options = mix.plan[1]
    if mix.plan[0].hands_on:
        return 1
    if isinstance(options, AggregationOptions):
        return math.ceil(sites * Fraction(options.site_fraction))
    if isinstance(options, BufferedOptions):
        return options.buffer
    return 1 if mix.plan[0].asynchronous else sites


def needed_updates(mix: Mix) -> int:
    """Return how many updates an aggregator needs at once, with its options."""
    choice, options = mix.aggregator
    # Source: Blanchard et al. 2017, Machine Learning with Adversaries, proposition 1: n >= 2 f + 3.
    byzantine = getattr(options, "byzantine", None)
    return max(choice.minimum_sites, 2 * byzantine + 3 if isinstance(byzantine, int) else 1)


def _too_few_sites(mix: Mix, of: Numbers) -> str | None:
    plan = mix.plan[0]
    if of.sites < plan.minimum_sites:
        return f"{plan.name!r} needs {plan.minimum_sites} sites, and the job names {of.sites}."
    return None


def _too_few_updates(mix: Mix, of: Numbers) -> str | None:
    plan, aggregator, needed = mix.plan[0], mix.aggregator[0], needed_updates(mix)
    if not plan.aggregates:
        return None
    least = chosen_sites(mix, of.sites) if plan.asynchronous else min(of.sites, of.quorum)
    if least >= needed:
        return None
    if of.sites < needed:
        return f"{aggregator.name!r} needs {needed} sites, and the job names {of.sites}."
    return f"{aggregator.name!r} needs {needed} updates, and a round may be merged with {least}."


def _quorum_of_chosen(mix: Mix, of: Numbers) -> str | None:
    options = mix.plan[1]
    if not isinstance(options, AggregationOptions):
        return None
    chosen = chosen_sites(mix, of.sites)
    if chosen >= of.quorum:
        return None
    return (
        f"A share of {options.site_fraction} of {of.sites} sites is {chosen}, and the quorum is {of.quorum}."
    )


def _buffer_beyond_sites(mix: Mix, of: Numbers) -> str | None:
    options = mix.plan[1]
    if isinstance(options, BufferedOptions) and options.buffer > of.sites:
        return f"A buffer of {options.buffer} updates is more than the {of.sites} sites of the job."
    return None


def _other_rounds(mix: Mix, of: Numbers) -> str | None:
    plan, options = mix.plan
    if plan.rounds is None or of.rounds == plan.rounds(options, of.sites):
        return None
    fixed = plan.rounds(options, of.sites)
    has = f"{plan.name!r} with these options has {fixed} rounds at {of.sites} sites"
    return f"{has}, and the job says {of.rounds}."


def _merged_by_nobody(mix: Mix, of: Numbers) -> str | None:
    aggregator = mix.aggregator[0]
    if mix.plan[0].aggregates:
        return None
    if aggregator.name == USUAL_AGGREGATOR and not of.aggregator_options:
        return None
    return f"{mix.plan[0].name!r} merges no updates, and {aggregator.name!r} was chosen, or given options."


def _stale_as_fresh(mix: Mix, of: Numbers) -> str | None:
    plan, aggregator = mix.plan[0], mix.aggregator[0]
    if plan.asynchronous and not aggregator.weighs_staleness:
        return f"{plan.name!r} brings updates from older models, and {aggregator.name!r} takes all as fresh."
    return None


def _exchange_needs_all(mix: Mix, of: Numbers) -> str | None:
    step, plan = mix.local_step[0], mix.plan[0]
    if step.exchanges and (plan.asynchronous or not plan.aggregates):
        return (
            f"{step.name!r} exchanges more than weights, and {plan.name!r} never brings all sites together."
        )
    return None


def _exchange_needs_mean(mix: Mix, of: Numbers) -> str | None:
    step, aggregator = mix.local_step[0], mix.aggregator[0]
    if step.exchanges and not aggregator.linear:
        return f"{step.name!r} rests on the mean over all sites, and {aggregator.name!r} is none."
    return None


def _layers_stay_behind(mix: Mix, of: Numbers) -> str | None:
    plan = mix.plan[0]
    if mix.local_layers and not plan.aggregates:
        return (
            f"With {mix.local_layers!r} some layers stay at each site, and {plan.name!r} needs whole models."
        )
    return None


def _layers_twice(mix: Mix, of: Numbers) -> str | None:
    if mix.local_layers and mix.training.initial_model is not None:
        return (
            f"With {mix.local_layers!r} some layers stay at each site, and the job starts from a whole model."
        )
    return None


def _exchange_from_model(mix: Mix, of: Numbers) -> str | None:
    step = mix.local_step[0]
    if step.exchanges and mix.training.initial_model is not None:
        return f"{step.name!r} exchanges more than weights, and the model that the job starts from holds weights alone."
    return None


def _no_next_time(mix: Mix, of: Numbers) -> str | None:
    kept = next((each for each, _ in mix.filters if each.stateful and not each.local_layers), None)
    if kept is not None and mix.plan[0].once:
        return (
            f"{kept.name!r} adds to the next update what it left out, and {mix.plan[0].name!r} has no next."
        )
    return None


def _sparse_by_coordinates(mix: Mix, of: Numbers) -> str | None:
    sparse = next((each for each, _ in mix.filters if each.sparse), None)
    if sparse is not None and mix.aggregator[0].coordinatewise:
        return f"{sparse.name!r} leaves most values out, and {mix.aggregator[0].name!r} would take most for nothing."
    return None


def _filter_order(mix: Mix, of: Numbers) -> str | None:
    places = [each.place for each, _ in mix.filters]
    return (
        None
        if places == sorted(places)
        else "The filters are in an order that loses what the first ones made."
    )


def _filter_twice(mix: Mix, of: Numbers) -> str | None:
    names = [each.name for each, _ in mix.filters]
    twice = next((name for name in names if names.count(name) > 1), None)
    return None if twice is None else f"The filter {twice!r} is named twice."


def _same_place(mix: Mix, of: Numbers) -> str | None:
    at: dict[int, str] = {}
    for choice, _ in mix.filters:
        if at.setdefault(choice.place, choice.name) != choice.name:
            return f"The filters {at[choice.place]!r} and {choice.name!r} do not go together."
    return None


def _protection_passed_by(mix: Mix, of: Numbers) -> str | None:
    step = mix.local_step[0]
    passed = next((each.name for each, _ in mix.filters if each.protects and each.weights_only), None)
    if passed is not None and step.exchanges:
        return f"The filter {passed!r} and the local step {step.name!r} do not go together."
    return None


def _noise_passed_by(mix: Mix, of: Numbers) -> str | None:
    step = mix.local_step[0]
    if mix.training.differential_privacy is None or step.after_noise:
        return None
    return f"{step.name!r} looks at images beside the steps that have noise."


def _noise_uncounted(mix: Mix, of: Numbers) -> str | None:
    plan = mix.plan[0]
    if mix.training.differential_privacy is None or (plan.aggregates and not plan.asynchronous):
        return None
    return f"Under {plan.name!r} a site does not train once in each round."


def _measured_untrained(mix: Mix, of: Numbers) -> str | None:
    options = mix.plan[1]
    if isinstance(options, AggregationOptions) and options.measure_last and of.rounds < _ROUNDS_AND_A_LOOK:
        return f"The last round only measures, and the job says {of.rounds}."
    return None


def _measured_in_parts(mix: Mix, of: Numbers) -> str | None:
    options = mix.plan[1]
    if isinstance(options, AggregationOptions) and options.measure_last and mix.local_layers:
        kept = mix.local_layers
        return f"With {kept!r} some layers stay at each site, and the last round would measure without them."
    return None


def _peers_never_meet(mix: Mix, of: Numbers) -> str | None:
    if mix.plan[0].sealed and of.rounds < _ROUNDS_OF_PEERS:
        return f"{mix.plan[0].name!r} needs {_ROUNDS_OF_PEERS} rounds, and the job says {of.rounds}."
    return None


def _filtered_and_sealed(mix: Mix, of: Numbers) -> str | None:
    if mix.filters and mix.plan[0].sealed:
        return f"{mix.filters[0][0].name!r} is undone at the hub, which cannot open what {mix.plan[0].name!r} brings."
    return None


def _encrypts(mix: Mix) -> str | None:
    return next((each.name for each, _ in mix.filters if each.encrypts), None)


def _encrypted_and_filtered(mix: Mix, of: Numbers) -> str | None:
    name = _encrypts(mix)
    other = next((each.name for each, _ in mix.filters if not each.encrypts), None)
    return f"{name!r} and {other!r} do not go together." if name and other else None


def _encrypted_not_added(mix: Mix, of: Numbers) -> str | None:
    name, (choice, options) = _encrypts(mix), mix.aggregator
    if name is None:
        return None
    if not choice.linear or choice.needs_base or choice.stateful:
        return f"{name!r} lets the hub add updates up and nothing else, and {choice.name!r} does more."
    judges = isinstance(options, AggregatorOptions) and options.judges_updates
    return f"Under {name!r} the hub cannot tell an odd update, and the job asks it to." if judges else None


def _encrypted_not_together(mix: Mix, of: Numbers) -> str | None:
    name, (plan, options) = _encrypts(mix), mix.plan
    if name is None:
        return None
    if not isinstance(options, AggregationOptions):
        return f"{name!r} needs the sums of the plan 'aggregation', and the job's is {plan.name!r}."
    if options.patience:
        return f"Under {name!r} a job cannot end before its last round, and patience would end it."
    return f"{name!r} and measure_last do not go together." if options.measure_last else None


def _encrypted_never_opened(mix: Mix, of: Numbers) -> str | None:
    name = _encrypts(mix)
    if name is not None and isinstance(mix.plan[1], AggregationOptions) and of.rounds < _ROUNDS_AND_A_LOOK:
        return f"In the last round under {name!r} the model is only opened, and the job says {of.rounds}."
    return None


def _encrypted_alone(mix: Mix, of: Numbers) -> str | None:
    name, together = _encrypts(mix), isinstance(mix.plan[1], AggregationOptions)
    if name is not None and together and min(of.quorum, chosen_sites(mix, of.sites)) < _SITES_TO_ADD:
        return f"{name!r} needs sums of {_SITES_TO_ADD} sites, and a round may be of fewer."
    return None


def _encrypted_and_masked(mix: Mix, of: Numbers) -> str | None:
    name = _encrypts(mix)
    return (
        f"{name!r} and secure aggregation do not go together."
        if name and mix.training.secure_aggregation
        else None
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "plan × number of sites",
        "A plan in which nobody waits for others needs somebody else.",
        "Name more datasets, or choose another plan.",
        _too_few_sites,
    ),
    Rule(
        "aggregator × quorum, share of sites, buffer",
        "With fewer updates it cannot tell an odd one from the others.",
        "Raise the quorum or the buffer, name more datasets, or choose another aggregator.",
        _too_few_updates,
    ),
    Rule(
        "share of sites × quorum",
        "A round would never have its quorum.",
        "Raise site_fraction, or lower the quorum.",
        _quorum_of_chosen,
    ),
    Rule(
        "buffer × number of sites",
        "Each site has one update in a version, so the buffer would never be full.",
        "Lower buffer.",
        _buffer_beyond_sites,
    ),
    Rule(
        "rounds × plan",
        "Where the model goes round, or is trained once, the plan's own options say how many rounds there are.",
        "Leave the number of rounds out, or set the plan's options.",
        _other_rounds,
    ),
    Rule(
        "aggregator × plan that hands on or keeps models",
        "There is nothing to aggregate: one site's model is handed on, or each is kept by itself.",
        f"Leave the aggregator {USUAL_AGGREGATOR!r} without options.",
        _merged_by_nobody,
    ),
    Rule(
        "aggregator × plan that waits for nobody",
        "An old update would pull the model back with its full weight.",
        "Choose an aggregator that weighs by age; 'fairbank job plans' tells which do.",
        _stale_as_fresh,
    ),
    Rule(
        "local step that exchanges more than weights × plan",
        "What it exchanges is a mean over all sites, of one round.",
        "Use the plan 'aggregation', or the local step 'plain'.",
        _exchange_needs_all,
    ),
    Rule(
        "local step that exchanges more than weights × aggregator",
        "Its correction is wrong for any other model than the mean.",
        "Choose an aggregator that is a mean; 'fairbank job plans' tells which are.",
        _exchange_needs_mean,
    ),
    Rule(
        "layers that stay at a site × plan that hands on or keeps models",
        "The next site, and whoever uses the model, would miss these layers.",
        "Share all layers, or use the plan 'aggregation'.",
        _layers_stay_behind,
    ),
    Rule(
        "local step that exchanges more than weights × model to start from",
        "What is exchanged begins with what the job's seed makes.",
        "Leave the model out, or use a local step that exchanges weights alone.",
        _exchange_from_model,
    ),
    Rule(
        "layers that stay at a site × model to start from",
        "What is shared has another form than the model that the job names.",
        "Share all layers, or leave the model out.",
        _layers_twice,
    ),
    Rule(
        "filter that feeds an error back × plan that visits once",
        "What is left out of the only update is lost.",
        "Leave the filter out, or choose a plan in which sites train more than once.",
        _no_next_time,
    ),
    Rule(
        "filter that leaves values out × aggregator that judges each weight by itself",
        "Of most weights more than half of the sites say that nothing changed, so nothing would.",
        "Use 'int8' or 'fp16', or another aggregator.",
        _sparse_by_coordinates,
    ),
    Rule(
        "filter × filter",
        "Each works on what the one before it leaves.",
        "Name them in the order of their places; 'fairbank job plans' tells it.",
        _filter_order,
    ),
    Rule("filter × itself", "Each is applied once.", "Name it once.", _filter_twice),
    Rule(
        "filter × filter of the same place",
        "Both say how a value is written, and one of them would work on what is no value any more.",
        "Name one of them.",
        _same_place,
    ),
    Rule(
        "filter that protects weights × local step that exchanges more",
        "What the step exchanges beside the weights would leave without the protection.",
        "Choose a local step that exchanges weights only, or leave the filter out.",
        _protection_passed_by,
    ),
    Rule(
        "noise (differential privacy) × local step that looks at images by itself",
        "What it works out of them is not hidden by the noise.",
        "Choose 'plain', 'fedprox', 'scaffold' or 'synaptic-intelligence', or leave the noise out.",
        _noise_passed_by,
    ),
    Rule(
        "noise (differential privacy) × plan",
        "A site has to know before its first step how often it will train.",
        "Choose the plan 'aggregation', or leave the noise out.",
        _noise_uncounted,
    ),
    Rule(
        "rounds × last round that measures",
        "Nothing would be trained.",
        "Raise the number of rounds, or leave measure_last out.",
        _measured_untrained,
    ),
    Rule(
        "layers that stay at a site × last round that measures",
        "What is measured would be a model that no site has.",
        "Leave measure_last out, or share all layers.",
        _measured_in_parts,
    ),
    Rule(
        "rounds × plan of peers",
        "In the last round one site's model comes to the hub; with none before it nobody takes anything from a peer.",
        "Raise the number of rounds.",
        _peers_never_meet,
    ),
    Rule(
        "filter × plan whose updates are sealed",
        "Sites read each other's models whole.",
        "Leave the filters out, or choose another plan.",
        _filtered_and_sealed,
    ),
    Rule(
        "filter that encrypts × any other filter",
        "What is encrypted cannot be changed, shortened or compressed any more, and the hub adds whole models.",
        "Leave the other filters out.",
        _encrypted_and_filtered,
    ),
    Rule(
        "filter that encrypts × aggregator",
        "The hub adds numbers that it cannot read; it cannot compare or correct them.",
        f"Use the aggregator {USUAL_AGGREGATOR!r} without options that judge updates.",
        _encrypted_not_added,
    ),
    Rule(
        "filter that encrypts × plan",
        "Each round is one sum, and in the last one the sites open it together.",
        "Use the plan 'aggregation' without measure_last and patience.",
        _encrypted_not_together,
    ),
    Rule(
        "filter that encrypts × rounds",
        "There would be no model to open.",
        "Raise the number of rounds: one more than are trained.",
        _encrypted_never_opened,
    ),
    Rule(
        "filter that encrypts × number of sites",
        "Who opens the sum of one update has that update.",
        "Name more datasets, or raise the quorum or site_fraction.",
        _encrypted_alone,
    ),
    Rule(
        "filter that encrypts × secure aggregation",
        "Both hide a single update from the hub, and each needs to be the last thing done to it.",
        "Choose one: secure aggregation lets no other site open an update either.",
        _encrypted_and_masked,
    ),
)
