"""The hub's routes of tools: what is installed, the registry, and which tools fit which datasets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import JSONResponse, Response

from fairbank.catalogue import accounts, bodies
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import ParameterRefused
from fairbank.database import reading
from fairbank.federated_jobs.hub import tool_registry, tool_views
from fairbank.federated_jobs.hub.changing import changing
from fairbank.federated_jobs.hub.tool_store import ToolVersionRow
from fairbank.federated_jobs.tool_manifests import LARGEST_BYTES
from fairbank.federated_jobs.tool_review import ToolCommand, ToolCommandBody

_Short = Query(max_length=200)


def add(routes: APIRouter, hub: Hub) -> None:
    """Add the routes of tools."""
    anyone, somebody = Depends(accounts.anyone(hub)), Depends(accounts.account(hub))
    envelope_of, body_of = Depends(bodies.body(2 * LARGEST_BYTES)), Depends(bodies.body(64 * 1024))

    @routes.get("/v1/tools")
    def list_tools(who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            return JSONResponse(tool_views.listed(session, who))

    @routes.get("/v1/tools/criteria")
    def tool_criteria() -> Response:
        return JSONResponse(tool_views.criteria())

    @routes.get("/v1/tools/matches")
    def tool_matches(
        dataset: Annotated[str | None, Query(max_length=500)] = None,
        tool: Annotated[str | None, _Short] = None,
        version: Annotated[str | None, _Short] = None,
        who: Any = anyone,
    ) -> Response:
        if (dataset is None) == (tool is None):
            raise ParameterRefused(
                "It is not clear what is to be matched.",
                why="Either tools are matched with one dataset, or datasets with one tool.",
                todo="Give dataset=IRI or tool=NAME.",
            )
        with reading(hub.engine) as session:
            if dataset is not None:
                return JSONResponse(tool_views.tools_for(session, dataset, who))
            assert tool is not None
            return JSONResponse(tool_views.datasets_for(session, tool, version, who))

    @routes.get("/v1/tools/{name}")
    def show_tool(name: str, who: Any = anyone) -> Response:
        with reading(hub.engine) as session:
            return JSONResponse(tool_views.in_full(session, name, who))

    @routes.post("/v1/tools", status_code=201)
    def take_tool_in(draft: bool = False, who: Account = somebody, envelope: bytes = envelope_of) -> Response:
        command = ToolCommand.DRAFT if draft else ToolCommand.SUBMIT
        with changing(hub) as session:
            row = tool_registry.take_in(hub, session, envelope, who=who, command=command)
            return _standing(row, status=201)

    @routes.post("/v1/tools/{name}/{version}/commands/{command}")
    def act_on_tool(
        name: str, version: str, command: ToolCommand, who: Account = somebody, body: bytes = body_of
    ) -> Response:
        message = ToolCommandBody.parse(body)
        with changing(hub) as session:
            standing = _standing(
                tool_registry.act(hub, session, name, version, command, who=who, body=message)
            )
        if command is ToolCommand.REVOKE:
            # For who watches the jobs that it has stopped.
            hub.notifier.notify()
        return standing


def _standing(row: ToolVersionRow, *, status: int = 200) -> Response:
    told = {"name": row.name, "version": row.version, "digest": row.digest, "state": row.state}
    return JSONResponse(told, status_code=status)
