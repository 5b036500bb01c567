"""The hub's application: the routers of the rooms, put together once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from fairbank import __version__
from fairbank.catalogue import (
    fdp_routes,
    ga4gh_routes,
    negotiation,
    permissions,
    rdf_answers,
    schema_org,
    uploads,
)
from fairbank.catalogue import routes as catalogue
from fairbank.catalogue.context import Hub
from fairbank.catalogue.records import RecordReceiver
from fairbank.catalogue.route_parts import join
from fairbank.federated_jobs.hub import routes as jobs
from fairbank.ontology.outputs import DoorClass
from fairbank.web import login_pages, openapi
from fairbank.web.front_page import front_page
from fairbank.web.limits import Limits
from fairbank.web.open_reading import OpenReading
from fairbank.web.problems import add_handlers
from fairbank.web.security_headers import SecurityHeaders

_HTML = "text/html"
_VARIES = {"Vary": rdf_answers.VARY}


def create_app(hub: Hub) -> FastAPI:
    """Return the hub's application; its lifespan runs what the rooms need in the background."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(_run(task)) for task in (*catalogue.background(hub), *jobs.background(hub))
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    app = FastAPI(
        title="fairbank hub",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    add_handlers(app)
    app.add_middleware(OpenReading)
    app.add_middleware(Limits, hub=hub)
    # The outermost: what the others answer by themselves has these headers too.
    app.add_middleware(SecurityHeaders, hub=hub)
    receivers = {DoorClass.RECORD: RecordReceiver(hub), **jobs.receivers(hub)}
    join(
        app.router,
        # First what nodes ask again and again: an address is compared with one route after the other.
        jobs.router(hub),
        uploads.router(
            hub, receivers=receivers, may_read=jobs.may_read(hub), entrance=jobs.uploads_entrance(hub)
        ),
        catalogue.router(hub),
        ga4gh_routes.router(hub),
        login_pages.router(hub),
    )

    app.openapi = openapi.describe(app)  # type: ignore[method-assign]  # what the framework foresees for this

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    def front(request: Request) -> Response:
        if schema_org.is_wanted(request):
            return fdp_routes.root(hub, request)
        accept = rdf_answers.accepted(request)
        pages = (_HTML,) if accept and _HTML in accept else ()
        chosen = negotiation.choose(accept, (*pages, negotiation.JSON, *negotiation.GRAPH_FORMATS))
        if chosen == _HTML:
            return HTMLResponse(front_page(hub), headers=_VARIES)
        if chosen == negotiation.JSON:
            about = {"name": "fairbank", "version": __version__, "base_iri": hub.base_iri}
            return JSONResponse(about, headers=_VARIES)
        return fdp_routes.root(hub, request)

    permissions.check_routes(app.routes)
    return app


async def _run(task: object) -> None:
    assert callable(task)
    await task()
