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
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from starlette.responses import Response

from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import hub_secrets
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, Kind
from fairbank.web.pages.page import Once
from fairbank.web.pages.visits import Visit, to
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


@dataclass(frozen=True, slots=True)
class Bound:
    """What a form decides about.

    Attributes:
        target: kind and id of the object, such as `leg 0190…`.
        version: what changes whenever the object does: a version, a state, a moment, or several joined.
    """

    target: str
    version: str


def token(hub: Hub, visit: Visit, bound: Bound) -> Once:
    """Return a token for the field `once` of a form."""
    ends = int((visit.now + LIVES).timestamp())
    nonce = secrets.token_urlsafe(16)
    version = _short(bound.version)
    return Once(f"{ends}.{nonce}.{version}.{_proof(hub, visit, bound, f'{ends}.{nonce}.{version}')}")


def act(hub: Hub, visit: Visit, bound: Bound, do: Callable[[], str]) -> Response:
    """Do what a form asks for, once, and return the answer that leads on.

    Args:
        bound: what it decides about, as it is now.
        do: does it and returns the address to go to; an error that it raises leaves the form usable.

    Raises:
        TokenForged: if the token is none that this person got for this object, or has ended.
        StaleForm: if the object has changed meanwhile.
    """
    given = visit.form.get(FIELD, "")
    ends = _checked(hub, visit, bound, given)
    name = hub_secrets.digest(given)
    earlier = _begun(hub, visit, name, ends)
    if earlier is not None:
        return to(earlier or visit.path)
    if given.split(".")[2] != _short(bound.version):
        _forget(hub, name)
        raise StaleForm(
            "Somebody else has changed this meanwhile.",
            why="What you decided about is no longer what your page showed.",
            todo="Look at it as it is now, and decide again.",
        )
    try:
        address = do()
    except BaseException:
        _forget(hub, name)
        raise
    with writing(hub.engine) as session:
        session.execute(update(SentFormRow).where(SentFormRow.token_hash == name).values(address=address))
    return to(address)


def _checked(hub: Hub, visit: Visit, bound: Bound, given: str) -> datetime:
    parts = given.split(".")
    if len(parts) == 4 and parts[0].isdecimal() and len(parts[0]) < 12:
        expected = _proof(hub, visit, bound, ".".join(parts[:3]))
        ends = datetime.fromtimestamp(int(parts[0]), UTC)
        if secrets.compare_digest(expected.encode(), parts[3].encode()) and visit.now < ends:
            return ends
    raise TokenForged(
        "The form was not sent from its own page, or too long after it was shown.",
        why="A decision counts only from a page that this hub showed to you.",
        todo="Load the page again and decide there.",
    )


def _begun(hub: Hub, visit: Visit, name: str, ends: datetime) -> str | None:
    """Note that a token is used; where it was used already, return where that led (empty: not known)."""
    try:
        with writing(hub.engine) as session:
            session.execute(delete(SentFormRow).where(SentFormRow.expires <= visit.now))
            row = SentFormRow(
                token_hash=name, account=visit.account.name, used=visit.now, expires=ends, address=None
            )
            session.add(row)
    except IntegrityError:
        with reading(hub.engine) as session:
            address = select(SentFormRow.address).where(SentFormRow.token_hash == name)
            return session.scalar(address) or ""
    return None


def _forget(hub: Hub, name: str) -> None:
    with writing(hub.engine) as session:
        session.execute(delete(SentFormRow).where(SentFormRow.token_hash == name))


def _proof(hub: Hub, visit: Visit, bound: Bound, text: str) -> str:
    # The target comes last and may hold anything: names and numbers before it hold no line end.
    return hub_secrets.proof(hub, _PURPOSE, f"{visit.account.name}\n{text}\n{bound.target}")


def _short(version: str) -> str:
    return hub_secrets.digest(version)[:16]
