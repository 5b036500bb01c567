"""Measure the pixels of a dataset's series with `image-quality`, at the node, for the quality that its record tells.

The curator runs it, on code that is installed here, in processes of its own where `analysis_workers` says so. What is
finished is in the index: a run that was interrupted or killed goes on with what is left, and a series that kills the
process which reads it costs one row that says `crashed`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairbank import audit
from fairbank.analysis.contract import Row
from fairbank.analysis.execution import Task, Workers, spread
from fairbank.analysis.image_quality import ImageQualityParameters
from fairbank.analysis.journal import Journal
from fairbank.analysis.run import OVERLAYS
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import tool_digest, tool_named
from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.harvest.bookkeeping import Route
from fairbank.harvest.measured_quality import Measured, ToMeasure, keep_measured, measurable
from fairbank.harvest.run_lock import alone
from fairbank.release.node import Node

ACT = "quality.measure"
TOOL = tool_named("image-quality")
_FOLDER = "measuring"
_OF_THE_ROW = ("row", "status", "reason")


@dataclass(frozen=True, slots=True)
class QualityRun:
    """What came of measuring a dataset.

    Attributes:
        statuses: series that were measured now, by how it ended: ok, impossible, error.
        reasons: those that were not measured, or not in full, by the tool's word.
        current: series that had been measured before as they are now.
        elsewhere: series without files at the node.
        changed: series that went or changed while they were measured; nothing is kept of them.
    """

    statuses: dict[str, int]
    reasons: dict[str, int]
    current: int
    elsewhere: int
    changed: int


def measure_quality(
    node: Node,
    dataset: str,
    *,
    again: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> QualityRun:
    """Measure the series of a dataset that were not measured as they are now, and keep what is found in the index.

    Args:
        again: measure all of them.
        progress: takes how many of how many series are done.

    Raises:
        UnknownDataset: if there is no such dataset.
        RunUnderWay: if another process measures it.
        WorkersUnusable, SchedulerUnreachable: if those who should measure cannot.
        MissingExtra: if a library is not installed.
    """
    digest = tool_digest(TOOL.name)
    with reading(node.engine) as session:
        project = measurable(session, dataset, tool_digest=digest).project
    with alone(node, Route("pixels", project, project)):
        with reading(node.engine) as session:
            found = measurable(session, dataset, tool_digest=digest, again=again)
        keeping = _Keeping(node, project, found.wanted, digest, progress)
        if found.wanted:
            _measure(node, project, digest, keeping)
        with writing(node.engine) as session:
            audit.record(
                session,
                NodeAudit,
                clock=node.clock,
                actor=node.key.key_id,
                act=ACT,
                target=project,
                detail={"series": keeping.statuses.total(), "tool": digest},
            )
    return QualityRun(
        dict(keeping.statuses), dict(keeping.reasons), found.current, found.elsewhere, keeping.changed
    )


def _measure(node: Node, project: str, digest: str, keeping: _Keeping) -> None:
    settings = node.settings
    folder = settings.home / _FOLDER / project
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    journal_file = folder / "journal"
    # What a killed run left; nobody else measures this project now.
    for stale in folder.iterdir():
        if stale.is_dir():
            shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        overlays = Path(scratch) / OVERLAYS
        overlays.mkdir()
        task = Task(TOOL, ImageQualityParameters(), Path(scratch), overlays)
        with _Journal(journal_file, of=digest, keep=keeping.keep) as journal:
            workers = Workers(settings.analysis_workers, settings.analysis_scheduler)
            spread(task, keeping.items, journal=journal, workers=workers)
    journal_file.unlink(missing_ok=True)


class _Journal(Journal):
    """A journal that hands the rows over and keeps only which items are begun and done."""

    def __init__(self, file: Path, *, of: str, keep: Callable[[str, Sequence[Row]], None]) -> None:
        super().__init__(file, of=of)
        self._keep = keep
        # What is done is in the index; what is asked for now is to be measured, also if it was done before.
        self.rows.clear()

    def finish(self, unit: str, rows: Sequence[Row]) -> None:
        """Keep the rows of an item in the index, then write down that it is done."""
        self._keep(unit, rows)
        super().finish(unit, ())


class _Keeping:
    """Keeps what is measured, series by series, and counts it."""

    def __init__(
        self,
        node: Node,
        project: str,
        wanted: Sequence[ToMeasure],
        digest: str,
        progress: Callable[[int, int], None],
    ) -> None:
        self._node, self._project, self._digest, self._progress = node, project, digest, progress
        self._wanted = {_unit(series): series for series in wanted}
        self.items = [
            StagedSeries(unit, series.subject, tuple(sorted(series.directory.glob("*.dcm"))))
            for unit, series in self._wanted.items()
        ]
        self.statuses: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.changed = 0

    def keep(self, unit: str, rows: Sequence[Row]) -> None:
        """Keep the row of one series in the index."""
        row = rows[0]
        measured = Measured(
            str(row["status"]),
            None if row["reason"] is None else str(row["reason"]),
            {name: value for name, value in row.items() if name not in _OF_THE_ROW and value is not None},
        )
        with writing(self._node.engine) as session:
            kept = keep_measured(
                session,
                self._project,
                self._wanted[unit],
                measured,
                tool_digest=self._digest,
                at=self._node.clock.now(),
            )
        if kept:
            self.statuses[measured.status] += 1
            if measured.reason is not None:
                self.reasons[measured.reason] += 1
        else:
            self.changed += 1
        self._progress(self.statuses.total() + self.changed, len(self._wanted))


def _unit(series: ToMeasure) -> str:
    # As rows name items: no dots.
    return series.series_uid.replace(".", "_")
