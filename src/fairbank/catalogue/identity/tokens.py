"""API tokens: named, limited in what they are good for and in time, kept as their hashes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import hub_secrets
from fairbank.catalogue.identity.errors import TokenNotFound, TokenRefused
from fairbank.catalogue.identity.model import OF_TOKENS, TokenScope
from fairbank.catalogue.identity.store import ApiTokenRow
from fairbank.database import writing
from fairbank.ontology.wire import ShortText, Wire

PREFIX: Final = "fba_"
MOST_TOKENS: Final = 50
# How exactly `last_used` is kept: a write for each call would be too much.
_NOTED_EVERY: Final = timedelta(minutes=5)


class NewToken(Wire):
    """A token that somebody makes for a program."""

    schema_name = "new-token/1"

    name: ShortText
    scopes: Annotated[tuple[TokenScope, ...], Field(min_length=1, max_length=10)]
    days: Annotated[int, Field(ge=1, le=3_650)] = 90


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as its owner sees it; the token itself is shown only when it is made."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime
    last_used: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a token that works says: whose it is, what it is good for, and whether its use is to be noted."""

    account: str
    scopes: frozenset[TokenScope]
    noted_long_ago: bool


def make(session: Session, hub: Hub, *, account: str, wish: NewToken) -> tuple[ApiToken, str]:
    """Make a token and return it with its secret, which is shown once.

    Raises:
        TokenRefused: if it is to be good for what tokens are not, lives too long, or there are too many.
    """
    longest = hub.settings.accounts_programs_days
    if wish.days > longest:
        raise _refused(
            f"it would live {wish.days} days, and {longest} are allowed", todo="Ask for fewer days."
        )
    if not OF_TOKENS.issuperset(wish.scopes):
        raise _refused(
            "it would be good for what only a log-in is", todo=f"Choose among {', '.join(sorted(OF_TOKENS))}."
        )
    now = hub.clock.now()
    session.execute(delete(ApiTokenRow).where(ApiTokenRow.expires <= now))
    held = session.scalar(select(func.count()).select_from(ApiTokenRow).where(ApiTokenRow.account == account))
    if (held or 0) >= MOST_TOKENS:
        raise _refused(f"the account has {held} already", todo="Revoke those that are not used.")
    return limited(
        session,
        hub,
        account=account,
        name=wish.name,
        scopes=set(wish.scopes),
        lives=timedelta(days=wish.days),
    )


def limited(
    session: Session, hub: Hub, *, account: str, name: str, scopes: set[TokenScope], lives: timedelta
) -> tuple[ApiToken, str]:
    """Make a token without asking whether people may make such."""
    secret, now = PREFIX + secrets.token_urlsafe(32), hub.clock.now()
    row = ApiTokenRow(
        id=hub.clock.new_id(),
        token_hash=hub_secrets.digest(secret),
        account=account,
        name=name,
        scopes=sorted(scope.value for scope in scopes),
        created=now,
        expires=now + lives,
    )
    session.add(row)
    session.flush()
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=account,
        act="token.make",
        target=row.id,
        detail={"scopes": list(row.scopes), "days": lives.days},
    )
    return _shown(row), secret


def listing(session: Session, hub: Hub, account: str) -> list[ApiToken]:
    """Return the tokens of an account that work, the oldest first."""
    statement = select(ApiTokenRow).where(
        ApiTokenRow.account == account, ApiTokenRow.expires > hub.clock.now()
    )
    return [_shown(row) for row in session.scalars(statement.order_by(ApiTokenRow.created, ApiTokenRow.id))]


def revoke(session: Session, hub: Hub, *, account: str, token_id: str) -> None:
    """End a token of an account.

    Raises:
        TokenNotFound: if the account has none of this id.
    """
    row = session.get(ApiTokenRow, token_id)
    if row is None or row.account != account:
        raise TokenNotFound(
            "You have no token of this id.",
            why="It was revoked, has ended, or is somebody else's; which is not told.",
            todo="See 'fairbank token list'.",
        )
    session.delete(row)
    audit.record(session, audit.HubAudit, clock=hub.clock, actor=account, act="token.revoke", target=token_id)


def end_all(session: Session, account: str) -> int:
    """End all tokens of an account and return how many there were."""
    ended = session.scalars(
        delete(ApiTokenRow).where(ApiTokenRow.account == account).returning(ApiTokenRow.id)
    )
    return len(ended.all())


def find(session: Session, hub: Hub, secret: str) -> Found | None:
    """Return what a token is good for, None if it is unknown or has ended."""
    row = session.scalar(select(ApiTokenRow).where(ApiTokenRow.token_hash == hub_secrets.digest(secret)))
    if row is None or hub.clock.now() >= row.expires:
        return None
    long_ago = row.last_used is None or row.last_used < hub.clock.now() - _NOTED_EVERY
    return Found(row.account, frozenset(TokenScope(each) for each in row.scopes), long_ago)


def note_use(hub: Hub, secret: str) -> None:
    """Keep when a token was last used, to five minutes."""
    now = hub.clock.now()
    statement = update(ApiTokenRow).where(ApiTokenRow.token_hash == hub_secrets.digest(secret))
    with writing(hub.engine, lasting=False) as session:
        session.execute(statement.values(last_used=now))


def _shown(row: ApiTokenRow) -> ApiToken:
    return ApiToken(row.id, row.name, tuple(row.scopes), row.created, row.expires, row.last_used)


def _refused(reason: str, *, todo: str) -> TokenRefused:
    return TokenRefused(
        f"The token cannot be made: {reason}.", why="Tokens are kept few and small.", todo=todo
    )
