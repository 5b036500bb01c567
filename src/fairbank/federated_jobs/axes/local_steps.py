"""The local steps: what changes in local training at a site."""

from __future__ import annotations

from dataclasses import dataclass

from fairbank.federated_jobs.axes.elements import Choice


@dataclass(frozen=True, slots=True)
class LocalStepChoice(Choice):
    """One local step.

    Attributes:
        exchanges: prefix of the names of tensors that it sends and receives beside the weights; empty for none.
        stateful: whether a site keeps tensors for it from round to round.
        local_layers: whether some layers stay at the site by the method itself.
    """

    exchanges: str = ""
    stateful: bool = False
    local_layers: bool = False


LOCAL_STEPS: dict[str, LocalStepChoice] = {
    step.name: step
    for step in (
        LocalStepChoice(
            name="plain",
            title="The algorithm's own training, unchanged",
            source="McMahan et al. 2017, Communication-Efficient Learning of Deep Networks, algorithm 1",
        ),
    )
}
