"""How many runs of what was granted are used: one for each job that was accepted, by request and dataset.

Not by visa: a visa that replaces another does not give its runs again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank.federated_jobs.hub.store import JobDatasetRow


def counted(session: Session, requests: Collection[str]) -> Mapping[tuple[str, str], int]:
    """Return how many runs were used under some requests, by request and dataset; none is left out."""
    statement = (
        select(JobDatasetRow.request, JobDatasetRow.dataset, func.count())
        .where(JobDatasetRow.request.in_(sorted(requests)))
        .group_by(JobDatasetRow.request, JobDatasetRow.dataset)
    )
    return {(row[0], row[1]): row[2] for row in session.execute(statement)}
