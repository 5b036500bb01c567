"""The first page: what is here, what waits for whom, and which collections are new."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from fairbank import __version__
from fairbank.catalogue import nodes, permissions, search
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import grants, listing, reviews
from fairbank.catalogue.permissions import Action
from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.federated_jobs.hub import job_lines
from fairbank.federated_jobs.hub.job_lines import Wanted
from fairbank.federated_jobs.states import ENDED_JOBS, JobState
from fairbank.ontology.counts import Count
from fairbank.web.job_words import awaited
from fairbank.web.languages import mark
from fairbank.web.pages.page import GRAPHS, Menu, Page
from fairbank.web.pages.visits import Visit
from fairbank.web.silence import SILENT_AFTER
from fairbank.web.state_table import REQUESTER, words_of
from fairbank.web.state_words import Look

_NEW: Final = 6
_MOST: Final = 20
_PERMITS: Final = 3


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the hub knows of; subjects are what is certain, and may be in two biobanks."""

    collections: int
    subjects_at_least: int
    subjects_suppressed: int
    nodes: int
    nodes_answering: int
    last_published: datetime | None


@dataclass(frozen=True, slots=True)
class Silent:
    """A node that does not answer."""

    title: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that somebody has to act on; `machine` and `state` are looked up in the table of words."""

    address: str
    title: str
    about: str
    machine: str
    state: str
    since: datetime | None
    due: datetime | None


@dataclass(frozen=True, slots=True)
class Permit:
    """A permit that a job can be started from; `address` begins one."""

    address: str
    title: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection in two lines."""

    address: str
    title: str
    node: str
    subjects: Count | None
    published: datetime


@dataclass(frozen=True, slots=True)
class Home:
    """`home.html`."""

    name: str
    version: str
    base_iri: str
    numbers: Numbers
    silent: tuple[Silent, ...]
    for_you: tuple[Waiting, ...]
    for_others: tuple[Waiting, ...]
    permits: tuple[Permit, ...]
    new: tuple[Collection, ...]


def show(hub: Hub, visit: Visit) -> Home:
    """Put the page together; what waits is shown to who is signed in."""
    with reading(hub.engine) as session:
        found = search.in_brief(session, visit.who, newest=_NEW)
        newest = tuple(_collection(hub, row) for row in found.newest)
        numbers, silent = _numbers(session, visit, found, newest)
        waiting = _waiting(session, visit.who, visit.now) if visit.who is not None else ((), ())
        permits = _permits(session, visit.who, visit.now)
    return Home("fairbank", __version__, hub.base_iri, numbers, silent, *waiting, permits, newest)


def _numbers(
    session: Session, visit: Visit, found: search.Brief, newest: tuple[Collection, ...]
) -> tuple[Numbers, tuple[Silent, ...]]:
    there = [node for node in nodes.listing(session) if node.suspended is None]
    silent = tuple(
        Silent(node.title or node.name, node.last_seen)
        for node in there
        if visit.now - node.last_seen > SILENT_AFTER
    )
    numbers = Numbers(
        collections=found.datasets,
        subjects_at_least=found.subjects["at_least"],
        subjects_suppressed=found.subjects["suppressed_cells"],
        nodes=len(there),
        nodes_answering=len(there) - len(silent),
        last_published=newest[0].published if newest else None,
    )
    return numbers, silent


def _waiting(
    session: Session, who: Account, now: datetime
) -> tuple[tuple[Waiting, ...], tuple[Waiting, ...]]:
    wanted = reviews.Wanted(mine=True, limit=_MOST)
    mine = [_leg(row, row["dataset_title"]) for row in reviews.listing(session, who, wanted, now=now)]
    others: list[Waiting] = []
    for row in listing.legs(session, who, listing.Filter(mine=True), limit=_MOST).rows:
        said = words_of("leg", row["state"])
        # A grant in force needs nothing of anybody until it ends.
        if said.owner and said.look is not Look.GOOD:
            (mine if said.owner == REQUESTER else others).append(_leg(row, row["committee"]))
    going = Wanted(who.name, frozenset(JobState) - ENDED_JOBS, limit=_MOST)
    for job in job_lines.lines(session, going).jobs:
        # Whom it waits for: the nodes, by their names.
        about = ", ".join(each.node for each in awaited(job.sites, {}))
        others.append(Waiting(f"/jobs/{job.id}", job.title, about, "job", job.state.value, job.news, None))
    return tuple(mine), tuple(others)


def _permits(session: Session, who: Account | None, now: datetime) -> tuple[Permit, ...]:
    if who is None or not permissions.allow(who, Action.JOB_SUBMIT):
        return ()
    found = grants.holding(session, who.name, now=now, limit=_PERMITS)
    return tuple(Permit(f"/jobs/new?grant={each.visa_id}", each.title, each.nodes) for each in found)


def _leg(row: dict[str, object], about: object) -> Waiting:
    since, due = row.get("awaited_since") or row.get("since"), row.get("due")
    return Waiting(
        address=f"/requests/{row['request']}",
        title=str(row["title"]),
        about=str(about or ""),
        machine="leg",
        state=str(row["state"]),
        since=parse_iso(str(since)) if since else None,
        due=parse_iso(str(due)) if due else None,
    )


def _collection(hub: Hub, row: dict[str, object]) -> Collection:
    totals = row["totals"]
    counted = totals.get("subjects") if isinstance(totals, dict) else None
    return Collection(
        address=str(row["iri"]).removeprefix(hub.base_iri).replace("/datasets/", "/collections/", 1),
        title=str(row["title"]),
        node=str(row["node"]),
        subjects=Count.model_validate(counted) if counted else None,
        published=parse_iso(str(row["published"])),
    )


PAGE = Page(name="home", path="/", context=Home, show=show, elsewhere=GRAPHS, menu=Menu(mark("Home"), 10))
