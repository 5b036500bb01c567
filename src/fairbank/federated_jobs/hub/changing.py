"""The transaction in which jobs change: one at a time, whichever thread or process of the hub it is in.

What a job does next depends on all of its sites. On PostgreSQL two transactions could each overlook what the other
is about to commit: the last two approvals, for one, would each still wait for the other. On SQLite a writing session is
alone anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.database import one_writer_at_a_time, writing


@contextmanager
def changing(hub: Hub, *, lasting: bool = True) -> Iterator[Session]:
    """Open a session that changes jobs; arguments are those of `fairbank.database.writing`."""
    with writing(hub.engine, lasting=lasting) as session:
        one_writer_at_a_time(session)
        yield session
