"""Until when the images of a project may be used: recorded by the site, or said in a dataset's description.

The earliest day counts, because the images are the same whatever dataset they are in. From that day on the gate of
consent admits nobody of the project: nothing is taken in, indexed, counted, published or given to a job. Deleting is a
step of its own (`federated_jobs.node.retention`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.deid.identity import checked_project
from fairbank.harvest.consent_store import RetentionRow
from fairbank.harvest.consents import day_of, gate
from fairbank.harvest.errors import BadDefinition, NothingRecorded
from fairbank.harvest.index import close_to
from fairbank.harvest.retention_rows import SITE, retention_row
from fairbank.harvest.store import SeriesRow
from fairbank.release.node import Node


@dataclass(frozen=True, slots=True)
class Retention:
    """Until when a project's images may be used.

    Attributes:
        last_day: the last day on which they may.
        said_by: `site`, or the dataset whose description says it.
        over: whether that day is past.
        series: series that the index still describes.
    """

    project: str
    last_day: date
    said_by: str
    note: str
    over: bool
    series: int


def record_retention(node: Node, project: str, *, last_day: date, note: str, by: str) -> None:
    """Record until when a project's images may be used, in the place of what the site recorded before.

    A day that is past takes the project out of the index at once.

    Args:
        note: on which law, consent or protocol it rests; stays at the node.
        by: who records it, as a name of the site's own.

    Raises:
        BadDefinition: if the note is empty.
    """
    checked_project(project)
    if not note.strip():
        raise BadDefinition(
            "The end of a retention was not recorded.",
            why="It needs a note of the law, consent or protocol on which it rests.",
            todo="Give the note again.",
        )
    with writing(node.engine) as session:
        session.merge(retention_row(node, project, SITE, last_day, note=note.strip(), by=by))
        session.flush()
        close_to(session, gate(session, project, at=node.clock.now()))
        _audit(node, session, "retention.record", project, last_day)


def remove_retention(node: Node, project: str) -> None:
    """Remove what the site recorded; what descriptions of datasets say stays.

    Raises:
        NothingRecorded: if it recorded nothing.
    """
    with writing(node.engine) as session:
        row = session.get(RetentionRow, (project, SITE))
        if row is None:
            raise NothingRecorded(
                f"No end of retention is recorded for the project {project[:80]!r}.",
                why="It has none, its name is another, or a dataset's description says it.",
                todo="Look at 'fairbank node retention list'.",
            )
        last_day = row.ends - timedelta(days=1)
        session.delete(row)
        _audit(node, session, "retention.remove", project, last_day)


def retentions(node: Node) -> Sequence[Retention]:
    """Return until when projects may be used, the earliest first."""
    today = day_of(node.clock.now())
    with reading(node.engine) as session:
        series = dict(
            session.execute(
                select(SeriesRow.project, func.count())
                .where(SeriesRow.subject != "")
                .group_by(SeriesRow.project)
            ).all()
        )
        rows = session.scalars(
            select(RetentionRow).order_by(RetentionRow.ends, RetentionRow.project, RetentionRow.said_by)
        )
        return [
            Retention(
                project=row.project,
                last_day=row.ends - timedelta(days=1),
                said_by=row.said_by or "site",
                note=row.note,
                over=row.ends <= today,
                series=series.get(row.project, 0),
            )
            for row in rows
        ]


def _audit(node: Node, session: Session, act: str, project: str, last_day: date) -> None:
    audit.record(
        session,
        NodeAudit,
        clock=node.clock,
        actor=node.key.key_id,
        act=act,
        target=project,
        detail={"last_day": last_day.isoformat()},
    )
