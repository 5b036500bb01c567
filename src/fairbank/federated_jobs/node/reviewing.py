"""What a site's people see of a job before they decide: who asks for what, and how much of this site it would touch."""

from __future__ import annotations

from dataclasses import dataclass

from fairbank.database import reading
from fairbank.federated_jobs.errors import NotApproved
from fairbank.federated_jobs.manifest import Chain, datasets_at, open_chain
from fairbank.federated_jobs.node.cohort import CohortSource, harvest_index
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.release.errors import NotEnrolled
from fairbank.release.node import Node


@dataclass(frozen=True, slots=True)
class JobReview:
    """A job, verified, and how many series and subjects here it selects now; these numbers stay at the site."""

    chain: Chain
    series: int
    subjects: int


def review(node: Node, job: str, *, source: CohortSource = harvest_index) -> JobReview:
    """Return a job with its verified objects and what it would select at this site.

    Raises:
        NotApproved: if no such job was brought to this site.
        NotEnrolled: if the node has not enrolled.
        ChainBroken: if its signed objects do not hold.
    """
    if node.enrolment is None:
        raise NotEnrolled("This node has not enrolled with a hub.", todo="Run 'fairbank node enrol'.")
    with reading(node.engine) as session:
        row = session.get(ReviewRow, job)
        if row is None:
            raise NotApproved(
                "No job of this id was brought to this site.",
                why="A job comes when its requester names a dataset of this site.",
                todo="List the jobs that came: fairbank node jobs.",
            )
        chain = open_chain(row.request, row.visa, row.manifest, hub_key=node.enrolment.hub_key)
        wanted = datasets_at(chain.manifest, node.name, node.enrolment.public_base_iri)
        now = node.clock.now()
        found = [
            one for dataset, selector in wanted.items() for one in source(session, dataset, selector, at=now)
        ]
    return JobReview(chain, len(found), len({one.subject for one in found}))
