"""Forms of pages: read once and bounded, with a proof that a page of this hub made them."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import accounts, bodies, permissions
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import hub_secrets, sessions

_FORM_BYTES: Final = 16 * 1024
_MOST_FIELDS: Final = 20
PROOF_FIELD: Final = "csrf"
# Before anybody has logged in there is no session: a cookie that only this hub can have set stands for it.
_GUEST, _SECURE_GUEST = "fairbank-guest", "__Host-fairbank-guest"


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
    form: Mapping[str, str]


def visitor(hub: Hub) -> Callable[[Request], Awaitable[Visit]]:
    """Return a FastAPI dependency of pages: who looks or sends a form, checked as `permissions` says.

    The dependency raises FormForged, NotAllowed and TokenTooNarrow; without a log-in it gives no account.
    """

    async def dependency(request: Request) -> Visit:
        form = await read_form(request)
        return await run_in_threadpool(_visit, hub, request, form)

    return dependency


def guest(hub: Hub) -> Callable[[Request], Awaitable[Mapping[str, str]]]:
    """Return a FastAPI dependency of log-in forms: what was sent, by a page that this hub gave the same browser.

    The dependency raises FormForged.
    """

    async def dependency(request: Request) -> Mapping[str, str]:
        form = await read_form(request)
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


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form; of a field that comes twice, the first.

    Raises:
        BodyTooLarge, LengthMissing, EncodingRefused: as `bodies.read` does.
    """
    content = await bodies.read(request, limit_bytes=_FORM_BYTES)
    try:
        pairs = parse_qsl(content.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except (UnicodeDecodeError, ValueError):
        return {}
    return dict(reversed(pairs))


def guest_proof(hub: Hub, request: Request) -> tuple[str, str]:
    """Return the cookie and the proof of a log-in form; a cookie that is there already stays."""
    planted = _guest_cookie(hub, request) or secrets.token_urlsafe(32)
    return planted, hub_secrets.proof(hub, "forms of guests", planted)


def plant_guest(hub: Hub, request: Request, response: Response, planted: str) -> None:
    """Set the cookie of a log-in form."""
    _set(hub, request, response, (_SECURE_GUEST, _GUEST), planted)


def plant_session(hub: Hub, request: Request, response: Response, secret: str) -> None:
    """Set the cookie of a session; it ends with the browser."""
    _set(hub, request, response, (sessions.SECURE_COOKIE, sessions.PLAIN_COOKIE), secret)


def drop_session(hub: Hub, request: Request, response: Response) -> None:
    """Take the cookie of a session away."""
    name = sessions.SECURE_COOKIE if sessions.needs_encryption(hub, request) else sessions.PLAIN_COOKIE
    response.delete_cookie(
        name, path="/", secure=name == sessions.SECURE_COOKIE, httponly=True, samesite="lax"
    )


def _guest_cookie(hub: Hub, request: Request) -> str:
    return request.cookies.get(_SECURE_GUEST if sessions.needs_encryption(hub, request) else _GUEST, "")


def _set(hub: Hub, request: Request, response: Response, names: tuple[str, str], value: str) -> None:
    secure = sessions.needs_encryption(hub, request)
    response.set_cookie(
        names[0] if secure else names[1], value, path="/", secure=secure, httponly=True, samesite="lax"
    )


def _visit(hub: Hub, request: Request, form: Mapping[str, str]) -> Visit:
    who = accounts.by_session(hub, request, proof=form.get(PROOF_FIELD, ""))
    if who is not None:
        permissions.check(who, permissions.action_of(request.method, accounts.route_of(request)))
    return Visit(who, accounts.cookie_of(hub, request) or "", form)
