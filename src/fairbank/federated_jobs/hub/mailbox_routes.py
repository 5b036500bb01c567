"""Routes by which nodes tell of peers, and answer steps of secure aggregation."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from fairbank.catalogue import bodies
from fairbank.catalogue.context import Hub
from fairbank.catalogue.nodes import NodeIdentity, signed_node
from fairbank.federated_jobs.errors import JobNotFound
from fairbank.federated_jobs.hub import mailbox, masking, shared_keys, twins
from fairbank.federated_jobs.hub.changing import changing
from fairbank.federated_jobs.masking_protocol import MaskingReport
from fairbank.federated_jobs.protocol import LeftOutReport, SealingKeyReport, SharedKeyReport


def add(routes: APIRouter, hub: Hub) -> None:
    """Add the routes."""
    node_of, body_of = Depends(signed_node(hub)), Depends(bodies.body())

    @routes.put("/v1/jobs/{job_id}/sites/{node}/sealing-key", status_code=204)
    def tell_sealing_key(
        job_id: str, node: str, request: Request, who: NodeIdentity = node_of, body: bytes = body_of
    ) -> Response:
        _same_node(node, who)
        message = SealingKeyReport.parse(body)
        twins.heed(hub, node, twins.boot_in(request.headers.get(twins.HEADER)))
        with changing(hub) as session:
            mailbox.take_key(hub, session, job_id, node=who.name, message=message)
        return Response(status_code=204)

    @routes.post("/v1/jobs/{job_id}/sites/{node}/shared-key")
    def exchange_shared_key(
        job_id: str, node: str, request: Request, who: NodeIdentity = node_of, body: bytes = body_of
    ) -> Response:
        _same_node(node, who)
        message = SharedKeyReport.parse(body)
        twins.heed(hub, node, twins.boot_in(request.headers.get(twins.HEADER)))
        with changing(hub) as session:
            answer = shared_keys.take_or_tell(hub, session, job_id, node=who.name, message=message)
        return Response(answer.to_bytes(), media_type="application/json")

    @routes.post("/v1/jobs/{job_id}/sites/{node}/left-out", status_code=204)
    def tell_left_out(
        job_id: str, node: str, request: Request, who: NodeIdentity = node_of, body: bytes = body_of
    ) -> Response:
        _same_node(node, who)
        message = LeftOutReport.parse(body)
        twins.heed(hub, node, twins.boot_in(request.headers.get(twins.HEADER)))
        with changing(hub) as session:
            mailbox.take_left_out(hub, session, job_id, node=who.name, message=message)
        return Response(status_code=204)

    @routes.post("/v1/jobs/{job_id}/sites/{node}/masking", status_code=204)
    def tell_masking(
        job_id: str, node: str, request: Request, who: NodeIdentity = node_of, body: bytes = body_of
    ) -> Response:
        _same_node(node, who)
        message = MaskingReport.parse(body)
        twins.heed(hub, node, twins.boot_in(request.headers.get(twins.HEADER)))
        with changing(hub) as session:
            masking.take_report(hub, session, job_id, node=who.name, message=message)
        # The step may be closed now.
        hub.notifier.notify()
        return Response(status_code=204)


def _same_node(named: str, who: NodeIdentity) -> None:
    if named != who.name:
        raise JobNotFound("A node speaks only for itself.", todo="Use the node's own name in the address.")
