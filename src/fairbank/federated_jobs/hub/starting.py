"""Which model a job may start from: one that came of the requester's own jobs, and that fits what is trained now."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue import blobs
from fairbank.catalogue.context import Hub
from fairbank.federated_jobs.evaluating import combining, evaluates, members_of
from fairbank.federated_jobs.hub.ensembles import is_model
from fairbank.federated_jobs.hub.model_files import has_brought_weights
from fairbank.federated_jobs.hub.model_registry import is_kept_back, usable_by
from fairbank.federated_jobs.hub.store import JobRow, OutputRow
from fairbank.federated_jobs.training_errors import EvaluationRefused, StartRefused
from fairbank.ontology.signed_objects import Manifest

# Tools whose outputs are scores of classes.
_VOTING = ("classification", "monai-bundle", "segmentation")


def check_start(hub: Hub, session: Session, manifest: Manifest, *, account: str) -> None:
    """Refuse a job that would start from a model which its requester may not use, and an evaluation of none.

    Raises:
        EvaluationRefused: if it would evaluate no model, or in several rounds.
        StartRefused: if it is none of the models of the account's own jobs and was not released to all, if it is kept
            back, or if its file is not here.
    """
    digest = manifest.training.initial_model if manifest.training is not None else None
    if evaluates(manifest) and (digest is None or manifest.plan.rounds != 1):
        raise EvaluationRefused(
            "An evaluation names one registered model, and has one round.",
            why="The sites measure that model and train nothing.",
            todo="Use 'fairbank model evaluate'.",
        )
    members = members_of(manifest)
    if members and (
        digest != members[0] or (combining(manifest) == "vote" and manifest.code.name not in _VOTING)
    ):
        raise EvaluationRefused(
            "This ensemble cannot be evaluated so.",
            why="An evaluation of an ensemble starts from its first model; classes are voted for, and numbers are not.",
            todo="Use 'fairbank model evaluate' with --combine mean.",
        )
    wanted = {*members, *([digest] if digest is not None else [])}
    if all(_may_use(session, account, each) and blobs.path_of(hub, each).exists() for each in wanted):
        return
    raise StartRefused(
        "The job would start from a model that you may not use.",
        why="It is none of your jobs' models, was not released, or is kept back, and you brought no such weights.",
        todo="Take a digest from 'fairbank model list', or bring weights or a bundle: fairbank model import FILE.",
    )


def _may_use(session: Session, account: str, digest: str) -> bool:
    if usable_by(session, account, digest):
        return True
    if has_brought_weights(session, account, digest):
        # Who has a copy of a model that is kept back does not bring it in again as their own.
        return not is_kept_back(session, digest)
    # The model of a round that was not the last is in no registry.
    mine = (
        select(OutputRow.name)
        .join(JobRow, JobRow.id == OutputRow.job)
        .where(OutputRow.digest == digest, JobRow.account == account)
    )
    return not is_kept_back(session, digest) and any(is_model(name) for name in session.scalars(mine))
