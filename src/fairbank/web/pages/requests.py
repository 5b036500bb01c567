"""Requests for access: one's own, what one has to decide about, and what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from fairbank.catalogue import permissions
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import listing, reviews
from fairbank.catalogue.governance.workflow import REQUEST
from fairbank.catalogue.permissions import Action
from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.web.languages import mark
from fairbank.web.pages.page import Menu, Page
from fairbank.web.pages.visits import Visit
from fairbank.web.state_table import words_of
from fairbank.web.state_words import Look

MINE, DECIDE, DECIDED = "mine", "decide", "decided"
_MOST: Final = 200
_LAST: Final = 5


@dataclass(frozen=True, slots=True)
class Row:
    """A request, or one collection in it, as it stands in a list.

    Attributes:
        address: of its page.
        states: machine and state of all that it consists of, each once.
        owners: for whom it waits, in words that are yet to be translated.
        since: since when it has been so.
    """

    address: str
    title: str
    about: str
    who: str
    states: tuple[tuple[str, str], ...]
    owners: tuple[str, ...]
    since: datetime
    due: datetime | None = None
    overdue: bool = False
    yours: bool = False


@dataclass(frozen=True, slots=True)
class Requests:
    """`requests.html`; `following` is the mark of the list after this one."""

    shown: str
    now: datetime
    decides: bool
    q: str
    rows: tuple[Row, ...]
    last_decided: tuple[Row, ...]
    following: str | None = None


def show(hub: Hub, visit: Visit) -> Requests:
    """Put the page together: what waits for the reader comes before what she asked for herself."""
    who, asked = visit.account, visit.asked
    decides = permissions.allow(who, Action.REVIEW)
    words = asked.get("q", "").strip()[:200]
    with reading(hub.engine) as session:
        waiting = _to_decide(session, who, visit.now) if decides else ()
        standard = DECIDE if waiting else MINE
        shown = asked.get("show", standard)
        shown = shown if shown in (MINE, DECIDE, DECIDED) else standard
        following = None
        if shown == MINE:
            rows, following = _mine(session, who, words, asked.get("after"))
        else:
            rows = waiting if shown == DECIDE else _decided(session, who, visit.now, _MOST)
        nothing = shown == DECIDE and not rows
        last = _decided(session, who, visit.now, _LAST) if nothing else ()
    return Requests(shown, visit.now, decides, words, rows, last, following)


def _mine(
    session: Session, who: Account, words: str, mark_: str | None
) -> tuple[tuple[Row, ...], str | None]:
    wanted = listing.Filter(mine=True, text=words or None)
    page = listing.requests(session, who, wanted, mark=mark_ or None)
    rows = [(each["state"] in REQUEST.last, _request(each)) for each in page.rows]
    rows.sort(key=lambda each: (each[0], each[1].since))
    return tuple(row for _, row in rows), page.following


def _to_decide(session: Session, who: Account, now: datetime) -> tuple[Row, ...]:
    found = reviews.listing(session, who, reviews.Wanted(limit=_MOST), now=now)
    return tuple(sorted((_leg(each) for each in found), key=lambda row: (not row.yours, row.since)))


def _decided(session: Session, who: Account, now: datetime, most: int) -> tuple[Row, ...]:
    found = reviews.listing(session, who, reviews.Wanted(decided=True, limit=most), now=now)
    return tuple(_leg(each) for each in found)


def _request(told: dict[str, Any]) -> Row:
    legs = sorted(told["legs"]) if told["state"] == "open" else []
    states = tuple(("leg", state) for state in legs) or (("request", str(told["state"])),)
    return Row(
        address=f"/requests/{told['id']}",
        title=str(told["title"]),
        about="",
        who=str(told["account"]),
        states=states,
        owners=_owners(states),
        since=parse_iso(str(told["submitted"] or told["changed"])),
    )


def _leg(told: dict[str, Any]) -> Row:
    states = (("leg", str(told["state"])),)
    return Row(
        address=f"/requests/{told['request']}",
        title=str(told["title"]),
        about=str(told["dataset_title"] or told["dataset"]),
        who=str(told["account"]),
        states=states,
        owners=_owners(states),
        since=parse_iso(str(told["awaited_since"] or told["since"])),
        due=parse_iso(str(told["due"])) if told["due"] else None,
        overdue=bool(told["overdue"]),
        yours=bool(told["awaits_me"]),
    )


def _owners(states: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    # A grant in force needs nothing of anybody until it ends.
    told = [words_of(*each) for each in states]
    return tuple(dict.fromkeys(each.owner for each in told if each.owner and each.look is not Look.GOOD))


PAGE = Page(name="requests", path="/requests", context=Requests, show=show, menu=Menu(mark("Requests"), 40))
