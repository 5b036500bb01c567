"""The stand-in's addresses below `/xapi`: schemas, what de-identifies what comes in, and custom forms."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from fairbank.harvest.xnat_standin import schemas
from fairbank.harvest.xnat_standin.about import Script
from fairbank.harvest.xnat_standin.rest import VERSION, Handler, Rest
from fairbank.harvest.xnat_standin.site import Site, User

_FORMS = "/xapi/custom-fields"
_SCRIPTS = "/xapi/anonymize"
_OF_PROJECT = f"{_SCRIPTS}/projects/{{project}}"


class Xapi:
    """The handlers; the archive is reached through `Rest`."""

    def __init__(self, rest: Rest, site: Site) -> None:
        self._rest = rest
        self._site = site

    def routes(self) -> list[tuple[str, Handler]]:
        """Return every address with its handler."""
        return [
            ("/xapi/siteConfig/buildInfo", lambda *_: JSONResponse({"version": VERSION})),
            ("/xapi/schemas", lambda *_: JSONResponse(["xdat", "xnat", "icr"])),
            ("/xapi/schemas/xdat", lambda *_: _xml(schemas.XDAT)),
            ("/xapi/schemas/xnat", lambda *_: _xml(schemas.xnat_schema())),
            ("/xapi/schemas/icr", lambda *_: _xml(schemas.ICR)),
            (f"{_SCRIPTS}/site", lambda *_: PlainTextResponse(self._site.anonymisation.script)),
            (f"{_SCRIPTS}/site/enabled", lambda *_: JSONResponse(self._site.anonymisation.enabled)),
            (_OF_PROJECT, self._script),
            (f"{_OF_PROJECT}/enabled", self._script_enabled),
            (f"{_FORMS}/projects/{{project}}/subjects/{{subject}}/fields", self._of_subject),
            (f"{_FORMS}/subjects/{{subject}}/fields", self._of_subject),
            (f"{_FORMS}/projects/{{project}}/experiments/{{session}}/fields", self._of_session),
            (f"{_FORMS}/experiments/{{session}}/fields", self._of_session),
        ]

    def _script(self, request: Request, user: User) -> Response:
        """Return a project's own script; 204 says that it has none, or that it is switched off."""
        own = self._project_script(request, user)
        return PlainTextResponse(own.script) if own is not None and own.enabled else Response(status_code=204)

    def _script_enabled(self, request: Request, user: User) -> Response:
        own = self._project_script(request, user)
        return JSONResponse(own is not None and own.enabled)

    def _project_script(self, request: Request, user: User) -> Script | None:
        try:
            return self._rest.project(request, user).about.anonymisation
        except HTTPException as err:
            # XNAT 1.9 stumbles over a project that is not there.
            raise HTTPException(500 if err.status_code == 404 else err.status_code) from err

    def _of_subject(self, request: Request, user: User) -> Response:
        return JSONResponse(self._rest.subject(request, user)[1].said.forms)

    def _of_session(self, request: Request, user: User) -> Response:
        return JSONResponse(self._rest.session(request, user)[2].said.forms)


def _xml(text: str) -> Response:
    return Response(text, media_type="application/xml")
