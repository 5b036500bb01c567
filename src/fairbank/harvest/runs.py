"""Pulling: from an archive through de-identification into the research store, one series after the other.

One bad file or series never stops the rest. A series that is done and unchanged is not fetched again; after a kill the
run is simply repeated. What is fetched from an archive lies in a private folder of the node only while it is cleaned.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from fairbank.database import reading, writing
from fairbank.deid.admitted import Admitted
from fairbank.deid.cleaning import Order
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore, checked_project
from fairbank.deid.method import Method
from fairbank.deid.outcomes import Outcome, Reason, Status
from fairbank.deid.pipeline import Group, Site, deidentify_series
from fairbank.deid.policies import FacePolicy, PixelTrust
from fairbank.deid.profiles import Profile
from fairbank.deid.research_store import ResearchStore
from fairbank.errors import Sensitive
from fairbank.harvest.bookkeeping import Route, begin_run, check_way, end_run, noted, put_items
from fairbank.harvest.consents import admitted, gate
from fairbank.harvest.decided_faces import decided_at
from fairbank.harvest.errors import HarvestError, SourceLoginRefused, SourceUnreachable
from fairbank.harvest.looks import DO_AGAIN, Forecast, Seen, conclude, forecast, look_at
from fairbank.harvest.reports import (
    ItemResult,
    Progress,
    ProgressCallback,
    RunKind,
    RunReport,
    RunState,
    Tally,
)
from fairbank.harvest.rows import SOFTWARE
from fairbank.harvest.run_lock import alone
from fairbank.harvest.sources.opening import open_source
from fairbank.harvest.sources.protocol import Capability, DescribesSeries, Item, Source, SourceKind
from fairbank.harvest.states import State
from fairbank.harvest.sync import Look
from fairbank.release.node import Node

INCOMING = "incoming"
_ASKED_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class PullOrder:
    """What to pull, and how it is cleaned.

    Attributes:
        source: name of the source at the node.
        container: the archive's project, or the folder's subfolder.
        project: project of the research store that it goes to.
        agent: who runs this, as a name of the site's own.
        again: fetch also what is done and unchanged, such as after files were lost from the store.
        faces: what becomes of heads; None leaves it to what was decided for the project.
        deface_command: the site's own program that removes faces, if any.
    """

    source: str
    container: str
    project: str
    agent: str
    profile: Profile = Profile.RESEARCH
    trust: PixelTrust = PixelTrust.STRICT
    again: bool = False
    faces: FacePolicy | None = None
    deface_command: str = ""

    @property
    def route(self) -> Route:
        """Return where the series come from and go to."""
        return Route(self.source, self.container, self.project)

    @property
    def method(self) -> Method:
        """Return how files are de-identified."""
        faces = self.faces or FacePolicy.HOLD
        return Method(self.profile, trust=self.trust, faces=faces, deface_command=self.deface_command)

    def decided(self, node: Node) -> PullOrder:
        """Return the order with what was decided at the node of the project's heads.

        Raises:
            FacesUndecided, FaceDecisionDamaged: if what it asks for was not decided, or the decision cannot be trusted.
        """
        faces = decided_at(node, self.project, self.faces)
        return replace(self, faces=faces, deface_command=node.settings.deface_command)

    def stamp(self, item: Item) -> str:
        """Return under what an item is noted once it is done: another method or tool does it again."""
        return f"{item.version} {self.method.digest} {SOFTWARE}"


def pull(node: Node, order: PullOrder, *, progress: ProgressCallback | None = None) -> RunReport:
    """Fetch what is new in a container, de-identify it, and put it into the research store.

    Raises:
        UnknownSource: if the node has no such source.
        NoLegalBasis: if neither consent nor another basis covers anybody of the project; nothing is asked for then.
        NotInSource, SourceForbidden: if the source does not show the container, and never did.
        AnotherWay: if the container's headers are harvested into the project already.
        FacesUndecided, FaceDecisionDamaged: if the project's decision on faces does not allow the run.
        RunUnderWay: if another process pulls the container at the moment.
        SourceUnreachable, SourceLoginRefused: if the archive goes away; what is done stays done.
        StoreNotWritable: if the research store cannot take a file; what is done stays done.
    """
    checked_project(order.project)
    with contextlib.closing(open_source(node, order.source)) as source:
        return pull_from(node, order, source, progress=progress)


def pull_from(
    node: Node, order: PullOrder, source: Source, *, progress: ProgressCallback | None = None
) -> RunReport:
    """Fetch what is new in a container of an opened source; see `pull`."""
    order = order.decided(node)
    with alone(node, order.route):
        return _pulled(node, order, source, progress)


def rehearse_pull(node: Node, order: PullOrder) -> Forecast:
    """Return what a pull would do, without fetching or writing anything; see `pull` for what it raises."""
    checked_project(order.project)
    order = order.decided(node)
    with contextlib.closing(open_source(node, order.source)) as source:
        with reading(node.engine) as session:
            check_way(session, order.route, RunKind.PULL)
        source.check()
        return forecast(node, order.route, _look(node, order, source))


def _pulled(node: Node, order: PullOrder, source: Source, progress: ProgressCallback | None) -> RunReport:
    with reading(node.engine) as session:
        may = admitted(session, gate(session, order.project, at=node.clock.now()))
        check_way(session, order.route, RunKind.PULL)
    checked = source.check()
    seen = _look(node, order, source)
    tally = Tally(unchanged=seen.plan.unchanged, unchanged_files=seen.plan.unchanged_files)
    with writing(node.engine) as session:
        run = begin_run(
            node,
            session,
            order.route,
            kind=RunKind.PULL,
            source=source,
            version=checked.version,
            profile=order.profile.value,
        )
    try:
        results = _Pull(node, order, source, seen.plan.work, run.id, may, tally, progress).all_items()
    except Exception:
        with writing(node.engine) as session:
            end_run(session, run.id, RunState.FAILED, at=node.clock.now(), counts={"tally": tally.as_json()})
        raise
    report = RunReport(
        run.id,
        RunKind.PULL,
        run.started,
        node.clock.now(),
        tuple(results),
        missing=0,
        complete=seen.complete,
        tally=tally,
    )
    return conclude(node, order.route, seen, report, clock_offset_s=checked.clock_offset_s)


def _look(node: Node, order: PullOrder, source: Source) -> Seen:
    """Look at the whole container; what is done under the same profile, tool and trust is done."""

    def stamp(item: Item) -> str:
        return DO_AGAIN if order.again else order.stamp(item)

    return look_at(node, source, order.route, look=Look.WHOLE, stamp=stamp)


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

    def turn_away(self) -> None:
        """Note that the item's subject may not come in, so that nothing of it was fetched."""
        self.files[Reason.NO_CONSENT.value] = self.item.files or 1
        self.statuses.add(Status.IMPOSSIBLE)

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
        items: Sequence[Item],
        run: str,
        may: Admitted,
        tally: Tally,
        progress: ProgressCallback | None,
    ) -> None:
        self._node = node
        self._order = order
        self._source = source
        self._items = items
        self._run = run
        self._may = may
        self._identity: IdentityStore
        self._tally = tally
        self._progress = progress
        self._files = 0
        self._results: list[ItemResult] = []
        # Items whose files have all been handed over, and to which item each file under way belongs.
        self._under_way: deque[_Open] = deque()
        self._closing: deque[_Open] = deque()

    def all_items(self) -> list[ItemResult]:
        """Clean all items and return their results in their order."""
        settings = self._node.settings
        identity = IdentityStore.open_or_create(settings.home / IDENTITY_FILE, clock=self._node.clock)
        self._identity = identity
        site = Site(identity, ResearchStore(settings.store_path), self._node.engine, self._node.clock)
        order = Order(self._order.project, self._order.method)
        try:
            outcomes = deidentify_series(
                self._groups(),
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

    def _groups(self) -> Iterator[Group]:
        for start in range(0, len(self._items), _ASKED_AT_ONCE):
            page = self._items[start : start + _ASKED_AT_ONCE]
            turned_away = self._turned_away(page)
            for number, item in enumerate(page, start=start + 1):
                opened = _Open(number, item)
                if item.local_id in turned_away:
                    opened.turn_away()
                    self._closing.append(opened)
                    continue
                yield self._fetched(opened)

    def _turned_away(self, items: Sequence[Item]) -> set[str]:
        """Return the items of which the source says, before anything is fetched, that their subject may not come in.

        Files on this machine are read in place, so nothing is gained by asking. Where the source cannot tell, the
        file's own header decides.
        """
        source = self._source
        if (
            self._may.is_everybody
            or source.kind is SourceKind.FOLDER
            or not isinstance(source, DescribesSeries)
            or Capability.DESCRIBES not in source.capabilities
        ):
            return set()
        found = set()
        try:
            for one in source.describe(self._order.container, items):
                said = one.description
                if said and not self._may.admits(self._identity.consent_key(said.subject.reveal())):
                    found.add(one.item.local_id)
        except (SourceUnreachable, SourceLoginRefused):
            raise
        except HarvestError:
            # Of the rest of the page each file's own header decides.
            pass
        return found

    def _fetched(self, opened: _Open) -> Group:
        """Fetch an item; its files are there until its group is done."""
        incoming = self._node.settings.home / INCOMING
        incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=incoming)
        sources: list[_SourceFile] = []
        try:
            for instance in self._source.fetch(self._order.container, opened.item, Path(folder.name)):
                self._files += 1
                where = f"{self._order.source}/{opened.item.local_id}/{instance.name.reveal()}"
                sources.append(_SourceFile(instance.path, Sensitive(where, reference=f"file #{self._files}")))
        except (SourceUnreachable, SourceLoginRefused):
            folder.cleanup()
            raise
        except HarvestError as err:
            opened.error = err.code
        self._under_way.extend([opened] * len(sources))
        self._closing.append(opened)
        return Group(sources, folder.cleanup)

    def _settle(self) -> None:
        """Record every item all of whose files have come out."""
        while self._closing and self._closing[0] not in self._under_way:
            opened = self._closing.popleft()
            result = opened.result()
            with writing(self._node.engine) as session:
                self._note(session, opened, result)
            self._give(result)

    def _note(self, session: Session, opened: _Open, result: ItemResult) -> None:
        """Note what became of an item; an unsettled one gets no version, so that the next run takes it again."""
        route, item = self._order.route, opened.item
        known = noted(session, route, [item.local_id]).get(item.local_id)
        row = {
            "version": "" if opened.unsettled else self._order.stamp(item),
            "digest": "",
            "series_uid": None,
            "state": State.LIVE.value,
            "misses": 0,
            "reason": None,
            "gone": None,
            "results": result.files,
            "run": self._run,
        }
        put_items(session, [route.key(item.local_id) | row])
        self._count(known, result.status)

    def _count(self, known: Mapping[str, Any] | None, status: Status) -> None:
        if status is Status.ERROR:
            self._tally.errors += 1
        elif status is Status.IMPOSSIBLE:
            self._tally.left_out += 1
        elif known is not None and known["state"] == State.TOMBSTONED:
            self._tally.returned += 1
        elif known is None or not known["version"]:
            self._tally.added += 1
        else:
            self._tally.updated += 1

    def _give(self, result: ItemResult) -> None:
        self._results.append(result)
        if self._progress is not None:
            self._progress(Progress(len(self._results), len(self._items), result))
