"""What was measured in the pixels of series, as the index keeps it: by what code, when, of which content.

Measuring is the work of the tool `image-quality` (federated_jobs/node/quality_measuring.py). A row counts as long as
the series has the content that was measured; nothing of it leaves the node but counts in a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from fairbank.clock import iso
from fairbank.harvest.aspects import Aspect, Assessment, computed
from fairbank.harvest.datasets import dataset_of
from fairbank.harvest.states import State
from fairbank.harvest.store import MeasuredQualityRow, SeriesRow
from fairbank.ontology.vocabulary import DERIVED_MODALITIES

OK: Final = "ok"
# Words by which the tool says that no pixel could be read.
_UNREADABLE: Final = frozenset({"undecodable", "unreadable", "crashed"})
_BLANK: Final = "blank"


@dataclass(frozen=True, slots=True)
class ToMeasure:
    """A series whose pixels are to be measured; all ids are pseudonyms."""

    series_uid: str
    subject: str
    directory: Path
    content_digest: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured in the pixels of one series.

    Attributes:
        status: ok, impossible or error, as the tool says.
        values: by the names of the tool's columns.
        at: when, UTC, as text.
    """

    status: str
    reason: str | None
    values: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""

    @property
    def signal_to_noise(self) -> float | None:
        """Return the median over the frames, None where there is none."""
        ratio = self.values.get("snr")
        return float(ratio) if isinstance(ratio, int | float) else None

    def assessments(self) -> dict[Aspect, Assessment]:
        """Return what the pixels say of each aspect that they tell of; nothing of those that they do not.

        >>> measured = Measured("ok", None, {"clipped": "yes", "clipped_percent": 0.2})
        >>> measured.assessments()[Aspect.CLIPPED_VALUES].details
        ('0.2 % of pixels',)
        """
        found: dict[Aspect, Assessment] = {}
        if self.status == OK or self.reason in _UNREADABLE:
            found[Aspect.UNREADABLE_PIXELS] = computed(self.reason in _UNREADABLE, str(self.reason or ""))
        if self.reason == _BLANK:
            found[Aspect.BLANK_SLICES] = computed(True, "all slices")
        blank = self.values.get("blank_frames")
        if isinstance(blank, int):
            looked_at = blank + int(self.values.get("frames_measured") or 0)
            found[Aspect.BLANK_SLICES] = computed(blank > 0, f"{blank} of {looked_at} slices looked at")
        if self.values.get("clipped") is not None:
            share = f"{self.values.get('clipped_percent')} % of pixels"
            found[Aspect.CLIPPED_VALUES] = computed(self.values["clipped"] == "yes", share)
        return found


@dataclass(frozen=True, slots=True)
class Measurable:
    """The series of a dataset by whether their pixels are to be measured.

    Attributes:
        current: how many were measured by this tool as they are now.
        elsewhere: how many have no files at the node.
    """

    project: str
    wanted: tuple[ToMeasure, ...]
    current: int
    elsewhere: int


def measurable(session: Session, dataset: str, *, tool_digest: str, again: bool = False) -> Measurable:
    """Return which series of a dataset are to be measured, sorted by UID: images that are not held.

    Args:
        tool_digest: of the code that would measure; what other code measured is measured again.
        again: also those that are up to date.

    Raises:
        UnknownDataset: if there is no such dataset.
    """
    project = dataset_of(session, dataset).project
    rows = session.scalars(
        select(SeriesRow)
        .where(
            SeriesRow.project == project,
            SeriesRow.state == State.LIVE.value,
            SeriesRow.held.is_(None),
            SeriesRow.modality.not_in(DERIVED_MODALITIES),
        )
        .order_by(SeriesRow.series_uid)
    ).all()
    done = {
        row.series_uid: (row.content_digest, row.tool_digest)
        for row in session.scalars(select(MeasuredQualityRow).where(MeasuredQualityRow.project == project))
    }
    here = [row for row in rows if row.directory]
    wanted = [
        ToMeasure(row.series_uid, row.subject, Path(row.directory), row.content_digest)
        for row in here
        if again or done.get(row.series_uid) != (row.content_digest, tool_digest)
    ]
    return Measurable(project, tuple(wanted), len(here) - len(wanted), len(rows) - len(here))


def keep_measured(
    session: Session, project: str, series: ToMeasure, measured: Measured, *, tool_digest: str, at: datetime
) -> bool:
    """Keep what was measured, in the caller's transaction; tell whether the series still is what was measured."""
    row = session.scalar(
        select(SeriesRow).where(SeriesRow.project == project, SeriesRow.series_uid == series.series_uid)
    )
    # Somebody may have withdrawn meanwhile, or the files changed.
    if row is None or row.state != State.LIVE.value or row.content_digest != series.content_digest:
        return False
    session.merge(
        MeasuredQualityRow(
            project=project,
            series_uid=series.series_uid,
            content_digest=series.content_digest,
            tool_digest=tool_digest,
            status=measured.status,
            reason=measured.reason,
            values=dict(measured.values),
            measured=at,
        )
    )
    return True


def measured_of(session: Session, project: str) -> dict[str, Measured]:
    """Return what was measured of each series of a project that still has the content that was measured."""
    same = and_(
        SeriesRow.project == MeasuredQualityRow.project,
        SeriesRow.series_uid == MeasuredQualityRow.series_uid,
        SeriesRow.content_digest == MeasuredQualityRow.content_digest,
    )
    rows = session.scalars(
        select(MeasuredQualityRow).join(SeriesRow, same).where(MeasuredQualityRow.project == project)
    )
    return {row.series_uid: Measured(row.status, row.reason, row.values, iso(row.measured)) for row in rows}
