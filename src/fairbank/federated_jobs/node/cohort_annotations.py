"""The annotations of a cohort: frozen with it, handed to a job with their images, never told to anybody.

What was drawn after the approval never enters; what has gone, or whose content has changed, is left out.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.federated_jobs.node.cohort import Cohort, Member, harvest_intact
from fairbank.federated_jobs.node.sandbox_staging import AnnotationToStage
from fairbank.federated_jobs.node.store import CohortAnnotationRow

log = logging.getLogger(__name__)


def freeze_annotations(session: Session, job: str, cohort: Cohort, kinds: Collection[str]) -> None:
    """Write down which series describe those of a job's frozen cohort.

    Args:
        kinds: the modalities that the job's tool is handed; none for a tool that reads images only.
    """
    for dataset, found in _there(session, cohort, kinds).items():
        session.add_all(
            CohortAnnotationRow(
                job=job,
                dataset=dataset,
                series_uid=image.series_uid,
                annotation_uid=annotation.series_uid,
                kind=kind,
                content_digest=annotation.content_digest,
            )
            for image, kind, annotation in found
        )


def annotations_to_stage(
    session: Session, job: str, cohort: Cohort
) -> Mapping[tuple[str, str], tuple[AnnotationToStage, ...]]:
    """Return the frozen annotations of a cohort that are still what they were, by dataset and image series.

    Every byte of them is read.
    """
    frozen = {
        (row.dataset, row.series_uid, row.annotation_uid): row.content_digest
        for row in session.scalars(select(CohortAnnotationRow).where(CohortAnnotationRow.job == job))
    }
    kinds = set(
        session.scalars(select(CohortAnnotationRow.kind).where(CohortAnnotationRow.job == job).distinct())
    )
    staged: dict[tuple[str, str], list[AnnotationToStage]] = defaultdict(list)
    left = dict(frozen)
    for dataset, found in _there(session, cohort, kinds).items():
        for image, kind, annotation in found:
            place = (dataset, image.series_uid, annotation.series_uid)
            if frozen.get(place) == annotation.content_digest and harvest_intact(annotation):
                staged[dataset, image.series_uid].append(
                    AnnotationToStage(kind, tuple(sorted(annotation.directory.glob("*.dcm"))))
                )
                del left[place]
    of_cohort = {(member.dataset, member.series_uid) for member in cohort.members}
    if gone := sum(place[:2] in of_cohort for place in left):
        log.warning("job %s goes without %d annotations that have changed or gone", job, gone)
    return {image: tuple(found) for image, found in staged.items()}


def _there(
    session: Session, cohort: Cohort, kinds: Collection[str]
) -> dict[str, list[tuple[Member, str, Member]]]:
    """Return the series that describe a cohort's, by dataset: the image series, the kind, the annotation."""
    from fairbank.harvest.annotation_series import annotations_on
    from fairbank.harvest.errors import UnknownDataset

    found: dict[str, list[tuple[Member, str, Member]]] = {}
    if not kinds:
        return found
    images: dict[str, dict[str, Member]] = defaultdict(dict)
    for member in cohort.members:
        images[member.dataset][member.series_uid] = member
    for dataset, members in images.items():
        subjects = {uid: member.subject for uid, member in members.items()}
        try:
            annotations = annotations_on(session, dataset, subjects, kinds)
        except UnknownDataset:
            # A cohort may come from another source than the index.
            continue
        found[dataset] = [
            (
                members[one.of],
                one.kind,
                Member(dataset, one.series_uid, subjects[one.of], one.content_digest, one.directory),
            )
            for one in annotations
        ]
    return found
