"""Routes of what nodes do about themselves, and administrators about nodes: keys, grants, suspension."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from fairbank.catalogue import accounts, bodies, node_keys, nodes
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import node_grants
from fairbank.catalogue.nodes import NodeIdentity
from fairbank.database import reading, writing
from fairbank.ontology.key_succession import Succession


def router(hub: Hub) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["nodes"])
    message: bytes = Depends(bodies.body())
    admin: Account = Depends(accounts.account(hub, Role.ADMIN))
    signed: NodeIdentity = Depends(nodes.signed_node(hub, limit_bytes=bodies.MESSAGE_BYTES))

    @routes.post("/v1/node/key")
    def replace_key(content: bytes = message, node: NodeIdentity = signed) -> dict[str, Any]:
        return node_keys.succeed(hub, node, Succession.parse(content)).payload()

    @routes.get("/v1/node/grants")
    def grants(node: NodeIdentity = signed) -> dict[str, Any]:
        with reading(hub.engine) as session:
            found = [
                {"visa": each.visa.decode(), "request": each.request.decode(), "state": each.state}
                for each in node_grants.grants_of(session, hub, node.name)
            ]
        return {"schema": "node-grants/1", "node": node.name, "grants": found}

    @routes.put("/v1/nodes/{node}/suspension", status_code=204)
    def suspend(node: str, who: Account = admin) -> Response:
        with writing(hub.engine) as session:
            nodes.suspend(session, hub, node=node, actor=who.name)
        hub.notifier.notify()
        return Response(status_code=204)

    @routes.delete("/v1/nodes/{node}/suspension", status_code=204)
    def resume(node: str, who: Account = admin) -> Response:
        with writing(hub.engine) as session:
            nodes.resume(session, hub, node=node, actor=who.name)
        hub.notifier.notify()
        return Response(status_code=204)

    return routes
