"""Looking at series of the research store that nobody has looked at yet: those an older fairbank has cleaned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.engine import Engine

from fairbank.clock import Clock
from fairbank.database import reading, writing
from fairbank.deid import part10
from fairbank.deid.faces.policy_store import record_work
from fairbank.deid.faces.removal import are_cleaned
from fairbank.deid.faces.stage import FaceWork
from fairbank.deid.faces.store import FaceSeriesRow
from fairbank.deid.outcomes import Status
from fairbank.deid.research_store import ResearchStore
from fairbank.deid.store import ItemRow


def look_at_stored(
    database: Engine, store: ResearchStore, project: str, *, clock: Clock
) -> Iterator[FaceWork]:
    """Look at each stored series that was not looked at, and yield what was found; files are not changed.

    A head with its face is remembered as never to leave.

    Raises:
        ImportError: if SciPy is missing.
    """
    for (series_uid, subject), paths in sorted(_unseen(database, project).items()):
        files = [store.root / path for path in sorted(paths) if store.has(path)]
        if not files:
            continue
        work = _judged(files)
        with writing(database) as session:
            record_work(session, project, series_uid, work, subject=subject, clock=clock)
        yield work


def _unseen(database: Engine, project: str) -> dict[tuple[str, str], list[str]]:
    query = select(ItemRow.series_uid, ItemRow.subject, ItemRow.path).where(
        ItemRow.project == project,
        ItemRow.status == Status.OK.value,
        ItemRow.series_uid.not_in(select(FaceSeriesRow.series_uid).where(FaceSeriesRow.project == project)),
    )
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    with reading(database) as session:
        for series_uid, subject, path in session.execute(query):
            if series_uid and subject and path:
                found[series_uid, subject].append(path)
    return found


def _judged(files: list[Path]) -> FaceWork:
    from fairbank.deid.faces.heads import look

    with part10.quiet_pydicom():
        if not look(files).head:
            return FaceWork()
        defaced = are_cleaned(files)
    return FaceWork(head=True, defaced=defaced, in_situ=not defaced)
