"""Harvesting headers: an archive whose images are de-identified already is described in the index, never copied.

First all items of a container are listed with their versions; then only what is new or changed is described. Each page
of descriptions is one transaction, so a run that was killed is simply repeated. No job reads such series: their files
are not at the node.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.deid.facts import Recorder
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore, checked_project
from fairbank.deid.outcomes import Status
from fairbank.harvest.bookkeeping import Route, begin_run, check_way, end_run, note_archive, progress_of
from fairbank.harvest.consents import admitted, gate
from fairbank.harvest.errors import NotDescribable
from fairbank.harvest.fetched_headers import FetchedHeaders
from fairbank.harvest.gatekeeper import Gatekeeper, settle
from fairbank.harvest.intake import Intake
from fairbank.harvest.looks import Forecast, Seen, choose_look, conclude, forecast, look_at
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
from fairbank.harvest.runs import INCOMING
from fairbank.harvest.sources.opening import open_source
from fairbank.harvest.sources.protocol import (
    ArchiveDeid,
    Capability,
    DeidFacts,
    DescribesSeries,
    Item,
    Source,
)
from fairbank.harvest.store import RunRow
from fairbank.harvest.sync import Look, is_due
from fairbank.harvest.verdicts import Judge
from fairbank.release.node import Node

_MOST_RESULTS = 1000


@dataclass(frozen=True, slots=True)
class HarvestOrder:
    """What to describe, and where to.

    Attributes:
        source: name of the source at the node.
        container: the part of it that is described.
        project: the project whose index it comes into.
        agent: who runs this, as a name of the site's own.
        full: describe everything again, even if it is not yet due.
        changes_only: look only at what the archive says has changed, where it can say so; nothing is found missing.
    """

    source: str
    container: str
    project: str
    agent: str
    full: bool = False
    changes_only: bool = False

    @property
    def route(self) -> Route:
        """Return where the series come from and go to."""
        return Route(self.source, self.container, self.project)


def harvest(
    node: Node, order: HarvestOrder, *, judge: Judge | None = None, progress: ProgressCallback | None = None
) -> RunReport:
    """Describe in the index what is new or changed in a container of a source of this node.

    Args:
        judge: who decides which series come in, and which of them may be published; by default the `Gatekeeper`.

    Raises:
        NoLegalBasis: if neither consent nor another basis covers anybody of the project; nothing is asked for then.
        UnknownSource: if the node has no such source.
        NotInSource, SourceForbidden: if the source does not show the container, and never did.
        NotDescribable: if the source can neither describe series nor give their files.
        AnotherWay: if the container is pulled into the project already.
        RunUnderWay: if another process harvests the container at the moment.
        SourceUnreachable, SourceLoginRefused: if the archive goes away; what is done stays done.
    """
    checked_project(order.project)
    with contextlib.closing(open_source(node, order.source)) as source:
        return harvest_from(node, order, source, judge=judge, progress=progress)


def harvest_from(
    node: Node,
    order: HarvestOrder,
    source: Source,
    *,
    judge: Judge | None = None,
    progress: ProgressCallback | None = None,
) -> RunReport:
    """Describe in the index what is new or changed in a container of an opened source; see `harvest`."""
    with alone(node, order.route):
        return _harvested(node, order, source, judge, progress)


def rehearse(node: Node, order: HarvestOrder) -> Forecast:
    """Return what a harvest would do, without writing anything; see `harvest` for what it raises."""
    checked_project(order.project)
    with contextlib.closing(open_source(node, order.source)) as source:
        return rehearse_from(node, order, source)


def rehearse_from(node: Node, order: HarvestOrder, source: Source) -> Forecast:
    """Return what a harvest of an opened source would do, without writing anything."""
    with reading(node.engine) as session:
        check_way(session, order.route, RunKind.HARVEST)
    source.check()
    plan = _begin_look(node, order, source)
    return forecast(node, order.route, look_at(node, source, order.route, look=plan.look, stamp=plan.stamp))


def _harvested(
    node: Node, order: HarvestOrder, source: Source, judge: Judge | None, progress: ProgressCallback | None
) -> RunReport:
    with reading(node.engine) as session:
        check_way(session, order.route, RunKind.HARVEST)
        if judge is None:
            admitted(session, gate(session, order.project, at=node.clock.now()))
    describer = _describer(node, order, source)
    checked = source.check()
    plan = _begin_look(node, order, source)
    seen = look_at(node, source, order.route, look=plan.look, stamp=plan.stamp)
    tally = Tally(unchanged=seen.plan.unchanged)
    run = _begin(
        node, order, source, version=checked.version, full_from=plan.mark if _is_full(seen) else None
    )
    try:
        archive = _archive(source, order.container)
        with writing(node.engine) as session:
            note_archive(session, run.id, archive)
        with contextlib.closing(_identity(node)) as identity:
            settle(node, order.project, identity)
            intake = Intake(
                node,
                order.route,
                run=run.id,
                stamp=plan.stamp,
                describer=describer,
                identity=identity,
                judge=judge or Gatekeeper(node, order.route, identity),
                archive=archive,
                tally=tally,
            )
            results = _take_all(intake, seen.plan.work, node.settings.harvest_page_items, progress)
            settle(node, order.project, identity)
    except Exception:
        _fail(node, run.id, tally)
        raise
    report = RunReport(
        run.id,
        RunKind.HARVEST,
        run.started,
        node.clock.now(),
        tuple(results),
        missing=0,
        complete=seen.complete,
        tally=tally,
    )
    return conclude(node, order.route, seen, report, clock_offset_s=checked.clock_offset_s)


@dataclass(frozen=True, slots=True)
class _LookPlan:
    """How a container is looked at; `mark` is when its present full look began."""

    look: Look
    mark: datetime

    def stamp(self, item: Item) -> str:
        """Return under what an item is noted once it is done.

        A new full look, and a new version of fairbank, make all stamps old, so that everything is described again; a
        run that takes over after a kill finds those done that the killed one had done.
        """
        return f"{item.version}\x1f{SOFTWARE}\x1f{iso(self.mark)}"


def _begin_look(node: Node, order: HarvestOrder, source: Source) -> _LookPlan:
    now = node.clock.now()
    with reading(node.engine) as session:
        last = progress_of(session, order.route).last_full
    due = order.full or is_due(last, now=now, every_days=node.settings.harvest_full_look_days)
    look = choose_look(node, source, order.route, due=due, changes_only=order.changes_only)
    if last is None:
        return _LookPlan(look, now)
    # Two full looks are never of the same moment, even if the clock was set back.
    return _LookPlan(look, max(now, last + timedelta(milliseconds=1)) if due else last)


def _begin(
    node: Node, order: HarvestOrder, source: Source, *, version: str, full_from: datetime | None
) -> RunRow:
    with writing(node.engine) as session:
        if full_from is not None:
            progress = session.merge(progress_of(session, order.route))
            # Until all is described again, what the archive says has changed is not enough.
            progress.last_full, progress.cursor, progress.high_water = full_from, "", None
        return begin_run(
            node, session, order.route, kind=RunKind.HARVEST, source=source, version=version, profile=""
        )


def _is_full(seen: Seen) -> bool:
    return seen.look is Look.FULL and not seen.lost


def _take_all(
    intake: Intake, items: Sequence[Item], size: int, progress: ProgressCallback | None
) -> list[ItemResult]:
    """Take all items in, page by page, and return what became of those that failed."""
    failed: list[ItemResult] = []
    for start in range(0, len(items), size):
        page = items[start : start + size]
        for number, result in enumerate(intake.take(page, first_number=start + 1), start=start + 1):
            if result.status is Status.ERROR and len(failed) < _MOST_RESULTS:
                failed.append(result)
            if progress is not None:
                progress(Progress(number, len(items), result))
    return failed


def _describer(node: Node, order: HarvestOrder, source: Source) -> DescribesSeries:
    if isinstance(source, DescribesSeries) and Capability.DESCRIBES in source.capabilities:
        return source
    if Capability.FILES in source.capabilities:
        recorder = Recorder(order.agent, node.clock.now(), SOFTWARE)
        return FetchedHeaders(source, incoming=node.settings.home / INCOMING, recorder=recorder)
    raise NotDescribable(
        f"The source {order.source} cannot describe its series.",
        why="It neither says what headers say nor gives files to read them from.",
        todo="Pull its images, or add the archive as a source of another kind.",
    )


def _archive(source: Source, container: str) -> ArchiveDeid | None:
    if isinstance(source, DeidFacts) and Capability.DEID_FACTS in source.capabilities:
        return source.deid_facts(container)
    return None


def _identity(node: Node) -> IdentityStore:
    return IdentityStore.open_or_create(node.settings.home / IDENTITY_FILE, clock=node.clock)


def _fail(node: Node, run: str, tally: Tally) -> None:
    with writing(node.engine) as session:
        end_run(session, run, RunState.FAILED, at=node.clock.now(), counts={"tally": tally.as_json()})
