"""The series of a dataset one by one, for the curator: pseudonyms, what is known of each, how and since when.

It is shown at the node and leaves it in no form.
"""

from __future__ import annotations

from dataclasses import dataclass

from fairbank.database import reading
from fairbank.harvest.aspects import Aspect
from fairbank.harvest.datasets import dataset_of
from fairbank.harvest.index import live_series
from fairbank.harvest.judging import Judge, Known
from fairbank.release.node import Node


@dataclass(frozen=True, slots=True)
class SeriesView:
    """One series and what is known of its quality; all ids are pseudonyms."""

    series_uid: str
    subject: str
    modality: str
    body_part: str
    instances: int
    known: dict[Aspect, Known]

    @property
    def affected(self) -> tuple[Aspect, ...]:
        """Return the aspects that affect it."""
        return tuple(aspect for aspect, known in self.known.items() if known.assessment.affected)


def series_of(node: Node, dataset: str, *, affected: Aspect | None = None) -> list[SeriesView]:
    """Return the series of a dataset, or those that an aspect affects, sorted by UID.

    Raises:
        UnknownDataset: if there is no such dataset.
    """
    with reading(node.engine) as session:
        judge = Judge(session, dataset_of(session, dataset).project)
        views = [
            SeriesView(
                row.series_uid, row.subject, row.modality, row.body_part, row.instances, judge.known(row)
            )
            for row in live_series(session, dataset)
        ]
    return [view for view in views if affected is None or affected in view.affected]
