"""The aggregators: how updates become the next global model."""

from __future__ import annotations

from dataclasses import dataclass

from fairbank.federated_jobs.axes.elements import Choice


@dataclass(frozen=True, slots=True)
class AggregatorChoice(Choice):
    """One aggregator.

    Attributes:
        linear: whether it is a weighted sum of updates with weights that no update decides; only such a one could work
            on sums without seeing single updates.
        stateful: whether the hub keeps tensors for it from round to round.
        minimum_sites: how many updates it needs to mean anything.
        notes: the numbers that every update must bring.
        weighs_staleness: whether an update from an older model weighs less.
        coordinatewise: whether it judges each weight by itself, so that an update must tell something of each.
    """

    linear: bool = False
    stateful: bool = False
    minimum_sites: int = 1
    notes: tuple[str, ...] = ()
    weighs_staleness: bool = False
    coordinatewise: bool = False


AGGREGATORS: dict[str, AggregatorChoice] = {
    aggregator.name: aggregator
    for aggregator in (
        AggregatorChoice(
            name="fedavg",
            title="The mean of the sites' weights, weighted by their numbers of training samples",
            source="McMahan et al. 2017, Communication-Efficient Learning of Deep Networks, algorithm 1",
            linear=True,
            weighs_staleness=True,
        ),
    )
}
