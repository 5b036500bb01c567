"""Jobs: where each stands, for whom it waits, and when something last happened; two of them can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from fairbank.catalogue import nodes, permissions
from fairbank.catalogue.context import Hub
from fairbank.catalogue.permissions import Action
from fairbank.database import reading
from fairbank.federated_jobs.hub import job_lines
from fairbank.federated_jobs.hub.job_lines import JobLine, Wanted
from fairbank.federated_jobs.states import ENDED_JOBS, JobState
from fairbank.web.job_words import REASONS, Awaited, awaited
from fairbank.web.languages import mark
from fairbank.web.pages.page import Menu, Page
from fairbank.web.pages.visits import Visit
from fairbank.web.silence import silent_nodes

MINE, ALL = "mine", "all"
PAGE_JOBS: Final = 50
# What can be chosen: word in the address, which states, what it says.
CHOICES: Final[dict[str, tuple[frozenset[JobState], str]]] = {
    "going": (frozenset(JobState) - ENDED_JOBS, mark("Going on")),
    "completed": (frozenset({JobState.COMPLETED}), mark("Completed")),
    "failed": (frozenset({JobState.FAILED}), mark("Failed")),
    "cancelled": (frozenset({JobState.CANCELLED}), mark("Stopped")),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A job in the list; `reason` is a sentence that is yet to be translated."""

    address: str
    job: JobLine
    reason: str
    awaited: tuple[Awaited, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """States that can be chosen, and how many jobs are in them."""

    key: str
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Jobs:
    """`jobs.html`; `following` is the address of the list after this one."""

    shown: str
    now: datetime
    oversees: bool
    starts: bool
    state: str
    q: str
    choices: tuple[Choice, ...]
    found: int
    rows: tuple[Row, ...]
    following: str


def show(hub: Hub, visit: Visit) -> Jobs:
    """Put the page together; who oversees all jobs may see those of everybody."""
    who, asked = visit.account, visit.asked
    oversees = job_lines.oversees(who)
    starts = permissions.allow(who, Action.JOB_SUBMIT)
    standard = ALL if oversees and not starts else MINE
    shown = asked.get("show", standard) if oversees else MINE
    shown = shown if shown in (MINE, ALL) else standard
    state, q = asked.get("state", ""), asked.get("q", "").strip()[:200].replace("\0", "")
    states = CHOICES[state][0] if state in CHOICES else frozenset[JobState]()
    skip = int(asked["after"]) if asked.get("after", "").isdecimal() and len(asked["after"]) < 8 else 0
    wanted = Wanted(who.name if shown == MINE else None, states, q, skip, PAGE_JOBS)
    with reading(hub.engine) as session:
        lines = job_lines.lines(session, wanted)
        silent = silent_nodes(nodes.listing(session), visit.now)
    more = {"show": shown if oversees else "", "state": state, "q": q, "after": str(skip + PAGE_JOBS)}
    return Jobs(
        shown=shown,
        now=visit.now,
        oversees=oversees,
        starts=starts,
        state=state if state in CHOICES else "",
        q=q,
        choices=tuple(
            Choice(key, name, sum(lines.by_state.get(each, 0) for each in states))
            for key, (states, name) in CHOICES.items()
        ),
        found=lines.found,
        rows=tuple(_row(line, silent) for line in lines.jobs),
        following=f"/jobs?{urlencode({key: value for key, value in more.items() if value})}"
        if lines.found > skip + PAGE_JOBS
        else "",
    )


def _row(job: JobLine, silent: dict[str, datetime]) -> Row:
    waits = () if job.state in ENDED_JOBS else awaited(job.sites, silent)
    return Row(f"/jobs/{job.id}", job, REASONS[job.reason], waits)


PAGE = Page(name="jobs", path="/jobs", context=Jobs, show=show, parts=("found",), menu=Menu(mark("Jobs"), 45))
