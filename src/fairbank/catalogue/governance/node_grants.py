"""What a node is told of grants: the visas over its datasets and the requests that they answer, as they were sealed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance.store import GrantRow, LegRow, VersionRow

HOLDS, ENDED = "holds", "ended"


@dataclass(frozen=True, slots=True)
class NodeGrant:
    """A visa with the request that it answers; `state` is `holds` while a dataset of the node is granted under it."""

    visa: bytes
    request: bytes
    state: str


def grants_of(session: Session, hub: Hub, node: str) -> list[NodeGrant]:
    """Return the visas of requests that name datasets of a node, newest first, those that ended too."""
    now = hub.clock.now()
    in_use = set(session.scalars(select(LegRow.visa).where(LegRow.node == node, LegRow.visa.is_not(None))))
    asked = select(LegRow.request).where(LegRow.node == node)
    rows = session.execute(
        select(GrantRow, GrantRow.envelope, VersionRow.envelope)
        .join(VersionRow, (VersionRow.request == GrantRow.request) & (VersionRow.version == GrantRow.version))
        .where(GrantRow.request.in_(asked))
        .order_by(GrantRow.granted.desc(), GrantRow.id.desc())
    ).all()
    return [
        NodeGrant(
            visa,
            request,
            HOLDS if row.id in in_use and row.ended is None and row.expires > now else ENDED,
        )
        for row, visa, request in rows
    ]
