"""The choice of series from the local index: what a selector takes, and which series of a study or subject is picked.

A cohort and a live count are chosen here by the same rules. What a filter asks for and the index does not know is left
out: not known is not yes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, or_
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session

from fairbank.harvest.consents import Gate, gate
from fairbank.harvest.datasets import dataset_of
from fairbank.harvest.states import State
from fairbank.harvest.store import DatasetRow, SeriesRow
from fairbank.ontology.data_use_facts import Asked
from fairbank.ontology.signed_objects import Pick, Selector, Unit

# A round at a site asks for its whole cohort, twice: only the columns that a cohort needs, put together once.
_LIVE_SERIES = (
    sql_select(
        SeriesRow.series_uid,
        SeriesRow.study_uid,
        SeriesRow.subject,
        SeriesRow.modality,
        SeriesRow.directory,
        SeriesRow.instances,
        SeriesRow.content_digest,
        SeriesRow.slice_thickness_mm,
        SeriesRow.contrast,
        SeriesRow.contiguous,
        SeriesRow.derived,
    )
    .where(
        SeriesRow.project == bindparam("project"),
        SeriesRow.state == State.LIVE.value,
        SeriesRow.held.is_(None),
        # A series that an archive only describes has no files here that a job could read.
        SeriesRow.directory != "",
    )
    .order_by(SeriesRow.series_uid)
)
_DATASETS = DatasetRow.metadata.tables[DatasetRow.__tablename__]
_PROJECT_OF = sql_select(_DATASETS.c.project).where(_DATASETS.c.slug == bindparam("slug"))


@dataclass(frozen=True, slots=True)
class IndexedSeries:
    """One series of a cohort; every id is a pseudonym.

    Attributes:
        slice_thickness_mm: as headers say, None if they do not.
        contrast: yes, no or unknown.
        contiguous: whether its slices follow each other without a gap; None if that could not be worked out.
        derived: whether it was made of other images, such as a reformatted one; None if headers do not say.
    """

    series_uid: str
    study_uid: str
    subject: str
    modality: str
    directory: Path
    instances: int
    content_digest: str
    slice_thickness_mm: float | None = None
    contrast: str = "unknown"
    contiguous: bool | None = None
    derived: bool | None = None


def select(
    session: Session, dataset: str, selector: Selector, *, at: datetime, asked: Asked | None = None
) -> list[IndexedSeries]:
    """Return the series of a dataset that a selector takes and that may be used at a moment, sorted by series UID.

    Args:
        asked: for which purpose; who consented to others only is left out.

    Raises:
        UnknownDataset: if there is no such dataset.
    """
    project = session.connection().execute(_PROJECT_OF, {"slug": dataset}).scalar()
    if project is None:
        project = dataset_of(session, dataset).project
    query = _chosen_by(selector, gate(session, project, at=at, asked=asked))
    return _picked([_series(row) for row in session.execute(query, {"project": project})], selector)


# The whole selector is the key, so that a filter that is added can never be left out of it.
@lru_cache(maxsize=64)
def _chosen_by(selector: Selector, opened: Gate) -> Select[*tuple[Any, ...]]:
    # Every round of a job asks for the same twice, and putting a statement together takes longer than running it.
    return _LIVE_SERIES.where(*_filters(selector), opened.admits_row())


def _filters(selector: Selector) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [SeriesRow.instances >= selector.minimum_instances]
    for name in ("modality", "body_part", "manufacturer", "contrast", "sex", "age_band"):
        if wanted := getattr(selector, name):
            found.append(getattr(SeriesRow, name).in_(wanted))
    if selector.kernel:
        found.append(or_(SeriesRow.modality != "CT", SeriesRow.kernel.in_(selector.kernel)))
    if selector.slice_thickness_min_mm is not None:
        found.append(SeriesRow.slice_thickness_mm >= float(selector.slice_thickness_min_mm))
    if selector.slice_thickness_max_mm is not None:
        found.append(SeriesRow.slice_thickness_mm <= float(selector.slice_thickness_max_mm))
    if selector.acquired_from is not None:
        found.append(SeriesRow.acquisition_year >= selector.acquired_from)
    if selector.acquired_to is not None:
        found.append(SeriesRow.acquisition_year <= selector.acquired_to)
    return found


def _series(row: Any) -> IndexedSeries:
    return IndexedSeries(
        row.series_uid,
        row.study_uid,
        row.subject,
        row.modality,
        Path(row.directory),
        row.instances,
        row.content_digest,
        row.slice_thickness_mm,
        row.contrast,
        row.contiguous,
        row.derived,
    )


def _picked(series: list[IndexedSeries], selector: Selector) -> list[IndexedSeries]:
    if selector.pick is Pick.ALL:
        return series
    unit, better = _UNIT_OF[selector.unit], _most_instances
    if selector.pick is Pick.THINNEST_CONTIGUOUS:
        series, better = [one for one in series if one.contiguous], _thinnest
    picked = [max(group, key=better) for _, group in groupby(sorted(series, key=unit), key=unit)]
    return sorted(picked, key=lambda one: one.series_uid)


_UNIT_OF: dict[Unit, Callable[[IndexedSeries], tuple[str, ...]]] = {
    Unit.SERIES: lambda one: (one.series_uid,),
    # A study that a mistake has put under two subjects is one of each.
    Unit.STUDY: lambda one: (one.study_uid, one.subject),
    Unit.SUBJECT: lambda one: (one.subject,),
}


def _most_instances(one: IndexedSeries) -> tuple[Any, ...]:
    return (one.instances, one.series_uid)


def _thinnest(one: IndexedSeries) -> tuple[Any, ...]:
    thin = -one.slice_thickness_mm if one.slice_thickness_mm else float("-inf")
    return (not one.derived, one.contrast == "no", thin, *_most_instances(one))
