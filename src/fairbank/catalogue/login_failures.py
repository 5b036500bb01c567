"""Wrong passwords in the audit log: how many there were, now and then, never one entry each.

Whoever guesses passwords would otherwise write the log. Names are left out: people type passwords into that field.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import HubAudit
from fairbank.catalogue.context import Hub
from fairbank.catalogue.store import LoginFailureRow
from fairbank.database import reading, writing

ACT = "account.login-failures"


def note(hub: Hub) -> int:
    """Log how many log-ins have failed since the last entry of this kind; return how many."""
    with reading(hub.engine) as session:
        fresh, _ = _since_noted(session)
    if fresh <= 0:
        return 0
    with writing(hub.engine) as session:
        fresh, newest = _since_noted(session)
        audit.record(
            session, HubAudit, clock=hub.clock, actor="hub", act=ACT, target=hub.base_iri,
            detail={"failures": fresh, "newest": newest},
        )  # fmt: skip
    return fresh


def _since_noted(session: Session) -> tuple[int, int]:
    # Old rows are deleted, but their numbers are never given again.
    newest = session.scalar(select(func.max(LoginFailureRow.id))) or 0
    noted = session.scalar(
        select(HubAudit.detail).where(HubAudit.act == ACT).order_by(HubAudit.seq.desc()).limit(1)
    )
    before = int(noted["newest"]) if noted is not None else 0
    return newest - before, newest
