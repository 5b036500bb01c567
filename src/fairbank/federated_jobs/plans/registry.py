"""Which machine runs which plan, and the setting of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairbank.federated_jobs.axes.aggregators import AGGREGATORS
from fairbank.federated_jobs.axes.plan_options import AggregationOptions
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.axes.validator import mix_of
from fairbank.federated_jobs.plans import in_turn
from fairbank.federated_jobs.plans.at_any_time import AtAnyTime
from fairbank.federated_jobs.plans.machine import ComputePlan, Setting
from fairbank.federated_jobs.plans.peer_to_peer import PeerToPeer
from fairbank.federated_jobs.plans.together import AggregationServer, Ensemble
from fairbank.ontology.signed_objects import Manifest, PlanName

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
    trained = plan.name.value in PLANS and plan.aggregator in AGGREGATORS
    if not trained:
        # An analysis or a statistic: one round, or one after the other, at all sites.
        return Setting(tuple(sorted(sites)), plan.rounds, plan.quorum, manifest.seed, AggregationOptions())
    mix = mix_of(plan, training)
    needs_base = mix.aggregator[0].needs_base or any(each.needs_base for each, _ in mix.filters)
    return Setting(
        sites=tuple(sorted(sites)),
        rounds=plan.rounds,
        quorum=plan.quorum,
        seed=manifest.seed,
        options=mix.plan[1],
        initial=mix.training.initial_model,
        needs_base=needs_base,
        objective=mix.training.objective,
    )
