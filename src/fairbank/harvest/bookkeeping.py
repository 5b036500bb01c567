"""What a node notes of the containers that it looks at: items, runs and progress, in few statements each.

A container may hold more than half a million items, so nothing here keeps an object per row, and every note is written
for many rows at once. Each function works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Table, and_, bindparam, collate, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from fairbank.harvest.errors import AnotherWay
from fairbank.harvest.reports import RunKind, RunState
from fairbank.harvest.rows import SOFTWARE
from fairbank.harvest.sources.protocol import ArchiveDeid, Source
from fairbank.harvest.states import GoneReason, State
from fairbank.harvest.store import ItemRow, ProgressRow, RunRow, SeriesRow
from fairbank.harvest.sync import Known
from fairbank.release.node import Node

ITEMS: Table = ItemRow.metadata.tables[ItemRow.__tablename__]
SERIES: Table = SeriesRow.metadata.tables[SeriesRow.__tablename__]
# SQLite's least limit is 999 values in one statement.
_AT_ONCE = 500
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Route:
    """Where series come from and where they go: a container of a source, and a project of this node."""

    source: str
    container: str
    project: str

    @property
    def of_items(self) -> ColumnElement[bool]:
        """Return the condition that picks the items of this route."""
        return and_(
            ITEMS.c.source == self.source,
            ITEMS.c.container == self.container,
            ITEMS.c.project == self.project,
        )

    def key(self, local_id: str) -> dict[str, str]:
        """Return the primary key of an item."""
        return {
            "source": self.source,
            "container": self.container,
            "project": self.project,
            "local_id": local_id,
        }


def known_items(session: Session, route: Route) -> Iterator[Known]:
    """Yield what is noted of all items of a route, sorted by local id as Python sorts texts."""
    name: ColumnElement[str] = ITEMS.c.local_id
    if session.get_bind().dialect.name == "postgresql":
        # A database of another language would sort otherwise, and the two lists would not meet.
        name = collate(name, "C")
    query = (
        select(ITEMS.c.local_id, ITEMS.c.version, ITEMS.c.state, ITEMS.c.misses, ITEMS.c.reason)
        .where(route.of_items)
        .order_by(name)
        .execution_options(yield_per=1000)
    )
    for local_id, stamp, state, misses, reason in session.execute(query):
        # The reason of an item that was left out may be a word of the consent's, which is no reason of having gone.
        gone = GoneReason(reason) if reason and state == State.TOMBSTONED else None
        yield Known(local_id, stamp, State(state), misses, gone)


def noted(session: Session, route: Route, local_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return what is noted of some items, all columns, by local id."""
    found: dict[str, dict[str, Any]] = {}
    for part in parts(local_ids):
        query = select(ITEMS).where(route.of_items, ITEMS.c.local_id.in_(part))
        found |= {row["local_id"]: dict(row) for row in session.execute(query).mappings()}
    return found


def put_items(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write items, all columns of each, in the place of what was noted of them."""
    _put(session, ITEMS, rows, keys=("source", "container", "project", "local_id"))


def put_series(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write series, all columns but `id` of each, in the place of what the index had of them."""
    _put(session, SERIES, rows, keys=("project", "series_uid"))


def note(session: Session, route: Route, local_ids: Iterable[str], **values: Any) -> None:
    """Set columns of some items."""
    statement = (
        update(ITEMS)
        .where(route.of_items, ITEMS.c.local_id == bindparam("of_local_id"))
        .values({name: bindparam(f"new_{name}") for name in values})
    )
    named = {f"new_{name}": value for name, value in values.items()}
    for part in parts(local_ids):
        session.connection().execute(statement, [{"of_local_id": local_id} | named for local_id in part])


def count_items(session: Session, route: Route, *states: State) -> int:
    """Return how many items of a route are in any of these states."""
    query = select(func.count()).select_from(ITEMS).where(route.of_items, ITEMS.c.state.in_(states))
    return session.scalar(query) or 0


def progress_of(session: Session, route: Route) -> ProgressRow:
    """Return how far the harvest of a route has come, from its start where it has not begun."""
    row = session.get(ProgressRow, (route.source, route.container, route.project))
    if row is None:
        row = ProgressRow(
            source=route.source,
            container=route.container,
            project=route.project,
            cursor="",
            high_water=None,
            clock_offset_s=None,
            last_full=None,
            vanished=0,
            approved=None,
        )
    return row


def check_way(session: Session, route: Route, kind: RunKind) -> None:
    """Refuse to describe what is pulled, and to pull what is described, into the same project.

    Raises:
        AnotherWay: if it already comes in the other way.
    """
    other = RunKind.PULL if kind is RunKind.HARVEST else RunKind.HARVEST
    # All items of a route came in one way, so any of them tells.
    query = select(RunRow.kind).join(ItemRow, ItemRow.run == RunRow.id).where(route.of_items).limit(1)
    if session.scalar(query) == other.value:
        raise AnotherWay(
            f"A container of the source {route.source} already comes into the project {route.project} by "
            f"'harvest {'pull' if other is RunKind.PULL else 'run'}'.",
            why="Pulled and described at once, the same images would be counted twice.",
            todo="Go on in the same way, or choose another project.",
        )


def begin_run(
    node: Node, session: Session, route: Route, *, kind: RunKind, source: Source, version: str, profile: str
) -> RunRow:
    """Note that a run has begun."""
    run = RunRow(
        id=node.clock.new_id(),
        kind=kind.value,
        source=route.source,
        source_kind=source.kind.value,
        source_version=version,
        container=route.container,
        project=route.project,
        state=RunState.RUNNING.value,
        software=SOFTWARE,
        profile=profile,
        started=node.clock.now(),
        ended=None,
        counts={},
    )
    session.add(run)
    return run


def note_archive(session: Session, run: str, archive: ArchiveDeid | None) -> None:
    """Note how the archive says that it de-identifies what a run reads, for the provenance of records."""
    if archive is not None and archive.enabled:
        row = session.get_one(RunRow, run)
        row.archive_deid = {"tool": archive.tool, "version": archive.version, "digest": archive.digest}


def end_run(
    session: Session, run: str, state: RunState, *, at: datetime, counts: Mapping[str, object]
) -> None:
    """Note how a run has ended."""
    row = session.get_one(RunRow, run)
    row.state, row.ended, row.counts = state.value, at, dict(counts)


def last_run(session: Session, route: Route) -> RunRow | None:
    """Return the last run of a route that came to its end."""
    query = (
        select(RunRow)
        .where(
            RunRow.source == route.source,
            RunRow.container == route.container,
            RunRow.project == route.project,
            RunRow.state == RunState.FINISHED.value,
        )
        .order_by(RunRow.ended.desc(), RunRow.id.desc())
        .limit(1)
    )
    return session.scalar(query)


def parts(values: Iterable[T], size: int = _AT_ONCE) -> Iterator[list[T]]:
    """Cut values into parts that one statement may name."""
    part: list[T] = []
    for value in values:
        part.append(value)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _put(session: Session, table: Table, rows: Sequence[Mapping[str, Any]], *, keys: tuple[str, ...]) -> None:
    if not rows:
        return
    dialect = session.get_bind().dialect.name
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)
    others = {
        column.name: insert.excluded[column.name]
        for column in table.columns
        if column.name not in keys and column.autoincrement is not True
    }
    statement = insert.on_conflict_do_update(index_elements=list(keys), set_=others)
    session.connection().execute(statement, [dict(row) for row in rows])
