"""Which machine runs which plan, and the setting of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairbank.federated_jobs.axes.elements import checked_options
from fairbank.federated_jobs.axes.plan_options import AggregationOptions
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.plans import in_turn
from fairbank.federated_jobs.plans.at_any_time import AtAnyTime
from fairbank.federated_jobs.plans.machine import ComputePlan, Setting
from fairbank.federated_jobs.plans.peer_to_peer import PeerToPeer
from fairbank.federated_jobs.plans.together import AggregationServer, Ensemble
from fairbank.ontology.signed_objects import Manifest, Objective, PlanName

_MACHINES: Mapping[PlanName, ComputePlan] = {
    PlanName.SINGLE_PASS: AggregationServer(),
    PlanName.AGGREGATION: AggregationServer(),
    PlanName.BOUNDED_STALENESS: AtAnyTime(),
    PlanName.BUFFERED: AtAnyTime(),
    PlanName.SINGLE_WEIGHT_TRANSFER: in_turn.single_weight_transfer(),
    PlanName.CYCLIC_WEIGHT_TRANSFER: in_turn.cyclic_weight_transfer(),
    PlanName.INSTITUTIONAL_INCREMENTAL: in_turn.institutional_incremental(),
    PlanName.CYCLIC_INSTITUTIONAL_INCREMENTAL: in_turn.cyclic_institutional_incremental(),
    PlanName.ENSEMBLE: Ensemble(),
    PlanName.PEER_TO_PEER: PeerToPeer(),
}


def machine_of(name: PlanName) -> ComputePlan:
    """Return the machine of a plan that a job may have."""
    return _MACHINES[name]


def setting_of(manifest: Manifest, sites: Sequence[str]) -> Setting:
    """Return what the plan of a job may know.

    Args:
        sites: those that take part now.
    """
    plan, training = manifest.plan, manifest.training
    choice = PLANS.get(plan.name.value)
    return Setting(
        sites=tuple(sorted(sites)),
        rounds=plan.rounds,
        quorum=plan.quorum,
        seed=manifest.seed,
        # An analysis has a plan that no training has, and no options.
        options=checked_options("plan", choice, plan.options) if choice else AggregationOptions(),
        initial=training.initial_model if training else None,
        objective=training.objective if training else Objective.MEAN,
    )
