"""The ledger of what jobs cost: by job, site and requester; processor time as sites tell it, bytes as the hub counts.

Bytes down are those of the global models that rounds started from, once for each round: what a broken download had to
fetch again is not in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Update, bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from fairbank.federated_jobs.hub.store import JobRow, SiteRow, UsageRow
from fairbank.federated_jobs.protocol import RoundSpent, SiteUsage, Usage


def note_spent(session: Session, node: str, spent: Sequence[RoundSpent]) -> None:
    """Write down, in the caller's transaction, what a node says that its rounds cost; of jobs of others nothing."""
    for one in spent:
        if session.connection().execute(_SITE, {"job": one.job, "node": node}).first() is not None:
            _write(session, one.job, node, one.round, _SPENT, {"cpu_s": one.cpu_s, "gpu_s": one.gpu_s})


def note_up(session: Session, job: str, node: str, number: int, size_bytes: int) -> None:
    """Add what a site has sent in a round, in the caller's transaction."""
    _write(session, job, node, number, _UP, {"bytes_up": size_bytes})


def note_down(session: Session, job: str, node: str, number: int, size_bytes: int) -> None:
    """Write down the size of the model that a site starts a round from, in the caller's transaction."""
    _write(session, job, node, number, _DOWN, {"bytes_down": size_bytes})


def usage_of_job(session: Session, job: str) -> Usage:
    """Return what a job has cost at each site, sorted by site."""
    return _summed(session, UsageRow.job == job)


def usage_of_account(session: Session, account: str | None) -> Usage:
    """Return what the jobs of an account have cost at each site; None for those of all accounts."""
    return _summed(session, *(() if account is None else (JobRow.account == account,)))


def _summed(session: Session, *conditions: object) -> Usage:
    query = (
        select(
            UsageRow.node,
            JobRow.account,
            func.count(UsageRow.job.distinct()),
            func.count(),
            func.sum(UsageRow.cpu_s),
            func.sum(UsageRow.gpu_s),
            func.sum(UsageRow.bytes_up),
            func.sum(UsageRow.bytes_down),
        )
        .join(JobRow, JobRow.id == UsageRow.job)
        .where(*conditions)  # type: ignore[arg-type]  # SQL conditions
        .group_by(JobRow.account, UsageRow.node)
        .order_by(JobRow.account, UsageRow.node)
    )
    return Usage(
        sites=tuple(
            SiteUsage(
                node=node,
                account=account,
                jobs=jobs,
                rounds=rounds,
                # PostgreSQL sums whole numbers to decimals.
                cpu_s=int(cpu),
                gpu_s=int(gpu),
                bytes_up=int(up),
                bytes_down=int(down),
            )
            for node, account, jobs, rounds, cpu, gpu, up, down in session.execute(query)
        )
    )


def _write(
    session: Session, job: str, node: str, number: int, statement: Update, values: Mapping[str, int]
) -> None:
    connection = session.connection()
    if connection.execute(statement, {"of_job": job, "of_node": node, "of_round": number, **values}).rowcount:
        return
    row = {"job": job, "node": node, "round": number, "cpu_s": 0, "gpu_s": 0, "bytes_up": 0, "bytes_down": 0}
    connection.execute(_FIRST, {**row, **values})


# Every round of every site passes through these, so they take the plain table, by statements put together once.
_USAGE = UsageRow.metadata.tables[UsageRow.__tablename__]
_SITE = select(SiteRow.node).where(SiteRow.job == bindparam("job"), SiteRow.node == bindparam("node"))
_FIRST = insert(_USAGE)
_OF_ROUND = update(_USAGE).where(
    _USAGE.c.job == bindparam("of_job"),
    _USAGE.c.node == bindparam("of_node"),
    _USAGE.c.round == bindparam("of_round"),
)
_SPENT = _OF_ROUND.values(cpu_s=bindparam("cpu_s"), gpu_s=bindparam("gpu_s"))
_UP = _OF_ROUND.values(bytes_up=_USAGE.c.bytes_up + bindparam("bytes_up"))
_DOWN = _OF_ROUND.values(bytes_down=bindparam("bytes_down"))
