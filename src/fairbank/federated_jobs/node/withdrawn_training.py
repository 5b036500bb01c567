"""What follows for jobs when a subject is withdrawn: nothing more of it leaves, and the hub learns that a job used one.

The hub is told of a job once, however many of its subjects are withdrawn, by a message without a number, a name or a
date. Each job's message waits a time of its own, drawn by chance, so that messages of several jobs that used the same
subject do not come together.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from fairbank.database import reading, writing
from fairbank.errors import RemoteError
from fairbank.federated_jobs.errors import JobNotFound
from fairbank.federated_jobs.node.approval import withhold_unsent
from fairbank.federated_jobs.node.reporting import refuses_this
from fairbank.federated_jobs.node.store import CohortRow, ReviewRow, WithdrawalNoticeRow, WorkRow
from fairbank.federated_jobs.protocol import SubjectWithdrawnReport
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import SiteState
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.releases import ReleaseState
from fairbank.release.store import LedgerRow, ReleaseRow

log = logging.getLogger(__name__)

BY: Final = "the withdrawal of a subject"
_MINUTES_A_DAY: Final = 24 * 60
# The hub knows the job no longer, or is of a version that takes no such message: that one is asked again in a day.
_SETTLED: Final = frozenset({404, 405})
_ASK_AGAIN: Final = timedelta(days=1)
_UNSENT: Final = (ReleaseState.HELD.value, ReleaseState.READY.value)


def used_by(session: Session, pseudonyms: Iterable[str]) -> list[str]:
    """Return the jobs of which something has left that was computed while one of some subjects was in the cohort.

    Asked before the pseudonyms are taken out of the lists of cohorts.
    """
    first = (
        select(LedgerRow.job, func.min(LedgerRow.noted).label("first"))
        .where(LedgerRow.release.is_not(None), LedgerRow.left.is_not(None), LedgerRow.job != "")
        .group_by(LedgerRow.job)
        .subquery()
    )
    there = (
        select(CohortRow.job)
        .join(first, first.c.job == CohortRow.job)
        .where(
            CohortRow.subject.in_(list(pseudonyms)),
            CohortRow.gone.is_(None) | (CohortRow.gone > first.c.first),
        )
    )
    return sorted(set(session.scalars(there)))


def waiting(session: Session, jobs: Iterable[str]) -> int:
    """Return how many outputs of some jobs wait in the outbox."""
    return len(_waiting(session, jobs))


def keep_in(node: Node, session: Session, jobs: Sequence[str]) -> list[str]:
    """Keep back for good, in the caller's transaction, what was computed with a withdrawn subject and has not left.

    The site drops out of a job of which something is kept back, because a round is never computed twice.

    Returns:
        digests of what was kept back; `erase` deletes their bytes when the transaction is over.
    """
    found = _waiting(session, jobs)
    for job in sorted({job for job, _ in found}):
        drop_out(node, session, job, by=BY)
    return [digest for _, digest in found]


def drop_out(node: Node, session: Session, job: str, *, by: str) -> None:
    """Keep back what a job has not sent and end it at this site, in the caller's transaction.

    The hub is told the word that it is told when somebody here keeps an output back.
    """
    withhold_unsent(node, session, job, by=by)
    for work in session.scalars(select(WorkRow).where(WorkRow.job == job, WorkRow.finished.is_(None))):
        work.finished = node.clock.now()
    review = session.get_one(ReviewRow, job)
    if not review.ended:
        review.state, review.reason = SiteState.WITHHELD.value, Reason.OUTPUT_WITHHELD.value
        review.ended, review.reported = True, False


def erase(node: Node, digests: Iterable[str]) -> None:
    """Delete the bytes of outputs that were kept back, unless another output is the same to the byte."""
    kept = set(digests)
    with reading(node.engine) as session:
        # Of what would have left sealed, what was sealed lies there as well.
        judged = select(ReleaseRow.plain_digest).where(ReleaseRow.digest.in_(kept))
        kept |= {digest for digest in session.scalars(judged) if digest is not None}
    for digest in kept:
        with reading(node.engine) as session:
            others = select(func.count()).where(
                or_(ReleaseRow.digest == digest, ReleaseRow.plain_digest == digest),
                ReleaseRow.state != ReleaseState.WITHHELD.value,
            )
            if session.execute(others).scalar_one():
                continue
        (node.outbox_path / digest.removeprefix("sha256:")).unlink(missing_ok=True)


def note(node: Node, session: Session, jobs: Iterable[str]) -> None:
    """Write down, in the caller's transaction, that the hub is to be told of jobs, each at a moment of its own."""
    for job in jobs:
        if session.get(WithdrawalNoticeRow, job) is None:
            session.add(WithdrawalNoticeRow(job=job, due=_some_time(node)))
    session.flush()


def tell_due(node: Node, outbox: Outbox) -> int:
    """Tell the hub of each job whose time has come, once; return of how many. One that it refuses is put off a day.

    Raises:
        HubUnreachable: if the hub does not answer; what was not told is told later.
        RemoteError: if it takes nothing from this node.
    """
    due = select(WithdrawalNoticeRow.job).where(
        WithdrawalNoticeRow.told.is_(None), WithdrawalNoticeRow.due <= node.clock.now()
    )
    with reading(node.engine) as session:
        jobs = list(session.scalars(due.order_by(WithdrawalNoticeRow.due)))
    for job in jobs:
        try:
            outbox.control("POST", f"/v1/jobs/{job}/sites/{node.name}/withdrawal", SubjectWithdrawnReport())
        except RemoteError as err:
            if not refuses_this(err):
                raise
            if err.status not in _SETTLED:
                # One that the hub refuses holds up neither the others nor the claims.
                log.warning("the hub refuses the notice of job %s: %s", job, err.code)
                _put_off(node, job)
                continue
            if err.remote_code != JobNotFound.code:
                _put_off(node, job)
                continue
        with writing(node.engine) as session:
            session.get_one(WithdrawalNoticeRow, job).told = node.clock.now()
    return len(jobs)


def _waiting(session: Session, jobs: Iterable[str]) -> list[tuple[str, str]]:
    found = session.execute(
        select(ReleaseRow.job, ReleaseRow.digest).where(
            ReleaseRow.job.in_(list(jobs)), ReleaseRow.state.in_(_UNSENT)
        )
    )
    return [(job, digest) for job, digest in found]


def _put_off(node: Node, job: str) -> None:
    with writing(node.engine) as session:
        session.get_one(WithdrawalNoticeRow, job).due = node.clock.now() + _ASK_AGAIN


def _some_time(node: Node) -> datetime:
    days = node.settings.jobs_withdrawal_notice_days
    return node.clock.now() + timedelta(minutes=secrets.randbelow(days * _MINUTES_A_DAY + 1))
