"""Secrets that are tried with a log-in: how often they may be wrong in an hour.

Whoever tries them knows the password already, so strangers cannot lock anybody out with these.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import TooManyLogins
from fairbank.catalogue.store import LoginFailureRow
from fairbank.database import one_writer_at_a_time, writing

WRONG: Final = 10
WINDOW_S: Final = 3_600


def count(hub: Hub, name: str, mark: str, *, refused: TooManyLogins) -> None:
    """Note a try before it is checked, so that many at once are no way around the limit.

    Args:
        mark: what is tried, such as `#code`; each has a limit of its own.
        refused: raised where there were too many.
    """
    now = hub.clock.now()
    with writing(hub.engine) as session:
        one_writer_at_a_time(session)
        recent = select(func.count()).select_from(LoginFailureRow)
        recent = recent.where(
            LoginFailureRow.account == name + mark, LoginFailureRow.at >= now - timedelta(seconds=WINDOW_S)
        )
        if (session.scalar(recent) or 0) >= WRONG:
            raise refused
        session.add(LoginFailureRow(account=name + mark, origin="", at=now))


def forget(session: Session, name: str, mark: str) -> None:
    """Forget the wrong tries, after a right one."""
    session.execute(delete(LoginFailureRow).where(LoginFailureRow.account == name + mark))
