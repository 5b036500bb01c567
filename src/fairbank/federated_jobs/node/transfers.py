"""Where what a site computes may go: its own rule of transfers, checked before approval, each round and each release.

Results and updates go to the hub and to the requester, whose country is in her signed request; a model that is merged
goes to the other sites too. Where the hub and they are, the hub says with its leases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import TransferRefused, TransferRuleRefused
from fairbank.federated_jobs.manifest import Chain
from fairbank.federated_jobs.protocol import Lease
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.places import PlaceRule, place_rule
from fairbank.ontology.signed_objects import PlanName
from fairbank.settings import Settings


def rule_of(settings: Settings, name: str) -> PlaceRule:
    """Return one of the site's rules.

    Args:
        name: `node_results_may_go`, `node_updates_may_go` or `node_peers_may_be`.

    Raises:
        TransferRuleRefused: if it cannot be read; nothing leaves then.
    """
    try:
        return place_rule(getattr(settings, name))
    except FairbankError as err:
        raise TransferRuleRefused(
            f"The setting {name} cannot be read: {err.what}", why=err.why, todo="Correct the setting."
        ) from err


def places_told(lease: Lease) -> dict[str, Any]:
    """Return where the hub says that it and the sites of a job are, as it is written down with the job."""
    countries = {one.node: one.country for one in lease.places}
    return {"hub": lease.hub_country, "sites": countries}


def check_transfer(settings: Settings, chain: Chain, places: Mapping[str, Any] | None) -> None:
    """Refuse a job whose outputs would go where the site's rule does not let them go.

    Args:
        places: what `places_told` returned; a place that nobody names is allowed by the rule `any` only.

    Raises:
        TransferRefused: naming the rule, never the job's content.
        TransferRuleRefused: if a rule cannot be read.
    """
    told = places or {}
    own = settings.node_country or None
    goes_to = {told.get("hub"), chain.request.country}
    classes = {output.output_class for output in chain.manifest.outputs}
    asked: list[tuple[str, set[str | None]]] = []
    if OutputClass.MODEL_UPDATE in classes:
        asked.append(("node_updates_may_go", goes_to))
    if classes - {OutputClass.MODEL_UPDATE}:
        asked.append(("node_results_may_go", goes_to))
    # Of an ensemble no site gets the model of another.
    if chain.manifest.plan.name not in (PlanName.SINGLE_PASS, PlanName.ENSEMBLE):
        sites = dict(told.get("sites") or {})
        asked.append(("node_peers_may_be", set(sites.values()) or {None}))
    for name, countries in asked:
        rule = rule_of(settings, name)
        refused = sorted(str(one or "unknown") for one in countries if not rule.allows(one, own=own))
        if refused:
            raise TransferRefused(
                f"What this job computes would go to {', '.join(refused)}.",
                why=f"The site's rule {name} does not allow that.",
                todo="Nothing leaves. If it should, the site's people have to widen the rule.",
            )
