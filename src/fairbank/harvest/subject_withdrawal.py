"""What the withdrawal of a subject means for harvest: a statement on record, and nothing left in the node's tables."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence

from sqlalchemy import Table, delete, func, select
from sqlalchemy.orm import Session

from fairbank import migrations
from fairbank.deid.departures import Known
from fairbank.harvest.consent import EVERY_PROJECT, ConsentStatus, Statement
from fairbank.harvest.consents import add_statements, day_of, statement_row
from fairbank.harvest.index import forget_in_index
from fairbank.harvest.run_lock import when_no_run_is_under_way
from fairbank.harvest.runs import INCOMING
from fairbank.harvest.states import State
from fairbank.harvest.store import DatasetRow, PublishedRow, SeriesRow
from fairbank.release import told_counts
from fairbank.release.contributions import Contributions
from fairbank.release.node import Node

_PREFIX = "harvest_"
_NAME_BYTES = 10


def note_withdrawal(node: Node, session: Session, key: bytes) -> None:
    """Put on record that the subject of a consent key has withdrawn from every project, as of today."""
    now = node.clock.now()
    statement = Statement(EVERY_PROJECT, ConsentStatus.WITHDRAWN, None, None, day_of(now))
    row = statement_row(key, statement, form="", data_use=(), imported=now)
    add_statements(session, [row])


def forget_subject(session: Session, known: Sequence[Known]) -> int:
    """Take a subject out of the index, and out of every other table of this room that knows subjects.

    Returns how many series went.
    """
    series = 0
    for one in known:
        _rename_in_published(session, one)
        series += forget_in_index(session, one.project, one.pseudonym)
        for table in subject_tables():
            columns = table.c
            session.execute(
                delete(table).where(columns.project == one.project, columns.subject == one.pseudonym)
            )
    return series


def count_series(session: Session, known: Sequence[Known]) -> int:
    """Return how many series of a subject the index has that are not tombstones."""
    return sum(
        session.execute(
            select(func.count()).where(
                SeriesRow.project == one.project,
                SeriesRow.subject == one.pseudonym,
                SeriesRow.state != State.TOMBSTONED.value,
            )
        ).scalar_one()
        for one in known
    )


def clear_incoming(node: Node) -> int:
    """Delete what runs that were killed left of the files that they fetched, whoever's they are; return how many.

    Nothing is deleted while a run is under way: it deletes what it fetched by itself.
    """
    incoming = node.settings.home / INCOMING
    left = sorted(incoming.iterdir()) if incoming.is_dir() else []
    with when_no_run_is_under_way(node) as none:
        if not none:
            return 0
        for entry in left:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=not entry.exists())
            else:
                entry.unlink(missing_ok=True)
    return len(left)


def _rename_in_published(session: Session, one: Known) -> None:
    """Take a pseudonym out of what records told: what the subject added stays, under a name that nobody can make again.

    Without it the next record would show that one subject went, and what it was.
    """
    rows = session.scalars(
        select(PublishedRow)
        .join(DatasetRow, DatasetRow.slug == PublishedRow.dataset)
        .where(DatasetRow.project == one.project)
        .order_by(PublishedRow.dataset, PublishedRow.version)
    )
    name = f"gone-{secrets.token_hex(_NAME_BYTES)}"
    for row in rows:
        told = Contributions.from_bytes(row.contributions)
        if told.renamed(one.pseudonym, name):
            row.contributions = told.to_bytes()
    of_project = session.scalars(select(DatasetRow.slug).where(DatasetRow.project == one.project))
    told_counts.rename(session, of_project, one.pseudonym, name)


def subject_tables() -> Iterator[Table]:
    """Yield the tables of this room, but the index, whose rows are a subject's: found by their columns.

    So a table that comes to know subjects is emptied of them from its first day on.
    """
    for name, table in sorted(migrations.metadata("node").tables.items()):
        if (
            name.startswith(_PREFIX)
            and name != SeriesRow.__tablename__
            and {"project", "subject"} <= set(table.c.keys())
        ):
            yield table
