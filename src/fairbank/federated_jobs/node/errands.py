"""Whether anything waits to be told, sent or noticed before the next claim, found by one question.

Nearly every claim of a training job comes right after a round, with nothing else to do; each errand that is looked for
by itself would cost a transaction of its own.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.orm import Session

from fairbank.federated_jobs.node.store import ReviewRow, WithdrawalNoticeRow
from fairbank.federated_jobs.states import SiteState
from fairbank.release.releases import ReleaseState
from fairbank.release.store import ReleaseRow

_ANY = select(
    or_(
        # A job that waits for people may have to be noticed, reminded of, or ended.
        exists().where(ReviewRow.state == SiteState.PENDING_REVIEW.value, ReviewRow.ended.is_(False)),
        exists().where(ReviewRow.reported.is_(False)),
        exists().where(WithdrawalNoticeRow.told.is_(None), WithdrawalNoticeRow.due <= bindparam("now")),
        exists().where(ReleaseRow.state == ReleaseState.READY.value),
    )
)


def any_due(session: Session, *, now: datetime) -> bool:
    """Tell whether a notice, a report, a withdrawal's notice or an output that is ready may wait."""
    return bool(session.connection().execute(_ANY, {"now": now}).scalar_one())
