"""Prepare the inputs of a job's worker: the series of its cohort under names of this job only."""

from __future__ import annotations

from fairbank.federated_jobs.node.cohort import Cohort
from fairbank.federated_jobs.node.sandbox_staging import SeriesToStage
from fairbank.federated_jobs.node.site_keys import cohort_secret, job_pseudonym
from fairbank.release.node import Node


def series_to_stage(node: Node, job: str, cohort: Cohort) -> list[SeriesToStage]:
    """Return the series of a cohort as the worker will know them.

    Names begin with the place in the sorted cohort, so that jobs over the same cohort see it in the same order and come
    to the same bits; the rest of a name is keyed with the job.
    """
    secret = cohort_secret(node.settings)
    subjects = {
        subject: place for place, subject in enumerate(sorted({m.subject for m in cohort.members}), 1)
    }
    return [
        SeriesToStage(
            unit=f"s{place:06d}-"
            + job_pseudonym(secret, job, "series", f"{member.dataset}/{member.series_uid}"),
            subject=f"p{subjects[member.subject]:06d}-"
            + job_pseudonym(secret, job, "subject", member.subject),
            files=tuple(sorted(member.directory.glob("*.dcm"))),
        )
        for place, member in enumerate(cohort.members, 1)
    ]
