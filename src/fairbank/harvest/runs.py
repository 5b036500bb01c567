"""Pulling: from an archive through de-identification into the research store, one series after the other.

One bad file or series never stops the rest. A series that is done and unchanged is not fetched again; after a kill the
run is simply repeated. What is fetched from an archive lies in a private folder of the node only while it is cleaned.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from fairbank.database import reading, writing
from fairbank.deid.admission import PixelTrust
from fairbank.deid.admitted import Admitted
from fairbank.deid.cleaning import Order
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore, checked_project
from fairbank.deid.outcomes import Outcome, Reason, Status
from fairbank.deid.pipeline import Site, deidentify
from fairbank.deid.profiles import Profile
from fairbank.deid.research_store import ResearchStore
from fairbank.errors import FairbankError, Sensitive
from fairbank.harvest.bookkeeping import Route, check_way
from fairbank.harvest.consents import admitted, gate
from fairbank.harvest.errors import HarvestError, SourceLoginRefused, SourceUnreachable
from fairbank.harvest.index import LIVE, MISSING
from fairbank.harvest.reports import ItemResult, Progress, ProgressCallback, RunKind, RunReport, RunState
from fairbank.harvest.rows import SOFTWARE
from fairbank.harvest.sources.opening import open_source
from fairbank.harvest.sources.protocol import Item, Snapshot, Source
from fairbank.harvest.store import ItemRow, RunRow
from fairbank.release.node import Node

INCOMING = "incoming"


@dataclass(frozen=True, slots=True)
class PullOrder:
    """What to pull, and how it is cleaned.

    Attributes:
        source: name of the source at the node.
        container: the archive's project, or the folder's subfolder.
        project: project of the research store that it goes to.
        agent: who runs this, as a name of the site's own.
        again: fetch also what is done and unchanged, such as after files were lost from the store.
    """

    source: str
    container: str
    project: str
    agent: str
    profile: Profile = Profile.RESEARCH
    trust: PixelTrust = PixelTrust.STRICT
    again: bool = False


def pull(node: Node, order: PullOrder, *, progress: ProgressCallback | None = None) -> RunReport:
    """Fetch what is new in a container, de-identify it, and put it into the research store.

    Raises:
        UnknownSource: if the node has no such source.
        NoLegalBasis: if neither consent nor another basis covers anybody of the project; nothing is asked for then.
        NotInSource: if the source has no such container.
        SourceUnreachable, SourceLoginRefused: if the archive goes away; what is done stays done.
        StoreNotWritable: if the research store cannot take a file; what is done stays done.
    """
    checked_project(order.project)
    with reading(node.engine) as session:
        check_way(session, Route(order.source, order.container, order.project), RunKind.PULL)
        may = admitted(session, gate(session, order.project, at=node.clock.now()))
    with contextlib.closing(open_source(node, order.source)) as source:
        version = source.check().version
        snapshot = source.snapshot(order.container)
        run = _begin(node, order, source, version)
        try:
            results = _Pull(node, order, source, snapshot, run.id, may, progress).all_items()
        except FairbankError:
            _finish(node, run.id, RunState.FAILED, {})
            raise
    missing = _mark_missing(node, order, snapshot)
    report = RunReport(
        run.id, RunKind.PULL, run.started, node.clock.now(), tuple(results), missing, snapshot.complete
    )
    _finish(node, run.id, RunState.FINISHED, report.counts())
    return report


@dataclass(frozen=True, slots=True)
class _SourceFile:
    """A file of an archive, as de-identification takes it."""

    path: Path
    reference: Sensitive[str]

    def read(self) -> bytes:
        return self.path.read_bytes()


@dataclass(slots=True, eq=False)
class _Open:
    """An item on its way: what became of its files so far."""

    number: int
    item: Item
    files: dict[str, int] = field(default_factory=dict)
    statuses: set[Status] = field(default_factory=set)
    error: str | None = None

    def add(self, outcome: Outcome) -> None:
        word = outcome.reason.value if outcome.reason else outcome.status.value
        self.files[word] = self.files.get(word, 0) + 1
        self.statuses.add(outcome.status)

    @property
    def unsettled(self) -> bool:
        """Tell whether the next run should look at the item again although it has not changed."""
        return self.result().status is Status.ERROR or Reason.NO_CONSENT.value in self.files

    def result(self) -> ItemResult:
        if self.error is not None or Status.ERROR in self.statuses:
            status = Status.ERROR
        elif Status.OK in self.statuses:
            status = Status.OK
        else:
            status = Status.IMPOSSIBLE if Status.IMPOSSIBLE in self.statuses else Status.NOT_NEEDED
        return ItemResult(f"series #{self.number}", status, dict(sorted(self.files.items())), self.error)


class _Pull:
    """One pull under way: files go in at one end, outcomes come out at the other in the same order."""

    def __init__(
        self,
        node: Node,
        order: PullOrder,
        source: Source,
        snapshot: Snapshot,
        run: str,
        may: Admitted,
        progress: ProgressCallback | None,
    ) -> None:
        self._node = node
        self._order = order
        self._source = source
        self._items = snapshot.items
        self._run = run
        self._may = may
        self._progress = progress
        self._files = 0
        self._results: list[ItemResult] = []
        # Items whose files have all been handed over, and to which item each file under way belongs.
        self._under_way: deque[_Open] = deque()
        self._closing: deque[_Open] = deque()

    def all_items(self) -> list[ItemResult]:
        """Clean all items and return their results in the order of the snapshot."""
        settings = self._node.settings
        identity = IdentityStore.open_or_create(settings.home / IDENTITY_FILE, clock=self._node.clock)
        site = Site(identity, ResearchStore(settings.store_path), self._node.engine, self._node.clock)
        order = Order(self._order.project, self._order.profile, self._order.trust)
        try:
            outcomes = deidentify(
                self._instances(),
                order,
                site=site,
                agent=self._order.agent,
                admitted=self._may,
                workers=settings.deid_workers,
            )
            for outcome in outcomes:
                self._under_way.popleft().add(outcome)
                self._settle()
            self._settle()
        finally:
            identity.close()
        return sorted(self._results, key=lambda result: int(result.reference.rpartition("#")[2]))

    def _instances(self) -> Iterator[_SourceFile]:
        done = {} if self._order.again else self._done()
        for number, item in enumerate(self._items, start=1):
            opened = _Open(number, item)
            if done.get(item.local_id) == item.version:
                self._give(ItemResult(f"series #{number}", Status.NOT_NEEDED, {"unchanged": item.files or 0}))
                continue
            yield from self._fetched(opened)
            self._closing.append(opened)

    def _fetched(self, opened: _Open) -> Iterator[_SourceFile]:
        incoming = self._node.settings.home / INCOMING
        incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=incoming) as folder:
            instances = self._source.fetch(self._order.container, opened.item, Path(folder))
            try:
                for instance in instances:
                    self._files += 1
                    where = f"{self._order.source}/{opened.item.local_id}/{instance.name.reveal()}"
                    self._under_way.append(opened)
                    yield _SourceFile(instance.path, Sensitive(where, reference=f"file #{self._files}"))
            except (SourceUnreachable, SourceLoginRefused):
                raise
            except HarvestError as err:
                opened.error = err.code

    def _settle(self) -> None:
        """Record every item all of whose files have come out."""
        while self._closing and self._closing[0] not in self._under_way:
            opened = self._closing.popleft()
            result = opened.result()
            with writing(self._node.engine) as session:
                session.merge(
                    ItemRow(
                        source=self._order.source,
                        container=self._order.container,
                        project=self._order.project,
                        local_id=opened.item.local_id,
                        # Without a version the next run takes it again: it was in error, or consent may come.
                        version="" if opened.unsettled else self._stamp(opened.item),
                        digest="",
                        series_uid=None,
                        state=LIVE,
                        misses=0,
                        reason=None,
                        gone=None,
                        results=result.files,
                        run=self._run,
                    )
                )
            self._give(result)

    def _give(self, result: ItemResult) -> None:
        self._results.append(result)
        if self._progress is not None:
            self._progress(Progress(len(self._results), len(self._items), result))

    def _done(self) -> dict[str, str]:
        """Return the version of each item that is done under the same profile, tool and trust."""
        with reading(self._node.engine) as session:
            rows = session.scalars(
                select(ItemRow).where(
                    ItemRow.source == self._order.source,
                    ItemRow.container == self._order.container,
                    ItemRow.project == self._order.project,
                )
            )
            stamps = {row.local_id: row.version for row in rows}
        return {
            item.local_id: item.version
            for item in self._items
            if stamps.get(item.local_id) == self._stamp(item)
        }

    def _stamp(self, item: Item) -> str:
        return f"{item.version} {self._order.profile.value} {self._order.trust.value} {SOFTWARE}"


def _begin(node: Node, order: PullOrder, source: Source, version: str) -> RunRow:
    run = RunRow(
        id=node.clock.new_id(),
        kind=RunKind.PULL.value,
        source=order.source,
        source_kind=source.kind.value,
        source_version=version,
        container=order.container,
        project=order.project,
        state=RunState.RUNNING.value,
        software=SOFTWARE,
        profile=order.profile.value,
        started=node.clock.now(),
        ended=None,
        counts={},
    )
    with writing(node.engine) as session:
        session.add(run)
    return run


def _finish(node: Node, run: str, state: RunState, counts: dict[str, object]) -> None:
    with writing(node.engine) as session:
        row = session.get_one(RunRow, run)
        row.state, row.ended, row.counts = state.value, node.clock.now(), counts


def _mark_missing(node: Node, order: PullOrder, snapshot: Snapshot) -> int:
    """Mark items that a complete snapshot no longer lists; their cleaned files stay until somebody decides."""
    if not snapshot.complete:
        return 0
    present = {item.local_id for item in snapshot.items}
    missing = 0
    with writing(node.engine) as session:
        rows = session.scalars(
            select(ItemRow).where(
                ItemRow.source == order.source,
                ItemRow.container == order.container,
                ItemRow.project == order.project,
                ItemRow.state == LIVE,
            )
        )
        for row in rows:
            if row.local_id not in present:
                row.state, row.version = MISSING, ""
                missing += 1
    return missing
