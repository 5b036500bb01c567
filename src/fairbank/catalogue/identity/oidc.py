"""Logging in at a provider of identities (OpenID Connect, authorization code with PKCE).

A log-in that begins here is kept at the hub until it ends, bound to the browser that began it, and works once. Who
comes back is found by issuer and subject, never by an e-mail address or a name: those can be changed by their owners.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue import accounts
from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import hub_secrets, id_tokens, logins, oidc_provider, second_factors
from fairbank.catalogue.identity.id_tokens import Expected, Identity, refused
from fairbank.catalogue.identity.logins import Proven
from fairbank.catalogue.identity.model import Role
from fairbank.catalogue.identity.sessions import Stage
from fairbank.catalogue.identity.store import ExternalIdentityRow, LoginFlowRow
from fairbank.catalogue.store import AccountRow
from fairbank.database import reading, writing
from fairbank.ontology.wire import Wire

CALLBACK: Final = "/login/oidc/callback"
_FLOW_LIVES: Final = timedelta(minutes=10)
_RESULT_LIVES: Final = timedelta(minutes=2)
_LONGEST_NAME: Final = 50


class Exchange(Wire):
    """The command line takes the result of a log-in that it began in a browser."""

    schema_name = "login-exchange/1"

    code: Annotated[str, Field(min_length=1, max_length=200)]
    verifier: Annotated[str, Field(min_length=43, max_length=128)]
    second_factor: Annotated[str, Field(min_length=1, max_length=100)] | None = None


@dataclass(frozen=True, slots=True)
class Loopback:
    """A command line that waits on its own machine, and what it will prove that it began the log-in with."""

    port: int
    challenge: str


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the browser, and what it has to bring back in a cookie."""

    address: str
    browser: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Who came back; `address` is where the command line waits, if it was the one that began."""

    proven: Proven
    address: str | None


def begin(hub: Hub, *, loopback: Loopback | None = None) -> Begun:
    """Begin a log-in.

    Raises:
        OidcNotSet: if the hub has no provider.
        OidcUnreachable: if it does not answer.
    """
    provider = oidc_provider.provider_of(hub.settings)
    state, nonce, browser = (secrets.token_urlsafe(32) for _ in range(3))
    verifier = secrets.token_urlsafe(48)
    detail: dict[str, Any] = {
        "nonce": nonce,
        "verifier": verifier,
        "browser": hub_secrets.digest(browser),
        "port": loopback.port if loopback is not None else None,
        "challenge": loopback.challenge if loopback is not None else None,
    }
    with writing(hub.engine) as session:
        _keep(session, hub, state, "oidc", detail, _FLOW_LIVES)
    address = provider.address(hub.base_iri + CALLBACK, state=state, nonce=nonce, verifier=verifier)
    return Begun(address, browser)


def finish(hub: Hub, parameters: Mapping[str, str], *, browser: str, origin: str) -> Finished:
    """End a log-in with what the provider sent the browser back with.

    Args:
        parameters: of the address that the browser was sent back to.
        browser: the cookie that it brought.

    Raises:
        OidcRefused: if anything of it does not hold.
        OidcUnreachable: if the provider does not answer.
    """
    with writing(hub.engine) as session:
        detail = _take(session, hub, parameters.get("state", ""), "oidc")
    if detail is None or not secrets.compare_digest(hub_secrets.digest(browser), detail["browser"]):
        raise refused("it was not begun in this browser, was used before, or took longer than ten minutes")
    if "error" in parameters or not parameters.get("code"):
        raise refused("the provider says that it did not come about")
    provider = oidc_provider.provider_of(hub.settings)
    if parameters.get("iss", provider.issuer) != provider.issuer:
        raise refused("another issuer answered")
    answer = provider.redeem(
        parameters["code"], redirect=hub.base_iri + CALLBACK, verifier=str(detail["verifier"])
    )
    expected = Expected(provider.issuer, hub.settings.oidc_client_id, str(detail["nonce"]), hub.clock.now())
    identity = id_tokens.check(answer.id_token, provider.keys, expected)
    claims = {**provider.more_claims(answer, identity.subject), **identity.claims}
    name = _account_of(hub, Identity(identity.issuer, identity.subject, claims))
    proven = logins.after_first(hub, name, origin=origin, has_second=identity.is_strong)
    if detail["port"] is None:
        return Finished(proven, None)
    return Finished(proven, _to_command_line(hub, proven, detail))


def exchange(hub: Hub, wish: Exchange) -> accounts.IssuedToken:
    """Give the command line that began a log-in its token.

    Raises:
        OidcRefused: if the code is unknown, used, too old, or was begun by somebody else.
        SecondFactorNeeded: if the account also needs a code; the exchange can be tried again with it.
    """
    with reading(hub.engine) as session:
        row = session.get(LoginFlowRow, hub_secrets.digest(wish.code))
    challenge = challenge_of(wish.verifier)
    if (
        row is None
        or row.kind != "result"
        or hub.clock.now() >= row.expires
        or not secrets.compare_digest(challenge, str(row.detail["challenge"]))
    ):
        raise refused("its result was taken already, is too old, or belongs to another command")
    proven = Proven(str(row.detail["account"]), Stage(row.detail["stage"]))
    if proven.stage is Stage.SECOND_FACTOR and wish.second_factor is not None:
        second_factors.check(hub, proven.name, wish.second_factor)
        proven = Proven(proven.name, Stage.COMPLETE)
    logins.need_complete(proven)
    with writing(hub.engine) as session:
        if _take(session, hub, wish.code, "result") is None:
            raise refused("its result was taken already")
        return accounts.issue_after(session, hub, proven)


def link(session: Session, hub: Hub, *, account: str, issuer: str, subject: str, actor: str) -> None:
    """Say that an account is whom a provider means.

    Raises:
        AccountRefused: if there is no such account.
        OidcRefused: if the provider's subject is linked already.
    """
    logins.find(session, account)
    if session.get(ExternalIdentityRow, (issuer, subject)) is not None:
        raise refused("this subject belongs to an account already")
    session.add(ExternalIdentityRow(issuer=issuer, subject=subject, account=account, linked=hub.clock.now()))
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act="account.link",
        target=account,
        detail={"issuer": issuer},
    )


def challenge_of(verifier: str) -> str:
    """Return the challenge of a verifier (RFC 7636, section 4.2, S256)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _account_of(hub: Hub, identity: Identity) -> str:
    with writing(hub.engine) as session:
        linked = session.get(ExternalIdentityRow, (identity.issuer, identity.subject))
        if linked is not None:
            if session.get_one(AccountRow, linked.account).disabled is not None:
                raise refused("the account is shut")
            return linked.account
        if hub.settings.oidc_new_accounts != "yes":
            raise refused("the hub knows no account for it, and makes none by itself")
        name = _free_name(session, hub, identity)
        said = identity.claims.get(hub.settings.oidc_organisation_claim)
        organisation = said.strip()[:200] if isinstance(said, str) and said.strip() else "not stated"
        accounts.create_account(
            session,
            hub,
            name=name,
            password=None,
            roles=[Role.RESEARCHER],
            organisation=organisation,
            actor="provider of identities",
        )
        link(session, hub, account=name, issuer=identity.issuer, subject=identity.subject, actor=name)
        return name


def _free_name(session: Session, hub: Hub, identity: Identity) -> str:
    """Return a name that nobody has; somebody who has the wished one already is never taken for her."""
    said = identity.claims.get(hub.settings.oidc_name_claim)
    wished = re.sub(r"[^a-z0-9]+", "-", said.lower() if isinstance(said, str) else "")[:_LONGEST_NAME].strip(
        "-"
    )
    if wished and session.scalar(select(AccountRow.name).where(AccountRow.name == wished)) is None:
        return wished
    mark = hub_secrets.digest(f"{identity.issuer}\n{identity.subject}")[:10]
    return f"{wished or 'account'}-{mark}"


def _to_command_line(hub: Hub, proven: Proven, detail: Mapping[str, Any]) -> str:
    code = secrets.token_urlsafe(32)
    kept = {"account": proven.name, "stage": proven.stage.value, "challenge": detail["challenge"]}
    with writing(hub.engine) as session:
        _keep(session, hub, code, "result", kept, _RESULT_LIVES)
    return f"http://127.0.0.1:{int(detail['port'])}/?code={code}"


def _keep(
    session: Session, hub: Hub, secret: str, kind: str, detail: dict[str, Any], lives: timedelta
) -> None:
    now = hub.clock.now()
    session.execute(delete(LoginFlowRow).where(LoginFlowRow.expires <= now))
    session.add(
        LoginFlowRow(state_hash=hub_secrets.digest(secret), kind=kind, detail=detail, expires=now + lives)
    )


def _take(session: Session, hub: Hub, secret: str, kind: str) -> dict[str, Any] | None:
    row = session.get(LoginFlowRow, hub_secrets.digest(secret), with_for_update=True)
    if row is None or row.kind != kind:
        return None
    session.delete(row)
    return dict(row.detail) if hub.clock.now() < row.expires else None
