"""The people of the hub: who they are, what they may do, how they came to it, and whether their programs are in use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session
from starlette.responses import Response

from fairbank import audit
from fairbank.audit import HubAudit, Wanted
from fairbank.catalogue import accounts, nodes
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import AccountRefused
from fairbank.catalogue.identity import roles, second_factors, tokens
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, Kind
from fairbank.web import once
from fairbank.web.languages import mark
from fairbank.web.once import Bound
from fairbank.web.pages.page import Menu, Once, Page
from fairbank.web.pages.visits import Visit
from fairbank.web.problems import NoSuchPage

GIVE, TAKE = "give", "take"
_MOST: Final = 200


class RoleUnclear(FairbankError):
    """A form that gives or takes a role names no role that there is."""

    code = "FB-WEB-039"
    kind = Kind.REFUSED


@dataclass(frozen=True, slots=True)
class Person:
    """An account in a list; `used` is when a program last came with one of its tokens."""

    name: str
    organisation: str
    roles: tuple[Role, ...]
    nodes: tuple[str, ...]
    has_key: bool
    second_factor: bool
    tokens: int
    used: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """A role that was given or taken."""

    at: datetime
    actor: str
    given: bool
    role: Role
    node: str


@dataclass(frozen=True, slots=True)
class People:
    """`people.html`; `one` is the person whose roles are shown, if somebody's are."""

    people: tuple[Person, ...]
    one: Person | None
    history: tuple[Change, ...]
    nodes: tuple[str, ...]
    once: Once


def show(hub: Hub, visit: Visit) -> People:
    """Put the page together."""
    wanted = visit.asked.get("name", "")
    with reading(hub.engine) as session:
        people = tuple(_person(hub, session, each) for each in accounts.accounts(session))
        one = next((each for each in people if each.name == wanted), None)
        if wanted and one is None:
            raise NoSuchPage("There is nobody of this name.", why="", todo="")
        return People(
            people=people,
            one=one,
            history=_history(session, wanted) if one is not None else (),
            nodes=tuple(sorted(each.name for each in nodes.listing(session))),
            once=once.token(hub, visit, _bound(one)) if one is not None else Once(),
        )


def change(hub: Hub, visit: Visit) -> Response:
    """Give or take a role; what somebody else has changed meanwhile is shown first."""
    name, node = visit.form.get("name", ""), visit.form.get("node") or None
    word = visit.form.get("role", "")
    if word not in set(Role):
        raise RoleUnclear(
            "No role was chosen.", why="Nothing was changed.", todo="Choose one and send it again."
        )
    role = Role(word)
    with reading(hub.engine) as session:
        try:
            one = _person(hub, session, accounts.find(session, name))
        except AccountRefused as err:
            raise NoSuchPage(err.what, why="", todo="") from err

    def do() -> str:
        with writing(hub.engine) as session:
            given = roles.give if visit.form["act"] == GIVE else roles.take
            given(session, hub, account=name, role=role, node=node, actor=visit.account.name)
        return f"/people?name={name}"

    return once.act(hub, visit, _bound(one), do)


def _bound(one: Person) -> Bound:
    return Bound(f"roles of {one.name}", f"{' '.join(one.roles)} {' '.join(one.nodes)}")


def _person(hub: Hub, session: Session, account: Account) -> Person:
    held = tokens.listing(session, hub, account.name)
    return Person(
        name=account.name,
        organisation=account.organisation,
        roles=tuple(sorted(account.roles)),
        nodes=tuple(sorted(account.scopes)),
        has_key=account.key_id is not None,
        second_factor=second_factors.has_one(session, account.name),
        tokens=len(held),
        used=max((each.last_used for each in held if each.last_used), default=None),
    )


def _history(session: Session, name: str) -> tuple[Change, ...]:
    wanted = Wanted(act="role.", target=name)
    return tuple(
        Change(
            row.at,
            row.actor,
            row.act == "role.give",
            Role(row.detail["role"]),
            row.detail.get("node") or "",
        )
        for row in reversed(audit.entries(session, HubAudit, wanted, limit=_MOST, newest=True))
    )


PAGE = Page(
    name="people",
    path="/people",
    context=People,
    show=show,
    acts={GIVE: change, TAKE: change},
    menu=Menu(mark("People"), 95),
)
