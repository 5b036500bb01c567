"""Which filters go together, and with which local step: judged by their properties, not by their names."""

from __future__ import annotations

from collections.abc import Sequence

from fairbank.federated_jobs.axes.elements import Options
from fairbank.federated_jobs.axes.filters import FilterChoice
from fairbank.federated_jobs.axes.local_steps import LocalStepChoice
from fairbank.federated_jobs.training_errors import PlanRefused


def check_filters(filters: Sequence[tuple[FilterChoice, Options]], step: LocalStepChoice) -> None:
    """Refuse filters that do the same thing twice, and a protection that something passes by.

    Raises:
        PlanRefused: naming the two things that do not go together.
    """
    at: dict[int, str] = {}
    for choice, _ in filters:
        if choice.place in at:
            raise PlanRefused(
                f"The filters {at[choice.place]!r} and {choice.name!r} do not go together.",
                why="Both say how a value is written, and one of them would work on what is no value any more.",
                todo="Name one of them.",
            )
        at[choice.place] = choice.name
    passed_by = next((choice.name for choice, _ in filters if choice.protects and choice.weights_only), None)
    if passed_by is not None and step.exchanges:
        raise PlanRefused(
            f"The filter {passed_by!r} and the local step {step.name!r} do not go together.",
            why="What the step exchanges beside the weights would leave without the protection.",
            todo="Choose a local step that exchanges weights only, or leave the filter out.",
        )
