"""How many requests one caller may send: by account or token, by node, or by address where there is neither."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairbank.catalogue.accounts import cookie_of
from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity.errors import TooManyRequests
from fairbank.catalogue.identity.origins import origin_of
from fairbank.catalogue.meters import FAILURES_PER_MINUTE, PROVEN
from fairbank.errors import told
from fairbank.web.problems import answer

_KEY_ID: Final = re.compile(r'keyid="([^"]{1,200})"')


@dataclass(frozen=True, slots=True)
class _Caller:
    bucket: str
    per_minute: int
    # Whether it shows a token, cookie or signature, which nobody has checked yet.
    claims: bool


class Limits:
    """Refuses what is more than the settings allow, before anything else is done with it."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self._app, self._hub = app, hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, meters = Request(scope), self._hub.meters
        origin = origin_of(request, self._hub.settings)
        caller, failures = self._caller(request, origin), f"failures {origin}"
        wait_s = 0.0
        if caller.claims and not meters.has_worked(caller.bucket):
            # Anybody can make up a token, cookie or key: until one has worked, it is worth no more than its address.
            wait_s = meters.take(f"claims {origin}", self._hub.settings.limits_origin_requests)
        wait_s = wait_s or meters.take(caller.bucket, caller.per_minute)
        if wait_s:
            await _refusal(request, wait_s)(scope, receive, send)
            return
        statuses: list[int] = []
        proven: set[bool] = set()
        scope[PROVEN] = proven

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        if caller.claims and not meters.has_worked(caller.bucket) and meters.is_empty(failures):
            await _refusal(request, 60.0)(scope, receive, send)
            return
        await self._app(scope, receive, noting)
        if statuses and statuses[0] == 401:
            meters.take(failures, FAILURES_PER_MINUTE)
            meters.failed(caller.bucket)
        elif proven:
            meters.worked(caller.bucket)

    def _caller(self, request: Request, origin: str) -> _Caller:
        settings, headers = self._hub.settings, request.headers
        if (said := headers.get("signature-input")) is not None:
            key = _KEY_ID.search(said)
            # By address as well, so that nobody uses up what is another's by naming its key.
            name = f"node {key.group(1) if key else ''} {origin}"
            return _Caller(name, settings.limits_node_requests, claims=True)
        shown = headers.get("authorization") or cookie_of(self._hub, request)
        if shown is not None:
            name = f"account {hashlib.sha256(shown.encode()).hexdigest()}"
            return _Caller(name, settings.limits_account_requests, claims=True)
        return _Caller(f"origin {origin}", settings.limits_origin_requests, claims=False)


def _refusal(request: Request, wait_s: float) -> ASGIApp:
    seconds = max(1, math.ceil(wait_s))
    error = TooManyRequests(
        "There were too many requests.",
        why="One caller must not take the hub from all others.",
        todo=told("Wait %(seconds)s s, and ask more slowly.", seconds=seconds),
    )
    return answer(request, error, headers={"Retry-After": str(seconds)})
