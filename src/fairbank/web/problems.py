"""One mapping from errors to HTTP: `application/problem+json` for programs, a page for people."""

from __future__ import annotations

import errno
import logging
import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Match

from fairbank.catalogue.errors import StorageFailed
from fairbank.errors import FairbankError, Kind, told
from fairbank.web import frame
from fairbank.web.pages.visits import log_in_address, path_of
from fairbank.web.rendering import render

log = logging.getLogger("fairbank.web")
PROBLEM_JSON = "application/problem+json"
_OF_A_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
_OF_A_DATABASE_FILE = (
    "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_LOCKED",
)  # fmt: skip
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

# Of an application that has no pages of its own, such as a SPARQL endpoint alone.
_PLAIN = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title} · fairbank</title></head>
<body><main><h1>{title}</h1><p>{why}</p><p><strong>{todo}</strong></p><p><code>{code}</code></p>
<p><a href="/">Back to the catalogue</a></p></main></body>
</html>
"""


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """`error.html`; what is not there and what the hub failed at have words of their own, in the reader's language."""

    error: FairbankError
    code: str
    is_missing: bool
    is_failure: bool


class BadQuery(FairbankError):
    """A request's address or parameters cannot be understood."""

    code = "FB-WEB-001"
    kind = Kind.MISUSE


class NoSuchPage(FairbankError):
    """There is nothing at this address, or not for this method."""

    code = "FB-WEB-002"
    kind = Kind.NOT_FOUND


class Unexpected(FairbankError):
    """The hub failed in a way that nobody foresaw; its log has the details."""

    code = "FB-WEB-003"
    kind = Kind.FAILED


def add_handlers(app: FastAPI) -> None:
    """Make every error of an application answer as a problem."""
    app.add_exception_handler(FairbankError, _fairbank_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(OSError, _os_error)
    app.add_exception_handler(OperationalError, _database_error)
    for error in (DataError, OverflowError, UnicodeEncodeError):
        app.add_exception_handler(error, _value_error)
    app.add_exception_handler(Exception, _unexpected)


def answer(
    request: Request,
    error: FairbankError,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer that reports an error, as a page where the caller prefers HTML."""
    status = status or error.kind.http_status
    headers = {**(headers or {}), "Cache-Control": "no-store"}
    if status in (429, 503, 504):
        headers.setdefault("Retry-After", str(getattr(error, "retry_after_s", None) or 5))
    if status == 415:
        headers["Accept-Encoding"] = "identity"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if _prefers_html(request):
        return _page(request, error, status, headers)
    problem = {**error.problem(), "status": status}
    return JSONResponse(problem, status_code=status, headers=headers, media_type=PROBLEM_JSON)


def _page(request: Request, error: FairbankError, status: int, headers: Mapping[str, str]) -> Response:
    if not getattr(getattr(request.scope.get("app"), "state", None), "has_pages", False):
        texts = {"title": error.what, "why": error.why, "todo": error.todo, "code": error.code}
        page = _PLAIN.format_map({name: escape(text) for name, text in texts.items()})
        return HTMLResponse(page, status_code=status, headers=headers)
    if status == 401 and request.method in ("GET", "HEAD"):
        return RedirectResponse(log_in_address(path_of(request)), 303, headers={"Cache-Control": "no-store"})
    is_missing = status == 404
    view = ErrorPage(
        error=error,
        # Of all that is not there, or not for the reader, one code: which it is, nobody learns from it.
        code=NoSuchPage.code if is_missing else error.code,
        is_missing=is_missing,
        is_failure=status == 500,
    )
    around = frame.of_request(request, is_known=False)
    return render("error", view, around, status=status, headers=headers)


def _prefers_html(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted and not request.url.path.startswith("/v1/")


async def _fairbank_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FairbankError)
    return answer(request, error)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()[:3])
    return answer(
        request,
        BadQuery(
            f"The request cannot be understood ({places}).",
            why="A parameter is missing, unknown or out of its range.",
            todo="See /openapi.json for the parameters of each address.",
        ),
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 404:
        problem: FairbankError = NoSuchPage(
            "There is nothing at this address.",
            why="It was never there, or it is not visible to you.",
            todo="Check it.",
        )
    elif error.status_code == 405:
        headers["Allow"] = _allowed(request)
        problem = NoSuchPage(
            told("This address does not take %(method)s.", method=request.method),
            why=told("It takes %(methods)s.", methods=headers["Allow"]),
            todo="See /openapi.json.",
        )
    else:
        problem = BadQuery(str(error.detail))
    # With what the status asks for, such as Allow.
    return answer(request, problem, status=error.status_code, headers=headers)


def _allowed(request: Request) -> str:
    # Of all routes at this address (RFC 9110, section 15.5.6); the framework names those of the first only.
    routes = request.app.routes
    place = {name: request.scope[name] for name in ("type", "path", "root_path", "query_string", "headers")}
    scopes = ({**place, "method": method} for method in _METHODS)
    return ", ".join(
        str(scope["method"])
        for scope in scopes
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    )


async def _os_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    if error.errno not in _OF_A_DISK:
        return await _unexpected(request, error)
    log.error(
        "the disk refused at %s %s: %s", request.method, request.url.path, os.strerror(error.errno or 0)
    )
    return answer(request, _storage_failed())


async def _database_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OperationalError)
    name = getattr(error.orig, "sqlite_errorname", "")
    # SQLite has one class for a full disk and for a statement that is wrong, which is a fault of the hub.
    if name and not name.startswith(_OF_A_DATABASE_FILE):
        return await _unexpected(request, error)
    log.error("the database refused at %s %s: %s", request.method, request.url.path, name or "no connection")
    return answer(request, _storage_failed())


async def _value_error(request: Request, error: Exception) -> Response:
    log.warning("a value was refused at %s %s: %s", request.method, request.url.path, type(error).__name__)
    return answer(
        request,
        BadQuery(
            "The request holds a value that cannot be kept or compared.",
            why="A number is too large for the database, or a text holds characters that no database takes.",
            todo="See /openapi.json for the parameters of each address.",
        ),
    )


def _storage_failed() -> StorageFailed:
    return StorageFailed(
        "The hub cannot use its disk or its database at the moment.",
        why="It is full, locked or not reachable; nothing of the request has taken effect.",
        todo="Try again in a minute; if it stays, tell the hub's operator.",
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    # The type and the places only: a message might quote what somebody sent.
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("unexpected %s at %s %s\n%s", type(error).__name__, request.method, request.url.path, frames)
    return answer(
        request,
        Unexpected(
            "The hub failed unexpectedly.",
            why="This is a fault of the hub, not of your request.",
            todo="Try again; if it happens again, tell the hub's operator when it happened.",
        ),
    )
