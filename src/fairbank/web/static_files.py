"""The style sheet of the pages, with that of the charts, and their script; each has a name with its hash.

Under its plain name (`/static/app.css`) a file can be had too, asked for anew each time: for pages of rooms below,
which know no hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue.parameters import is_known
from fairbank.charts.figure import stylesheet
from fairbank.errors import FairbankError, Kind

_FOLDER: Final = Path(__file__).with_name("static")
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_GOOD: Final = "public, max-age=31536000, immutable"


class NoSuchFile(FairbankError):
    """There is no file of the pages of this name."""

    code = "FB-WEB-021"
    kind = Kind.NOT_FOUND


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of the pages.

    Attributes:
        name: with the hash of its content, such as `app-1f2e3d4c5b6a.css`.
    """

    name: str
    content: bytes
    media_type: str

    @property
    def address(self) -> str:
        """Return where it is served for good."""
        return f"/static/{self.name}"


@lru_cache(maxsize=1)
def files() -> dict[str, StaticFile]:
    """Return the files by their plain names."""
    found = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            if path.name == "app.css":
                # Charts bring their own rules; one file is fetched sooner than two.
                content += b"\n" + stylesheet().encode()
            digest = hashlib.sha256(content).hexdigest()[:12]
            found[path.name] = StaticFile(f"{path.stem}-{digest}{path.suffix}", content, _TYPES[path.suffix])
    return found


def router() -> APIRouter:
    """Return the route of the files."""
    routes = APIRouter(tags=["pages"])

    @routes.get("/static/{name}", include_in_schema=False)
    def static(request: Request, name: str) -> Response:
        plain = files().get(name)
        file = plain or next((each for each in files().values() if each.name == name), None)
        if file is None:
            raise NoSuchFile(
                "There is no such file of the pages.",
                why="The hub was brought to another version since the page was loaded.",
                todo="Load the page again.",
            )
        headers = {"ETag": f'"{file.name}"', "Cache-Control": "no-cache" if plain else _FOR_GOOD}
        if is_known(request.headers.get("if-none-match"), file.name):
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return routes
