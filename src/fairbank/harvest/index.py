"""The local index: one row per series of the research store.

A row is made anew only when the files of its series have changed; a series that has gone is marked missing, never
silently forgotten. Who may not be counted (`consents.py`) gets no row, and loses what a row said; what is not proven
free of identifiers (`verification.py`) is held. Nothing of the index leaves the node but counts in a record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path

from sqlalchemy import ColumnElement, and_, delete, not_, update
from sqlalchemy import select as sql_select
from sqlalchemy.orm import Session

from fairbank.database import writing
from fairbank.deid.annotations import Annotations
from fairbank.deid.facts import FactSheet
from fairbank.deid.identity import IdentityStore
from fairbank.deid.outcomes import Reason, Status
from fairbank.deid.research_store import ResearchStore
from fairbank.deid.store import CleanedFile, cleaned_files, facts_of
from fairbank.harvest.consents import Gate, admitted, counted, gate, identity_of, refresh
from fairbank.harvest.datasets import dataset_of
from fairbank.harvest.errors import NotInSource, UnreadableHeader
from fairbank.harvest.headers import InstanceHeader, read_headers
from fairbank.harvest.quality import Known
from fairbank.harvest.reports import ItemResult, Progress, ProgressCallback, RunKind, RunReport, RunState
from fairbank.harvest.rows import SOFTWARE, blank_values, header_values, sheet_values
from fairbank.harvest.series import SeriesFacts, describe, group_series
from fairbank.harvest.states import GoneReason, State
from fairbank.harvest.store import ItemRow, MeasuredQualityRow, QualityWordRow, RunRow, SeriesRow
from fairbank.harvest.verification import Hold, judge_stored
from fairbank.release.node import Node
from fairbank.signing import file_digest

LIVE = State.LIVE.value
MISSING = State.MISSING.value
NO_CONSENT = Reason.NO_CONSENT.value
_PAGE = 50
# SQLite takes 999 values in one statement, or more.
_AT_ONCE = 500


def index_store(node: Node, dataset: str, *, progress: ProgressCallback | None = None) -> RunReport:
    """Bring the index of a dataset up to date with the research store.

    Raises:
        UnknownDataset: if there is no such dataset.
        NoLegalBasis: if neither consent nor another basis covers anybody of its project; nothing is changed then.
        NotInSource: if the store's folder of an indexed project has gone: an unmounted disk is no withdrawal.
    """
    with identity_of(node) as identity:
        return _index(node, dataset, identity, progress)


def close_to(session: Session, opened: Gate) -> int:
    """Take out of the index who may not be counted, in the caller's transaction; return how many series went.

    What stays of a row is by which name its series was known, and when and why it went.
    """
    # A tombstone names no subject any more; it keeps the reason for which its series went.
    which = and_(SeriesRow.subject != "", not_(opened.admits_row()))
    reason = GoneReason.RETENTION_OVER if opened.over else GoneReason.CONSENT_WITHDRAWN
    return _blank(session, opened.project, which, reason=reason)


def forget_in_index(session: Session, project: str, subject: str) -> int:
    """Take a subject out of the index, in the caller's transaction; return how many series went."""
    return _blank(session, project, SeriesRow.subject == subject)


def _index(node: Node, dataset: str, identity: IdentityStore, progress: ProgressCallback | None) -> RunReport:
    now = node.clock.now()
    with writing(node.engine) as session:
        project = dataset_of(session, dataset).project
        opened = gate(session, project, at=now)
        admitted(session, opened)
        refresh(session, identity, project)
        close_to(session, opened)
        counts = counted(session, identity, opened)
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
    indexing = _Indexing(project, run.id, now, facts, known, _Checks(root, identity, counts))
    folders = list(_series_folders(ResearchStore(root), project)) if (root / project).is_dir() else []
    results: list[ItemResult] = []
    for start in range(0, len(folders), _PAGE):
        page = folders[start : start + _PAGE]
        with writing(node.engine) as session:
            indexing.checks.cleaned = cleaned_files(session, project, [folder.name for folder, _ in page])
            for folder, paths in page:
                results.append(indexing.take(session, len(results) + 1, folder, paths))
                if progress is not None:
                    progress(Progress(len(results), len(folders), results[-1]))
    return _end(node, run, indexing, results)


def content_digest_of(directory: Path, series_uid: str) -> str | None:
    """Return the content digest of a series as its files are now, None if a file cannot be read.

    Every byte is read.
    """
    headers, unreadable = _readable(sorted(directory.glob("*.dcm")))
    found = group_series(headers).get(series_uid)
    return _content_digest(_digests(found)) if found and not unreadable else None


def runs(session: Session, project: str) -> list[RunRow]:
    """Return the runs of a project, oldest first."""
    return list(session.scalars(sql_select(RunRow).where(RunRow.project == project).order_by(RunRow.started)))


def live_series(session: Session, dataset: str) -> list[SeriesRow]:
    """Return the rows of all series that a dataset had when it was last indexed, sorted by series UID."""
    project = dataset_of(session, dataset).project
    return [row for row in _rows(session, project) if row.state == LIVE and row.held is None]


def publishable(session: Session, project: str, *, at: datetime) -> ColumnElement[bool]:
    """Return the condition of the series that may be counted in what leaves: there, verified, and admitted now."""
    return and_(SeriesRow.state == LIVE, SeriesRow.held.is_(None), gate(session, project, at=at).admits_row())


def publishable_series(session: Session, dataset: str, *, at: datetime) -> list[SeriesRow]:
    """Return the rows of all series that may be counted in what leaves at a moment, sorted by series UID."""
    project = dataset_of(session, dataset).project
    query = sql_select(SeriesRow).where(publishable(session, project, at=at))
    return list(session.scalars(query.order_by(SeriesRow.series_uid)))


@dataclass(slots=True)
class _Checks:
    """Who may be counted, and what is proven of a page's files."""

    root: Path
    identity: IdentityStore
    counts: Callable[[str], bool]
    cleaned: dict[str, dict[str, CleanedFile]] = field(default_factory=dict)

    def unchanged(self, series_uid: str, paths: list[Path]) -> Hold | None:
        """Judge a series whose files have not changed since it was judged."""
        return self._judged(series_uid, dict.fromkeys(paths))

    def read(self, series_uid: str, digests: dict[Path, str]) -> Hold | None:
        """Judge a series whose files were read now."""
        keys = {
            path: self.identity.item_key(bytes.fromhex(digest.removeprefix("sha256:")))
            for path, digest in digests.items()
        }
        return self._judged(series_uid, keys)

    def _judged(self, series_uid: str, found: Mapping[Path, str | None]) -> Hold | None:
        by_path = {path.relative_to(self.root).as_posix(): key for path, key in found.items()}
        return judge_stored(by_path, self.cleaned.get(series_uid, {}))


@dataclass(slots=True)
class _Indexing:
    """One run over a project's folders."""

    project: str
    run: str
    now: datetime
    facts: dict[str, FactSheet]
    known: dict[str, SeriesRow]
    checks: _Checks
    seen: set[str] = field(default_factory=set)

    def take(self, session: Session, number: int, folder: Path, paths: list[Path]) -> ItemResult:
        reference = f"series #{number}"
        if not self.checks.counts(folder.parent.parent.name):
            return ItemResult(reference, Status.IMPOSSIBLE, {NO_CONSENT: len(paths)})
        token = _stat_token(paths)
        row = self.known.get(folder.name)
        same = row is not None and row.stat_token == token and row.directory == str(folder)
        if row is not None and same and row.held is None and not self.checks.unchanged(folder.name, paths):
            self.seen.add(row.series_uid)
            session.merge(self._with_facts(row))
            return ItemResult(reference, Status.NOT_NEEDED, {"unchanged": len(paths)})
        headers, unreadable = _readable(paths)
        files = {"unreadable": unreadable} if unreadable else {}
        for of_series in group_series(headers).values():
            # A series with an unreadable file gets no token, so that the next run looks at it again.
            word = self._take_series(session, of_series, folder, "" if unreadable else token)
            files[word] = files.get(word, 0) + len(of_series)
        if not headers:
            return ItemResult(reference, Status.ERROR, files, UnreadableHeader.code)
        done = Status.OK if "ok" in files else Status.IMPOSSIBLE
        return ItemResult(reference, Status.ERROR if unreadable else done, files)

    def _take_series(self, session: Session, headers: list[InstanceHeader], folder: Path, token: str) -> str:
        """Put a series into the index; return what became of it: `ok`, or why it is held or left out."""
        facts = describe(headers, Known(today=self.now.date()))
        if not self.checks.counts(facts.subject):
            return NO_CONSENT
        self.seen.add(facts.series_uid)
        row = self._row(facts, _digests(headers), folder, token)
        session.merge(row)
        return row.held or "ok"

    def _row(self, facts: SeriesFacts, digests: _Digests, folder: Path, token: str) -> SeriesRow:
        known = self.known.get(facts.series_uid)
        held = self.checks.read(facts.series_uid, digests.by_path)
        row = SeriesRow(
            project=self.project,
            series_uid=facts.series_uid,
            study_uid=facts.study_uid,
            subject=facts.subject,
            source="",
            held=held.value if held else None,
            gone=None,
            directory=str(folder),
            stat_token=token,
            content_digest=_content_digest(digests),
            **header_values(facts, at=self.now),
        )
        if known is not None:
            row.id = known.id
        return self._with_facts(row)

    def _with_facts(self, row: SeriesRow) -> SeriesRow:
        """Add what the fact sheet knows and cleaning has taken from the headers."""
        sheet = self.facts.get(row.series_uid)
        values = sheet_values(
            sheet,
            modality=row.modality,
            body_part=row.body_part,
            annotations=Annotations.from_json(row.annotations),
        )
        for column, value in values.items():
            setattr(row, column, value)
        row.state, row.gone, row.run, row.seen = LIVE, None, self.run, self.now
        return row


def _rows(session: Session, project: str) -> Iterable[SeriesRow]:
    query = sql_select(SeriesRow).where(SeriesRow.project == project).order_by(SeriesRow.series_uid)
    return session.scalars(query).all()


def _series_folders(store: ResearchStore, project: str) -> Iterator[tuple[Path, list[Path]]]:
    for folder, paths in groupby(store.files(project), key=lambda path: path.parent):
        yield folder, list(paths)


def _readable(paths: list[Path]) -> tuple[list[InstanceHeader], int]:
    headers = [header for header in read_headers(paths) if header is not None]
    return headers, len(paths) - len(headers)


def _stat_token(paths: list[Path]) -> str:
    stats = [(path.name, path.stat()) for path in sorted(paths)]
    lines = [f"{name}\0{status.st_size}\0{status.st_mtime_ns}" for name, status in stats]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Digests:
    """The digests of a series' files, each file read once: by path, and with its instance's UID."""

    by_path: dict[Path, str]
    by_instance: list[tuple[str, str]]


def _digests(headers: list[InstanceHeader]) -> _Digests:
    by_path: dict[Path, str] = {header.path: file_digest(header.path) for header in headers if header.path}
    return _Digests(by_path, [(header.sop_uid, by_path[header.path]) for header in headers if header.path])


def _content_digest(digests: _Digests) -> str:
    lines = sorted(f"{sop_uid} {digest}" for sop_uid, digest in digests.by_instance)
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _blank(
    session: Session,
    project: str,
    which: ColumnElement[bool],
    *,
    reason: GoneReason = GoneReason.CONSENT_WITHDRAWN,
) -> int:
    """Turn rows into tombstones of series that may no longer be in the index; return how many."""
    values = blank_values() | {
        "state": State.TOMBSTONED.value,
        "held": None,
        "gone": reason.value,
        "directory": "",
    }
    unsynchronised = {"synchronize_session": False}
    gone = session.scalars(
        update(SeriesRow)
        .where(SeriesRow.project == project, which)
        .values(values)
        .returning(SeriesRow.series_uid),
        execution_options=unsynchronised,
    ).all()
    for start in range(0, len(gone), _AT_ONCE):
        some = gone[start : start + _AT_ONCE]
        # What people said of these series, and what was measured in them, goes with them.
        for table in (QualityWordRow, MeasuredQualityRow):
            said = delete(table).where(table.project == project, table.series_uid.in_(some))
            session.execute(said, execution_options=unsynchronised)
        # Should consent come back, the next harvest describes them again although the archive has not changed them.
        items = update(ItemRow).where(ItemRow.project == project, ItemRow.series_uid.in_(some))
        session.execute(items.values(version=""), execution_options=unsynchronised)
    return len(gone)


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
