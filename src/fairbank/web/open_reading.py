"""Who may read the public catalogue from a page of another origin: everybody, without credentials (CORS).

Only the read routes of the catalogue are open like this. What takes a token or a signature (`/v1/…`) is not, and no
page of another origin may send a token to the open routes either, so it reads what a stranger may read.
"""

from __future__ import annotations

from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_ADDRESSES: Final = frozenset(
    {
        "/",
        "/sparql",
        "/search",
        "/datasets",
        "/catalog",
        "/profiles",
        "/spec",
        "/expanded",
        "/meta",
        "/ontology",
        "/fdp",
        "/dataset",
    }
)
_BELOW: Final = (
    "/datasets/",
    "/dataset/",
    "/catalog/",
    "/distribution/",
    "/profile/",
    "/profiles/",
    "/ontology/",
)
_KEPT_S: Final = 3_600


class OpenReading:
    """Sends requests for public addresses through CORS, and all others past it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open = CORSMiddleware(
            app,
            allow_origins=("*",),
            # What a form of a page could send anyway, and a query as it is; Authorization is not among them.
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=("Accept", "Content-Type"),
            expose_headers=("ETag", "Fairbank-Rows", "Link", "Retry-After"),
            max_age=_KEPT_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_open = scope["type"] == "http" and is_public(scope["path"])
        await (self._open if is_open else self._app)(scope, receive, send)


def is_public(path: str) -> bool:
    """Tell whether an address is a read route of the public catalogue.

    >>> is_public("/datasets/alpha/lungs"), is_public("/v1/datasets/lungs/visibility"), is_public("/sparql-admin")
    (True, False, False)
    """
    return path in _ADDRESSES or path.startswith(_BELOW)
