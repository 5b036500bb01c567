"""The audit log that `fairbank audit` works on: of the hub or of the node in the home folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fairbank.cli.session import CLOCK, hub, node, settings

if TYPE_CHECKING:
    import typer
    from sqlalchemy.engine import Engine
    from sqlalchemy.orm import Session

    from fairbank.audit import AuditTable
    from fairbank.audit_checkpoints import Checkpoint
    from fairbank.catalogue.context import Hub
    from fairbank.release.node import Node
    from fairbank.signing import SigningKey


@dataclass(frozen=True)
class Log:
    """An opened log; exactly one of `hub` and `node` is set.

    Attributes:
        name: the hub's base IRI, or the node's name.
        base_iri: base of the IRIs of what the log names.
        iri: of the log itself.
    """

    engine: Engine
    table: AuditTable
    key: SigningKey
    name: str
    base_iri: str
    iri: str
    hub: Hub | None
    node: Node | None

    def owners(self, session: Session) -> frozenset[str]:
        """Return the keys that may have sealed this log's checkpoints."""
        from fairbank.audit_checkpoints import sealing_keys

        return sealing_keys(session, self.table, now=self.key.key_id)

    def witnesses(self, session: Session) -> frozenset[str]:
        """Return the keys, present and earlier, of those who were shown this log: the nodes, or the hub."""
        from sqlalchemy import select

        from fairbank.catalogue.store import NodeKeyRow, NodeRow
        from fairbank.release import hub_keys

        if self.node is not None:
            enrolment = self.node.enrolment
            return frozenset(hub_keys.keys(session, enrolment) if enrolment is not None else ())
        present, earlier = select(NodeRow.key_id), select(NodeKeyRow.key_id)
        return frozenset({*session.scalars(present), *session.scalars(earlier)})

    def sealed(self) -> Checkpoint | None:
        """Seal the log as it is now; return the checkpoint, the newest one if nothing has changed since."""
        from fairbank import audit_checkpoints
        from fairbank.database import reading

        fresh = audit_checkpoints.keep(
            self.engine, self.table, key=self.key, log=self.name, clock=CLOCK
        )  # fmt: skip
        if fresh is not None:
            return fresh
        with reading(self.engine) as session:
            return audit_checkpoints.newest(session, self.table)


def open_log(ctx: typer.Context) -> Log:
    """Open the log of the hub or node in the home folder."""
    from fairbank.audit import HubAudit, NodeAudit

    if (settings(ctx).keys_path / "hub.pem").exists():
        opened = hub(ctx)
        base = opened.base_iri
        return Log(opened.engine, HubAudit, opened.key, base, base, f"{base}/audit", opened, None)
    site = node(ctx)
    base = site.enrolment.public_base_iri if site.enrolment else f"urn:fairbank:{site.name}"
    iri = f"{base}/nodes/{site.name}/audit"
    return Log(site.engine, NodeAudit, site.key, site.name, base, iri, None, site)


def write_new(path: Path) -> BinaryIO:
    """Open a new file that nobody else may read; an existing one is not written over (OSError)."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
