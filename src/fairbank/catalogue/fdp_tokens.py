"""`POST /tokens`: the log-in of clients of FAIR Data Points, on the hub's own accounts.

The reference implementation's accounts are named by an e-mail address; here `email` is the name of the account.
"""

from __future__ import annotations

import json

from fastapi import APIRouter, Depends
from starlette.requests import Request

from fairbank.catalogue import accounts, bodies
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import RdfMalformed

_LONGEST = 1_000


def router(hub: Hub) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["fair data point"])
    message: bytes = Depends(bodies.body(64 * 1024))

    @routes.post("/tokens")
    def token(request: Request, content: bytes = message) -> dict[str, str]:
        name, password = _said(content)
        origin = request.client.host if request.client else "unknown"
        return {"token": accounts.login(hub, name=name, password=password, origin=origin).token}

    return routes


def _said(content: bytes) -> tuple[str, str]:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    name, word = (said.get("email"), said.get("password")) if isinstance(said, dict) else (None, None)
    if not (isinstance(name, str) and isinstance(word, str) and _is_usable(name) and _is_usable(word)):
        raise RdfMalformed(
            "The body does not say who logs in.",
            why='It is JSON with the keys "email", the name of an account, and "password".',
            todo="Send both, as texts.",
        )
    return name, word


def _is_usable(text: str) -> bool:
    # No database takes NUL or half of a surrogate pair in a text.
    return 0 < len(text) <= _LONGEST and not any(
        each == "\x00" or "\ud800" <= each <= "\udfff" for each in text
    )
