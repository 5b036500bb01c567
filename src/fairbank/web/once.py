"""Forms that take effect once, and only on what their page showed.

A form that decides something carries a token bound to the person, the object and the object's version. The token is the
hub's own proof over these, so nothing is kept until it is used; then its hash is, until it would have ended anyway.

- The same form sent twice does one thing: the second answer leads where the first led.
- A form of a page that somebody else has made old is refused with 409 (`StaleForm`), and the page shows both.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, runtime_checkable

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from starlette.responses import Response

from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import hub_secrets
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, Kind
from fairbank.web.pages.page import Once
from fairbank.web.pages.visits import Fields, to
from fairbank.web.store import SentFormRow

FIELD: Final = "once"
# As long as a page may lie open: no form of a day's work is refused for its age.
LIVES: Final = timedelta(hours=24)
_PURPOSE: Final = "forms that work once"


class TokenForged(FairbankError):
    """A form carries no token of this hub for this person and object, or one that is too old."""

    code = "FB-WEB-022"
    kind = Kind.FORBIDDEN


class StaleForm(FairbankError):
    """What a form decides about has changed since its page was shown."""

    code = "FB-WEB-023"
    kind = Kind.CONFLICT


class Named(Protocol):
    """Who sends a form."""

    @property
    def name(self) -> str:
        """Return the name that a token is bound to."""
        ...


class Sent(Protocol):
    """What of a visit a token depends on; visits of the hub and of a node are some."""

    @property
    def account(self) -> Named:
        """Return who sends it."""
        ...

    @property
    def now(self) -> datetime:
        """Return the moment."""
        ...

    @property
    def path(self) -> str:
        """Return the address of the page."""
        ...

    @property
    def form(self) -> Fields:
        """Return what was sent."""
        ...


@runtime_checkable
class Keeper(Protocol):
    """Proves tokens, and remembers those that were used."""

    def proof(self, text: str) -> str:
        """Return a proof of a text that nobody else can make."""
        ...

    def begin(self, name: str, who: str, *, now: datetime, ends: datetime) -> str | None:
        """Note that a token is used; where it was used already, return where that led (empty: not known)."""
        ...

    def finish(self, name: str, address: str) -> None:
        """Note where a token has led."""
        ...

    def forget(self, name: str) -> None:
        """Let a token be used again."""
        ...


@dataclass(frozen=True, slots=True)
class _AtTheHub:
    """Tokens of a hub, in its database."""

    hub: Hub

    def proof(self, text: str) -> str:
        return hub_secrets.proof(self.hub, _PURPOSE, text)

    def begin(self, name: str, who: str, *, now: datetime, ends: datetime) -> str | None:
        try:
            with writing(self.hub.engine) as session:
                session.execute(delete(SentFormRow).where(SentFormRow.expires <= now))
                row = SentFormRow(token_hash=name, account=who, used=now, expires=ends, address=None)
                session.add(row)
        except IntegrityError:
            with reading(self.hub.engine) as session:
                address = select(SentFormRow.address).where(SentFormRow.token_hash == name)
                return session.scalar(address) or ""
        return None

    def finish(self, name: str, address: str) -> None:
        with writing(self.hub.engine) as session:
            session.execute(update(SentFormRow).where(SentFormRow.token_hash == name).values(address=address))

    def forget(self, name: str) -> None:
        with writing(self.hub.engine) as session:
            session.execute(delete(SentFormRow).where(SentFormRow.token_hash == name))


@dataclass(frozen=True, slots=True)
class Bound:
    """What a form decides about.

    Attributes:
        target: kind and id of the object, such as `leg 0190…`.
        version: what changes whenever the object does: a version, a state, a moment, or several joined.
    """

    target: str
    version: str


def token(where: Hub | Keeper, visit: Sent, bound: Bound) -> Once:
    """Return a token for the field `once` of a form."""
    ends = int((visit.now + LIVES).timestamp())
    nonce = secrets.token_urlsafe(16)
    version = _short(bound.version)
    proof = _proof(_keeper(where), visit, bound, f"{ends}.{nonce}.{version}")
    return Once(f"{ends}.{nonce}.{version}.{proof}")


def act(where: Hub | Keeper, visit: Sent, bound: Bound, do: Callable[[], str]) -> Response:
    """Do what a form asks for, once, and return the answer that leads on.

    Args:
        where: the hub, or what keeps the tokens of a node's pages.
        bound: what it decides about, as it is now.
        do: does it and returns the address to go to; an error that it raises leaves the form usable.

    Raises:
        TokenForged: if the token is none that this person got for this object, or has ended.
        StaleForm: if the object has changed meanwhile.
    """
    keeper, given = _keeper(where), visit.form.get(FIELD, "")
    ends = _checked(keeper, visit, bound, given)
    name = hub_secrets.digest(given)
    earlier = keeper.begin(name, visit.account.name, now=visit.now, ends=ends)
    if earlier is not None:
        return to(earlier or visit.path)
    if given.split(".")[2] != _short(bound.version):
        keeper.forget(name)
        raise StaleForm(
            "Somebody else has changed this meanwhile.",
            why="What you decided about is no longer what your page showed.",
            todo="Look at it as it is now, and decide again.",
        )
    try:
        address = do()
    except BaseException:
        keeper.forget(name)
        raise
    keeper.finish(name, address)
    return to(address)


def _checked(keeper: Keeper, visit: Sent, bound: Bound, given: str) -> datetime:
    parts = given.split(".")
    if len(parts) == 4 and parts[0].isdecimal() and len(parts[0]) < 12:
        expected = _proof(keeper, visit, bound, ".".join(parts[:3]))
        ends = datetime.fromtimestamp(int(parts[0]), UTC)
        if secrets.compare_digest(expected.encode(), parts[3].encode()) and visit.now < ends:
            return ends
    raise TokenForged(
        "The form was not sent from its own page, or too long after it was shown.",
        why="A decision counts only from a page that was shown to you here.",
        todo="Load the page again and decide there.",
    )


def _keeper(where: Hub | Keeper) -> Keeper:
    # A node's keeper begins tokens itself; a hub has a database for that.
    return where if isinstance(where, Keeper) else _AtTheHub(where)


def _proof(keeper: Keeper, visit: Sent, bound: Bound, text: str) -> str:
    # The target comes last and may hold anything: names and numbers before it hold no line end.
    return keeper.proof(f"{visit.account.name}\n{text}\n{bound.target}")


def _short(version: str) -> str:
    return hub_secrets.digest(version)[:16]
