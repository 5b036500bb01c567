"""A SPARQL endpoint of its own over a snapshot, for one's own machine: no hub, no accounts, no other origin."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from fairbank import __version__
from fairbank.catalogue import sparql_routes
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.query_pool import QueryPool
from fairbank.web.problems import add_handlers

HOST = "127.0.0.1"


def create_sparql_app(pool: QueryPool, *, graphs: Sequence[str], port: int) -> FastAPI:
    """Return an application with the one address `/sparql`.

    Pages of other origins may not read it, since its files are of this machine; a name that was made to lead here
    (DNS rebinding) is refused.
    """

    def visible(who: Account | None) -> Sequence[str]:
        return graphs

    app = FastAPI(
        title="fairbank SPARQL", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    add_handlers(app)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
    endpoint = sparql_routes.Endpoint(
        iri=f"http://{HOST}:{port}{sparql_routes.PATH}",
        pool=pool,
        visible=visible,
        caller=_nobody,
        default_is_union=False,
    )
    app.include_router(sparql_routes.router(endpoint))
    return app


def _nobody() -> None:
    return None
