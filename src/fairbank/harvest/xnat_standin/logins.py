"""Logins of the stand-in: Basic authentication, alias tokens, or a cookie that ends after 15 idle minutes."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from fairbank.harvest.xnat_standin.site import Site, User

IDLE = timedelta(minutes=15)
TOKEN_LIFE = timedelta(hours=48)
_GUEST = User("guest", "", projects=frozenset())
LOGIN_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>"
    '<form name="form1" method="post" action="/login">Log in</form></body></html>'
)


class LoginNeeded(Exception):
    """The request carries no valid login; `status` is what the archive answers."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class OpenSession:
    """A session that somebody has at the archive.

    Attributes:
        id: the cookie.
        csrf: what a browser has to send with each request that changes something.
    """

    id: str
    csrf: str
    user: User
    used: datetime


@dataclass(frozen=True, slots=True)
class Visit:
    """Who sends a request, and in which session, if in one."""

    user: User
    session: OpenSession | None


@dataclass(frozen=True, slots=True)
class _Token:
    secret: str
    user: User
    until: datetime


@dataclass(slots=True)
class Logins:
    """The open sessions and the tokens of one stand-in."""

    site: Site
    _open: dict[str, OpenSession] = field(default_factory=dict)
    _tokens: dict[str, _Token] = field(default_factory=dict)

    def check(self, request: Request) -> Visit:
        """Return who sends a request.

        Raises:
            LoginNeeded: 401 for a wrong password, 200 (a login page, as XNAT has it) for none or an ended session.
        """
        session = self._alive(request.cookies.get("JSESSIONID", ""))
        if session is not None:
            return Visit(session.user, session)
        basic = request.headers.get("authorization", "")
        if not basic.lower().startswith("basic "):
            if self.site.guests:
                return Visit(_GUEST, self.begin(Visit(_GUEST, None)))
            raise LoginNeeded(200)
        user = self.user(*_decoded(basic[6:]))
        if user is None:
            raise LoginNeeded(401)
        return Visit(user, None)

    def user(self, name: str, password: str) -> User | None:
        """Return whose name and password, or alias and secret, these are."""
        token = self._tokens.get(name)
        if token is not None and token.until > self.site.clock.now():
            return token.user if _same(password, token.secret) else None
        return next(
            (user for user in self.site.users if _same(name, user.name) and _same(password, user.password)),
            None,
        )

    def begin(self, visit: Visit) -> OpenSession:
        """Open a session, or return the one that is open, and let its 15 minutes begin anew."""
        session = visit.session or OpenSession(
            secrets.token_hex(16).upper(), secrets.token_hex(16), visit.user, self.site.clock.now()
        )
        session.used = self.site.clock.now()
        self._open[session.id] = session
        return session

    def end(self, session: str) -> None:
        """Close a session."""
        self._open.pop(session, None)

    def issue(self, user: User) -> dict[str, str]:
        """Return a new alias token: a name and a secret that stand for a user for two days."""
        alias, secret = self.site.clock.new_id(), secrets.token_urlsafe(32)
        self._tokens[alias] = _Token(secret, user, self.site.clock.now() + TOKEN_LIFE)
        return {"alias": alias, "secret": secret, "xdatUserId": user.name}

    @property
    def open_sessions(self) -> int:
        """Return how many sessions are open."""
        return sum(self._alive(session) is not None for session in list(self._open))

    def mark(self, response: Response, session: OpenSession) -> Response:
        """Set the two cookies of a session on an answer."""
        millis = int(session.used.timestamp() * 1000)
        response.set_cookie("JSESSIONID", session.id, httponly=True)
        response.set_cookie("SESSION_EXPIRATION_TIME", f"{millis},{int(IDLE.total_seconds() * 1000)}")
        return response

    def _alive(self, name: str) -> OpenSession | None:
        session = self._open.get(name)
        if session is None:
            return None
        if self.site.clock.now() - session.used > IDLE:
            self.end(name)
            return None
        session.used = self.site.clock.now()
        return session


def login_page(status: int) -> HTMLResponse:
    """Return the page that XNAT gives instead of an answer."""
    return HTMLResponse(LOGIN_PAGE, status_code=status)


def is_browser(request: Request) -> bool:
    """Tell whether a request comes from a browser: only those have to prove that they were not tricked into it."""
    return "mozilla" in request.headers.get("user-agent", "").lower()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _decoded(encoded: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password
