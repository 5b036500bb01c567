"""Requests that change something come from this hub's own pages, as browsers say by `Sec-Fetch-Site` and `Origin`.

Only requests with one of this hub's cookies are asked: without one, a page of another site can do no more than any
stranger. Programs, which have tokens and signatures, send no cookies. Source: W3C Fetch Metadata, section 2.4; the rule
is that of Go's `http.CrossOriginProtection`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity.sessions import is_cookie_of
from fairbank.errors import FairbankError, Kind
from fairbank.web.problems import answer

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN: Final = frozenset({"same-origin", "none"})


class ForeignForm(FairbankError):
    """A request with a cookie of this hub comes from a page of another site."""

    code = "FB-WEB-020"
    kind = Kind.FORBIDDEN


class OwnOrigin:
    """Refuses what another site's page would do with a cookie of this hub."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self._app, self._hub = app, hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["method"] not in _SAFE:
            request = Request(scope)
            base = urlsplit(self._hub.base_iri).netloc
            if any(is_cookie_of(self._hub, name) for name in request.cookies) and not is_own(request, base):
                await answer(request, _refusal())(scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_own(request: Request, base: str = "") -> bool:
    """Tell whether a browser says that a request comes from one of the pages of the server that it is sent to.

    Args:
        base: host and port under which the server is known, beside those that it was asked at.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN
    origin = request.headers.get("origin")
    if origin is None:
        # No browser that people use sends a form without either.
        return False
    return urlsplit(origin).netloc in {request.headers.get("host", ""), base} - {""}


def _refusal() -> FairbankError:
    return ForeignForm(
        "The form was not sent by a page of this hub.",
        why="Its browser says that it comes from another site, or says nothing.",
        todo="Open the page here and send it again.",
    )
