"""What the withdrawal of a subject means for harvest: a statement on record, and nothing left in the node's tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Table, delete
from sqlalchemy.orm import Session

from fairbank import migrations
from fairbank.deid.identity import Known
from fairbank.harvest.consent import EVERY_PROJECT, ConsentStatus, Statement
from fairbank.harvest.consents import add_statements, day_of, statement_row
from fairbank.harvest.index import forget_in_index
from fairbank.harvest.store import SeriesRow
from fairbank.release.node import Node

_PREFIX = "harvest_"


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
        series += forget_in_index(session, one.project, one.pseudonym)
        for table in subject_tables():
            columns = table.c
            session.execute(
                delete(table).where(columns.project == one.project, columns.subject == one.pseudonym)
            )
    return series


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
