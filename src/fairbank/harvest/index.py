"""The local index: one row per series of the research store, and the choice of a cohort from it.

A row is made anew only when the files of its series have changed; a series that has gone is marked missing, never
silently forgotten. Nothing of the index leaves the node but counts in a record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

from sqlalchemy import bindparam
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session

from fairbank.database import reading, writing
from fairbank.deid.facts import FactSheet
from fairbank.deid.outcomes import Status
from fairbank.deid.research_store import ResearchStore
from fairbank.deid.store import facts_of
from fairbank.harvest.clinical.store import forget_subject
from fairbank.harvest.datasets import dataset_of
from fairbank.harvest.errors import NotInSource, UnreadableHeader
from fairbank.harvest.headers import InstanceHeader, read_header
from fairbank.harvest.reports import ItemResult, Progress, ProgressCallback, RunKind, RunReport, RunState
from fairbank.harvest.rows import SOFTWARE, header_values, sheet_values
from fairbank.harvest.series import Aspect, Assessment, SeriesFacts, describe, group_series
from fairbank.harvest.states import State
from fairbank.harvest.store import DatasetRow, RunRow, SeriesRow
from fairbank.ontology.record import HowKnown
from fairbank.ontology.signed_objects import Pick, Selector, Unit
from fairbank.release.node import Node
from fairbank.signing import file_digest

LIVE = State.LIVE.value
MISSING = State.MISSING.value
_PAGE = 50


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
    )
    .where(
        SeriesRow.project == bindparam("project"),
        SeriesRow.state == LIVE,
        # A series that an archive only describes has no files here that a job could read.
        SeriesRow.directory != "",
        SeriesRow.instances >= bindparam("instances"),
    )
    .order_by(SeriesRow.series_uid)
)
_DATASETS = DatasetRow.metadata.tables[DatasetRow.__tablename__]
_PROJECT_OF = sql_select(_DATASETS.c.project).where(_DATASETS.c.slug == bindparam("slug"))


@dataclass(frozen=True, slots=True)
class IndexedSeries:
    """One series of a cohort; every id is a pseudonym."""

    series_uid: str
    study_uid: str
    subject: str
    modality: str
    directory: Path
    instances: int
    content_digest: str


def select(session: Session, dataset: str, selector: Selector) -> list[IndexedSeries]:
    """Return the series of a dataset that a selector takes, sorted by series UID.

    Raises:
        UnknownDataset: if there is no such dataset.
    """
    query = _LIVE_SERIES
    for column, words in (
        (SeriesRow.modality, selector.modality),
        (SeriesRow.body_part, selector.body_part),
        (SeriesRow.manufacturer, selector.manufacturer),
    ):
        if words:
            query = query.where(column.in_(words))
    project = session.connection().execute(_PROJECT_OF, {"slug": dataset}).scalar()
    if project is None:
        project = dataset_of(session, dataset).project
    of = {"project": project, "instances": selector.minimum_instances}
    chosen = [
        IndexedSeries(
            row.series_uid,
            row.study_uid,
            row.subject,
            row.modality,
            Path(row.directory),
            row.instances,
            row.content_digest,
        )
        for row in session.execute(query, of)
    ]
    return _picked(chosen, selector)


def index_store(node: Node, dataset: str, *, progress: ProgressCallback | None = None) -> RunReport:
    """Bring the index of a dataset up to date with the research store.

    Raises:
        UnknownDataset: if there is no such dataset.
        NotInSource: if the store's folder of an indexed project has gone: an unmounted disk is no withdrawal.
    """
    with reading(node.engine) as session:
        project = dataset_of(session, dataset).project
        known = {row.series_uid: row for row in _rows(session, project)}
        facts = facts_of(session, project)
    root = node.settings.store_path
    indexed = any(row.state == LIVE and row.source == "" for row in known.values())
    if not (root / project).is_dir() and indexed:
        raise NotInSource(
            f"The research store has no folder of the project {project!r}.",
            why="It was indexed before; a whole project does not vanish by itself.",
            todo="Check that the store's disk is mounted and 'node_store' names it.",
        )
    run = _begin(node, project)
    indexing = _Indexing(project, run.id, node.clock.now(), facts, known)
    folders = list(_series_folders(ResearchStore(root), project)) if (root / project).is_dir() else []
    results: list[ItemResult] = []
    for start in range(0, len(folders), _PAGE):
        with writing(node.engine) as session:
            for folder, paths in folders[start : start + _PAGE]:
                results.append(indexing.take(session, len(results) + 1, folder, paths))
                if progress is not None:
                    progress(Progress(len(results), len(folders), results[-1]))
    return _end(node, run, indexing, results)


def mark_missing(session: Session, project: str, subject: str) -> int:
    """Mark all series of a withdrawn subject missing, in the caller's transaction; return how many there were.

    What was imported of the subject beside the images goes.
    """
    forget_subject(session, project, subject)
    rows = session.scalars(
        sql_select(SeriesRow).where(
            SeriesRow.project == project, SeriesRow.subject == subject, SeriesRow.state == LIVE
        )
    ).all()
    for row in rows:
        row.state = MISSING
    return len(rows)


def content_digest_of(directory: Path, series_uid: str) -> str | None:
    """Return the content digest of a series as its files are now, None if a file cannot be read.

    Every byte is read.
    """
    headers, unreadable = _readable(sorted(directory.glob("*.dcm")))
    found = group_series(headers).get(series_uid)
    return _content_digest(found) if found and not unreadable else None


def runs(session: Session, project: str) -> list[RunRow]:
    """Return the runs of a project, oldest first."""
    return list(session.scalars(sql_select(RunRow).where(RunRow.project == project).order_by(RunRow.started)))


def live_series(session: Session, dataset: str) -> list[SeriesRow]:
    """Return the rows of all series that a dataset has at present, sorted by series UID."""
    project = dataset_of(session, dataset).project
    return [row for row in _rows(session, project) if row.state == LIVE]


def quality_of(row: SeriesRow) -> dict[Aspect, Assessment]:
    """Return what is known of a series' quality."""
    found = {}
    for aspect in Aspect:
        known = row.quality.get(aspect.value, {})
        how = known.get("how_known")
        found[aspect] = Assessment(
            assessed=bool(known.get("assessed")),
            affected=bool(known.get("affected")),
            how_known=HowKnown(how) if how else None,
        )
    return found


@dataclass(slots=True)
class _Indexing:
    """One run over a project's folders."""

    project: str
    run: str
    now: datetime
    facts: dict[str, FactSheet]
    known: dict[str, SeriesRow]
    _seen: set[str] | None = None

    @property
    def seen(self) -> set[str]:
        if self._seen is None:
            self._seen = set()
        return self._seen

    def take(self, session: Session, number: int, folder: Path, paths: list[Path]) -> ItemResult:
        reference = f"series #{number}"
        token = _stat_token(paths)
        row = self.known.get(folder.name)
        if row is not None and row.stat_token == token and row.directory == str(folder):
            self.seen.add(row.series_uid)
            session.merge(self._with_facts(row))
            return ItemResult(reference, Status.NOT_NEEDED, {"unchanged": len(paths)})
        headers, unreadable = _readable(paths)
        for series_uid, of_series in group_series(headers).items():
            self.seen.add(series_uid)
            # A series with an unreadable file gets no token, so that the next run looks at it again.
            row = self._row(describe(of_series), of_series, folder, "" if unreadable else token)
            session.merge(row)
        files = {"ok": len(headers)} | ({"unreadable": unreadable} if unreadable else {})
        if not headers:
            return ItemResult(reference, Status.ERROR, files, UnreadableHeader.code)
        return ItemResult(reference, Status.ERROR if unreadable else Status.OK, files)

    def _row(self, facts: SeriesFacts, headers: list[InstanceHeader], folder: Path, token: str) -> SeriesRow:
        known = self.known.get(facts.series_uid)
        row = SeriesRow(
            project=self.project,
            series_uid=facts.series_uid,
            study_uid=facts.study_uid,
            subject=facts.subject,
            source="",
            held=None,
            gone=None,
            directory=str(folder),
            stat_token=token,
            content_digest=_content_digest(headers),
            **header_values(facts, at=self.now),
        )
        if known is not None:
            row.id = known.id
        return self._with_facts(row)

    def _with_facts(self, row: SeriesRow) -> SeriesRow:
        """Add what the fact sheet knows and cleaning has taken from the headers."""
        sheet = self.facts.get(row.series_uid)
        values = sheet_values(sheet, modality=row.modality, body_part=row.body_part)
        for column, value in values.items():
            setattr(row, column, value)
        row.state, row.run, row.seen = LIVE, self.run, self.now
        return row


def _picked(series: list[IndexedSeries], selector: Selector) -> list[IndexedSeries]:
    if selector.pick is Pick.ALL or selector.unit is Unit.SERIES:
        return series
    unit: Callable[[IndexedSeries], str] = (
        (lambda one: one.study_uid) if selector.unit is Unit.STUDY else (lambda one: one.subject)
    )
    picked = [
        max(group, key=lambda one: (one.instances, one.series_uid))
        for _, group in groupby(sorted(series, key=unit), key=unit)
    ]
    return sorted(picked, key=lambda one: one.series_uid)


def _rows(session: Session, project: str) -> Iterable[SeriesRow]:
    query = sql_select(SeriesRow).where(SeriesRow.project == project).order_by(SeriesRow.series_uid)
    return session.scalars(query).all()


def _series_folders(store: ResearchStore, project: str) -> Iterator[tuple[Path, list[Path]]]:
    for folder, paths in groupby(store.files(project), key=lambda path: path.parent):
        yield folder, list(paths)


def _readable(paths: list[Path]) -> tuple[list[InstanceHeader], int]:
    headers = []
    for path in paths:
        try:
            headers.append(read_header(path))
        except UnreadableHeader:
            continue
    return headers, len(paths) - len(headers)


def _stat_token(paths: list[Path]) -> str:
    stats = [(path.name, path.stat()) for path in sorted(paths)]
    lines = [f"{name}\0{status.st_size}\0{status.st_mtime_ns}" for name, status in stats]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _content_digest(headers: list[InstanceHeader]) -> str:
    lines = sorted(f"{header.sop_uid} {file_digest(header.path)}" for header in headers if header.path)
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _begin(node: Node, project: str) -> RunRow:
    run = RunRow(
        id=node.clock.new_id(),
        kind=RunKind.INDEX.value,
        source="research store",
        source_kind="research-store",
        source_version="-",
        container=project,
        project=project,
        state=RunState.RUNNING.value,
        software=SOFTWARE,
        profile="",
        started=node.clock.now(),
        ended=None,
        counts={},
    )
    with writing(node.engine) as session:
        session.add(run)
    return run


def _end(node: Node, run: RunRow, indexing: _Indexing, results: list[ItemResult]) -> RunReport:
    gone = [
        uid
        for uid, row in indexing.known.items()
        if row.state == LIVE and row.source == "" and uid not in indexing.seen
    ]
    ended = node.clock.now()
    report = RunReport(run.id, RunKind.INDEX, run.started, ended, tuple(results), len(gone))
    with writing(node.engine) as session:
        for row in _rows(session, indexing.project):
            if row.series_uid in gone:
                row.state = MISSING
        kept = session.get_one(RunRow, run.id)
        kept.state, kept.ended, kept.counts = RunState.FINISHED.value, ended, report.counts()
    return report
