"""The first page of a node: what waits for its people, how the node is, and when the hub was last heard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fairbank.federated_jobs.node import queues
from fairbank.federated_jobs.node.attention import needed
from fairbank.federated_jobs.node.queues import Queue, Queues
from fairbank.federated_jobs.node.site_status import site_status
from fairbank.web.languages import mark
from fairbank.web.node.desk import Desk
from fairbank.web.node.page import NodePage, Visit
from fairbank.web.node.review_groups import words_of_reason
from fairbank.web.pages.page import Menu

# An agent asks the hub for work all the time.
SILENT_AFTER: Final = timedelta(hours=1)
_MOST: Final = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that waits."""

    address: str
    title: str
    about: str
    since: datetime
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queue: where it leads, how much waits since when, and the oldest things of it."""

    name: str
    address: str
    queue: Queue
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """What needs somebody, in the words of the error that says so."""

    code: str
    what: str
    why: str
    todo: str


@dataclass(frozen=True, slots=True)
class Front:
    """`node_front.html`."""

    node: str
    hub: str
    last_word: datetime | None
    is_silent: bool
    now: datetime
    paused: datetime | None
    waiting: tuple[Waiting, ...]
    needs: tuple[Need, ...]
    jobs_going_on: int
    jobs_paused: int
    outputs_ready: int
    rules: int


def show(desk: Desk, visit: Visit) -> Front:
    """Put the page together."""
    node, status = desk.node, site_status(desk.node)
    word = queues.last_word(node)
    return Front(
        node=node.name,
        hub=node.enrolment.hub_url if node.enrolment else "",
        last_word=word,
        is_silent=node.enrolment is not None and (word is None or visit.now - word > SILENT_AFTER),
        now=visit.now,
        paused=status.paused,
        waiting=_waiting(desk, visit, queues.queues(node)),
        needs=tuple(Need(one.code, one.what, one.why, one.todo) for one in needed(node)),
        jobs_going_on=status.jobs_going_on,
        jobs_paused=status.jobs_paused,
        outputs_ready=status.outputs_ready,
        rules=status.rules,
    )


def _waiting(desk: Desk, visit: Visit, found: Queues) -> tuple[Waiting, ...]:
    jobs = [Line(f"/jobs/{one.job}", one.title, one.tool, one.received, one.deadline) for one in found.jobs]
    files = [
        Line(
            f"/review/{desk.opaque(one.project, one.group)}",
            visit.tongue.say(words_of_reason(one.reason)),
            f"{one.project} · {one.group}",
            one.since,
        )
        for one in found.groups
    ]
    outputs = [Line(f"/outbox/{one.release}", one.name, one.job or "", one.staged) for one in found.outputs]
    return (
        Waiting("jobs", "", found.of_jobs, tuple(jobs[:_MOST])),
        Waiting("files", "/review", found.of_files, tuple(files[:_MOST])),
        Waiting("outputs", "/outbox", found.of_outputs, tuple(outputs[:_MOST])),
        Waiting("withdrawals", "/ledger", found.withdrawals, ()),
    )


PAGE = NodePage(name="node_front", path="/", context=Front, show=show, menu=Menu(mark("Waiting"), 10))
