"""The stand-in's REST addresses below `/data`, over an `Archive`; each handler is told who asks."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pydicom
from fastapi import HTTPException
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from fairbank.harvest.xnat_standin import rows, schemas, tables
from fairbank.harvest.xnat_standin.archive import Archive
from fairbank.harvest.xnat_standin.items import Item, Items
from fairbank.harvest.xnat_standin.model import Project, Resource, RoiCollection, Scan, Session, Subject
from fairbank.harvest.xnat_standin.site import Site, User

VERSION = "1.9.3.6"
PREFIXES = ("/data", "/data/archive", "/REST")
_PROJECT = "/projects/{project}"
_SUBJECTS = (f"{_PROJECT}/subjects/{{subject}}", "/subjects/{subject}")
_SESSIONS = (
    *[f"{path}/experiments/{{session}}" for path in (_SUBJECTS[0], _PROJECT)],
    "/experiments/{session}",
)
_ROI_COLLECTION = RoiCollection.xsi_type.lower()

Handler = Callable[[Request, User], Response]


class Rest:
    """The handlers; each takes its place in the archive from the path."""

    def __init__(self, archive: Archive, site: Site) -> None:
        self._archive = archive
        self._site = site
        self._items = Items(site.zone)

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
            ("/prearchive/projects", self._prearchive),
            ("/prearchive/projects/{project}", self._prearchive),
        ]
        for path in _SUBJECTS:
            below += [
                (path, self._subject_item),
                (f"{path}/experiments", self._sessions),
                (f"{path}/resources", self._no_resources),
            ]
        for path in _SESSIONS:
            below += self._below_session(path)
        routes = [(prefix + path, handler) for prefix in PREFIXES for path, handler in below]
        return [*routes, *self._site_routes()]

    def _below_session(self, path: str) -> list[tuple[str, Handler]]:
        scan, assessor = f"{path}/scans/{{scan}}", f"{path}/assessors/{{assessor}}"
        below: list[tuple[str, Handler]] = [
            (path, self._session_item),
            (f"{path}/scans", self._scans),
            (f"{path}/assessors", self._assessors),
            (f"{path}/resources", self._no_resources),
            (scan, self._scan_item),
            (assessor, self._assessor_item),
        ]
        for of in (scan, assessor):
            below += [
                (f"{of}/resources", self._resources),
                (f"{of}/resources/{{resource}}", self._resource_item),
            ]
            for files in (f"{of}/files", f"{of}/resources/{{resource}}/files"):
                below += [(files, self._files), (f"{files}/{{name:path}}", self._file)]
        return below

    def _site_routes(self) -> list[tuple[str, Handler]]:
        return [
            ("/data/version", lambda *_: PlainTextResponse(VERSION)),
            ("/data/services/dicomdump", self._dicomdump),
            ("/data/search/elements", self._elements),
            ("/data/search/elements/{element}", self._element_fields),
        ]

    def _projects(self, request: Request, user: User) -> Response:
        shown = [rows.project_row(each) for each in self._archive.projects() if self._site.sees(user, each)]
        return tables.answer(shown, query_of(request), default=rows.PROJECT_COLUMNS, site=self._site)

    def _project_item(self, request: Request, user: User) -> Response:
        return _item(self._items.project(self.project(request, user)))

    def _accessibility(self, request: Request, user: User) -> Response:
        return PlainTextResponse(self.project(request, user).about.accessibility.value)

    def _subjects(self, request: Request, user: User) -> Response:
        projects = self._within(request, user)
        scoped = "project" in request.path_params
        found = [
            rows.subject_row(project, subject, self._site.zone)
            for project in projects
            for subject in (project.shown if scoped else project.subjects)
        ]
        return self._table(request, user, found, rows.SUBJECT_COLUMNS)

    def _subject_item(self, request: Request, user: User) -> Response:
        project, subject = self.subject(request, user)
        return _item(self._items.subject(project, subject))

    def _sessions(self, request: Request, user: User) -> Response:
        query, zone = query_of(request), self._site.zone
        scope = request.path_params.get("project") or query.pop("project", "")
        if "project" in request.path_params:
            self.project(request, user)
        chosen = [each for each in self._archive.projects() if not scope or each.id == scope]
        if query.get("xsitype", "").lower() == _ROI_COLLECTION:
            beside = [
                rows.assessor_row(project, session, assessor, zone)
                for project in chosen
                for _, session in project.sessions()
                for assessor in session.assessors
            ]
            return self._table(request, user, beside, rows.ASSESSOR_COLUMNS, query=query)
        found = [
            row
            for each in chosen
            for row in (rows.joined_rows(each, zone) if scope else rows.own_rows(each, zone))
        ]
        if "subject" in request.path_params:
            _, subject = self.subject(request, user)
            found = [row for row in found if row["subject_id"] == subject.id]
        default: tuple[str, ...] = rows.SESSION_COLUMNS
        if "project" in request.path_params:
            default = (*default, "xnat:subjectassessordata/id")
        return self._table(request, user, found, default, query=query)

    def _session_item(self, request: Request, user: User) -> Response:
        if (beside := self._roi_collection(request, user)) is not None:
            return _item(self._items.assessor(*beside))
        _, subject, session = self.session(request, user)
        return _item(self._items.session(subject, session))

    def _scans(self, request: Request, user: User) -> Response:
        _, _, session = self.session(request, user)
        found = [rows.scan_row(session, scan, self._site.zone) for scan in session.scans]
        return self._table(request, user, found, rows.SCAN_COLUMNS)

    def _assessors(self, request: Request, user: User) -> Response:
        project, _, session = self.session(request, user)
        found = [rows.assessor_row(project, session, each, self._site.zone) for each in session.assessors]
        return self._table(request, user, found, rows.ASSESSOR_COLUMNS)

    def _scan_item(self, request: Request, user: User) -> Response:
        session, scans = self._scans_of(request, user)
        return _item(self._items.scan(session, scans[0]))

    def _assessor_item(self, request: Request, user: User) -> Response:
        _, _, session = self.session(request, user)
        return _item(self._items.assessor(session, self._assessor(request, session)))

    def _resources(self, request: Request, user: User) -> Response:
        found = [
            rows.resource_row(resource, category=category, of=of, description=description)
            for category, of, description, resource in self._resources_of(request, user)
        ]
        # XNAT's resource table takes no columns.
        return self._table(request, user, found, rows.RESOURCE_COLUMNS, query=_without_columns(request))

    def _no_resources(self, request: Request, user: User) -> Response:
        form = {"format": query_of(request).get("format", "json")}
        return tables.answer([], form, default=(), site=self._site)

    def _resource_item(self, request: Request, user: User) -> Response:
        if request.query_params.get("format") == "zip":
            return self._files(request, user)
        return _item(self._items.resource(self._resources_of(request, user)[0][3]))

    def _files(self, request: Request, user: User) -> Response:
        found = self._resources_of(request, user)
        _, _, session = self.session(request, user)
        if query_of(request).get("format") == "zip":
            return _zipped(session, found)
        listed = [
            row
            for category, of, _, resource in found
            for row in rows.file_rows(f"/data/experiments/{session.id}/{category}/{of}", resource)
        ]
        # XNAT's file table takes no columns either.
        return self._table(request, user, listed, rows.FILE_COLUMNS, query=_without_columns(request))

    def _file(self, request: Request, user: User) -> Response:
        wanted = request.path_params["name"]
        for _, _, _, resource in self._resources_of(request, user):
            for file in resource.files:
                if file.name == wanted:
                    return FileResponse(file.path, media_type="application/dicom", filename=file.name)
        raise HTTPException(404)

    def _prearchive(self, request: Request, user: User) -> Response:
        waiting = [
            row
            for project in self._within(request, user)
            for row in rows.prearchive_rows(project, self._site.zone)
        ]
        return self._table(request, user, waiting, rows.PREARCHIVE_COLUMNS)

    def _dicomdump(self, request: Request, user: User) -> Response:
        """Return elements of the first file of a scan; `src` is the scan's address, `field` a tag or keyword."""
        parts = request.query_params.get("src", "").strip("/").split("/")
        if len(parts) < 2 or parts[-2] != "scans" or "experiments" not in parts:
            raise HTTPException(400)
        wanted = parts[parts.index("experiments") + 1]
        for project, _, session in self._readable_sessions(user):
            scan = session.scan(parts[-1]) if wanted in (session.id, session.label) else None
            if scan is not None and (
                "projects" not in parts or project.id == parts[parts.index("projects") + 1]
            ):
                return tables.answer(
                    _dumped(scan.images.files[0].path, request.query_params.getlist("field")),
                    {"format": query_of(request).get("format", "json")},
                    default=("tag1", "tag2", "vr", "value", "desc"),
                    site=Site(users=()),
                )
        raise HTTPException(404)

    def _elements(self, request: Request, user: User) -> Response:
        found = [{"element_name": name} for name in schemas.ELEMENTS]
        return tables.answer(found, query_of(request), default=("ELEMENT_NAME",), site=self._site)

    def _element_fields(self, request: Request, user: User) -> Response:
        element = request.path_params["element"]
        found = [{"field_id": name, "element_name": element} for name in ("ID", "LABEL")]
        return tables.answer(found, query_of(request), default=("FIELD_ID", "ELEMENT_NAME"), site=self._site)

    def _table(
        self,
        request: Request,
        user: User,
        found: list[tables.Row],
        default: tuple[str, ...],
        *,
        query: dict[str, str] | None = None,
    ) -> Response:
        readable = {each.id for each in self._archive.projects() if self._site.reads(user, each)}
        hidden = {kind.lower() for kind in user.hidden_types}

        def may_read(row: tables.Row) -> bool:
            through = row.get(rows.THROUGH)
            if through is not None and readable.isdisjoint(through.split("|")):
                return False
            return row.get("xsitype", "").lower() not in hidden

        asked = query_of(request) if query is None else query
        return tables.answer(found, asked, default=default, site=self._site, readable=may_read)

    def _within(self, request: Request, user: User) -> list[Project]:
        if "project" in request.path_params:
            return [self.project(request, user)]
        return [project for project in self._archive.projects() if self._site.reads(user, project)]

    def project(self, request: Request, user: User) -> Project:
        """Return the project of an address."""
        found = self._archive.project(request.path_params["project"])
        if found is None:
            raise HTTPException(404)
        if not self._site.reads(user, found):
            raise HTTPException(self._site.hidden_status)
        return found

    def subject(self, request: Request, user: User) -> tuple[Project, Subject]:
        """Return the subject of an address, with its project."""
        for project in self._within(request, user):
            subject = project.subject(request.path_params["subject"])
            if subject is not None:
                return project, subject
        raise HTTPException(404)

    def session(self, request: Request, user: User) -> tuple[Project, Subject, Session]:
        """Return the session of an address, with its project and subject."""
        wanted = request.path_params["session"]
        if "project" in request.path_params:
            self.project(request, user)
        for project, subject, session in self._readable_sessions(user):
            inside = request.path_params.get("project", project.id) == project.id
            if inside and wanted in (session.id, session.label):
                return project, subject, session
        everywhere = [session for project in self._archive.projects() for _, session in project.sessions()]
        known = any(wanted in (session.id, session.label) for session in everywhere)
        raise HTTPException(self._site.hidden_status if known else 404)

    def _readable_sessions(self, user: User) -> Iterable[tuple[Project, Subject, Session]]:
        hidden = {kind.lower() for kind in user.hidden_types}
        for project in self._archive.projects():
            if self._site.reads(user, project):
                for subject, session in project.sessions():
                    if session.xsi_type.lower() not in hidden:
                        yield project, subject, session

    def _roi_collection(self, request: Request, user: User) -> tuple[Session, RoiCollection] | None:
        wanted = request.path_params["session"]
        for _, _, session in self._readable_sessions(user):
            for assessor in session.assessors:
                if assessor.id == wanted:
                    return session, assessor
        return None

    def _assessor(self, request: Request, session: Session) -> RoiCollection:
        wanted = request.path_params["assessor"]
        for assessor in session.assessors:
            if wanted in (assessor.id, assessor.label):
                return assessor
        raise HTTPException(404)

    def _scans_of(self, request: Request, user: User) -> tuple[Session, list[Scan]]:
        _, _, session = self.session(request, user)
        wanted = request.path_params["scan"]
        scans = [scan for scan in session.scans if wanted in ("ALL", "*") or scan.id in wanted.split(",")]
        if not scans:
            raise HTTPException(404)
        return session, scans

    def _resources_of(self, request: Request, user: User) -> list[tuple[str, str, str, Resource]]:
        """Return the resources of an address: category, id and description of what each belongs to, and itself."""
        found: list[tuple[str, str, str, Resource]] = []
        if "assessor" in request.path_params:
            _, _, session = self.session(request, user)
            assessor = self._assessor(request, session)
            found.append(("assessors", assessor.id, assessor.label, assessor.resource))
        else:
            _, scans = self._scans_of(request, user)
            found += [("scans", scan.id, scan.kind, each) for scan in scans for each in scan.resources]
        wanted = request.path_params.get("resource")
        if wanted is not None:
            found = [each for each in found if wanted in (each[3].label, str(each[3].number))]
            if not found:
                raise HTTPException(404)
        return found


def query_of(request: Request) -> dict[str, str]:
    """Return the query of a request, its names in lower case."""
    return {name.lower(): value for name, value in request.query_params.items()}


def _without_columns(request: Request) -> dict[str, str]:
    query = query_of(request)
    query.pop("columns", None)
    return query


def _item(found: Item) -> Response:
    return Response(json.dumps({"items": [found]}), media_type="application/json")


def _dumped(path: Path, fields: list[str]) -> list[tables.Row]:
    header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    wanted = {field.lower() for field in fields}
    return [
        {
            "tag1": f"({element.tag.group:04x},{element.tag.element:04x})",
            "tag2": "",
            "vr": element.VR,
            "value": "" if element.value is None else str(element.value),
            "desc": element.name,
        }
        for element in header
        if not wanted or f"{element.tag:08x}" in wanted or element.keyword.lower() in wanted
    ]


def _zipped(session: Session, found: list[tuple[str, str, str, Resource]]) -> Response:
    with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as spooled:
        path = Path(spooled.name)
        with zipfile.ZipFile(spooled, "w", zipfile.ZIP_STORED) as zipped:
            for category, of, _, resource in found:
                folder = f"{session.label}/{category}/{of}/resources/{resource.label}/files"
                for file in resource.files:
                    zipped.write(file.path, f"{folder}/{file.name}")
    return FileResponse(path, media_type="application/zip", background=BackgroundTask(path.unlink))
