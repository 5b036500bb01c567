"""How secure aggregation begins in a round at the hub: with the keys of the sites that the plan asks."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from fairbank.catalogue import nodes
from fairbank.federated_jobs.hub.store import JobRow, MaskingRow
from fairbank.federated_jobs.masking_protocol import MaskingStep


def begin(session: Session, job: JobRow, number: int, participants: Sequence[str]) -> None:
    """Write down that a round begins with the keys of some sites, in the caller's transaction."""
    keys = {node: nodes.key_of(session, node) for node in participants}
    known = {node: str(key) for node, key in sorted(keys.items()) if key is not None}
    session.add(
        MaskingRow(
            job=job.id, round=number, attempt=1, step=MaskingStep.KEYS.value, roster=known, sites=list(known)
        )
    )
