"""The route of searching: parse, call, answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fairbank.catalogue import accounts, search, search_parameters
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.database import reading


def router(hub: Hub) -> APIRouter:
    """Return the route of searching."""
    routes = APIRouter(tags=["catalogue"])
    anyone: Account | None = Depends(accounts.anyone(hub))

    @routes.get("/search", openapi_extra={"parameters": search_parameters.described()})
    def find(request: Request, who: Any = anyone) -> Response:
        criteria = search_parameters.read_criteria(request.query_params.multi_items())
        with reading(hub.engine) as session:
            answer = search.search(session, criteria, who)
        # The answer is JSON already; the framework would look at each value of it again.
        return JSONResponse(answer)

    return routes
