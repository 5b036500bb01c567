"""Which series may leave the node as files: those that were looked at, and show no face."""

from __future__ import annotations

from fairbank.database import reading
from fairbank.deid.faces import policy_store
from fairbank.harvest.pushing.outgoing import MayLeave
from fairbank.release.node import Node


def may_leave(node: Node) -> MayLeave:
    """Return what tells whether a series of a project may leave the node as files."""

    def asked(project: str, series_uid: str) -> bool:
        with reading(node.engine) as session:
            return policy_store.may_leave(session, project, series_uid)

    return asked
