"""Routes of log-ins, accounts, roles, tokens and second factors: parse, call, answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import accounts, bodies
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import membership
from fairbank.catalogue.identity import logins, oidc, roles, second_factors, tokens
from fairbank.catalogue.identity.bodies import Code, NewPassword, ResetWish, RoleChange, UsedReset
from fairbank.catalogue.identity.origins import origin_of
from fairbank.catalogue.identity.tokens import ApiToken
from fairbank.catalogue.route_parts import join
from fairbank.clock import iso
from fairbank.database import reading, writing

_MESSAGE_BYTES = 64 * 1024


def router(hub: Hub) -> APIRouter:
    """Return the routes under `/v1/login`, `/v1/account` and `/v1/accounts`."""
    routes = APIRouter(tags=["accounts"])
    join(routes, _log_ins(hub), _own(hub), _second_factor(hub), _tokens(hub), _administered(hub))
    return routes


def _log_ins(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["accounts"])
    message: bytes = Depends(bodies.body(_MESSAGE_BYTES))
    anybody: Account = Depends(accounts.account(hub))

    @routes.post("/v1/login")
    def login(request: Request, content: bytes = message) -> dict[str, Any]:
        wish = accounts.Login.parse(content)
        origin = origin_of(request, hub.settings)
        issued = accounts.login(hub, name=wish.name, password=wish.password, origin=origin, code=wish.code)
        return issued_token(issued)

    @routes.post("/v1/login/exchange")
    def exchange(content: bytes = message) -> dict[str, Any]:
        return issued_token(oidc.exchange(hub, oidc.Exchange.parse(content)))

    @routes.post("/v1/password", status_code=204)
    def use_reset_code(request: Request, content: bytes = message) -> Response:
        wish = UsedReset.parse(content)
        origin = origin_of(request, hub.settings)
        logins.use_reset_code(hub, name=wish.name, code=wish.code, new=wish.password, origin=origin)
        return Response(status_code=204)

    @routes.post("/v1/logout", status_code=204)
    def logout(request: Request, who: Account = anybody) -> Response:
        accounts.logout(hub, request.headers.get("authorization", "").partition(" ")[2].strip())
        return Response(status_code=204)

    @routes.get("/v1/whoami")
    def whoami(who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            kept_by = accounts.key_kept_by(session, who.name)
        return {**account_in_full(who), "key_kept_by": kept_by.value if kept_by is not None else None}

    return routes


def _own(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["accounts"])
    message: bytes = Depends(bodies.body(_MESSAGE_BYTES))
    anybody: Account = Depends(accounts.account(hub))

    @routes.post("/v1/account/password", status_code=204)
    def change(request: Request, content: bytes = message, who: Account = anybody) -> Response:
        wish = NewPassword.parse(content)
        origin = origin_of(request, hub.settings)
        logins.change_password(hub, name=who.name, old=wish.old, new=wish.new, origin=origin)
        return Response(status_code=204)

    @routes.delete("/v1/account/log-ins")
    def log_out_everywhere(
        tokens: Annotated[bool, Query(description="Also the tokens of programs.")] = False,
        who: Account = anybody,
    ) -> dict[str, Any]:
        with writing(hub.engine) as session:
            ended = logins.log_out_everywhere(session, hub, name=who.name, actor=who.name, of_programs=tokens)
        return ended_log_ins(ended)

    @routes.post("/v1/accounts/key")
    def register_key(content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        key = accounts.register_key(hub, who, content)
        return {"schema": "account-key/1", "account": who.name, "key": key}

    return routes


def _second_factor(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["accounts"])
    message: bytes = Depends(bodies.body(_MESSAGE_BYTES))
    anybody: Account = Depends(accounts.account(hub))

    @routes.get("/v1/account/second-factor")
    def state(who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            return {
                "schema": "second-factor/1",
                "set_up": second_factors.has_one(session, who.name),
                "recovery_codes_left": second_factors.recovery_codes_left(session, who.name),
            }

    @routes.post("/v1/account/second-factor", status_code=201)
    def begin(who: Account = anybody) -> dict[str, Any]:
        with writing(hub.engine) as session:
            begun = second_factors.begin(session, hub, who.name)
        return {"schema": "second-factor-secret/1", "secret": begun.secret, "uri": begun.uri}

    @routes.put("/v1/account/second-factor")
    def confirm(content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        codes = second_factors.confirm(hub, who.name, Code.parse(content).code)
        return {"schema": "recovery-codes/1", "codes": codes}

    return routes


def _tokens(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["accounts"])
    message: bytes = Depends(bodies.body(_MESSAGE_BYTES))
    anybody: Account = Depends(accounts.account(hub))

    @routes.get("/v1/account/tokens")
    def listing(who: Account = anybody) -> dict[str, Any]:
        with reading(hub.engine) as session:
            found = [_token(each) for each in tokens.listing(session, hub, who.name)]
        return {"schema": "api-tokens/1", "tokens": found}

    @routes.post("/v1/account/tokens", status_code=201)
    def make(content: bytes = message, who: Account = anybody) -> dict[str, Any]:
        wish = tokens.NewToken.parse(content)
        with writing(hub.engine) as session:
            made, secret = tokens.make(session, hub, account=who.name, wish=wish)
        return {"schema": "api-token/1", **_token(made), "token": secret}

    @routes.delete("/v1/account/tokens/{token_id}", status_code=204)
    def revoke(token_id: str, who: Account = anybody) -> Response:
        with writing(hub.engine) as session:
            tokens.revoke(session, hub, account=who.name, token_id=token_id)
        return Response(status_code=204)

    return routes


def _administered(hub: Hub) -> APIRouter:
    routes = APIRouter(tags=["accounts"])
    message: bytes = Depends(bodies.body(_MESSAGE_BYTES))
    admin: Account = Depends(accounts.account(hub))

    @routes.post("/v1/accounts", status_code=201)
    def create(content: bytes = message, who: Account = admin) -> dict[str, Any]:
        wish = accounts.NewAccount.parse(content)
        with writing(hub.engine) as session:
            made = accounts.create_account(
                session,
                hub,
                name=wish.name,
                password=wish.password,
                roles=wish.roles,
                nodes=wish.nodes,
                organisation=wish.organisation,
                actor=who.name,
            )
        return account_in_full(made)

    @routes.get("/v1/accounts")
    def listing(who: Account = admin) -> dict[str, Any]:
        with reading(hub.engine) as session:
            found = [account_in_full(each) for each in accounts.accounts(session)]
        return {"schema": "accounts/1", "accounts": found}

    @routes.put("/v1/accounts/{account}/roles")
    def change_role(account: str, content: bytes = message, who: Account = admin) -> dict[str, Any]:
        wish = RoleChange.parse(content)
        with writing(hub.engine) as session:
            act = roles.give if wish.held else roles.take
            act(session, hub, account=account, role=wish.role, node=wish.node, actor=who.name)
            membership.account_changed(session, hub, account)
            changed = account_in_full(accounts.find(session, account))
        hub.notifier.notify()
        return changed

    @routes.post("/v1/accounts/{account}/reset", status_code=201)
    def reset(account: str, content: bytes = message, who: Account = admin) -> dict[str, Any]:
        wish = ResetWish.parse(content)
        with writing(hub.engine) as session:
            code = logins.reset_code(session, hub, name=account, actor=who.name)
            if wish.second_factor:
                second_factors.remove(session, hub, account, actor=who.name)
        return {"schema": "reset-code/1", "code": code, "hours": logins.RESET_CODE_HOURS}

    @routes.delete("/v1/accounts/{account}/log-ins")
    def end_log_ins(account: str, who: Account = admin) -> dict[str, Any]:
        with writing(hub.engine) as session:
            ended = logins.log_out_everywhere(session, hub, name=account, actor=who.name, of_programs=True)
        return ended_log_ins(ended)

    @routes.delete("/v1/accounts/{account}", status_code=204)
    def disable(account: str, who: Account = admin) -> Response:
        with writing(hub.engine) as session:
            # The operator may: a last administrator whose password is known to others has to be shut out at once.
            roles.check_not_last(session, account)
            accounts.disable(session, hub, name=account, actor=who.name)
            membership.account_changed(session, hub, account)
        hub.notifier.notify()
        return Response(status_code=204)

    return routes


def account_in_full(who: Account) -> dict[str, Any]:
    """Return an account as it sees itself."""
    return {
        "schema": "whoami/1",
        "account": who.name,
        "roles": sorted(who.roles),
        "nodes": sorted(who.scopes),
        "organisation": who.organisation,
        "key": who.key_id,
        "limited_to": sorted(who.limited_to) if who.limited_to is not None else None,
    }


def ended_log_ins(ended: logins.Ended) -> dict[str, Any]:
    """Return how many log-ins of an account ended."""
    return {
        "schema": "ended-log-ins/1",
        "sessions": ended.sessions,
        "command_lines": ended.command_lines,
        "tokens": ended.tokens,
    }


def issued_token(issued: accounts.IssuedToken) -> dict[str, Any]:
    """Return a token as it is answered to a log-in."""
    limited = issued.account.limited_to
    return {
        "schema": "token/1",
        "token": issued.token,
        "account": issued.account.name,
        "roles": sorted(issued.account.roles),
        "expires": iso(issued.expires),
        "limited_to": sorted(limited) if limited is not None else None,
    }


def _token(each: ApiToken) -> dict[str, Any]:
    return {
        "id": each.id,
        "name": each.name,
        "scopes": list(each.scopes),
        "created": iso(each.created),
        "expires": iso(each.expires),
        "last_used": iso(each.last_used) if each.last_used else None,
    }
