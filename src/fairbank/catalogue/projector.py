"""The one writer of the RDF view: takes events, rewrites the graphs they touch, publishes a snapshot.

Order: graphs, snapshot, then "taken" in SQL. A crash between these repeats work that gives the same graphs again. The
snapshot is hard links to immutable files, and a symbolic link is swapped to it; readers never see the writer's folder.
A view that is made anew is marked as unfinished until it is published, so a half of one never becomes a snapshot.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from pyoxigraph import NamedNode, Quad, Store
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import events
from fairbank.catalogue import audit_graph, described, description
from fairbank.catalogue.context import Hub
from fairbank.catalogue.notifier import Concern
from fairbank.catalogue.ontology_view import ontology_graph, ontology_quads
from fairbank.catalogue.query_pool import CURRENT
from fairbank.catalogue.store import ArtefactDatasetRow, ArtefactRow, DatasetRow, DescribedRow, NodeRow
from fairbank.database import reading, writing
from fairbank.events import HubEvent

log = logging.getLogger("fairbank.catalogue")
CONSUMER = "catalogue.projector"
# How far the audit log is in the view: the number of an entry, not of an event.
LOG = "catalogue.projector.audit"
# A worker may still read a snapshot that was replaced; it lets go of it with its next query.
_KEPT_SNAPSHOTS = 3
_RETRY_S = 5.0
_BETWEEN_SNAPSHOTS_S = 0.5
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# The engine and SQLite give words only.
_FULL_IN_WORDS = ("no space left", "disk is full", "quota exceeded", "file too large")
_ARTEFACT_EVENTS = {
    "model.registered": "model",
    "result.registered": "result",
    "model.marked": "model",
    "result.marked": "result",
}


class Projector:
    """Writes the RDF view of one hub; only one may be open at a time, over all processes."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._store: Store | None = None
        self._lock: int | None = None

    def open(self) -> bool:
        """Become the writer; tell whether no other process is. A view that is missing or damaged is rebuilt."""
        if self._store is not None:
            return True
        handle = os.open(self._hub.rdf / "writer.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._lock = handle
        live = self._hub.rdf / "live"
        # The file without which the engine would begin an empty store.
        whole = (live / "CURRENT").exists() and (self._hub.rdf / CURRENT).exists()
        whole = whole and not self._unfinished.exists()
        if not whole:
            shutil.rmtree(live, ignore_errors=True)
        try:
            self._store = Store(str(live))
        except (OSError, RuntimeError) as error:
            # Neither says anything against what is in the store.
            if _is_full(error) or "lock hold" in str(error):
                raise
            log.exception("the RDF store cannot be opened, so it is made anew")
            whole = False
            shutil.rmtree(live)
            self._store = Store(str(live))
        if not whole or self._is_empty():
            self.rebuild()
        else:
            self._keep_ontology()
        return True

    def close(self) -> None:
        """Stop being the writer."""
        self._store = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def project(self) -> int:
        """Take all waiting events, publish a snapshot if there were any, and return how many."""
        store = self._writer()
        try:
            return self._project(store)
        except RuntimeError:
            # How the engine says that its files are damaged; whoever opens it next makes it anew.
            self._unfinished.touch()
            raise

    def _project(self, store: Store) -> int:
        total = 0
        # Most changes of a busy hub concern nothing that is published; a writing transaction would hold the others up.
        with reading(self._hub.engine) as session:
            if not events.any_pending(session, HubEvent, CONSUMER):
                return total
        while True:
            with writing(self._hub.engine) as session:
                waiting = [
                    (event.seq, event.kind, event.subject)
                    for event in events.pending(session, HubEvent, CONSUMER)
                ]
                if waiting:
                    _enter_artefacts(session, self._hub, after=waiting[0][0], until=waiting[-1][0])
            if not waiting:
                return total
            with reading(self._hub.engine) as session:
                for graph in sorted(self._touched(session, waiting)):
                    _replace(store, graph, graph_quads(session, self._hub.base_iri, graph))
            entry = self._add_log(store)
            self._publish(waiting[-1][0])
            with writing(self._hub.engine) as session:
                events.taken(session, HubEvent, CONSUMER, waiting[-1][0])
                events.taken(session, HubEvent, LOG, entry)
            total += len(waiting)

    def rebuild(self) -> None:
        """Make the whole view anew from SQL and publish it."""
        store = self._writer()
        self._unfinished.touch()
        with writing(self._hub.engine) as session:
            newest = session.scalar(select(HubEvent.seq).order_by(HubEvent.seq.desc()).limit(1)) or 0
            _enter_artefacts(session, self._hub, after=0, until=newest)
        with reading(self._hub.engine) as session:
            store.clear()
            store.bulk_extend(
                quad
                for graph in _all_graphs(session, self._hub)
                for quad in graph_quads(session, self._hub.base_iri, graph)
            )
        entry = self._add_log(store, anew=True)
        self._publish(newest)
        self._unfinished.unlink()
        with writing(self._hub.engine) as session:
            events.taken(session, HubEvent, CONSUMER, newest)
            events.taken(session, HubEvent, LOG, entry)

    def _add_log(self, store: Store, *, anew: bool = False) -> int:
        """Add what the audit log has got since the last time, and return the number of its newest entry."""
        with reading(self._hub.engine) as session:
            last = 0 if anew else events.place(session, HubEvent, LOG)
            while True:
                fresh, newest = audit_graph.quads(session, self._hub.base_iri, after=last)
                if not fresh:
                    return last
                store.extend(fresh)
                last = newest

    def _keep_ontology(self) -> None:
        """Write the ontology anew if the software that wrote the view had another one."""
        graph = ontology_graph(self._hub.base_iri)
        if _replace(self._writer(), graph, list(ontology_quads(self._hub.base_iri))):
            with reading(self._hub.engine) as session:
                newest = session.scalar(select(HubEvent.seq).order_by(HubEvent.seq.desc()).limit(1)) or 0
            self._publish(newest)

    def _is_empty(self) -> bool:
        # The ontology is always there, so nothing at all means that the folder was lost.
        return next(self._writer().quads_for_pattern(None, None, None, None), None) is None

    @property
    def _unfinished(self) -> Path:
        return self._hub.rdf / "unfinished"

    def _writer(self) -> Store:
        if self._store is None:
            raise RuntimeError("the projector is not open")
        return self._store

    def _touched(self, session: Session, waiting: list[tuple[int, str, str]]) -> set[str]:
        graphs: set[str] = set()
        for _, kind, subject in waiting:
            if kind.startswith("dataset."):
                row = session.get(DatasetRow, subject)
                graphs.update([row.graph] if row is not None else [])
            elif kind.startswith("described."):
                resource = session.get(DescribedRow, subject)
                graphs.update([resource.graph] if resource is not None else [])
            elif kind.startswith("node."):
                graphs.add(description.node_graph(self._hub.base_iri, subject))
            elif kind in _ARTEFACT_EVENTS:
                graphs.add(_artefact_graph(self._hub, _ARTEFACT_EVENTS[kind], subject))
        return graphs

    def _publish(self, seq: int) -> None:
        store = self._writer()
        store.flush()
        snapshots = self._hub.rdf / "snapshots"
        snapshots.mkdir(mode=0o700, exist_ok=True)
        # Named by an id of its own: after a rebuild the same event number may come again.
        name = f"{seq:012d}-{self._hub.clock.new_id()}"
        while (snapshots / name).exists():
            name = f"{seq:012d}-{self._hub.clock.new_id()}"
        try:
            store.backup(str(snapshots / name))
            link = self._hub.rdf / f"{CURRENT}.new"
            link.unlink(missing_ok=True)
            link.symlink_to(Path("snapshots") / name)
            link.replace(self._hub.rdf / CURRENT)
        except OSError:
            # A disk that is full gets back what the attempt took.
            shutil.rmtree(snapshots / name, ignore_errors=True)
            raise
        _remove_old(snapshots, keep=name)


def graph_quads(session: Session, base_iri: str, graph: str) -> list[Quad]:
    """Return what a named graph of the view holds, made from SQL; nothing for what is not or no longer published."""
    if graph == ontology_graph(base_iri):
        return list(ontology_quads(base_iri))
    dataset = session.scalar(select(DatasetRow).where(DatasetRow.graph == graph))
    if dataset is not None:
        # Also after a withdrawal the row is there; its graph is not.
        return description.dataset_quads(session, dataset) if dataset.withdrawn is None else []
    resource = described.graph_quads(session, graph)
    if resource is not None:
        return resource
    artefact = session.scalar(select(ArtefactRow).where(ArtefactRow.graph == graph))
    if artefact is not None:
        return description.artefact_quads(base_iri, artefact)
    node = session.get(NodeRow, graph.rsplit("/", 1)[1])
    return description.node_quads(base_iri, node) if node is not None else []


async def run(hub: Hub) -> None:
    """Project events as they come, until cancelled; the application's lifespan starts this."""
    projector = Projector(hub)
    try:
        while True:
            seen = hub.notifier.seen
            try:
                mine = await asyncio.to_thread(projector.open)
                taken = await asyncio.to_thread(projector.project) if mine else 0
                hub.view.problem = None
            except Exception as error:
                # The view can always be made again from SQL; the hub goes on serving the last snapshot meanwhile.
                log.exception("the RDF view could not be brought up to date")
                hub.view.problem = (
                    f"the RDF view is not brought up to date ({_reason(error)}); it is tried again"
                )
                # An engine that could not write may refuse to from then on; another one is opened.
                projector.close()
                mine, taken = False, 0
            if taken:
                # Every snapshot is opened anew by every worker: many commits in a row share one.
                await asyncio.sleep(_BETWEEN_SNAPSHOTS_S)
            await hub.notifier.wait(seen, _RETRY_S, Concern.EVENTS)
            if not mine:
                await asyncio.sleep(_RETRY_S)
    finally:
        projector.close()


def _reason(error: Exception) -> str:
    # What is shown to everybody: no path, no statement, no value.
    return "the disk is full" if _is_full(error) else type(error).__name__


def _is_full(error: Exception) -> bool:
    words = str(error).casefold()
    return getattr(error, "errno", None) in _DISK_FULL or any(part in words for part in _FULL_IN_WORDS)


def _replace(store: Store, graph: str, quads: list[Quad]) -> bool:
    """Make a graph hold these quads; tell whether it held others before."""
    # Deletions and additions by difference: what did not change is not written.
    name = NamedNode(graph)
    before, after = set(store.quads_for_pattern(None, None, None, name)), set(quads)
    for quad in before - after:
        store.remove(quad)
    if fresh := after - before:
        store.extend(fresh)
    return before != after


def _enter_artefacts(session: Session, hub: Hub, *, after: int, until: int) -> None:
    rows = session.scalars(
        select(HubEvent)
        .where(HubEvent.seq >= after, HubEvent.seq <= until, HubEvent.kind.in_(_ARTEFACT_EVENTS))
        .order_by(HubEvent.seq)
    )
    for event in rows:
        kind = _ARTEFACT_EVENTS[event.kind]
        iri = artefact_iri(hub, kind, event.subject)
        known = session.get(ArtefactRow, iri)
        if known is not None:
            if event.kind.endswith(".marked"):
                known.detail = {**known.detail, **event.detail}
            continue
        session.add(
            ArtefactRow(
                iri=iri,
                graph=_artefact_graph(hub, kind, event.subject),
                kind=kind,
                detail=_detail(event),
                registered=event.at,
            )
        )
        session.flush()
        for dataset in sorted(set(event.detail.get("datasets", []))):
            session.add(ArtefactDatasetRow(iri=iri, dataset=dataset))


def _detail(event: HubEvent) -> dict[str, Any]:
    return {"digest": event.subject, **event.detail}


def artefact_iri(hub: Hub, kind: str, digest: str) -> str:
    """Return the IRI of a model or result, by its digest."""
    return f"{hub.base_iri}/{kind}s/{digest}"


def _artefact_graph(hub: Hub, kind: str, digest: str) -> str:
    return f"{hub.base_iri}/graphs/{kind}s/{digest}"


def _all_graphs(session: Session, hub: Hub) -> list[str]:
    nodes = session.scalars(select(NodeRow.name))
    return sorted(
        [
            *session.scalars(select(DatasetRow.graph)),
            *session.scalars(select(ArtefactRow.graph)),
            *described.all_graphs(session),
            *(description.node_graph(hub.base_iri, name) for name in nodes),
            ontology_graph(hub.base_iri),
        ]
    )


def _remove_old(snapshots: Path, *, keep: str) -> None:
    others = sorted(
        (path for path in snapshots.iterdir() if path.name != keep), key=lambda path: path.stat().st_mtime_ns
    )
    for path in others[: -(_KEPT_SNAPSHOTS - 1)]:
        shutil.rmtree(path, ignore_errors=True)
