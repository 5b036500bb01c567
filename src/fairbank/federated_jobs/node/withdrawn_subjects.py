"""What the withdrawal of a subject means for jobs: its series leave the index, and what jobs hold of it goes."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import select

from fairbank.database import writing
from fairbank.federated_jobs.node.runner import job_folder
from fairbank.federated_jobs.node.store import CohortRow
from fairbank.harvest.index import mark_missing
from fairbank.release.node import Node

# A model's state between rounds holds weights and moments, no images; without it the site could not go on.
_KEPT = "state-*.safetensors"


def forget_subject(node: Node, project: str, pseudonym: str) -> list[str]:
    """Take a subject out of the index and its staged files out of all jobs; return the jobs that held it.

    Cohorts shrink by themselves: each round looks into the index before and after it computes.
    """
    with writing(node.engine) as session:
        mark_missing(session, project, pseudonym)
        holding = (
            select(CohortRow.job).where(CohortRow.subject == pseudonym).distinct().order_by(CohortRow.job)
        )
        jobs = list(session.scalars(holding))
    for job in jobs:
        _clear(job_folder(node, job))
    return jobs


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
