"""Which model a job may start from: one that came of the requester's own jobs, and that fits what is trained now."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue import blobs
from fairbank.catalogue.context import Hub
from fairbank.federated_jobs.errors import StartRefused
from fairbank.federated_jobs.hub.ensembles import is_model
from fairbank.federated_jobs.hub.store import JobRow, OutputRow
from fairbank.ontology.signed_objects import Manifest


def check_start(hub: Hub, session: Session, manifest: Manifest, *, account: str) -> None:
    """Refuse a job that would start from a model which its requester may not use.

    Raises:
        StartRefused: if it is none of the models of the account's own jobs, or its file is not here.
    """
    digest = manifest.training.initial_model if manifest.training is not None else None
    if digest is None:
        return
    mine = (
        select(OutputRow.name)
        .join(JobRow, JobRow.id == OutputRow.job)
        .where(OutputRow.digest == digest, JobRow.account == account)
    )
    if any(is_model(name) for name in session.scalars(mine)) and blobs.path_of(hub, digest).exists():
        return
    raise StartRefused(
        "The job would start from a model that is none of yours.",
        why="A job starts from its seed, or from a model that came of a job of the same account.",
        todo="Take a digest from 'fairbank model list'.",
    )
