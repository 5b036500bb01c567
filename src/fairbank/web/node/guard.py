"""What surrounds every answer of a node's pages: whom they listen to, and what browsers are told.

The socket is on the loopback address, but a page of any site can ask for it: under a name of its own that it lets point
here (DNS rebinding), or with a form. So only this machine's own names are answered, and only forms of these pages.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairbank.errors import FairbankError, told
from fairbank.web.node.errors import ForeignHost
from fairbank.web.own_origin import ForeignForm, is_own
from fairbank.web.problems import answer
from fairbank.web.security_headers import ALWAYS, OF_ANSWERS_TO_ONE, OF_PAGES, OF_THE_REST

_SAFE: Final = frozenset({"GET", "HEAD"})
NAMES: Final = ("127.0.0.1", "localhost")


class Guard:
    """Refuses other hosts and forms of other sites, and adds what the answer tells browsers."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = frozenset(f"{name}:{port}" for name in NAMES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                is_page = headers.get("content-type", "").startswith("text/html")
                headers.setdefault("Content-Security-Policy", OF_PAGES if is_page else OF_THE_REST)
                for name, value in {**ALWAYS, **OF_ANSWERS_TO_ONE}.items():
                    headers.setdefault(name, value)
                # No address of these pages is told to anybody, and nothing of them is kept on a disk.
                headers["Referrer-Policy"] = "no-referrer"
                if not scope["path"].startswith("/static/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        request = Request(scope)
        refusal = self._refusal(request)
        if refusal is not None:
            await answer(request, refusal)(scope, receive, adding)
            return
        await self._app(scope, receive, adding)

    def _refusal(self, request: Request) -> FairbankError | None:
        if request.headers.get("host", "") not in self._hosts:
            return ForeignHost(
                "These pages are not here under that name.",
                why=told("They answer at %(hosts)s only.", hosts=", ".join(sorted(self._hosts))),
                todo="Use the address that 'fairbank node pages' has printed.",
            )
        if request.method not in _SAFE and not is_own(request):
            return ForeignForm(
                "The form was not sent by a page of this node.",
                why="Its browser says that it comes from another site, or says nothing.",
                todo="Open the page here and send it again.",
            )
        return None
