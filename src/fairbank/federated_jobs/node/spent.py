"""What a job's worker has used of this machine, and how exactly that is told.

Processor time grows with the number of images, so the hub is told it coarsely: rounded up to the next of 1, 2, 5, 10,
20, 50, … seconds. The site's own record is exact.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import and_, bindparam, select, update
from sqlalchemy.orm import Session

from fairbank.federated_jobs.node.descendants import descendants
from fairbank.federated_jobs.node.store import WorkRow
from fairbank.federated_jobs.protocol import RoundSpent

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Fields 14 to 17 of /proc/PID/stat, after the name in brackets: user and system time, own and of ended children
# (proc(5)).
_TIMES = slice(11, 15)
_MOST_TOLD = 100


@dataclass(slots=True)
class Spent:
    """Seconds of processors and of GPUs, the latter as they were reserved: seconds times GPUs."""

    cpu_s: float = 0.0
    gpu_s: float = 0.0


@contextmanager
def measured(spent: Spent, used_s: Callable[[], float], *, gpus: int) -> Iterator[None]:
    """Add to `spent` what is used inside, also if it fails; what a process used that is gone then is not known.

    Args:
        used_s: returns the processor seconds used so far.
        gpus: how many GPUs are reserved meanwhile.
    """
    before, begun = used_s(), time.monotonic()
    try:
        yield
    finally:
        spent.cpu_s += max(0.0, used_s() - before)
        spent.gpu_s += (time.monotonic() - begun) * gpus


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and all its descendants, 0 if it is gone, in seconds."""
    ticks = 0
    for one in descendants(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_bytes().rpartition(b")")[2].split()
            ticks += sum(int(field) for field in fields[_TIMES])
    return ticks / _TICKS_PER_S


def coarse(seconds: float) -> int:
    """Return the next of 0, 1, 2, 5, 10, 20, 50, … that is no less.

    >>> [coarse(each) for each in (0.0, 0.2, 3, 5, 12, 101)]
    [0, 1, 5, 5, 20, 200]
    """
    if seconds <= 0:
        return 0
    step = 1
    while True:
        for factor in (1, 2, 5):
            if seconds <= factor * step:
                return factor * step
        step *= 10


def note(session: Session, job: str, number: int, spent: Spent) -> None:
    """Add what a round has cost to its record, in the caller's transaction; the hub is to be told."""
    row = session.get_one(WorkRow, (job, number))
    row.cpu_s = (row.cpu_s or 0.0) + spent.cpu_s
    row.gpu_s = (row.gpu_s or 0.0) + spent.gpu_s
    row.spent_told = False


def untold(session: Session) -> tuple[RoundSpent, ...]:
    """Return what the hub has not been told, coarsely."""
    rows = session.connection().execute(_UNTOLD)
    return tuple(
        RoundSpent(job=row.job, round=row.round, cpu_s=coarse(row.cpu_s or 0), gpu_s=coarse(row.gpu_s or 0))
        for row in rows
    )


def told(session: Session, spent: tuple[RoundSpent, ...]) -> None:
    """Write down, in the caller's transaction, that the hub knows this much; what was added since is told again."""
    for one in spent:
        of = {"of_job": one.job, "of_round": one.round}
        row = session.connection().execute(_COST, of).one()
        if (coarse(row.cpu_s or 0), coarse(row.gpu_s or 0)) == (one.cpu_s, one.gpu_s):
            session.connection().execute(_TOLD, of)


# Every round passes through these, so they take the plain table, by statements put together once.
_WORK = WorkRow.metadata.tables[WorkRow.__tablename__]
_UNTOLD = (
    select(_WORK.c.job, _WORK.c.round, _WORK.c.cpu_s, _WORK.c.gpu_s)
    .where(_WORK.c.spent_told.is_(False))
    .limit(_MOST_TOLD)
)
_OF = and_(_WORK.c.job == bindparam("of_job"), _WORK.c.round == bindparam("of_round"))
_COST, _TOLD = (
    select(_WORK.c.cpu_s, _WORK.c.gpu_s).where(_OF),
    update(_WORK).where(_OF).values(spent_told=True),
)
