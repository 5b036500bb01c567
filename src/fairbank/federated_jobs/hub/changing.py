"""The transaction in which jobs change: one at a time, whichever thread or process of the hub it is in.

What a job does next depends on all of its sites. On PostgreSQL two transactions could each overlook what the other
is about to commit: the last two approvals, for one, would each still wait for the other. On SQLite a writing session is
alone anyway.

After the commit those nodes are woken that may have something new to do: found by looking at the rows that change, so
that no place in the code which moves a job has to remember whom that concerns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import bindparam, event, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import get_history

from fairbank.catalogue.context import Hub
from fairbank.database import one_writer_at_a_time, writing
from fairbank.federated_jobs.hub.choosing import STILL_OF_THE_JOB
from fairbank.federated_jobs.hub.store import JobRow, SiteRow
from fairbank.federated_jobs.states import SiteState

_CONCERNED = "nodes that may have something new to do"
_NODES_OF = select(SiteRow.node).where(SiteRow.job == bindparam("job"))
_TO_DO = frozenset({SiteState.PENDING_REVIEW, SiteState.QUEUED})


@contextmanager
def changing(hub: Hub, *, lasting: bool = True) -> Iterator[Session]:
    """Open a session that changes jobs; arguments are those of `fairbank.database.writing`."""
    with writing(hub.engine, lasting=lasting) as session:
        one_writer_at_a_time(session)
        event.listen(session, "before_flush", _look)
        yield session
        session.flush()
        concerned = frozenset(session.info.get(_CONCERNED, ()))
    if concerned:
        hub.notifier.notify(work=concerned)


def concerns(session: Session, nodes: Iterable[str]) -> None:
    """Have nodes woken after the commit; for what the rows of jobs and sites that the session holds do not tell."""
    session.info.setdefault(_CONCERNED, set()).update(nodes)


def _look(session: Session, *_: Any) -> None:
    for row in (*session.new, *session.dirty):
        if isinstance(row, SiteRow) and _has_news(row):
            concerns(session, [row.node])
        elif isinstance(row, JobRow) and (_changed(row, "ended") or _changed(row, "paused")):
            concerns(session, session.connection().execute(_NODES_OF, {"job": row.id}).scalars())


def _has_news(site: SiteRow) -> bool:
    """Tell whether a site has got something to do or to stop; what it is given or has said itself is no news to it."""
    state = SiteState(site.state)
    news = state in _TO_DO or state not in STILL_OF_THE_JOB
    return news and (_changed(site, "state") or _changed(site, "round"))


def _changed(row: SiteRow | JobRow, column: str) -> bool:
    return get_history(row, column).has_changes()
