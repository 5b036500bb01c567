"""Forms of pages: read once and bounded, with a proof that a page of this hub made them."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import accounts, permissions
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import hub_secrets, sessions
from fairbank.web.pages.visits import Fields, read_fields

PROOF_FIELD: Final = "csrf"


@dataclass(frozen=True, slots=True)
class Visit:
    """A request for a page.

    Attributes:
        who: the account of the browser's session, None before the log-in is complete.
        secret: the session's cookie, empty without one.
        form: what was sent, empty for a page that is only looked at.
    """

    who: Account | None
    secret: str
    form: Fields


def visitor(hub: Hub) -> Callable[[Request], Awaitable[Visit]]:
    """Return a FastAPI dependency of pages: who looks or sends a form, checked as `permissions` says.

    The dependency raises FormForged, NotAllowed and TokenTooNarrow; without a log-in it gives no account.
    """

    async def dependency(request: Request) -> Visit:
        form = await read_fields(request)
        return await run_in_threadpool(_visit, hub, request, form)

    return dependency


def guest(hub: Hub) -> Callable[[Request], Awaitable[Fields]]:
    """Return a FastAPI dependency of log-in forms: what was sent, by a page that this hub gave the same browser.

    The dependency raises FormForged.
    """

    async def dependency(request: Request) -> Fields:
        form = await read_fields(request)
        planted = _guest_cookie(hub, request)
        expected = hub_secrets.proof(hub, "forms of guests", planted)
        given = form.get(PROOF_FIELD, "")
        accounts.check_form(
            is_proven=bool(planted) and secrets.compare_digest(expected.encode(), given.encode())
        )
        return form

    return dependency


def session_secret(hub: Hub, request: Request) -> str:
    """Return the cookie of the browser's session, empty without one."""
    return accounts.cookie_of(hub, request) or ""


def check_proof(hub: Hub, secret: str, form: Mapping[str, str]) -> None:
    """Refuse a form that does not carry its session's proof.

    Raises:
        FormForged: if so.
    """
    accounts.check_form(is_proven=sessions.is_csrf(hub, secret, form.get(PROOF_FIELD, "")))


def guest_proof(hub: Hub, request: Request) -> tuple[str, str]:
    """Return the cookie and the proof of a log-in form; a cookie that is there already stays."""
    planted = _guest_cookie(hub, request) or secrets.token_urlsafe(32)
    return planted, hub_secrets.proof(hub, "forms of guests", planted)


def plant_guest(hub: Hub, request: Request, response: Response, planted: str) -> None:
    """Set the cookie of a log-in form."""
    _set(hub, request, response, sessions.GUEST, planted)


def plant_session(hub: Hub, request: Request, response: Response, secret: str) -> None:
    """Set the cookie of a session; it ends with the browser."""
    _set(hub, request, response, "", secret)


def drop_session(hub: Hub, request: Request, response: Response) -> None:
    """Take the cookie of a session away."""
    secure = sessions.needs_encryption(hub, request)
    name = sessions.cookie_name(hub, secure=secure)
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")


def _guest_cookie(hub: Hub, request: Request) -> str:
    secure = sessions.needs_encryption(hub, request)
    return request.cookies.get(sessions.cookie_name(hub, secure=secure, kind=sessions.GUEST), "")


def _set(hub: Hub, request: Request, response: Response, kind: str, value: str) -> None:
    secure = sessions.needs_encryption(hub, request)
    name = sessions.cookie_name(hub, secure=secure, kind=kind)
    response.set_cookie(name, value, path="/", secure=secure, httponly=True, samesite="lax")


def _visit(hub: Hub, request: Request, form: Fields) -> Visit:
    who = accounts.by_session(hub, request, proof=form.get(PROOF_FIELD, ""))
    if who is not None:
        permissions.check(who, permissions.action_of(request.method, accounts.route_of(request)))
    return Visit(who, accounts.cookie_of(hub, request) or "", form)
