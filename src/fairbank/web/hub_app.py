"""The hub's application: the routers of the rooms, put together once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from fairbank import __version__
from fairbank.catalogue import routes as catalogue
from fairbank.catalogue import uploads
from fairbank.catalogue.context import Hub
from fairbank.catalogue.records import RecordReceiver
from fairbank.federated_jobs.hub import routes as jobs
from fairbank.ontology.outputs import DoorClass
from fairbank.web.front_page import front_page
from fairbank.web.open_reading import OpenReading
from fairbank.web.problems import add_handlers


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
    app.include_router(catalogue.router(hub))
    receivers = {DoorClass.RECORD: RecordReceiver(hub), **jobs.receivers(hub)}
    app.include_router(uploads.router(hub, receivers=receivers, may_read=jobs.may_read(hub)))
    app.include_router(jobs.router(hub))

    @app.get("/", include_in_schema=False)
    def front(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(front_page(hub))
        return JSONResponse({"name": "fairbank", "version": __version__, "base_iri": hub.base_iri})

    return app


async def _run(task: object) -> None:
    assert callable(task)
    await task()
