"""Routes by which two nodes hand each other the messages of an overlap."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from fairbank.catalogue import bodies
from fairbank.catalogue.context import Hub
from fairbank.catalogue.nodes import NodeIdentity, signed_node
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub import overlaps
from fairbank.federated_jobs.overlaps.errors import OverlapNotFound
from fairbank.federated_jobs.overlaps.messages import OverlapAskReport, OverlapClaim, OverlapStep


def add(routes: APIRouter, hub: Hub) -> None:
    """Add the routes."""
    node_of, body_of = Depends(signed_node(hub)), Depends(bodies.body())

    @routes.post("/v1/nodes/{node}/overlaps")
    def list_overlaps(node: str, who: NodeIdentity = node_of, body: bytes = body_of) -> Response:
        _same_node(node, who)
        OverlapClaim.parse(body)
        with reading(hub.engine) as session:
            found = overlaps.concerning(session, who.name)
        return Response(found.to_bytes(), media_type="application/json")

    @routes.post("/v1/nodes/{node}/overlaps/with/{peer}", status_code=204)
    def ask_for_overlap(node: str, peer: str, who: NodeIdentity = node_of, body: bytes = body_of) -> Response:
        _same_node(node, who)
        message = OverlapAskReport.parse(body)
        with writing(hub.engine) as session:
            overlaps.ask(hub, session, message, asker=who.name, answerer=peer)
        return Response(status_code=204)

    @routes.post("/v1/nodes/{node}/overlaps/{overlap}/steps", status_code=204)
    def take_overlap_step(
        node: str, overlap: str, who: NodeIdentity = node_of, body: bytes = body_of
    ) -> Response:
        _same_node(node, who)
        message = OverlapStep.parse(body)
        with writing(hub.engine) as session:
            overlaps.take_step(session, overlap, message, node=who.name)
        return Response(status_code=204)


def _same_node(named: str, who: NodeIdentity) -> None:
    if named != who.name:
        raise OverlapNotFound(
            "A node speaks only for itself.", todo="Use the node's own name in the address."
        )
