"""The series of a dataset that may not be published, and why: for its curator."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import select

from fairbank.database import reading
from fairbank.harvest.datasets import dataset_of
from fairbank.harvest.index import LIVE
from fairbank.harvest.store import SeriesRow
from fairbank.harvest.verification import Hold
from fairbank.release.node import Node

STORE = "research store"


@dataclass(frozen=True, slots=True)
class HeldSeries:
    """A series that is held; its ids are pseudonyms."""

    series_uid: str
    subject: str
    modality: str
    source: str
    reason: Hold


def held_series(node: Node, dataset: str) -> list[HeldSeries]:
    """Return the series of a dataset that are held, sorted by reason and series UID.

    Raises:
        UnknownDataset: if there is no such dataset.
    """
    with reading(node.engine) as session:
        project = dataset_of(session, dataset).project
        query = select(SeriesRow).where(
            SeriesRow.project == project, SeriesRow.state == LIVE, SeriesRow.held.is_not(None)
        )
        rows = list(session.scalars(query))
    found = [
        HeldSeries(row.series_uid, row.subject, row.modality, row.source or STORE, Hold(row.held))
        for row in rows
        if row.held is not None
    ]
    return sorted(found, key=lambda one: (one.reason.value, one.series_uid))


def held_counts(found: list[HeldSeries]) -> dict[Hold, int]:
    """Return how many series are held for which reason."""
    return dict(Counter(one.reason for one in found))
