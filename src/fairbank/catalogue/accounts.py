"""Accounts of people: roles, log-ins and their tokens, and the public key that a requester signs with.

A token is random and stored as its hash. A key is registered with a proof: an envelope of kind `account-key` that names
account and hub and is sealed with that key, so nobody can register a key that is not theirs. What an account may do is
asked of `permissions`, by the address that a request is for.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from starlette.requests import Request

from fairbank import audit
from fairbank.catalogue import permissions
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import AccountRefused, KeyProofRefused, NotAllowed, NotLoggedIn
from fairbank.catalogue.identity import hub_secrets, logins, passwords, sessions, tokens
from fairbank.catalogue.identity import roles as given
from fairbank.catalogue.identity.errors import FormForged
from fairbank.catalogue.identity.model import OF_NODES, TokenScope

# Everybody asks for these two here; they live apart because `permissions` needs them too.
from fairbank.catalogue.identity.model import Account as Account
from fairbank.catalogue.identity.model import Role as Role
from fairbank.catalogue.identity.sessions import Stage
from fairbank.catalogue.identity.store import PageKeyRow
from fairbank.catalogue.meters import note_proven
from fairbank.catalogue.store import AccountRow, TokenRow
from fairbank.clock import parse_iso
from fairbank.database import reading, writing
from fairbank.ontology.signed_objects import KeyKeeper, SignedObject
from fairbank.ontology.wire import Iri, KeyText, Moment, ShortText, Slug, Wire
from fairbank.signing import KeyId

TOKEN_HOURS = 12
ENROLMENT_HOURS = 1
KEY_PROOF_WINDOW_S = 600
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Login(Wire):
    """A name, a password, and the code of the second factor where the account has one."""

    schema_name = "login/1"

    name: Slug
    password: Annotated[str, Field(min_length=1, max_length=1000)]
    code: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class NewAccount(Wire):
    """An account that an administrator makes."""

    schema_name = "account/1"

    name: Slug
    password: Annotated[str, Field(min_length=1, max_length=1000)]
    roles: tuple[Role, ...]
    nodes: tuple[Slug, ...] = ()
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
    password: str | None,
    roles: Iterable[Role],
    nodes: Iterable[str] = (),
    organisation: str = "not stated",
    actor: str = "hub",
) -> Account:
    """Make an account.

    Args:
        password: None for an account that logs in by a provider of identities, or with a code to come.
        nodes: what it curates, if it is a curator.

    Raises:
        AccountRefused: if the name is taken or the password is too weak.
        RoleRefused: if the roles do not go together, or a node is unknown.
    """
    wanted = sorted(set(roles))
    if session.get(AccountRow, name) is not None:
        raise AccountRefused(
            f"There is an account {name!r} already.", why="Names are unique.", todo="Choose another name."
        )
    hashed = passwords.NO_PASSWORD if password is None else passwords.hashed(password, name=name)
    row = AccountRow(
        name=name, password_hash=hashed, roles=[], organisation=organisation, created=hub.clock.now()
    )
    session.add(row)
    session.flush()
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act="account.create",
        target=name,
        detail={"roles": [role.value for role in wanted]},
    )
    for role in wanted:
        if role in OF_NODES:
            for node in nodes:
                given.give(session, hub, account=name, role=role, node=node, actor=actor)
        given.check_alone(role, among=wanted)
    row.roles = [role.value for role in wanted]
    return _account(session, row)


def disable(session: Session, hub: Hub, *, name: str, actor: str) -> None:
    """Shut an account and end all its log-ins."""
    row = logins.find(session, name)
    row.disabled = row.disabled or hub.clock.now()
    logins.end_log_ins(session, name)
    audit.record(session, audit.HubAudit, clock=hub.clock, actor=actor, act="account.disable", target=name)


def accounts(session: Session) -> list[Account]:
    """Return all accounts that are not shut, by name."""
    rows = session.scalars(select(AccountRow).where(AccountRow.disabled.is_(None)).order_by(AccountRow.name))
    return [_account(session, row) for row in rows]


def find(session: Session, name: str) -> Account:
    """Return an account.

    Raises:
        AccountRefused: if there is none of this name.
    """
    return _account(session, logins.find(session, name))


def login(hub: Hub, *, name: str, password: str, origin: str, code: str | None = None) -> IssuedToken:
    """Check a password, and a code where the account needs one, and issue a token.

    An account that has yet to set up a second factor gets a token that is good for that alone.

    Args:
        origin: where the attempt comes from; wrong passwords are limited per account and origin.

    Raises:
        WrongPassword: if name and password do not belong together.
        TooManyLogins: if there were too many wrong ones.
        SecondFactorNeeded: if the account needs a code, and none was given.
        SecondFactorRefused: if the code is wrong.
    """
    proven = logins.prove(hub, name=name, password=password, origin=origin, code=code)
    logins.need_complete(proven)
    with writing(hub.engine) as session:
        return issue_after(session, hub, proven)


def issue_after(session: Session, hub: Hub, proven: logins.Proven) -> IssuedToken:
    """Issue a token to an account that has shown who it is."""
    session.execute(delete(TokenRow).where(TokenRow.expires < hub.clock.now()))
    if proven.stage is Stage.COMPLETE:
        return issue_token(session, hub, name=proven.name)
    scopes, lives = {TokenScope.SECOND_FACTOR}, timedelta(hours=ENROLMENT_HOURS)
    made, secret = tokens.limited(
        session, hub, account=proven.name, name="to set up a second factor", scopes=scopes, lives=lives
    )
    who = _account(session, logins.find(session, proven.name))
    return IssuedToken(secret, replace(who, limited_to=frozenset(scopes)), made.expires)


def issue_token(session: Session, hub: Hub, *, name: str, hours: int = TOKEN_HOURS) -> IssuedToken:
    """Issue a token without a password: for `login`, and for the hub's own operator."""
    row = logins.find(session, name)
    token = "fbt_" + secrets.token_urlsafe(32)
    expires = hub.clock.now() + timedelta(hours=hours)
    session.add(
        TokenRow(token_hash=hub_secrets.digest(token), account=name, created=hub.clock.now(), expires=expires)
    )
    audit.record(session, audit.HubAudit, clock=hub.clock, actor=name, act="account.login", target=name)
    return IssuedToken(token, _account(session, row), expires)


def logout(hub: Hub, token: str) -> None:
    """End a log-in; an unknown token is fine."""
    with writing(hub.engine) as session:
        session.execute(delete(TokenRow).where(TokenRow.token_hash == hub_secrets.digest(token)))


def by_token(hub: Hub, token: str) -> Account | None:
    """Return the account that a token belongs to, or None if it is unknown or expired."""
    if token.startswith(tokens.PREFIX):
        return _by_api_token(hub, token)
    with reading(hub.engine) as session:
        row = session.execute(
            select(AccountRow, TokenRow.expires)
            .join(TokenRow, TokenRow.account == AccountRow.name)
            .where(TokenRow.token_hash == hub_secrets.digest(token))
        ).first()
        if row is None or row.AccountRow.disabled is not None or hub.clock.now() >= row.expires:
            return None
        return _account(session, row.AccountRow)


def account(hub: Hub, *roles: Role) -> Callable[[Request], Account]:
    """Return a FastAPI dependency that gives the logged-in account, if it may use the route.

    Args:
        roles: at least one of these is needed beside what `permissions` says of the address; none: only that.

    The dependency raises NotLoggedIn, NotAllowed, TokenTooNarrow and NoRuleForRoute.
    """

    def dependency(request: Request) -> Account:
        found = from_request(hub, request)
        action = permissions.action_of(request.method, route_of(request))
        permissions.check(found, action, node=request.path_params.get("node"))
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


def route_of(request: Request) -> str:
    """Return the address of a request as its route writes it, such as `/v1/jobs/{job_id}`; a command in its place."""
    path = str(getattr(request.scope.get("route"), "path", ""))
    return path.replace("{command}", str(request.path_params.get("command", "")))


def anyone(hub: Hub) -> Callable[[Request], Account | None]:
    """Return a FastAPI dependency that gives the logged-in account, or None without a token.

    A token that is not good for reading counts as none.
    """

    def dependency(request: Request) -> Account | None:
        found = from_request(hub, request)
        return found if permissions.allow(found, permissions.Action.SELF_READ) else None

    return dependency


def from_request(hub: Hub, request: Request) -> Account | None:
    """Return the account of a request's bearer token or of its browser's session, None if it has neither.

    Raises:
        NotLoggedIn: if there is a token that does not work: falling back to "nobody" would hide that.
        FormForged: if a session's request would change something and does not carry the session's own proof.
    """
    header = request.headers.get("authorization", "")
    if not header:
        return by_session(hub, request, proof=request.headers.get(sessions.CSRF_HEADER, ""))
    scheme, _, token = header.partition(" ")
    found = by_token(hub, token.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise NotLoggedIn(
            "The token does not work.",
            why=f"It is unknown, or older than {TOKEN_HOURS} hours, or its account was shut.",
            todo="Log in again with 'fairbank login NAME'.",
        )
    note_proven(request.scope)
    return found


def cookie_of(hub: Hub, request: Request) -> str | None:
    """Return the value of the session's cookie, if a browser sent one.

    Where cookies are for encrypted connections only the name counts that no other host of the domain can set.
    """
    return request.cookies.get(sessions.cookie_name(hub, secure=sessions.needs_encryption(hub, request)))


def by_session(hub: Hub, request: Request, *, proof: str) -> Account | None:
    """Return the account of the session whose cookie a browser sent; None if there is none that holds.

    Args:
        proof: what the session's own pages know; asked for where the request would change something.

    Raises:
        FormForged: if it is wrong.
    """
    secret = cookie_of(hub, request)
    opened = sessions.find(hub, secret) if secret else None
    if secret is None or opened is None or opened.stage is Stage.SECOND_FACTOR:
        return None
    if request.method not in _SAFE:
        check_form(is_proven=sessions.is_csrf(hub, secret, proof))
    with reading(hub.engine) as session:
        row = session.get(AccountRow, opened.account)
        if row is None or row.disabled is not None:
            return None
        who = _account(session, row)
    note_proven(request.scope)
    enrolling = opened.stage is Stage.ENROL
    return replace(who, limited_to=frozenset({TokenScope.SECOND_FACTOR})) if enrolling else who


def check_form(*, is_proven: bool) -> None:
    """Refuse a form that another site made.

    Raises:
        FormForged: unless it is proven to come from a page of this hub.
    """
    if not is_proven:
        raise FormForged(
            "The request does not come from a page of this hub.",
            why="It has a session's cookie, but not the session's own proof, which another site cannot know.",
            todo="Load the page again and send its form; programs use a token instead of a cookie.",
        )


def register_key(hub: Hub, who: Account, envelope: bytes) -> KeyId:
    """Register the key that an account will sign with, replacing an earlier one.

    A key that the hub kept for the account goes with that: an account signs with one key.

    Raises:
        BadEnvelope: if the proof's signature does not verify.
        KeyProofRefused: if the proof is for another account, key or hub, too old, or the key is in use.
    """
    with writing(hub.engine) as session:
        return take_key(session, hub, who.name, envelope)


def take_key(session: Session, hub: Hub, name: str, envelope: bytes) -> KeyId:
    """Register a key as `register_key` does, in a transaction of the caller's; a key of the hub's pages stays.

    Raises:
        BadEnvelope, KeyProofRefused: as there.
    """
    proof, sealed = AccountKey.open(envelope, trusted=None)
    if sealed.signer != proof.key:
        raise _key_refused("it is not signed with the key it names")
    if proof.account != name or proof.hub != hub.base_iri:
        raise _key_refused("it names another account or hub")
    now = hub.clock.now()
    if abs((now - parse_iso(proof.created)).total_seconds()) > KEY_PROOF_WINDOW_S:
        raise _key_refused("it was made too long ago, or one of the two clocks is wrong")
    owner = session.scalar(select(AccountRow.name).where(AccountRow.key_id == proof.key))
    if owner not in (None, name):
        raise _key_refused("another account uses this key")
    row = logins.find(session, name)
    row.key_id = proof.key
    others = delete(PageKeyRow).where(PageKeyRow.account == name, PageKeyRow.key_id != proof.key)
    session.execute(others)
    kept_by = key_kept_by(session, name)
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=name,
        act="account.key",
        target=name,
        detail={"key": proof.key, "kept_by": kept_by.value if kept_by is not None else "nobody"},
    )
    return KeyId(proof.key)


def key_of(session: Session, name: str) -> KeyId | None:
    """Return the key that an account registered, if any."""
    row = session.get(AccountRow, name)
    return KeyId(row.key_id) if row is not None and row.key_id and row.disabled is None else None


def key_kept_by(session: Session, name: str) -> KeyKeeper | None:
    """Return who keeps the key that an account signs with; None where it has none."""
    row = session.get(AccountRow, name)
    if row is None or not row.key_id:
        return None
    kept = session.get(PageKeyRow, name)
    return KeyKeeper.HUB if kept is not None and kept.key_id == row.key_id else KeyKeeper.PERSON


def _by_api_token(hub: Hub, token: str) -> Account | None:
    with reading(hub.engine) as session:
        found = tokens.find(session, hub, token)
        row = session.get(AccountRow, found.account) if found is not None else None
        if found is None or row is None or row.disabled is not None:
            return None
        who = replace(_account(session, row), limited_to=found.scopes)
    if found.noted_long_ago:
        tokens.note_use(hub, token)
    return who


def _account(session: Session, row: AccountRow) -> Account:
    held = frozenset(Role(role) for role in row.roles)
    return Account(
        row.name,
        held,
        KeyId(row.key_id) if row.key_id else None,
        row.organisation,
        frozenset(given.nodes_of(session, row.name, Role.CURATOR)) if held & OF_NODES else frozenset(),
    )


def _key_refused(reason: str) -> KeyProofRefused:
    return KeyProofRefused(
        f"The key was not registered: {reason}.",
        why="A key is registered with a fresh proof, sealed with it, that names account and hub.",
        todo="Run 'fairbank login' again, which makes the proof.",
    )
