"""Failures on demand: what a server, a proxy or a network in between does to an answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from fairbank.harvest.xnat_standin.logins import login_page

SLOW_S = 30.0


class Trouble(StrEnum):
    """What goes wrong."""

    SLOW = "slow"
    BUSY = "busy"
    BAD_GATEWAY = "bad-gateway"
    SERVER_ERROR = "server-error"
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    UNAUTHORIZED = "unauthorized"
    LOGIN_PAGE = "login-page"
    ERROR_PAGE = "error-page"
    TRUNCATED = "truncated"
    VANISHING_ROW = "vanishing-row"


_STATUS = {
    Trouble.BAD_GATEWAY: 502,
    Trouble.SERVER_ERROR: 500,
    Trouble.FORBIDDEN: 403,
    Trouble.MISSING: 404,
    # An error that a proxy or a servlet filter dresses up as a success.
    Trouble.ERROR_PAGE: 200,
}


@dataclass(slots=True)
class Fault:
    """One trouble, where an address holds some words.

    Attributes:
        where: part of the path; empty for every request.
        after: how many requests there go well first.
        times: how often it happens then.
    """

    trouble: Trouble
    where: str = ""
    after: int = 0
    times: int = 10**6


class Faults:
    """Lets faults happen to requests, in the order in which they are listed."""

    def __init__(self, *faults: Fault, sleep: Callable[[float], None] = time.sleep) -> None:
        self._faults = list(faults)
        self._sleep = sleep

    def answer(self, request: Request, handler: Callable[[], Response]) -> Response:
        """Return what comes of a request: its answer, spoilt by the first fault that is due."""
        for fault in self._faults:
            if fault.where not in request.url.path or fault.times <= 0:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            return self._spoilt(fault.trouble, handler)
        return handler()

    def _spoilt(self, trouble: Trouble, handler: Callable[[], Response]) -> Response:
        if trouble is Trouble.SLOW:
            self._sleep(SLOW_S)
            return handler()
        if trouble is Trouble.BUSY:
            return Response(status_code=503, headers={"Retry-After": "1"})
        if trouble in (Trouble.UNAUTHORIZED, Trouble.LOGIN_PAGE):
            return login_page(401 if trouble is Trouble.UNAUTHORIZED else 200)
        if status := _STATUS.get(trouble):
            return HTMLResponse(f"<html><body><h3>Status {status}</h3></body></html>", status_code=status)
        whole = handler()
        body = bytes(whole.body)
        spoilt = body[: len(body) // 2] if trouble is Trouble.TRUNCATED else _without_a_row(body)
        return Response(spoilt, status_code=whole.status_code, media_type=whole.media_type)


def _without_a_row(body: bytes) -> bytes:
    """Return a table without its first row, as if somebody had deleted it just then."""
    try:
        table = json.loads(body)
        result = table["ResultSet"]
    except (ValueError, KeyError, TypeError):
        return body
    result["Result"] = result["Result"][1:]
    if "totalRecords" in result:
        result["totalRecords"] = str(len(result["Result"]))
    return json.dumps(table).encode()
