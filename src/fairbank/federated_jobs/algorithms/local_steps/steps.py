"""Which class does which local step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fairbank.federated_jobs.algorithms.local_steps.base import LocalStep
from fairbank.federated_jobs.algorithms.local_steps.contrastive import Contrastive, MaximumEntropy, Weighted
from fairbank.federated_jobs.algorithms.local_steps.proximal import Proximal, Scaffold, Synaptic
from fairbank.federated_jobs.axes.elements import Options, checked_options, chosen
from fairbank.federated_jobs.axes.local_steps import LOCAL_STEPS
from fairbank.federated_jobs.evaluating import EVALUATE
from fairbank.ontology.signed_objects import Element

# `fine-tune` and `site-batch-norm` change what is measured and sent, not how a step is made: the trainer does them.
# `evaluate` makes no step at all.
_MADE: Mapping[str, Callable[[Any], LocalStep]] = {
    "plain": lambda options: LocalStep(),
    "weighted-loss": Weighted,
    "fedprox": Proximal,
    "scaffold": lambda options: Scaffold(),
    "fedmax": MaximumEntropy,
    "moon": Contrastive,
    "fine-tune": lambda options: LocalStep(),
    "site-batch-norm": lambda options: LocalStep(),
    "synaptic-intelligence": Synaptic,
    EVALUATE: lambda options: LocalStep(),
}


def options_of(step: Element) -> Options:
    """Return the checked options of a local step.

    Raises:
        PlanRefused: if there is no such step.
        OptionRefused: if an option is unknown or out of range.
    """
    return checked_options("local step", chosen("local step", LOCAL_STEPS, step.name), step.options)


def made(step: Element) -> LocalStep:
    """Return a local step with its options.

    Raises:
        PlanRefused: if there is no such step.
        OptionRefused: if an option is unknown or out of range.
    """
    return _MADE[step.name](options_of(step))
