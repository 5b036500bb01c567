"""What the catalogue publishes of a training: its choices, its rounds with the digests of their updates, settings.

Of settings only the digest of what a site signed: versions of a site's software are for the requester, not for all.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.federated_jobs.hub.store import SettingsRow, UpdateRow
from fairbank.ontology.signed_objects import Manifest, Training

# Of long trainings the last updates are told; the hub's audit log knows all of them.
MOST_UPDATES = 1000


def training_provenance(session: Session, job: str, manifest: Manifest) -> dict[str, Any]:
    """Return the part of a model's provenance that tells how it was trained."""
    training = manifest.training or Training()
    told: dict[str, Any] = {
        "plan": manifest.plan.name.value,
        "aggregator": manifest.plan.aggregator,
        "local_step": training.local_step.name,
        "filters": [each.name for each in training.filters],
        "objective": training.objective.value,
        "seed": manifest.seed,
        "parameters": manifest.parameters,
        "settings": {
            row.node: row.digest for row in session.scalars(select(SettingsRow).where(SettingsRow.job == job))
        },
        "rounds": _rounds(session, job),
    }
    if training.initial_model is not None:
        told["initial_model"] = training.initial_model
    return told


def _rounds(session: Session, job: str) -> list[dict[str, Any]]:
    rows = session.execute(
        select(UpdateRow.round, UpdateRow.node, UpdateRow.digest)
        .where(UpdateRow.job == job)
        .order_by(UpdateRow.round.desc(), UpdateRow.node)
        .limit(MOST_UPDATES)
    )
    rounds: dict[int, dict[str, str]] = {}
    for number, node, digest in rows:
        rounds.setdefault(number, {})[node] = digest
    return [{"round": number, "updates": rounds[number]} for number in sorted(rounds)]
