"""Jobs in lines, for lists: where each stands, at how many of its sites it is done, when something last happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, defer

from fairbank.catalogue.accounts import Account, Role
from fairbank.federated_jobs.hub.dispatch import not_found
from fairbank.federated_jobs.hub.store import JobRow, SiteRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import JobState, SiteState

# Who looks after all jobs, and sees how they go; what came of them is for their requesters.
OVERSEERS: Final = (Role.AUDITOR, Role.ADMIN)
_LONGEST_TEXT: Final = 200
_UNOPENED = tuple(defer(each, raiseload=True) for each in (JobRow.manifest, JobRow.visa, JobRow.request))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs, and which of them: `skip` and `limit` count jobs, the newest first.

    Attributes:
        account: of whom; None for those of everybody.
        states: any if empty.
        text: a part of the title, in letters of any case.
    """

    account: str | None
    states: frozenset[JobState] = frozenset()
    text: str = ""
    skip: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class SiteLine:
    """One site of a job."""

    node: str
    state: SiteState
    since: datetime


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job in a line.

    Attributes:
        done: sites that have sent what they were last asked for.
        news: when something about it last changed.
    """

    id: str
    title: str
    account: str
    tool: str
    state: JobState
    reason: Reason
    round: int
    rounds: int
    created: datetime
    started: datetime | None
    ended: datetime | None
    paused: datetime | None
    news: datetime
    done: int
    sites: tuple[SiteLine, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """Some jobs, how many there are in all like them, and how many by state without regard to the states wanted."""

    jobs: tuple[JobLine, ...]
    found: int
    by_state: Mapping[JobState, int]


def oversees(who: Account) -> bool:
    """Tell whether somebody sees how the jobs of everybody go."""
    return who.has(*OVERSEERS)


def job_seen(session: Session, job_id: str, who: Account) -> JobRow:
    """Return a job for the eyes of its requester, or of who oversees all jobs.

    Raises:
        JobNotFound: if there is none for these eyes.
    """
    job = session.get(JobRow, job_id)
    if job is None or (job.account != who.name and not oversees(who)):
        raise not_found()
    return job


def lines(session: Session, wanted: Wanted) -> Lines:
    """Return jobs as a list shows them."""
    among = _conditions(wanted)
    counted = session.execute(select(JobRow.state, func.count()).where(*among).group_by(JobRow.state))
    by_state = {JobState(state): number for state, number in counted}
    query = select(JobRow).where(*among)
    if wanted.states:
        query = query.where(JobRow.state.in_(sorted(each.value for each in wanted.states)))
    query = query.order_by(JobRow.created.desc(), JobRow.id).offset(wanted.skip).limit(wanted.limit)
    rows = session.scalars(query.options(*_UNOPENED)).all()
    sites: dict[str, list[SiteRow]] = defaultdict(list)
    of_jobs = select(SiteRow).where(SiteRow.job.in_([row.id for row in rows])).order_by(SiteRow.node)
    for site in session.scalars(of_jobs):
        sites[site.job].append(site)
    return Lines(
        jobs=tuple(_line(row, sites[row.id]) for row in rows),
        found=sum(
            number for state, number in by_state.items() if not wanted.states or state in wanted.states
        ),
        by_state=by_state,
    )


def site_lines(sites: Iterable[SiteRow]) -> tuple[SiteLine, ...]:
    """Return sites of a job in lines."""
    return tuple(SiteLine(site.node, SiteState(site.state), site.since) for site in sites)


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found = [JobRow.account == wanted.account] if wanted.account is not None else []
    if text := wanted.text[:_LONGEST_TEXT]:
        found.append(JobRow.title.icontains(text, autoescape=True))
    return found


def _line(job: JobRow, sites: Sequence[SiteRow]) -> JobLine:
    moments = [job.created, job.started, job.ended, *(site.since for site in sites)]
    return JobLine(
        **{name: getattr(job, name) for name in ("id", "title", "account", "tool", "round", "rounds")},
        **{name: getattr(job, name) for name in ("created", "started", "ended", "paused")},
        state=JobState(job.state),
        reason=Reason(job.reason),
        news=max(moment for moment in moments if moment is not None),
        done=sum(site.state == SiteState.RELEASED.value for site in sites),
        sites=site_lines(sites),
    )
