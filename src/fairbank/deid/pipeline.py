"""The pipeline of a node: takes files by series, cleans them, stores them, and says of each what became of it.

One bad file never stops the rest. Running again skips what is done; after a kill it goes on where it stopped, because a
series is stored before it is remembered and the same input gives the same bytes.
"""

from __future__ import annotations

import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Protocol

from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from fairbank.clock import Clock, iso
from fairbank.database import reading, writing
from fairbank.deid import store as rows
from fairbank.deid import work_rows
from fairbank.deid.admitted import Admitted
from fairbank.deid.cleaning import TOOL, Order
from fairbank.deid.errors import StoreNotWritable
from fairbank.deid.faces.policy_store import record_part, record_work
from fairbank.deid.identities import Identities
from fairbank.deid.identity import IdentityStore, checked_project
from fairbank.deid.outcomes import Outcome, Reason, Status
from fairbank.deid.research_store import ResearchStore
from fairbank.deid.running.folder_run import method_told
from fairbank.deid.running.index import Unit
from fairbank.deid.running.inputs import digest_of, links_key
from fairbank.deid.running.place import not_writable
from fairbank.deid.running.series_work import (
    FileResult,
    Job,
    Keys,
    NotWritten,
    Task,
    UnitResult,
    clean_unit,
    is_withheld,
    lost_unit,
    status_of,
)
from fairbank.deid.running.workers import workers as workers_for
from fairbank.deid.verification.uid_graph import UidGraph
from fairbank.deid.withdrawal import cleared_if_left
from fairbank.errors import Sensitive


class SourceInstance(Protocol):
    """One file of an image source."""

    @property
    def reference(self) -> Sensitive[str]:
        """Return where the file is, printing as a local reference such as "file #17"."""
        ...

    def read(self) -> bytes:
        """Return the file's bytes; OSError if it cannot be read."""
        ...


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Group:
    """Files that belong together, as a rule those of one series.

    A source that has a `path` is read from there; it has to be there until `done` is called, which is once.
    """

    sources: Sequence[SourceInstance]
    done: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class Site:
    """What de-identification works with at a node."""

    identity: IdentityStore
    store: ResearchStore
    database: Engine
    clock: Clock


@dataclass(frozen=True, slots=True)
class Summary:
    """How many items ended how."""

    by_status: dict[Status, int]
    by_reason: dict[Reason, int]

    @property
    def failed(self) -> int:
        """Return the number of items in error."""
        return self.by_status.get(Status.ERROR, 0)


def deidentify(
    sources: Iterable[SourceInstance],
    order: Order,
    *,
    site: Site,
    agent: str,
    admitted: Admitted,
    workers: int = 1,
) -> Iterator[Outcome]:
    """Clean and store files one by one, as if each were a series; see `deidentify_series`."""
    groups = (Group((source,)) for source in sources)
    return deidentify_series(groups, order, site=site, agent=agent, admitted=admitted, workers=workers)


def deidentify_series(
    groups: Iterable[Group],
    order: Order,
    *,
    site: Site,
    agent: str,
    admitted: Admitted,
    workers: int = 1,
) -> Iterator[Outcome]:
    """Clean and store files series by series; yield one outcome per file, in the order in which they come.

    A series comes into the store whole or not at all; a bad file of it holds itself only, unless what is wrong concerns
    the series: two subjects, or a face.

    Args:
        groups: files by series; taken a few at a time.
        order: project and method.
        site: keys, store, database and clock.
        agent: who runs this, as a name of the site's own (goes into the fact sheets and the item rows).
        admitted: whose files may come in; of others nothing is kept.
        workers: processes that clean; 1 cleans in this one.

    Raises:
        BadProjectName: if the project's name cannot be used.
        StoreNotWritable: if the store cannot take a file; what is done stays done.
        UidsTangled: at the end, if two originals became one, or one became two.
    """
    checked_project(order.project)
    return _Run(order, site, agent, admitted, workers).all_groups(groups)


def summarise(outcomes: Iterable[Outcome]) -> Summary:
    """Count outcomes by status and reason."""
    counted = Counter((outcome.status, outcome.reason) for outcome in outcomes)
    by_status: Counter[Status] = Counter()
    by_reason: Counter[Reason] = Counter()
    for (status, reason), count in counted.items():
        by_status[status] += count
        if reason is not None:
            by_reason[reason] += count
    return Summary(dict(by_status), dict(by_reason))


@dataclass(frozen=True, slots=True)
class _Item:
    """One file of a group on its way: `reason` where there is nothing to clean, `withheld` the group of a held one."""

    reference: Sensitive[str]
    key: str = ""
    reason: Reason | None = None
    row: rows.ItemRow | None = None
    withheld: str | None = None
    was_clean: bool = False


@dataclass(slots=True)
class _Batch:
    """One group on its way: its items, and which of them the task's paths are."""

    group: Group
    task: Task
    items: list[_Item]
    places: list[int]


@dataclass(frozen=True, slots=True)
class _StoreKeys:
    """Where the identity store is: what is handed to other processes in its place."""

    path: Path

    def open(self) -> Identities:
        return _opened(self.path)


@dataclass(frozen=True, slots=True)
class _OpenKeys:
    """The identity store of this process."""

    identity: Identities

    def open(self) -> Identities:
        return self.identity


@lru_cache(maxsize=1)
def _opened(path: Path) -> IdentityStore:
    return IdentityStore(path)


class _Run:
    """One run under way: groups go in at one end, outcomes come out at the other in the same order."""

    def __init__(self, order: Order, site: Site, agent: str, admitted: Admitted, workers: int) -> None:
        self._order = order
        self._site = site
        self._agent = agent
        self._workers = workers
        keys: Keys = _OpenKeys(site.identity) if workers == 1 else _StoreKeys(site.identity.path)
        run = site.clock.new_id()
        with reading(site.database) as session:
            self._decisions = rows.decisions_of(session, order.project)
        self._job = Job(
            keys,
            order,
            self._decisions,
            agent,
            iso(site.clock.now()),
            admitted=admitted,
            believe_marks=False,
            links=links_key(site.identity, run),
        )
        self._staging = site.store.staging / run
        self._graph = UidGraph()
        self._waiting: deque[_Batch] = deque()

    def all_groups(self, groups: Iterable[Group]) -> Iterator[Outcome]:
        pool = workers_for(self._workers)
        try:
            with _storing():
                self._staging.mkdir(mode=0o700, parents=True)
            results = pool.in_order(clean_unit, self._tasks(groups), lost=lost_unit, stopped=lambda: False)
            while True:
                try:
                    result = next(results, None)
                except NotWritten as err:
                    raise not_writable(err.number) from err
                if result is None:
                    self._graph.check()
                    return
                yield from self._finished(self._waiting.popleft(), result)
        finally:
            pool.close()
            self._graph.close()
            for batch in self._waiting:
                batch.group.done()
            shutil.rmtree(self._staging, ignore_errors=True)

    def _tasks(self, groups: Iterable[Group]) -> Iterator[Task]:
        for number, group in enumerate(groups, 1):
            batch = self._batch(number, group)
            self._waiting.append(batch)
            yield batch.task

    def _batch(self, number: int, group: Group) -> _Batch:
        folder = self._staging / f"{number:09d}"
        items: list[_Item] = []
        places: list[int] = []
        paths: list[Path] = []
        digests: list[bytes] = []
        settled = set()
        withheld = {}
        for place, source in enumerate(group.sources):
            try:
                path = self._path_of(source, folder, place)
                digest = digest_of(path)
            except OSError:
                items.append(_Item(source.reference, reason=Reason.UNREADABLE))
                continue
            item = self._item(source.reference, digest)
            items.append(item)
            if item.reason is Reason.ALREADY_DEIDENTIFIED:
                continue
            if item.reason is Reason.ALREADY_DONE:
                settled.add(item.key)
            if item.withheld is not None:
                withheld[item.key] = item.withheld
            places.append(place)
            paths.append(path)
            digests.append(digest)
        unit = Unit(number, None, tuple(paths), 0, mixed=None)
        task = Task(
            self._job,
            unit,
            folder / "out",
            settled=frozenset(settled),
            digests=tuple(digests),
            withheld=withheld,
        )
        return _Batch(group, task, items, places)

    def _path_of(self, source: SourceInstance, folder: Path, place: int) -> Path:
        """Return where a source's bytes are on this machine; those of no file are written beside the work."""
        path = getattr(source, "path", None)
        if isinstance(path, Path):
            return path
        content = source.read()
        incoming = folder / "in" / f"{place:06d}"
        with _storing():
            incoming.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            incoming.write_bytes(content)
        return incoming

    def _item(self, reference: Sensitive[str], digest: bytes) -> _Item:
        key = self._site.identity.item_key(digest)
        with reading(self._site.database) as session:
            if rows.is_own_output(session, key):
                return _Item(reference, key, Reason.ALREADY_DEIDENTIFIED)
            row = rows.item_of(session, self._order.project, key)
        if row is not None and self._is_done(row):
            return _Item(reference, key, Reason.ALREADY_DONE, row)
        if row is None:
            return _Item(reference, key)
        withheld = row.grp if row.grp is not None and is_withheld(row.grp) else None
        return _Item(reference, key, withheld=withheld, was_clean=row.status == Status.OK.value)

    def _is_done(self, row: rows.ItemRow) -> bool:
        if row.method != self._order.method.digest or row.tool != TOOL:
            return False
        if row.verdict != self._verdict(row.grp, row.item_key):
            return False
        return row.status == Status.OK.value and row.path is not None and self._site.store.has(row.path)

    def _verdict(self, group: str | None, item: str) -> str | None:
        decided = None if group is None else self._decisions.for_item(item).of(group)
        return None if decided is None else decided.value

    def _finished(self, batch: _Batch, result: UnitResult) -> list[Outcome]:
        """Store a group's files and remember them, all or none; return the outcomes in the order of its sources."""
        try:
            by_digest = {file.digest: file for file in result.files}
            files = {file.place: file for file in result.files}
            outcomes: dict[int, Outcome] = {}
            stored = self._stored(batch, result)
            for place, where in enumerate(batch.places):
                item = batch.items[where]
                file = files.get(place)
                if file is None and place in result.copied:
                    file = by_digest[result.copied[place]]
                    row = stored.get(file.item)
                    reason = Reason.ALREADY_DONE if row is not None and row.reason is None else None
                    outcomes[where] = self._outcome(item, reason or _reason_of(row, file), row)
                elif file is None:
                    outcomes[where] = self._outcome(item, Reason.UNREADABLE)
                elif result.unchanged or (item.reason is Reason.ALREADY_DONE and _same(item.row, file)):
                    outcomes[where] = self._outcome(item, Reason.ALREADY_DONE, item.row)
                else:
                    row = stored.get(file.item)
                    outcomes[where] = self._outcome(item, _reason_of(row, file), row)
            return [
                outcomes.get(where) or self._outcome(item, item.reason, item.row)
                for where, item in enumerate(batch.items)
            ]
        finally:
            batch.group.done()
            shutil.rmtree(batch.task.folder.parent, ignore_errors=True)

    def _stored(self, batch: _Batch, result: UnitResult) -> dict[str, rows.ItemRow]:
        """Put a group's files into the store, each series at once, then remember what became of all."""
        if result.unchanged:
            return {}
        judged = self._put(batch, [self._judged(file) for file in result.files])
        clean = [file for file in judged if file.output is not None]
        references = {batch.items[where].key: batch.items[where].reference for where in batch.places}
        kept: dict[str, rows.ItemRow] = {}
        with writing(self._site.database) as session:
            for file in judged:
                if file.reason is Reason.NO_CONSENT:
                    continue
                row = kept[file.item] = self._row(session, file)
                rows.record_item(session, row)
                session.flush()
            self._record_work(session, batch, result, clean)
            series = {file.series_uid for file in clean}
            for sheet in result.facts:
                if sheet.series_uid in series:
                    rows.record_facts(session, self._order.project, sheet)
            self._record_faces(session, result, clean)
        for file in clean:
            if file.item in result.links:
                self._graph.add(result.links[file.item])
        left = self._left_meanwhile(result.files)
        if left:
            judged = [_withdrawn(file) if file.subject in left else file for file in judged]
            with writing(self._site.database) as session:
                for file in judged:
                    if file.reason is Reason.WITHDRAWN:
                        row = kept[file.item] = self._row(session, file)
                        rows.record_item(session, row)
                        session.flush()
        for file in judged:
            held = kept.get(file.item)
            # Where the file of somebody who withdrew is, is not noted: its path may name the subject.
            if held is not None and held.quarantine is not None and file.reason is not Reason.WITHDRAWN:
                self._site.identity.keep_reference(
                    self._order.project, held.quarantine, references[file.item], subject=file.subject_value
                )
        return kept

    def _record_faces(self, session: Session, result: UnitResult, clean: Sequence[FileResult]) -> None:
        """Remember of each series what became of its face; of a part of one only what is true of the whole."""
        outputs = {str(file.output) for file in clean}
        for series_uid, subject in sorted({(str(file.series_uid), str(file.subject)) for file in clean}):
            folders = {output.rpartition("/")[0] for output in outputs if f"/{series_uid}/" in output}
            stored = self._site.store.names(self._order.project, folders)
            record = record_work if stored <= outputs else record_part
            record(
                session,
                self._order.project,
                series_uid,
                result.faces[series_uid],
                subject=subject,
                clock=self._site.clock,
            )

    def _record_work(
        self, session: Session, batch: _Batch, result: UnitResult, clean: Sequence[FileResult]
    ) -> None:
        """Remember by which method a series was cleaned, and what became of its elements.

        Files that come beside those of the series which are there already are added to them. If some of those come
        again, the counts are those of the files that came now: `files` says of how many.
        """
        project, method = self._order.project, self._order.method
        work_rows.record_method(session, project, method.digest, method_told(method))
        by_series = {str(file.series_uid): str(file.subject) for file in clean}
        if len(by_series) != 1:
            return
        ((series_uid, subject),) = by_series.items()
        again = {item.key for item in batch.items if item.was_clean or item.reason is Reason.ALREADY_DONE}
        row = work_rows.SeriesWorkRow(
            project=project,
            series_uid=series_uid,
            subject=subject,
            files=len(clean),
            actions=work_rows.packed(result.actions),
            standard=None if result.standard is None else dict(result.standard),
        )
        work_rows.record_series(session, row, adds=not again & {file.item for file in clean})

    def _put(self, batch: _Batch, judged: list[FileResult]) -> list[FileResult]:
        """Move what is clean into the store; return the files as they are judged then."""
        while True:
            outputs = [str(file.output) for file in judged if file.output is not None]
            try:
                self._site.store.put_series(self._order.project, batch.task.folder, outputs)
            except StoreNotWritable:
                # Of a subject who left this moment the withdrawal has taken the files away.
                again = [self._judged(file) for file in judged]
                if again == judged:
                    raise
                judged = again
                continue
            return judged

    def _left_meanwhile(self, files: Sequence[FileResult]) -> set[str]:
        """Return the subjects that left while their files were stored; what was stored of them is deleted again."""
        site, project = self._site, self._order.project
        return {
            subject
            for subject in {str(file.subject) for file in files if file.output is not None}
            if cleared_if_left(site.identity, project, subject, store=site.store, database=site.database)
        }

    def _judged(self, file: FileResult) -> FileResult:
        """Take back what may not be stored: of a subject withdrawn meanwhile, or in the place of another file."""
        if file.output is None:
            return file
        if not self._site.identity.is_known(self._order.project, str(file.subject)):
            return _withdrawn(file)
        with reading(self._site.database) as session:
            maker = rows.maker_of(session, self._order.project, str(file.sop))
        there = self._site.store.root / self._order.project / file.output
        is_taken = maker != file.item and there.is_file()
        if is_taken and self._site.identity.item_key(digest_of(there)) != file.made:
            return replace(file, output=None, reason=Reason.DUPLICATE_INSTANCE)
        return file

    def _row(self, session: Session, file: FileResult) -> rows.ItemRow:
        # Every column is named, so that merging over an earlier row leaves nothing of it.
        is_clean = file.output is not None
        status = status_of(file.reason)
        quarantine = None
        if status is Status.IMPOSSIBLE:
            known = rows.item_of(session, self._order.project, file.item)
            name = known.quarantine if known is not None else None
            quarantine = name or rows.next_quarantine_name(session, self._order.project)
        return rows.ItemRow(
            project=self._order.project,
            item_key=file.item,
            profile=self._order.method.profile.value,
            method=self._order.method.digest,
            tool=TOOL,
            status=status.value,
            reason=None if file.reason is None else file.reason.value,
            grp=file.group,
            verdict=file.verdict,
            quarantine=quarantine,
            size=file.size,
            work=file.work if is_clean else None,
            subject=file.subject if is_clean else None,
            study_uid=file.study_uid if is_clean else None,
            series_uid=file.series_uid if is_clean else None,
            sop_uid=file.sop if is_clean else None,
            path=f"{self._order.project}/{file.output}" if is_clean else None,
            output_key=file.made if is_clean else None,
            key_epoch=file.key_epoch if is_clean else None,
            agent=self._agent,
            finished_at=self._site.clock.now(),
        )

    def _outcome(self, item: _Item, reason: Reason | None, row: rows.ItemRow | None = None) -> Outcome:
        status, profile = status_of(reason), self._order.method.profile
        if row is None:
            return Outcome(str(item.reference), status, profile, reason)
        return Outcome(
            item=str(item.reference),
            status=status,
            profile=profile,
            reason=reason,
            subject=row.subject,
            study_uid=row.study_uid,
            series_uid=row.series_uid,
            sop_uid=row.sop_uid,
            path=PurePosixPath(row.path) if row.path else None,
            quarantine=row.quarantine,
        )


def _withdrawn(file: FileResult) -> FileResult:
    return FileResult(file.place, file.digest, file.item, file.size, reason=Reason.WITHDRAWN)


def _reason_of(row: rows.ItemRow | None, file: FileResult) -> Reason | None:
    if row is None:
        return file.reason
    return None if row.reason is None else Reason(row.reason)


def _same(row: rows.ItemRow | None, file: FileResult) -> bool:
    """Tell whether a file that was done before came out as it was."""
    return row is not None and file.output is not None and row.output_key == file.made


@contextmanager
def _storing() -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise not_writable(err.errno) from err
