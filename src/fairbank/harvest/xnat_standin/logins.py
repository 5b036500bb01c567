"""Sessions of the stand-in: one user, Basic authentication or a JSESSIONID cookie that ends after 15 idle minutes."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from fairbank.clock import Clock

IDLE = timedelta(minutes=15)
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
class Logins:
    """The open sessions of one stand-in."""

    user: str
    password: str
    clock: Clock
    _open: dict[str, datetime] = field(default_factory=dict)

    def check(self, request: Request) -> str | None:
        """Return the request's session id, or None for Basic authentication.

        Raises:
            LoginNeeded: 401 for a wrong password, 200 (a login page, as XNAT has it) for none or an ended session.
        """
        session = request.cookies.get("JSESSIONID")
        if session and self._alive(session):
            return session
        basic = request.headers.get("authorization", "")
        if not basic.lower().startswith("basic "):
            raise LoginNeeded(200)
        if not self.valid(*_decoded(basic[6:])):
            raise LoginNeeded(401)
        return None

    def valid(self, user: str, password: str) -> bool:
        """Tell whether a name and password are right."""
        return hmac.compare_digest(user.encode(), self.user.encode()) and hmac.compare_digest(
            password.encode(), self.password.encode()
        )

    def begin(self, session: str | None = None) -> str:
        """Open a session, or return the one that is open, and let its 15 minutes begin anew."""
        session = session or secrets.token_hex(16).upper()
        self._open[session] = self.clock.now()
        return session

    def end(self, session: str) -> None:
        """Close a session."""
        self._open.pop(session, None)

    @property
    def open_sessions(self) -> int:
        """Return how many sessions are open."""
        return sum(self._alive(session) for session in list(self._open))

    def mark(self, response: Response, session: str) -> Response:
        """Set the two cookies of a session on an answer."""
        millis = int(self._open[session].timestamp() * 1000)
        response.set_cookie("JSESSIONID", session, httponly=True)
        response.set_cookie("SESSION_EXPIRATION_TIME", f"{millis},{int(IDLE.total_seconds() * 1000)}")
        return response

    def _alive(self, session: str) -> bool:
        last = self._open.get(session)
        if last is None:
            return False
        if self.clock.now() - last > IDLE:
            self.end(session)
            return False
        self._open[session] = self.clock.now()
        return True


def login_page(status: int) -> HTMLResponse:
    """Return the page that XNAT gives instead of an answer."""
    return HTMLResponse(LOGIN_PAGE, status_code=status)


def _decoded(encoded: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password
