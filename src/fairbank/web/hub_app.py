"""The hub's application: the routers of the rooms, put together once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from fairbank import __version__
from fairbank.catalogue import fdp_routes, ga4gh_routes, permissions, uploads
from fairbank.catalogue import routes as catalogue
from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity.sessions import cookie_name
from fairbank.catalogue.records import RecordReceiver
from fairbank.catalogue.route_parts import join
from fairbank.federated_jobs.hub import routes as jobs
from fairbank.ontology.outputs import DoorClass
from fairbank.web import login_pages, openapi, static_files
from fairbank.web.limits import Limits
from fairbank.web.open_reading import OpenReading
from fairbank.web.own_origin import OwnOrigin
from fairbank.web.pages import serving
from fairbank.web.problems import add_handlers
from fairbank.web.security_headers import SecurityHeaders


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
    app.state.has_pages = True
    add_handlers(app)
    app.add_middleware(OpenReading)
    app.add_middleware(OwnOrigin, hub=hub)
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
        # Before what programs are answered at the same addresses: a page leaves to that what is not for people.
        serving.router(hub),
        static_files.router(),
        catalogue.router(hub),
        ga4gh_routes.router(hub),
        login_pages.router(hub),
    )

    cookie = cookie_name(hub, secure=hub.base_iri.startswith("https://"))
    app.openapi = openapi.describe(app, cookie=cookie)  # type: ignore[method-assign]  # what the framework foresees for this

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    def catalogues(request: Request) -> Response:
        return fdp_routes.root(hub, request)

    permissions.check_routes(app.routes)
    return app


async def _run(task: object) -> None:
    assert callable(task)
    await task()
