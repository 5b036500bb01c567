"""Delete what a node keeps of a project whose time is over: files, index, facts, what jobs staged; the audit log stays.

It may be cut off anywhere and done again. Results that have left are not called back, and models are not marked: what
was computed was computed while it was allowed.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.database import compact, reading, writing
from fairbank.deid import store as deid_rows
from fairbank.deid.departures import Departure, Known
from fairbank.deid.research_store import ResearchStore
from fairbank.deid.withdrawal import NamedPlaces
from fairbank.federated_jobs.node import withdrawn_training
from fairbank.federated_jobs.node.store import CohortRow
from fairbank.federated_jobs.node.withdrawn_subjects import clear_staged
from fairbank.harvest.consents import gate, identity_of
from fairbank.harvest.errors import RetentionHolds
from fairbank.harvest.index import close_to
from fairbank.harvest.store import DatasetRow, ItemRow, SeriesRow
from fairbank.harvest.subject_withdrawal import forget_subject, subject_tables
from fairbank.release.node import Node


@dataclass(frozen=True, slots=True)
class ProjectDeleted:
    """What was deleted of a project, or would be.

    Attributes:
        gone: how much, by what it was.
        datasets: datasets over it, which stay in the catalogue until they are withdrawn there.
        jobs: jobs that used its images; outputs of theirs that had not left are kept back.
        compacted: whether the node's database file was rewritten, so that no deleted row is left in it.
    """

    project: str
    gone: dict[str, int] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    compacted: bool = True


def foresee(node: Node, project: str) -> ProjectDeleted:
    """Return what `apply` would delete, and change nothing.

    Raises:
        RetentionHolds: if the project may be kept still, or nothing says until when.
    """
    with reading(node.engine) as session:
        _check_over(node, session, project)
        described = select(func.count()).where(SeriesRow.project == project, SeriesRow.subject != "")
        series = session.execute(described).scalar_one()
        datasets, jobs = _datasets(session, project), _jobs(session, project)
    files = sum(1 for _ in ResearchStore(node.settings.store_path).files(project))
    gone = {"series of the index": series, "files of the research store": files}
    return ProjectDeleted(project, gone, datasets, jobs)


def apply(node: Node, project: str, *, by: str) -> ProjectDeleted:
    """Delete all images of a project whose time is over, and what is known of them. Not undone.

    Args:
        by: who orders it, as a name of the site's own.

    Raises:
        RetentionHolds: if the project may be kept still, or nothing says until when.
    """
    with identity_of(node) as identity:
        known = [Known(project, one.pseudonym) for one in identity.known_subjects(project)]
        identity.drop_links(project)
    with writing(node.engine) as session:
        _check_over(node, session, project)
        datasets, jobs = _datasets(session, project), _jobs(session, project)
        kept_in = withdrawn_training.keep_in(node, session, jobs)
        # Two steps: subjects whom the identity store does not know any more have rows as well.
        series = forget_subject(session, known) + close_to(
            session, gate(session, project, at=node.clock.now())
        )
        for table in subject_tables():
            session.execute(delete(table).where(table.c.project == project))
        session.execute(delete(ItemRow).where(ItemRow.project == project))
        items = deid_rows.delete_project(session, project)
        session.execute(update(CohortRow).where(CohortRow.dataset.in_(datasets)).values(subject=""))
        gone = {"series of the index": series, "entries of de-identification": items}
        gone["outputs that had not left"] = len(kept_in)
        _record(node, session, project, gone, by=by)
    gone["files of the research store"] = ResearchStore(node.settings.store_path).remove_project(project)
    withdrawn_training.erase(node, kept_in)
    for job in jobs:
        clear_staged(node, job)
    _clear_places(node, project, known)
    return ProjectDeleted(project, gone, datasets, jobs, compact(node.engine))


def _check_over(node: Node, session: Session, project: str) -> None:
    opened = gate(session, project, at=node.clock.now())
    if opened.over:
        return
    why, todo = "Nothing says until when they may be used.", "Record the last day first"
    if opened.ends:
        why = f"They may be used until {opened.ends - timedelta(days=1)}, that day included."
        todo = "Wait for the day after, or record an earlier last day"
    raise RetentionHolds(
        f"The images of the project {project[:80]!r} are not deleted.",
        why=why,
        todo=f"{todo}: fairbank node retention set PROJECT DAY --note …",
    )


def _datasets(session: Session, project: str) -> tuple[str, ...]:
    query = select(DatasetRow.slug).where(DatasetRow.project == project).order_by(DatasetRow.slug)
    return tuple(session.scalars(query))


def _jobs(session: Session, project: str) -> tuple[str, ...]:
    of = select(DatasetRow.slug).where(DatasetRow.project == project)
    query = select(CohortRow.job).where(CohortRow.dataset.in_(of)).distinct().order_by(CohortRow.job)
    return tuple(session.scalars(query))


def _clear_places(node: Node, project: str, known: list[Known]) -> None:
    settings = node.settings
    apart = (settings.store_path, settings.keys_path, node.outbox_path)
    departure = Departure(b"", "", b"", tuple(known), ())
    NamedPlaces(settings.home, apart).forget(departure)
    shutil.rmtree(settings.home / "review" / project, ignore_errors=True)


def _record(node: Node, session: Session, project: str, gone: dict[str, int], *, by: str) -> None:
    audit.record(
        session,
        audit.NodeAudit,
        clock=node.clock,
        actor=by,
        act="retention.apply",
        target=project,
        detail=dict(gone),
    )
