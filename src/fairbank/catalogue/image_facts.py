"""What the records of datasets tell of their images, as far as a caller may see: for tools that ask which they fit."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.search import find
from fairbank.catalogue.store import DatasetRow, DistributionRow, StratumRow
from fairbank.catalogue.visibility import visible
from fairbank.ontology.counts import CountKind
from fairbank.ontology.tool_fit import Cell, Images

_OPENLY = (CountKind.EXACT.value, CountKind.BELOW_K.value)


@dataclass(frozen=True, slots=True)
class ImagesOfDataset:
    """A dataset and what its record tells of its images."""

    iri: str
    title: str
    node: str
    images: Images


def images_of(session: Session, iri: str, who: Account | None) -> ImagesOfDataset:
    """Return what the record of a dataset tells.

    Raises:
        DatasetNotFound: if there is none, or the caller may not see it.
        DatasetWithdrawn: if it was withdrawn.
    """
    find(session, iri, who)
    return images_of_all(session, who, iri=iri)[0]


def images_of_all(session: Session, who: Account | None, *, iri: str | None = None) -> list[ImagesOfDataset]:
    """Return what the records of all datasets tell that a caller may see, by IRI.

    Args:
        iri: only of this dataset.
    """
    shown = visible(who) if iri is None else (visible(who) & (DatasetRow.iri == iri))
    datasets = session.execute(
        select(DatasetRow.iri, DatasetRow.title, DatasetRow.node).where(shown).order_by(DatasetRow.iri)
    ).all()
    seen = select(DatasetRow.iri).where(shown)
    cells: dict[str, list[Cell]] = defaultdict(list)
    for row in session.execute(
        select(StratumRow.iri, StratumRow.modality, StratumRow.body_part, StratumRow.slice_thickness)
        .where(
            StratumRow.iri.in_(seen),
            StratumRow.series_status.in_(_OPENLY),
            StratumRow.series.is_distinct_from(0),
        )
        .order_by(StratumRow.id)
    ):
        cells[row.iri].append(Cell(row.modality, row.body_part, row.slice_thickness))
    contrast: dict[str, list[str]] = defaultdict(list)
    for iri_of, value in session.execute(
        select(DistributionRow.iri, DistributionRow.value)
        .where(
            DistributionRow.iri.in_(seen),
            DistributionRow.attribute == "contrast",
            DistributionRow.subjects_status.in_(_OPENLY),
            DistributionRow.subjects.is_distinct_from(0),
        )
        .order_by(DistributionRow.id)
    ):
        contrast[iri_of].append(value)
    return [
        ImagesOfDataset(
            one.iri,
            one.title,
            one.node,
            Images(
                tuple(dict.fromkeys(cells[one.iri])),
                tuple(contrast[one.iri]) if one.iri in contrast else None,
            ),
        )
        for one in datasets
    ]
