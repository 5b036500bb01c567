"""Log-ins of browsers: kept at the hub, named by a random cookie, ended by time, log-out or a new password.

The cookie's value is new after each step of a log-in, so that one planted before is worth nothing afterwards.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session
from starlette.requests import Request

from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import hub_secrets
from fairbank.catalogue.identity.origins import is_https
from fairbank.catalogue.identity.store import SessionRow
from fairbank.database import reading, writing

_MARK: Final = 16
_NOTED_EVERY: Final = timedelta(minutes=1)
CSRF_HEADER: Final = "x-csrf-token"
_COOKIE: Final = "fairbank"
# A browser takes `__Host-` only with Secure, without Domain and for all paths (RFC 6265bis, section 4.1.3.2).
_SECURE: Final = "__Host-"
# Before anybody has logged in there is no session: a cookie that only this hub can have set stands for it.
GUEST: Final = "guest-"


class Stage(StrEnum):
    """How far a log-in has come."""

    SECOND_FACTOR = "second-factor"
    ENROL = "enrol"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A session that holds."""

    account: str
    stage: Stage
    csrf: str


def begin(session: Session, hub: Hub, *, account: str, stage: Stage) -> str:
    """Begin a session and return the cookie's value."""
    secret, now = secrets.token_urlsafe(32), hub.clock.now()
    session.execute(delete(SessionRow).where(SessionRow.expires <= now))
    session.add(
        SessionRow(
            secret_hash=hub_secrets.digest(secret),
            account=account,
            stage=stage.value,
            created=now,
            seen=now,
            expires=now + timedelta(hours=hub.settings.accounts_session_hours),
        )
    )
    session.flush()
    return secret


def find(hub: Hub, secret: str) -> BrowserSession | None:
    """Return the session of a cookie; None if it is unknown, has ended, or was idle for too long."""
    now, name = hub.clock.now(), hub_secrets.digest(secret)
    idle = timedelta(minutes=hub.settings.accounts_session_idle_minutes)
    with reading(hub.engine) as session:
        row = session.get(SessionRow, name)
    if row is None or now >= row.expires or now >= row.seen + idle:
        return None
    if now - row.seen >= _NOTED_EVERY:
        with writing(hub.engine, lasting=False) as session:
            session.execute(update(SessionRow).where(SessionRow.secret_hash == name).values(seen=now))
    return BrowserSession(row.account, Stage(row.stage), csrf_of(hub, secret))


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as its owner sees it: `mark` names it and opens nothing; `is_this` is the one that she looks with."""

    mark: str
    begun: datetime
    seen: datetime
    expires: datetime
    is_this: bool


def of_account(session: Session, hub: Hub, account: str, *, secret: str = "") -> list[OpenSession]:
    """Return the sessions of an account that hold, the newest first.

    Args:
        secret: the cookie of the browser that looks, empty without one.
    """
    now, here = hub.clock.now(), hub_secrets.digest(secret)
    idle = timedelta(minutes=hub.settings.accounts_session_idle_minutes)
    rows = session.scalars(
        select(SessionRow)
        .where(SessionRow.account == account, SessionRow.expires > now, SessionRow.seen > now - idle)
        .order_by(SessionRow.created.desc(), SessionRow.secret_hash)
    )
    return [
        OpenSession(row.secret_hash[:_MARK], row.created, row.seen, row.expires, row.secret_hash == here)
        for row in rows
    ]


def end_one(session: Session, account: str, mark: str) -> None:
    """End the session of an account that a mark of `of_account` names; an unknown one is fine."""
    named = SessionRow.secret_hash.startswith(mark, autoescape=True)
    if len(mark) == _MARK:
        session.execute(delete(SessionRow).where(SessionRow.account == account, named))


def csrf_of(hub: Hub, secret: str) -> str:
    """Return what a form of this session has to carry; no other site can know it."""
    return hub_secrets.proof(hub, "forms", secret)


def is_csrf(hub: Hub, secret: str, given: str) -> bool:
    """Tell whether a form carries what it has to."""
    return secrets.compare_digest(csrf_of(hub, secret).encode(), given.encode())


def end(session: Session, secret: str) -> None:
    """End a session; an unknown one is fine."""
    session.execute(delete(SessionRow).where(SessionRow.secret_hash == hub_secrets.digest(secret)))


def end_all(session: Session, account: str) -> int:
    """End all sessions of an account and return how many there were."""
    ended = session.scalars(
        delete(SessionRow).where(SessionRow.account == account).returning(SessionRow.secret_hash)
    )
    return len(ended.all())


def cookie_name(hub: Hub, *, secure: bool, kind: str = "") -> str:
    """Return the name of a cookie of this hub.

    It names the hub: browsers send a host's cookies to all its ports (RFC 6265, section 8.5), so that a second hub, or
    a node, on the same machine would end the log-in at the first.

    Args:
        secure: for encrypted connections only.
        kind: empty for a session, `GUEST` for the forms of those who have yet to log in.
    """
    of = hashlib.sha256(hub.base_iri.encode()).hexdigest()[:8]
    return f"{_SECURE if secure else ''}{_COOKIE}-{kind}{of}"


def is_cookie_of(hub: Hub, name: str) -> bool:
    """Tell whether a cookie is one by which this hub knows a browser."""
    return name in {
        cookie_name(hub, secure=secure, kind=kind) for secure in (True, False) for kind in ("", GUEST)
    }


def needs_encryption(hub: Hub, request: Request) -> bool:
    """Tell whether cookies of an answer are for encrypted connections only.

    So they are wherever the hub's own address is https, also behind a proxy that nobody named to the hub; a hub whose
    address is not takes them as the connection is.
    """
    return hub.base_iri.startswith("https://") or is_https(request, hub.settings)
