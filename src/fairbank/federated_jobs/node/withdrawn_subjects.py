"""The withdrawal of a subject at a node, whole: statement, index, jobs, files, salt, and an entry of the audit log.

What the node knows of the subject goes first, the salt last: a withdrawal that was cut off can be done again. What was
published changes with the next publication only, so that the drop exposes nobody.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from fairbank import audit
from fairbank.database import writing
from fairbank.deid import withdrawal as deid
from fairbank.deid.identity import IdentityStore, Known
from fairbank.deid.pipeline import Site
from fairbank.deid.pseudonyms import subject_value
from fairbank.deid.research_store import ResearchStore
from fairbank.errors import Sensitive
from fairbank.federated_jobs.node.runner import job_folder
from fairbank.federated_jobs.node.store import CohortRow
from fairbank.harvest.consents import identity_of
from fairbank.harvest.subject_withdrawal import forget_subject as forget_in_harvest
from fairbank.harvest.subject_withdrawal import note_withdrawal
from fairbank.release.node import Node

# A model's state between rounds holds weights and moments, no images; without it the site could not go on.
_KEPT = "state-*.safetensors"


@dataclass(frozen=True, slots=True)
class SubjectWithdrawn:
    """What a withdrawal took away: files, entries of de-identification, series of the index, and from which jobs."""

    projects: int
    files: int
    items: int
    series: int
    jobs: int


def withdraw_patient(node: Node, patient_id: Sensitive[str], *, issuer: str = "") -> SubjectWithdrawn:
    """Withdraw a patient named as the archive does, whether the node has seen the patient or not. Not undone.

    Args:
        issuer: who gave the id out, where the files name one.
    """
    value = subject_value(patient_id.reveal(), issuer)
    with identity_of(node) as identity:
        known = identity.known(value)
        key, commitment = identity.consent_key(value), identity.commitment(value)
        return _withdraw(
            node,
            identity,
            known,
            (key, commitment),
            lambda site: deid.withdraw(value, site=site),
        )


def withdraw_subject(node: Node, project: str, pseudonym: str) -> SubjectWithdrawn:
    """Withdraw the subject behind a pseudonym, in every project of the node. Not undone.

    Raises:
        UnknownSubject: if no subject has that pseudonym here.
    """
    with identity_of(node) as identity:
        known = identity.known_as(project, pseudonym)
        commitment = identity.commitment_of(project, pseudonym)
        key = identity.consent_key_of(project, pseudonym)
        assert key is not None
        return _withdraw(
            node,
            identity,
            known,
            (key, commitment),
            lambda site: deid.withdraw_pseudonym(project, pseudonym, site=site),
        )


def forget_in_jobs(node: Node, pseudonym: str) -> list[str]:
    """Take a subject's staged files out of all jobs; return the jobs that held it.

    Cohorts shrink by themselves: each round looks into the index before and after it computes.
    """
    with writing(node.engine) as session:
        holding = (
            select(CohortRow.job).where(CohortRow.subject == pseudonym).distinct().order_by(CohortRow.job)
        )
        jobs = list(session.scalars(holding))
    for job in jobs:
        _clear(job_folder(node, job))
    return jobs


def _withdraw(
    node: Node,
    identity: IdentityStore,
    known: list[Known],
    named: tuple[bytes, str],
    forget: Callable[[Site], deid.Withdrawn],
) -> SubjectWithdrawn:
    key, commitment = named
    projects = sorted({one.project for one in known})
    with writing(node.engine) as session:
        note_withdrawal(node, session, key)
        series = forget_in_harvest(session, known)
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=node.key.key_id,
            act="subject.withdraw",
            target=commitment,
            detail={"projects": list(projects), "series": series},
        )
    jobs = {job for one in known for job in forget_in_jobs(node, one.pseudonym)}
    site = Site(identity, ResearchStore(node.settings.store_path), node.engine, node.clock)
    gone = forget(site)
    return SubjectWithdrawn(len(projects), gone.files, gone.items, series, len(jobs))


def _clear(folder: Path) -> None:
    shutil.rmtree(folder / "products", ignore_errors=True)
    worker = folder / "worker"
    scratch = worker / "scratch"
    kept = set(scratch.glob(_KEPT)) if scratch.is_dir() else set()
    # The folders themselves are mounted while a worker runs, so their content goes and they stay.
    for place in (worker / "inputs", scratch):
        for entry in list(place.iterdir()) if place.is_dir() else ():
            if entry in kept:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
