"""The stand-in's web application: XNAT's REST addresses over a folder of DICOM."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from fastapi import FastAPI, HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fairbank.clock import Clock, SystemClock
from fairbank.harvest.xnat_standin.archive import Archive
from fairbank.harvest.xnat_standin.faults import Faults
from fairbank.harvest.xnat_standin.imports import take_in
from fairbank.harvest.xnat_standin.logins import LoginNeeded, Logins, Visit, is_browser, login_page
from fairbank.harvest.xnat_standin.rest import PREFIXES, Handler, Rest
from fairbank.harvest.xnat_standin.site import Asked, Site, User
from fairbank.harvest.xnat_standin.xapi import Xapi

Interrupt = Callable[[Request], Response | None]


def create_app(
    root: Path,
    *,
    user: str = "reader",
    password: str = "reader",  # noqa: S107  # a stand-in for tests: nothing real is behind this door
    zone: str = "Europe/Berlin",
    clock: Clock | None = None,
    recheck_s: float = 0.5,
    site: Site | None = None,
    interrupt: Interrupt | None = None,
    faults: Faults | None = None,
) -> FastAPI:
    """Return the application that serves a folder as an XNAT.

    Args:
        root: the folder, `<root>/<project>/<anything>/*.dcm`.
        user: the one user.
        password: that user's password.
        zone: the time zone in which stamps are written, without saying so.
        clock: tells when a session ends.
        recheck_s: how long a change in the folder may go unnoticed.
        site: users, rights, order and pages; given, it replaces `user`, `password`, `zone` and `clock`.
        interrupt: called before each answer; what it returns is answered instead (to rehearse a failing archive).
        faults: what goes wrong with which answers.
    """
    site = site or Site(users=(User(user, password),), zone=ZoneInfo(zone), clock=clock or SystemClock())
    logins = Logins(site)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.logins, app.state.site = logins, site
    app.add_middleware(_Log, site=site)
    behind = _Behind(logins, site, interrupt, faults or Faults())
    _add_entrance(app, logins, behind)
    rest = Rest(Archive(root, recheck_s=recheck_s), site)
    for path, handler in [*rest.routes(), *Xapi(rest, site).routes()]:
        app.add_api_route(path, behind.reading(handler), methods=["GET", "HEAD"], response_model=None)
    for prefix in PREFIXES:
        take = behind.importing(root)
        app.add_api_route(f"{prefix}/services/import", take, methods=["POST"], response_model=None)
    for prefix in (*PREFIXES, "/xapi"):
        writing = ["POST", "PUT", "DELETE"]
        app.add_api_route(f"{prefix}/{{path:path}}", behind.writing, methods=writing, response_model=None)
    app.add_exception_handler(LoginNeeded, lambda _, err: login_page(getattr(err, "status", 401)))
    app.add_exception_handler(HTTPException, _error_page)
    return app


class _Log:
    """Notes every request."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            asked = (scope["method"], scope["path"], scope["query_string"].decode())
            self._site.log.append(Asked(*asked, at=self._site.clock.now()))
        await self._app(scope, receive, send)


class _Behind:
    """What stands before every handler: faults, the login, and the proof that a browser was not tricked."""

    def __init__(self, logins: Logins, site: Site, interrupt: Interrupt | None, faults: Faults) -> None:
        self._logins = logins
        self._site = site
        self._interrupt = interrupt
        self._faults = faults

    def reading(self, handler: Handler) -> Callable[[Request], Response]:
        """Return a handler of GET."""

        def answered(request: Request) -> Response:
            if self._interrupt is not None and (instead := self._interrupt(request)) is not None:
                return instead
            return self._faults.answer(request, lambda: self._answer(request, handler))

        return answered

    def importing(self, root: Path) -> Callable[[Request], Awaitable[Response]]:
        """Return the handler of the import service."""

        async def taken(request: Request) -> Response:
            self.prove(request)
            content = await request.body()
            if self._interrupt is not None and (instead := self._interrupt(request)) is not None:
                return instead
            return self._answer(request, lambda asked, user: take_in(root, self._site, user, asked, content))

        return taken

    def writing(self, request: Request) -> Response:
        """Refuse to change anything; a browser is told first that its proof is missing."""
        self.prove(request)
        raise HTTPException(403)

    def prove(self, request: Request) -> None:
        """Refuse a request of a browser that would change something and does not carry its session's token."""
        visit = self._logins.check(request)
        given = request.query_params.get("XNAT_CSRF", "")
        if is_browser(request) and (visit.session is None or given != visit.session.csrf):
            raise HTTPException(400)

    def _answer(self, request: Request, handler: Handler) -> Response:
        visit = self._logins.check(request)
        response = handler(request, visit.user)
        return self._logins.mark(response, visit.session) if visit.session else response


def _error_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return HTMLResponse(f"<html><body><h3>Status {status}</h3></body></html>", status_code=status)


def _add_entrance(app: FastAPI, logins: Logins, behind: _Behind) -> None:
    def begin(request: Request) -> Response:
        session = logins.begin(logins.check(request))
        proof = f"; XNAT_CSRF={session.csrf}" if request.query_params.get("CSRF") == "true" else ""
        return logins.mark(PlainTextResponse(session.id + proof), session)

    def end(request: Request) -> Response:
        if is_browser(request):
            behind.prove(request)
        logins.end(request.cookies.get("JSESSIONID", ""))
        return PlainTextResponse("")

    async def log_in(request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        name = form.get("username", [""])[0]
        user = logins.user(name, form.get("password", [""])[0])
        if user is None or name != user.name:
            # An alias is not taken here, only as Basic authentication.
            return HTMLResponse("<html><body><h3>Login attempt failed.</h3></body></html>", status_code=401)
        session = logins.begin(Visit(user, None))
        return logins.mark(PlainTextResponse(session.id), session)

    def who(request: Request) -> Response:
        return PlainTextResponse(f"User '{logins.check(request).user.name}' is logged in")

    def issue(request: Request) -> Response:
        return JSONResponse(logins.issue(logins.check(request).user))

    def front(request: Request) -> Response:
        page = HTMLResponse("<html><body>A stand-in for XNAT.</body></html>")
        try:
            visit = logins.check(request)
        except LoginNeeded as needed:
            if needed.status == 401:
                raise
            return page
        return logins.mark(page, logins.begin(visit))

    app.add_api_route("/", front, response_model=None)
    for prefix in ("/data", "/REST"):
        app.add_api_route(f"{prefix}/JSESSION", begin, methods=["GET", "POST"], response_model=None)
        app.add_api_route(f"{prefix}/JSESSION", end, methods=["DELETE"], response_model=None)
        app.add_api_route(f"{prefix}/services/auth", log_in, methods=["PUT", "POST"], response_model=None)
        app.add_api_route(f"{prefix}/services/tokens/issue", issue, response_model=None)
        app.add_api_route(f"{prefix}/auth", who, response_model=None)
