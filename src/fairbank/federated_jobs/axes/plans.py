"""The compute plans: who trains when."""

from __future__ import annotations

from dataclasses import dataclass

from fairbank.federated_jobs.axes.elements import Choice
from fairbank.ontology.signed_objects import PlanName


@dataclass(frozen=True, slots=True)
class PlanChoice(Choice):
    """One compute plan.

    Attributes:
        aggregates: whether updates of several sites are merged by an aggregator; else a model is handed on or kept.
        asynchronous: whether an update may start from an older model than the newest.
        minimum_sites: how many sites it needs.
    """

    aggregates: bool = True
    asynchronous: bool = False
    minimum_sites: int = 1


PLANS: dict[str, PlanChoice] = {
    plan.name: plan
    for plan in (
        PlanChoice(
            name=PlanName.AGGREGATION.value,
            title="All sites train at the same time from one model; the hub merges what they send, round by round",
            source="McMahan et al. 2017, Communication-Efficient Learning of Deep Networks, algorithm 1",
        ),
    )
}
