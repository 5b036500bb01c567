"""What every answer tells browsers: run only this hub's script, load nothing from elsewhere, stand in no frame."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity.origins import is_https
from fairbank.catalogue.identity.sessions import is_cookie_of

# Nothing stands in a page itself: neither style nor script; and only the script's own policy makes markup of a text.
OF_PAGES: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; trusted-types part; "
    "require-trusted-types-for 'script'"
)
OF_THE_REST: Final = "default-src 'none'; frame-ancestors 'none'"
ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), serial=(), usb=()"
    ),
}
# What other sites may read (`open_reading`) says so itself.
OF_ANSWERS_TO_ONE: Final = {"Cross-Origin-Resource-Policy": "same-origin"}
_A_YEAR_S: Final = 31_536_000


class SecurityHeaders:
    """Adds them to each answer, unless it has its own."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self._app, self._hub = app, hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        secure = is_https(request, self._hub.settings)
        of_a_session = any(is_cookie_of(self._hub, name) for name in request.cookies)

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                is_page = headers.get("content-type", "").startswith("text/html")
                # What has not changed keeps the policy that it came with: headers of 304 replace those kept (RFC 9111,
                # section 3.2), and a page would lose its style and its script.
                if message["status"] != HTTPStatus.NOT_MODIFIED:
                    headers.setdefault("Content-Security-Policy", OF_PAGES if is_page else OF_THE_REST)
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
                if is_page or of_a_session:
                    for name, value in OF_ANSWERS_TO_ONE.items():
                        headers.setdefault(name, value)
                if secure:
                    headers.setdefault("Strict-Transport-Security", f"max-age={_A_YEAR_S}")
                if of_a_session:
                    # What one person sees is kept for nobody else.
                    headers.add_vary_header("Cookie")
                    headers.setdefault("Cache-Control", "private")
            await send(message)

        await self._app(scope, receive, adding)
