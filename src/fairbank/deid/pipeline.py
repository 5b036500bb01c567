"""The pipeline: takes source files one by one, cleans them, stores them, and says of each what became of it.

One bad file never stops the rest. Running again skips what is done; after a kill it goes on where it stopped, because a
file is stored before it is remembered and the same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import Protocol

from sqlalchemy.engine import Engine

from fairbank.clock import Clock
from fairbank.database import reading, writing
from fairbank.deid import store as rows
from fairbank.deid.admitted import Admitted
from fairbank.deid.cleaning import TOOL, Cleaned, Held, Order, clean_file
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IdentityStore, checked_project
from fairbank.deid.outcomes import Outcome, Reason, Refused, Status
from fairbank.deid.research_store import ResearchStore
from fairbank.errors import Sensitive

_WAITING_PER_WORKER = 4


class SourceInstance(Protocol):
    """One file of an image source."""

    @property
    def reference(self) -> Sensitive[str]:
        """Return where the file is, printing as a local reference such as "file #17"."""
        ...

    def read(self) -> bytes:
        """Return the file's bytes; OSError if it cannot be read."""
        ...


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
    """Clean and store files; yield one outcome per file, in the order in which they come.

    Args:
        sources: the files; read one at a time.
        order: project, profile and what is believed of pixels.
        site: keys, store, database and clock.
        agent: who runs this, as a name of the site's own (goes into the fact sheets and the item rows).
        admitted: whose files may come in; of others nothing is kept.
        workers: processes that clean; 1 cleans in this one.

    Raises:
        BadProjectName: if the project's name cannot be used.
        StoreNotWritable: if the store cannot take a file; what is done stays done.
    """
    checked_project(order.project)
    run = _Run(order, site, agent, admitted)
    return run.in_parallel(sources, workers) if workers > 1 else run.one_by_one(sources)


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
    reference: Sensitive[str]
    key: str
    content: bytes


@dataclass(frozen=True, slots=True)
class _Run:
    order: Order
    site: Site
    agent: str
    admitted: Admitted

    def one_by_one(self, sources: Iterable[SourceInstance]) -> Iterator[Outcome]:
        for source in sources:
            item = self._taken(source)
            if isinstance(item, Outcome):
                yield item
                continue
            result = clean_file(
                item.content,
                self.order,
                identity=self.site.identity,
                recorder=self._recorder(),
                admitted=self.admitted,
            )
            yield self._finished(item, result)

    def in_parallel(self, sources: Iterable[SourceInstance], workers: int) -> Iterator[Outcome]:
        """Clean in spawned processes; only this one writes, so the order of results is the order of sources."""
        waiting: deque[Outcome | tuple[_Item, Future[Cleaned | Held]]] = deque()
        context = get_context("spawn")
        given = (self.site.identity.path, self.admitted)
        with ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start_worker, initargs=given
        ) as pool:
            for source in sources:
                item = self._taken(source)
                if isinstance(item, Outcome):
                    waiting.append(item)
                else:
                    future = pool.submit(_clean_in_worker, item.content, self.order, self._recorder())
                    waiting.append((item, future))
                while len(waiting) > workers * _WAITING_PER_WORKER:
                    yield self._next(waiting)
            while waiting:
                yield self._next(waiting)

    def _next(self, waiting: deque[Outcome | tuple[_Item, Future[Cleaned | Held]]]) -> Outcome:
        first = waiting.popleft()
        if isinstance(first, Outcome):
            return first
        item, future = first
        return self._finished(item, future.result())

    def _recorder(self) -> Recorder:
        return Recorder(agent=self.agent, at=self.site.clock.now(), tool=TOOL)

    def _taken(self, source: SourceInstance) -> _Item | Outcome:
        """Return the file with its key, or the outcome if there is nothing to clean."""
        try:
            content = source.read()
        except OSError:
            return self._outcome(str(source.reference), Reason.UNREADABLE)
        key = self.site.identity.item_key(hashlib.sha256(content).digest())
        with reading(self.site.database) as session:
            if rows.is_own_output(session, key):
                return self._outcome(str(source.reference), Reason.ALREADY_DEIDENTIFIED)
            row = rows.item_of(session, self.order.project, key)
        if row is not None and self._is_done(row):
            return self._outcome(str(source.reference), Reason.ALREADY_DONE, row)
        return _Item(source.reference, key, content)

    def _is_done(self, row: rows.ItemRow) -> bool:
        same = row.profile == self.order.profile.value and row.tool == TOOL
        return (
            same and row.status == Status.OK.value and row.path is not None and self.site.store.has(row.path)
        )

    def _finished(self, item: _Item, result: Cleaned | Held) -> Outcome:
        if isinstance(result, Held):
            return self._held(item, result)
        if not self.site.identity.is_known(self.order.project, result.subject):
            return self._held(item, Held(Reason.WITHDRAWN))  # while the file was being cleaned
        with reading(self.site.database) as session:
            maker = rows.maker_of(session, self.order.project, result.sop_uid)
        try:
            path = self.site.store.put(self.order.project, result, replace=maker == item.key)
        except Refused as refused:
            return self._held(item, Held(refused.reason))
        row = self._row(item.key, Status.OK)
        row.subject, row.study_uid, row.series_uid = result.subject, result.study_uid, result.series_uid
        row.sop_uid, row.path, row.key_epoch = result.sop_uid, str(path), result.key_epoch
        row.output_key = self.site.identity.item_key(hashlib.sha256(result.content).digest())
        with writing(self.site.database) as session:
            rows.record_item(session, row)
            rows.record_facts(session, self.order.project, result.facts)
        return self._outcome(str(item.reference), None, row)

    def _held(self, item: _Item, held: Held) -> Outcome:
        if held.reason is Reason.NO_CONSENT:
            return self._outcome(str(item.reference), held.reason)
        row = self._row(item.key, held.reason.status)
        row.reason = held.reason.value
        with writing(self.site.database) as session:
            known = rows.item_of(session, self.order.project, item.key)
            if held.reason.status is Status.IMPOSSIBLE:
                name = known.quarantine if known is not None else None
                row.quarantine = name or rows.next_quarantine_name(session, self.order.project)
            rows.record_item(session, row)
        if row.quarantine is not None:
            self.site.identity.keep_reference(
                self.order.project, row.quarantine, item.reference, subject=held.subject
            )
        return self._outcome(str(item.reference), held.reason, row)

    def _row(self, key: str, status: Status) -> rows.ItemRow:
        # Every column is named, so that merging over an earlier row leaves nothing of it.
        return rows.ItemRow(
            project=self.order.project,
            item_key=key,
            profile=self.order.profile.value,
            tool=TOOL,
            status=status.value,
            reason=None,
            quarantine=None,
            subject=None,
            study_uid=None,
            series_uid=None,
            sop_uid=None,
            path=None,
            output_key=None,
            key_epoch=None,
            agent=self.agent,
            finished_at=self.site.clock.now(),
        )

    def _outcome(self, item: str, reason: Reason | None, row: rows.ItemRow | None = None) -> Outcome:
        if row is None:
            return Outcome(item, reason.status if reason else Status.OK, self.order.profile, reason)
        return Outcome(
            item=item,
            status=reason.status if reason else Status.OK,
            profile=self.order.profile,
            reason=reason,
            subject=row.subject,
            study_uid=row.study_uid,
            series_uid=row.series_uid,
            sop_uid=row.sop_uid,
            path=PurePosixPath(row.path) if row.path else None,
            quarantine=row.quarantine,
        )


_worker: tuple[IdentityStore, Admitted] | None = None


def _start_worker(identity: Path, admitted: Admitted) -> None:
    global _worker
    _worker = IdentityStore(identity), admitted


def _clean_in_worker(content: bytes, order: Order, recorder: Recorder) -> Cleaned | Held:
    if _worker is None:
        raise RuntimeError("a worker was not started by the pipeline")
    identity, admitted = _worker
    return clean_file(content, order, identity=identity, recorder=recorder, admitted=admitted)
