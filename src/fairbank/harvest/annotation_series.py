"""Which series of the local index describe which images: segmentations and structure sets, by what they refer to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.deid.annotations import Annotations
from fairbank.harvest.datasets import dataset_of
from fairbank.harvest.states import State
from fairbank.harvest.store import SeriesRow


@dataclass(frozen=True, slots=True)
class AnnotationSeries:
    """A series that describes an image series of the same subject; every id is a pseudonym.

    Attributes:
        of: the image series.
        kind: its modality, such as SEG or RTSTRUCT.
    """

    of: str
    series_uid: str
    kind: str
    content_digest: str
    directory: Path


def annotations_on(
    session: Session, dataset: str, subjects: dict[str, str], kinds: Collection[str]
) -> list[AnnotationSeries]:
    """Return the series of a dataset that describe given image series and may be used now, sorted.

    A series whose files refer to images of somebody else describes none: one of both is wrong.

    Args:
        subjects: of each image series, by its UID; all of them may be used.
        kinds: modalities.

    Raises:
        UnknownDataset: if there is no such dataset.
    """
    rows = session.scalars(
        select(SeriesRow).where(
            SeriesRow.project == dataset_of(session, dataset).project,
            SeriesRow.state == State.LIVE.value,
            SeriesRow.held.is_(None),
            SeriesRow.directory != "",
            SeriesRow.modality.in_(sorted(kinds)),
            SeriesRow.subject.in_(sorted(set(subjects.values()))),
        )
    )
    found = [
        AnnotationSeries(image, row.series_uid, row.modality, row.content_digest, Path(row.directory))
        for row in rows
        for image in sorted(Annotations.from_json(row.annotations).referenced)
        if subjects.get(image) == row.subject
    ]
    return sorted(found, key=lambda one: (one.of, one.kind, one.series_uid))
