"""How the harvest of each container stands, and a curator's word on deletions that are held."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, func, select, update

from fairbank import audit
from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.harvest.bookkeeping import ITEMS, SERIES, Route, last_run, progress_of
from fairbank.harvest.errors import NothingHeld
from fairbank.harvest.reports import RunKind
from fairbank.harvest.sources.opening import source_row
from fairbank.harvest.states import GoneReason, State
from fairbank.harvest.store import ProgressRow, RunRow, SourceRow
from fairbank.release.node import Node


@dataclass(slots=True)
class ContainerStatus:
    """How the harvest of one container stands.

    Attributes:
        live: items that were there at the last look.
        missing: items that the last complete look did not find.
        left_out: items that may not be in the index.
        tombstoned: items that have gone, by reason.
        held: items whose vanishing waits for a curator's word.
        approved: whether it has been given, for the next run.
        way: `pull` or `harvest`; empty if no run has come to its end.
        last_run: when the last run that came to its end did so.
        last_full: when the present full look began.
    """

    route: Route
    live: int = 0
    missing: int = 0
    left_out: int = 0
    tombstoned: dict[str, int] = field(default_factory=dict)
    held: int = 0
    approved: bool = False
    way: str = ""
    last_run: datetime | None = None
    last_full: datetime | None = None


def statuses(node: Node) -> list[ContainerStatus]:
    """Return how the harvest of each container stands, sorted by source, container and project."""
    key = (ITEMS.c.source, ITEMS.c.container, ITEMS.c.project)
    counts = select(*key, ITEMS.c.state, ITEMS.c.reason, func.count()).group_by(
        *key, ITEMS.c.state, ITEMS.c.reason
    )
    routes: dict[Route, ContainerStatus] = {}
    with reading(node.engine) as session:
        ways = (RunKind.PULL.value, RunKind.HARVEST.value)
        begun = select(RunRow.source, RunRow.container, RunRow.project).where(RunRow.kind.in_(ways))
        for source, container, project in session.execute(begun.distinct()):
            route = Route(source, container, project)
            routes[route] = ContainerStatus(route)
        for source, container, project, state, reason, count in session.execute(counts):
            route = Route(source, container, project)
            _count(routes.setdefault(route, ContainerStatus(route)), State(state), reason, count)
        for progress in session.scalars(select(ProgressRow)):
            route = Route(progress.source, progress.container, progress.project)
            found = routes.setdefault(route, ContainerStatus(route))
            found.held, found.approved = progress.vanished, progress.approved is not None
            found.last_full = progress.last_full
        for route, found in routes.items():
            if (run := last_run(session, route)) is not None:
                found.way, found.last_run = run.kind, run.ended
    return [
        routes[route] for route in sorted(routes, key=lambda one: (one.source, one.container, one.project))
    ]


def approve_deletions(node: Node, route: Route) -> int:
    """Let the next run of a container make tombstones of what was held; return how many items that are.

    What vanishes after this is not covered.

    Raises:
        UnknownSource: if the node has no such source.
        NothingHeld: if nothing of the container is held.
    """
    source_row(node, route.source)
    with writing(node.engine) as session:
        progress = progress_of(session, route)
        run = last_run(session, route)
        if progress.vanished == 0 or run is None:
            raise NothingHeld(
                "No deletions of this container wait for a curator's word.",
                why="Deletions are held only where very many series vanish at once.",
                todo="Look at 'fairbank harvest status'.",
            )
        progress.approved = run.id
        audit.record(
            session,
            NodeAudit,
            clock=node.clock,
            actor=node.key.key_id,
            act="harvest.approve-deletions",
            target=route.project,
            detail={"run": run.id, "items": progress.vanished},
        )
        return progress.vanished


def remove_source(node: Node, name: str) -> int:
    """Forget a source and all that was noted of it; return how many described series are no longer published.

    What was pulled from it stays in the research store. The password file is left alone.

    Raises:
        UnknownSource: if the node has no such source.
    """
    source_row(node, name)
    with writing(node.engine) as session:
        described = update(SERIES).where(
            SERIES.c.source == name, SERIES.c.directory == "", SERIES.c.state == State.LIVE.value
        )
        gone = session.execute(described.values(state=State.MISSING.value, gone=GoneReason.ACCESS_LOST.value))
        session.execute(delete(ITEMS).where(ITEMS.c.source == name))
        session.execute(delete(ProgressRow).where(ProgressRow.source == name))
        session.execute(delete(SourceRow).where(SourceRow.name == name))
        audit.record(
            session, NodeAudit, clock=node.clock, actor=node.key.key_id, act="source.remove", target=name
        )
        return int(gone.rowcount)  # type: ignore[attr-defined]  # an update gives a cursor's result


def _count(found: ContainerStatus, state: State, reason: str | None, count: int) -> None:
    if state is State.LIVE:
        found.live += count
    elif state is State.MISSING:
        found.missing += count
    elif state is State.LEFT_OUT:
        found.left_out += count
    else:
        word = reason or GoneReason.DELETED.value
        found.tombstoned[word] = found.tombstoned.get(word, 0) + count
