"""Accounts of people: passwords (argon2), roles, tokens, and the public key that a requester signs with.

A token is random and stored as its hash. A key is registered with a proof: an envelope of kind `account-key` that names
account and hub and is sealed with that key, so nobody can register a key that is not theirs.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY
from pydantic import Field
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session
from starlette.requests import Request

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import (
    AccountRefused,
    KeyProofRefused,
    NotAllowed,
    NotLoggedIn,
    TooManyLogins,
    WrongPassword,
)
from fairbank.catalogue.store import AccountRow, LoginFailureRow, TokenRow
from fairbank.clock import parse_iso
from fairbank.database import reading, writing
from fairbank.ontology.signed_objects import SignedObject
from fairbank.ontology.wire import Iri, KeyText, Moment, ShortText, Slug, Wire
from fairbank.signing import KeyId

TOKEN_HOURS = 12
SHORTEST_PASSWORD = 10
FAILURES_PER_ORIGIN = 5
FAILURES_PER_ACCOUNT = 50
FAILURE_WINDOW_S = 300
KEY_PROOF_WINDOW_S = 600

# 64 MiB and 3 passes (RFC 9106, section 4, the second recommended option); two at a time bound the memory.
_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
_HASHING = threading.BoundedSemaphore(2)


class Role(StrEnum):
    """What a person may do."""

    RESEARCHER = "researcher"
    COMMITTEE = "committee"
    ADMIN = "admin"


class Login(Wire):
    """A name and a password."""

    schema_name = "login/1"

    name: Slug
    password: Annotated[str, Field(min_length=1, max_length=1000)]


class NewAccount(Wire):
    """An account that an administrator makes."""

    schema_name = "account/1"

    name: Slug
    password: Annotated[str, Field(min_length=1, max_length=1000)]
    roles: tuple[Role, ...]
    organisation: ShortText = "not stated"


class AccountKey(SignedObject):
    """The proof that an account holds a key; sealed with that key."""

    schema_name = "account-key/1"
    kind = "account-key"

    account: Slug
    key: KeyText
    hub: Iri
    created: Moment


@dataclass(frozen=True, slots=True)
class Account:
    """A person who is logged in."""

    name: str
    roles: frozenset[Role]
    key_id: KeyId | None
    organisation: str = ""

    def has(self, *roles: Role) -> bool:
        """Tell whether the account has at least one of these roles."""
        return bool(self.roles.intersection(roles))


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token, shown once, and until when it works."""

    token: str
    account: Account
    expires: datetime


def create_account(
    session: Session,
    hub: Hub,
    *,
    name: str,
    password: str,
    roles: Iterable[Role],
    organisation: str = "not stated",
    actor: str = "hub",
) -> Account:
    """Make an account.

    Raises:
        AccountRefused: if the name is taken or the password is too short.
    """
    wanted = sorted(set(roles))
    if session.get(AccountRow, name) is not None:
        raise AccountRefused(
            f"There is an account {name!r} already.", why="Names are unique.", todo="Choose another name."
        )
    row = AccountRow(
        name=name,
        password_hash=_hashed(password),
        roles=[role.value for role in wanted],
        organisation=organisation,
        created=hub.clock.now(),
    )
    session.add(row)
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act="account.create",
        target=name,
        detail={"roles": [role.value for role in wanted]},
    )
    return _account(row)


def set_password(session: Session, hub: Hub, *, name: str, password: str, actor: str) -> None:
    """Change a password and end all log-ins of the account.

    Raises:
        AccountRefused: if there is no such account, or the password is too short.
    """
    row = _row(session, name)
    row.password_hash = _hashed(password)
    session.execute(delete(TokenRow).where(TokenRow.account == name))
    audit.record(session, audit.HubAudit, clock=hub.clock, actor=actor, act="account.password", target=name)


def disable(session: Session, hub: Hub, *, name: str, actor: str) -> None:
    """Shut an account and end all its log-ins."""
    row = _row(session, name)
    row.disabled = row.disabled or hub.clock.now()
    session.execute(delete(TokenRow).where(TokenRow.account == name))
    audit.record(session, audit.HubAudit, clock=hub.clock, actor=actor, act="account.disable", target=name)


def accounts(session: Session) -> list[Account]:
    """Return all accounts that are not shut, by name."""
    rows = session.scalars(select(AccountRow).where(AccountRow.disabled.is_(None)).order_by(AccountRow.name))
    return [_account(row) for row in rows]


def login(hub: Hub, *, name: str, password: str, origin: str) -> IssuedToken:
    """Check a password and issue a token.

    Args:
        origin: where the attempt comes from; wrong passwords are limited per account and origin.

    Raises:
        WrongPassword: if name and password do not belong together.
        TooManyLogins: if there were too many wrong ones.
    """
    now = hub.clock.now()
    with reading(hub.engine) as session:
        _refuse_flood(session, name, origin, now)
        row = session.get(AccountRow, name)
    stored = row.password_hash if row is not None and row.disabled is None else _decoy()
    matches = _matches(stored, password)
    if row is None or row.disabled is not None or not matches:
        with writing(hub.engine) as session:
            session.execute(
                delete(LoginFailureRow).where(LoginFailureRow.at < now - timedelta(seconds=FAILURE_WINDOW_S))
            )
            session.add(LoginFailureRow(account=name, origin=origin, at=now))
        raise WrongPassword(
            "The account name and password do not belong together.",
            why="Which of the two is wrong is not told.",
            todo="Try again, or ask the hub's administrator for a new password.",
        )
    with writing(hub.engine) as session:
        session.execute(delete(TokenRow).where(TokenRow.expires < now))
        return issue_token(session, hub, name=name)


def issue_token(session: Session, hub: Hub, *, name: str, hours: int = TOKEN_HOURS) -> IssuedToken:
    """Issue a token without a password: for `login`, and for the hub's own operator."""
    row = _row(session, name)
    token = "fbt_" + secrets.token_urlsafe(32)
    expires = hub.clock.now() + timedelta(hours=hours)
    session.add(
        TokenRow(token_hash=_token_hash(token), account=name, created=hub.clock.now(), expires=expires)
    )
    audit.record(session, audit.HubAudit, clock=hub.clock, actor=name, act="account.login", target=name)
    return IssuedToken(token, _account(row), expires)


def logout(hub: Hub, token: str) -> None:
    """End a log-in; an unknown token is fine."""
    with writing(hub.engine) as session:
        session.execute(delete(TokenRow).where(TokenRow.token_hash == _token_hash(token)))


def by_token(hub: Hub, token: str) -> Account | None:
    """Return the account that a token belongs to, or None if it is unknown or expired."""
    with reading(hub.engine) as session:
        row = session.execute(
            select(AccountRow, TokenRow.expires)
            .join(TokenRow, TokenRow.account == AccountRow.name)
            .where(TokenRow.token_hash == _token_hash(token))
        ).first()
    if row is None or row.AccountRow.disabled is not None or hub.clock.now() >= row.expires:
        return None
    return _account(row.AccountRow)


def account(hub: Hub, *roles: Role) -> Callable[[Request], Account]:
    """Return a FastAPI dependency that gives the logged-in account.

    Args:
        roles: at least one of these is needed; none means any account.

    The dependency raises NotLoggedIn and NotAllowed.
    """

    def dependency(request: Request) -> Account:
        found = from_request(hub, request)
        if found is None:
            raise NotLoggedIn(
                "This needs an account.",
                why="No token was sent.",
                todo="Log in with 'fairbank login NAME' first.",
            )
        if roles and not found.has(*roles):
            raise NotAllowed(
                f"The account {found.name!r} may not do this.",
                why=f"It needs the role {' or '.join(roles)}.",
                todo="Ask the hub's administrator for that role.",
            )
        return found

    return dependency


def anyone(hub: Hub) -> Callable[[Request], Account | None]:
    """Return a FastAPI dependency that gives the logged-in account, or None without a token."""

    def dependency(request: Request) -> Account | None:
        return from_request(hub, request)

    return dependency


def from_request(hub: Hub, request: Request) -> Account | None:
    """Return the account of a request's bearer token, None if it has no token.

    Raises:
        NotLoggedIn: if there is a token that does not work: falling back to "nobody" would hide that.
    """
    header = request.headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    if not header:
        return None
    found = by_token(hub, token.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise NotLoggedIn(
            "The token does not work.",
            why=f"It is unknown, or older than {TOKEN_HOURS} hours, or its account was shut.",
            todo="Log in again with 'fairbank login NAME'.",
        )
    return found


def register_key(hub: Hub, who: Account, envelope: bytes) -> KeyId:
    """Register the key that an account will sign with, replacing an earlier one.

    Raises:
        BadEnvelope: if the proof's signature does not verify.
        KeyProofRefused: if the proof is for another account, key or hub, too old, or the key is in use.
    """
    proof, sealed = AccountKey.open(envelope, trusted=None)
    if sealed.signer != proof.key:
        raise _key_refused("it is not signed with the key it names")
    if proof.account != who.name or proof.hub != hub.base_iri:
        raise _key_refused("it names another account or hub")
    now = hub.clock.now()
    if abs((now - parse_iso(proof.created)).total_seconds()) > KEY_PROOF_WINDOW_S:
        raise _key_refused("it was made too long ago, or one of the two clocks is wrong")
    with writing(hub.engine) as session:
        owner = session.scalar(select(AccountRow.name).where(AccountRow.key_id == proof.key))
        if owner not in (None, who.name):
            raise _key_refused("another account uses this key")
        row = _row(session, who.name)
        row.key_id = proof.key
        audit.record(
            session,
            audit.HubAudit,
            clock=hub.clock,
            actor=who.name,
            act="account.key",
            target=who.name,
            detail={"key": proof.key},
        )
    return KeyId(proof.key)


def key_of(session: Session, name: str) -> KeyId | None:
    """Return the key that an account registered, if any."""
    row = session.get(AccountRow, name)
    return KeyId(row.key_id) if row is not None and row.key_id and row.disabled is None else None


def _refuse_flood(session: Session, name: str, origin: str, now: datetime) -> None:
    since = now - timedelta(seconds=FAILURE_WINDOW_S)
    recent = (
        select(func.count())
        .select_from(LoginFailureRow)
        .where(LoginFailureRow.account == name, LoginFailureRow.at >= since)
    )
    from_here = session.scalar(recent.where(LoginFailureRow.origin == origin)) or 0
    if from_here >= FAILURES_PER_ORIGIN or (session.scalar(recent) or 0) >= FAILURES_PER_ACCOUNT:
        raise TooManyLogins(
            "There were too many wrong passwords for this account.",
            why=f"After {FAILURES_PER_ORIGIN} wrong ones, log-ins wait, so that guessing is useless.",
            todo=f"Wait {FAILURE_WINDOW_S // 60} minutes, then try again.",
        )


def _hashed(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise AccountRefused(
            "The password is too short.",
            why=f"A password has at least {SHORTEST_PASSWORD} characters.",
            todo="Choose a longer one; a few random words do well.",
        )
    with _HASHING:
        return str(_HASHER.hash(password))


def _matches(stored: str, password: str) -> bool:
    with _HASHING:
        try:
            return bool(_HASHER.verify(stored, password))
        except (VerifyMismatchError, InvalidHashError):
            return False


_decoys: list[str] = []


def _decoy() -> str:
    # Unknown names take as long as known ones, so that names cannot be found by the clock.
    if not _decoys:
        _decoys.append(_hashed(secrets.token_urlsafe(16)))
    return _decoys[0]


def _row(session: Session, name: str) -> AccountRow:
    row = session.get(AccountRow, name)
    if row is None:
        raise AccountRefused(f"There is no account {name!r}.", why="", todo="Check the name.")
    return row


def _account(row: AccountRow) -> Account:
    return Account(
        row.name,
        frozenset(Role(role) for role in row.roles),
        KeyId(row.key_id) if row.key_id else None,
        row.organisation,
    )


def _token_hash(token: str) -> str:
    # The token has 256 random bits, so a plain hash is enough: there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()


def _key_refused(reason: str) -> KeyProofRefused:
    return KeyProofRefused(
        f"The key was not registered: {reason}.",
        why="A key is registered with a fresh proof, sealed with it, that names account and hub.",
        todo="Run 'fairbank login' again, which makes the proof.",
    )
