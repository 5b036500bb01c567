"""What was granted: to the reader, or by whom she decides with, newest first, with the way to a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import listing
from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.web.languages import mark
from fairbank.web.pages.page import Menu, Page
from fairbank.web.pages.visits import Visit

_HOLDS: Final = "holds"
# What a state is called, and its look (a class of tags).
_STATES: Final[dict[str, tuple[str, str]]] = {
    _HOLDS: (mark("In force"), "good"),
    "paused": (mark("Paused"), "wait"),
    "expired": (mark("Expired"), ""),
    "revoked": (mark("Taken back"), "bad"),
    "superseded": (mark("Replaced by a later grant"), ""),
}
_ENDED: Final = (mark("Ended"), "")


@dataclass(frozen=True, slots=True)
class Opened:
    """A collection of a grant, with the state of its decision where the grant still opens it.

    Attributes:
        address: of its page, empty where the grant does not open it any more.
        runs_left: of `maximum_runs`; None: not limited, or not known.
    """

    title: str
    address: str = ""
    state: str = ""
    maximum_runs: int | None = None
    runs_left: int | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant; `job` is where one starts a job under it, empty for who may not."""

    id: str
    request: str
    title: str
    state: str
    look: str
    account: str
    organisation: str
    purpose: str
    begins: datetime
    ends: datetime
    collections: tuple[Opened, ...]
    job: str


@dataclass(frozen=True, slots=True)
class Grants:
    """`grants.html`; `following` is the mark behind the last one, where there are more."""

    rows: tuple[Grant, ...]
    following: str | None


def show(hub: Hub, visit: Visit) -> Grants:
    """Put the page together."""
    with reading(hub.engine) as session:
        after = visit.asked.get("after") or None
        page = listing.grants(session, visit.account, now=visit.now, runs=hub.runs, mark=after)
    return Grants(tuple(_grant(each, visit) for each in page.rows), page.following)


def _grant(told: dict[str, Any], visit: Visit) -> Grant:
    words, look = _STATES.get(told["state"], _ENDED)
    may_start = told["state"] == _HOLDS and told["account"] == visit.account.name
    opened = tuple(_opened(each) for each in told["datasets"])
    return Grant(
        id=told["id"],
        request=told["request"],
        title=told["title"],
        state=visit.tongue.say(words),
        look=look,
        account=told["account"],
        organisation=told["organisation"],
        purpose=told["purpose"]["words"],
        begins=parse_iso(told["not_before"]),
        ends=parse_iso(told["expires"]),
        # One that has ended opens nothing; what it was over is told all the same.
        collections=opened or tuple(Opened(each["title"]) for each in told["sealed_over"]),
        job=f"/jobs/new?grant={told['id']}" if may_start else "",
    )


def _opened(told: dict[str, Any]) -> Opened:
    return Opened(
        title=told["title"],
        address="/collections/" + "/".join(str(told["dataset"]).rsplit("/", 2)[1:]),
        state=told["state"],
        maximum_runs=told["maximum_runs"],
        runs_left=told["runs_left"],
    )


PAGE = Page(name="grants", path="/grants", context=Grants, show=show, menu=Menu(mark("Grants"), 50))
