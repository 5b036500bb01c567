"""The compute plan of a job at the hub: its steps as they are kept with its rounds.

Everything here is read from rows and computed; what it comes to is written by `progress` and `rounds`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from fairbank.federated_jobs.hub.store import JobRow, RoundRow, SiteRow
from fairbank.federated_jobs.plans.machine import Closed, Done, Mail, Merging, Parcel, Step
from fairbank.federated_jobs.plans.registry import machine_of, setting_of
from fairbank.federated_jobs.states import ACTIVE_SITES, SiteState
from fairbank.ontology.signed_objects import Manifest


def first_step(manifest: Manifest, sites: Sequence[SiteRow]) -> Step:
    """Return the first round of a job at the sites that take part."""
    setting = setting_of(manifest, [site.node for site in sites])
    return machine_of(manifest.plan.name).first(setting)


def next_step(manifest: Manifest, sites: Sequence[SiteRow], step: Step, closed: Closed) -> Step | Done:
    """Return what follows a round that has closed.

    Args:
        sites: those that take part now.
        step: the round as the plan wanted it.
    """
    setting = setting_of(manifest, [site.node for site in sites])
    return machine_of(manifest.plan.name).next(setting, step.state, closed)


def written(step: Step) -> dict[str, Any]:
    """Return a step in the form in which it is kept; its base stands in a column of its own."""
    return {
        "participants": list(step.participants),
        "merging": step.merging.value,
        "at_least": step.at_least,
        "staleness": step.staleness,
        "state": step.state,
        **({"mail": _mail_written(step.mail)} if step.mail is not None else {}),
    }


def step_of(session: Session, job: JobRow, current: RoundRow) -> Step:
    """Return what the plan wants of a round; all sites were asked for one of the version before."""
    kept = current.step
    if kept is None:
        nodes = tuple(session.scalars(_NODES, {"job": job.id}))
        return Step(nodes, current.global_digest, Merging.AGGREGATE, at_least=job.quorum)
    return Step(
        tuple(kept["participants"]),
        current.global_digest,
        Merging(kept["merging"]),
        at_least=kept["at_least"],
        enough=current.enough,
        staleness=kept["staleness"],
        state=kept["state"],
        mail=_mail_of(kept.get("mail")),
    )


def _mail_written(mail: Mail) -> dict[str, Any]:
    takes = {site: [[one.sender, one.round] for one in parcels] for site, parcels in mail.takes.items()}
    return {"takes": takes, "first_only": mail.first_only, "plain": mail.plain, "trains": mail.trains}


def _mail_of(kept: Mapping[str, Any] | None) -> Mail | None:
    if kept is None:
        return None
    takes = {site: tuple(Parcel(*each) for each in parcels) for site, parcels in kept["takes"].items()}
    return Mail(takes, first_only=kept["first_only"], plain=kept["plain"], trains=kept["trains"])


def takes(step: Step, node: str) -> bool:
    """Tell whether a round takes an update of a site: who is asked, or anybody where nobody waits for others."""
    return step.staleness is not None or node in step.participants


def behind(step: Step, *, version: int, computed_for: int) -> int | None:
    """Return how many versions an update is behind the round that is open; None if it is too old to be merged.

    Args:
        version: number of the open round.
        computed_for: number of the round that it was computed for.
    """
    staleness = version - computed_for
    return staleness if 0 <= staleness <= (step.staleness or 0) else None


def record_of(
    step: Step, sites: Sequence[SiteRow], arrived: Mapping[str, int], *, updates: Mapping[str, Any]
) -> dict[str, Any]:
    """Return who took part in a round that closes now.

    Args:
        sites: all of the job's, as they stand.
        arrived: the sites whose updates went in, each with how many versions it was behind.
        updates: what the aggregator says of each site's update.
    """
    takes_part = {site.node for site in sites if SiteState(site.state) in ACTIVE_SITES}
    missing = [node for node in step.participants if node not in arrived]
    record: dict[str, Any] = {
        "asked": list(step.participants),
        "merged": sorted(arrived),
        "merging": step.merging.value,
        "late": [node for node in missing if node in takes_part],
        "lost": [node for node in missing if node not in takes_part],
    }
    if stale := {node: count for node, count in sorted(arrived.items()) if count}:
        record["stale"] = stale
    if updates:
        record["updates"] = dict(updates)
    return record


_NODES = select(SiteRow.node).where(SiteRow.job == bindparam("job")).order_by(SiteRow.node)
