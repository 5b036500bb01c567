"""The application of a node's pages."""

from __future__ import annotations

from fastapi import FastAPI

from fairbank import __version__
from fairbank.catalogue.route_parts import join
from fairbank.web import static_files
from fairbank.web.node import serving
from fairbank.web.node.desk import Desk
from fairbank.web.node.guard import Guard
from fairbank.web.problems import add_handlers


def create_app(desk: Desk, *, port: int) -> FastAPI:
    """Return the application that serves a node's pages at a port of this machine."""
    app = FastAPI(
        title=f"fairbank at {desk.node.name}",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.has_pages = True
    add_handlers(app)
    app.add_middleware(Guard, port=port)
    join(app.router, serving.router(desk), static_files.router())
    return app
