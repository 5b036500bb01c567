"""The hub's routes of models that requesters bring for their jobs."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from fairbank.catalogue.accounts import Account, Role, account
from fairbank.catalogue.context import Hub
from fairbank.database import reading
from fairbank.federated_jobs.hub import model_files


def add(routes: APIRouter, hub: Hub) -> None:
    """Add the routes of files of models."""
    anybody, researcher = Depends(account(hub)), Depends(account(hub, Role.RESEARCHER))

    @routes.post("/v1/model-files", status_code=201)
    async def bring_model(
        request: Request,
        name: str = Query(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f<>]+$"),
        format: model_files.ModelFormat = model_files.ModelFormat.ONNX,
        who: Account = researcher,
    ) -> Response:
        incoming = await model_files.take(
            hub, request.stream(), announced=request.headers.get("content-length")
        )
        row = await run_in_threadpool(model_files.keep, hub, who, incoming, name=name, format=format)
        return JSONResponse(model_files.told(row), status_code=201)

    @routes.get("/v1/model-files/{digest}")
    def show_model_file(digest: str, who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            return JSONResponse({"schema": "model-file/1", **model_files.shown(hub, session, who, digest)})

    @routes.get("/v1/model-files")
    def list_model_files(who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            return JSONResponse({"schema": "model-files/1", "files": model_files.listed(session, who)})
