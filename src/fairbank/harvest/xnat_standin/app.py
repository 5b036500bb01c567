"""The stand-in's web application: XNAT's REST addresses over an `Archive`."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from fastapi import FastAPI, HTTPException
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response

from fairbank.clock import Clock, SystemClock
from fairbank.harvest.xnat_standin import items, schemas, tables
from fairbank.harvest.xnat_standin.archive import Archive, Project, Scan, Session, Subject
from fairbank.harvest.xnat_standin.logins import LoginNeeded, Logins, login_page

VERSION = "1.9.3.6"
_PREFIXES = ("/data", "/data/archive", "/REST")
_PROJECT = "/projects/{project}"
_SUBJECTS = (f"{_PROJECT}/subjects/{{subject}}", "/subjects/{subject}")
_SESSIONS = (
    *[f"{path}/experiments/{{session}}" for path in (_SUBJECTS[0], _PROJECT)],
    "/experiments/{session}",
)

Handler = Callable[[Request], Response]


def create_app(
    root: Path,
    *,
    user: str = "reader",
    password: str = "reader",  # noqa: S107  # a stand-in for tests: nothing real is behind this door
    zone: str = "Europe/Berlin",
    clock: Clock | None = None,
    recheck_s: float = 0.5,
    interrupt: Callable[[Request], Response | None] | None = None,
) -> FastAPI:
    """Return the application that serves a folder as an XNAT.

    Args:
        root: the folder, `<root>/<project>/<anything>/*.dcm`.
        user: the one user.
        password: that user's password.
        zone: the time zone in which stamps are written, without saying so.
        clock: tells when a session ends.
        recheck_s: how long a change in the folder may go unnoticed.
        interrupt: called before each answer; what it returns is answered instead (to rehearse a failing archive).
    """
    logins = Logins(user, password, clock or SystemClock())
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.logins = logins
    _add_entrance(app, logins)
    rest = _Rest(Archive(root, recheck_s=recheck_s), ZoneInfo(zone))
    for path, handler in rest.routes():
        _add(app, path, _behind(logins, interrupt, handler))
    app.add_exception_handler(LoginNeeded, lambda _, err: login_page(getattr(err, "status", 401)))
    app.add_exception_handler(HTTPException, _error_page)
    return app


def _add(app: FastAPI, path: str, handler: Handler) -> None:
    app.add_api_route(path, handler, methods=["GET", "HEAD"], response_model=None)


def _behind(
    logins: Logins, interrupt: Callable[[Request], Response | None] | None, handler: Handler
) -> Handler:
    def answered(request: Request) -> Response:
        if interrupt is not None and (instead := interrupt(request)) is not None:
            return instead
        session = logins.check(request)
        response = handler(request)
        return logins.mark(response, session) if session else response

    return answered


def _error_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return HTMLResponse(f"<html><body><h3>Status {status}</h3></body></html>", status_code=status)


def _add_entrance(app: FastAPI, logins: Logins) -> None:
    def begin(request: Request) -> Response:
        session = logins.begin(logins.check(request))
        return logins.mark(PlainTextResponse(session), session)

    def end(request: Request) -> Response:
        logins.end(request.cookies.get("JSESSIONID", ""))
        return PlainTextResponse("")

    async def log_in(request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        if not logins.valid(form.get("username", [""])[0], form.get("password", [""])[0]):
            return HTMLResponse("<html><body><h3>Login attempt failed.</h3></body></html>", status_code=401)
        session = logins.begin()
        return logins.mark(PlainTextResponse(session), session)

    def who(request: Request) -> Response:
        logins.check(request)
        return PlainTextResponse(f"User '{logins.user}' is logged in")

    app.add_api_route("/", lambda: HTMLResponse("<html><body>A stand-in for XNAT.</body></html>"))
    for prefix in ("/data", "/REST"):
        app.add_api_route(f"{prefix}/JSESSION", begin, methods=["GET", "POST"], response_model=None)
        app.add_api_route(f"{prefix}/JSESSION", end, methods=["DELETE"], response_model=None)
        app.add_api_route(f"{prefix}/services/auth", log_in, methods=["PUT", "POST"], response_model=None)
        app.add_api_route(f"{prefix}/auth", who, response_model=None)


class _Rest:
    """The handlers; each takes its place in the archive from the path."""

    def __init__(self, archive: Archive, zone: ZoneInfo) -> None:
        self._archive = archive
        self._zone = zone

    def routes(self) -> list[tuple[str, Handler]]:
        """Return every address with its handler."""
        below: list[tuple[str, Handler]] = [
            ("/projects", self._projects),
            (_PROJECT, self._project_item),
            (f"{_PROJECT}/accessibility", self._accessibility),
            (f"{_PROJECT}/subjects", self._subjects),
            ("/subjects", self._subjects),
            ("/experiments", self._sessions),
            (f"{_PROJECT}/experiments", self._sessions),
            (f"{_PROJECT}/resources", self._no_resources),
        ]
        for path in _SUBJECTS:
            below += [
                (path, self._subject_item),
                (f"{path}/experiments", self._sessions),
                (f"{path}/resources", self._no_resources),
            ]
        for path in _SESSIONS:
            scan = f"{path}/scans/{{scan}}"
            below += [
                (path, self._session_item),
                (f"{path}/scans", self._scans),
                (f"{path}/resources", self._no_resources),
                (scan, self._scan_item),
                (f"{scan}/resources", self._resources),
                (f"{scan}/resources/{{resource}}", self._resource_item),
            ]
            for files in (f"{scan}/files", f"{scan}/resources/{{resource}}/files"):
                below += [(files, self._files), (f"{files}/{{name:path}}", self._file)]
        routes = [(prefix + path, handler) for prefix in _PREFIXES for path, handler in below]
        return routes + self._site_routes()

    def _site_routes(self) -> list[tuple[str, Handler]]:
        return [
            ("/data/version", lambda _: PlainTextResponse(VERSION)),
            ("/xapi/siteConfig/buildInfo", lambda _: JSONResponse({"version": VERSION})),
            ("/xapi/schemas", lambda _: JSONResponse(["xdat", "xnat"])),
            ("/xapi/schemas/xdat", lambda _: Response(schemas.XDAT, media_type="application/xml")),
            ("/xapi/schemas/xnat", lambda _: Response(schemas.xnat_schema(), media_type="application/xml")),
            ("/data/search/elements", self._elements),
            ("/data/search/elements/{element}", self._element_fields),
        ]

    def _projects(self, request: Request) -> Response:
        rows = [items.project_row(project) for project in self._archive.projects()]
        return tables.answer(rows, _query(request), default=items.PROJECT_COLUMNS)

    def _project_item(self, request: Request) -> Response:
        return _item(items.project_item(self._project(request)))

    def _accessibility(self, request: Request) -> Response:
        return PlainTextResponse(self._project(request).about.accessibility.value)

    def _subjects(self, request: Request) -> Response:
        rows = [
            items.subject_row(project, subject, self._zone)
            for project in self._within(request)
            for subject in project.subjects
        ]
        return tables.answer(rows, _query(request), default=items.SUBJECT_COLUMNS)

    def _subject_item(self, request: Request) -> Response:
        return _item(items.subject_item(*self._subject(request)))

    def _sessions(self, request: Request) -> Response:
        rows = [row for project in self._within(request) for row in items.joined_rows(project, self._zone)]
        if "subject" in request.path_params:
            _, subject = self._subject(request)
            rows = [row for row in rows if row["subject_id"] == subject.id]
        return tables.answer(rows, _query(request), default=items.SESSION_COLUMNS)

    def _session_item(self, request: Request) -> Response:
        return _item(items.session_item(*self._session(request)))

    def _scans(self, request: Request) -> Response:
        _, _, session = self._session(request)
        rows = [items.scan_row(session, scan, self._zone) for scan in session.scans]
        return tables.answer(rows, _query(request), default=items.SCAN_COLUMNS)

    def _scan_item(self, request: Request) -> Response:
        session, scans = self._scans_of(request)
        return _item(items.scan_item(session, scans[0]))

    def _resources(self, request: Request) -> Response:
        _, scans = self._scans_of(request)
        rows = [items.resource_row(scan) for scan in scans]
        query = _query(request)
        # XNAT's resource table takes no columns.
        query.pop("columns", None)
        return tables.answer(rows, query, default=items.RESOURCE_COLUMNS)

    def _no_resources(self, request: Request) -> Response:
        return tables.answer([], {"format": _query(request).get("format", "json")}, default=())

    def _resource_item(self, request: Request) -> Response:
        _, scans = self._scans_of(request)
        if request.query_params.get("format") == "zip":
            return self._files(request)
        return _item(items.item("xnat:resourceCatalog", dict(items.resource_row(scans[0]))))

    def _files(self, request: Request) -> Response:
        session, scans = self._scans_of(request)
        query = _query(request)
        if query.get("format") == "zip":
            return _zipped(session, scans)
        rows = [items.file_row(session, scan, file) for scan in scans for file in scan.files]
        # XNAT's file table takes no columns either.
        query.pop("columns", None)
        return tables.answer(rows, query, default=items.FILE_COLUMNS)

    def _file(self, request: Request) -> Response:
        _, scans = self._scans_of(request)
        wanted = request.path_params["name"]
        for scan in scans:
            for file in scan.files:
                if file.name == wanted:
                    return FileResponse(file.path, media_type="application/dicom", filename=file.name)
        raise HTTPException(404)

    def _elements(self, request: Request) -> Response:
        rows = [{"element_name": name} for name in schemas.ELEMENTS]
        return tables.answer(rows, _query(request), default=("ELEMENT_NAME",))

    def _element_fields(self, request: Request) -> Response:
        rows = [
            {"field_id": name, "element_name": request.path_params["element"]} for name in ("ID", "LABEL")
        ]
        return tables.answer(rows, _query(request), default=("FIELD_ID", "ELEMENT_NAME"))

    def _within(self, request: Request) -> list[Project]:
        return [self._project(request)] if "project" in request.path_params else self._archive.projects()

    def _project(self, request: Request) -> Project:
        project = self._archive.project(request.path_params["project"])
        if project is None:
            raise HTTPException(404)
        return project

    def _subject(self, request: Request) -> tuple[Project, Subject]:
        for project in self._within(request):
            subject = project.subject(request.path_params["subject"])
            if subject is not None:
                return project, subject
        raise HTTPException(404)

    def _session(self, request: Request) -> tuple[Project, Subject, Session]:
        wanted = request.path_params["session"]
        for project in self._within(request):
            for subject, session in project.sessions():
                if wanted in (session.id, session.label):
                    return project, subject, session
        raise HTTPException(404)

    def _scans_of(self, request: Request) -> tuple[Session, list[Scan]]:
        _, _, session = self._session(request)
        wanted = request.path_params["scan"]
        scans = [scan for scan in session.scans if wanted in ("ALL", "*") or scan.id in wanted.split(",")]
        resource = request.path_params.get("resource")
        if resource is not None:
            scans = [scan for scan in scans if resource in (items.RESOURCE, str(scan.number))]
        if not scans:
            raise HTTPException(404)
        return session, scans


def _query(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.query_params.items()}


def _item(found: items.Item) -> Response:
    return Response(json.dumps({"items": [found]}), media_type="application/json")


def _zipped(session: Session, scans: list[Scan]) -> Response:
    with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as spooled:
        path = Path(spooled.name)
        with zipfile.ZipFile(spooled, "w", zipfile.ZIP_STORED) as zipped:
            for scan in scans:
                folder = f"{session.label}/scans/{scan.id}/resources/{items.RESOURCE}/files"
                for file in scan.files:
                    zipped.write(file.path, f"{folder}/{file.name}")
    return FileResponse(path, media_type="application/zip", background=BackgroundTask(path.unlink))
