"""On which legal basis a project's images are used where it is not consent: recorded, removed, in the audit log."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.deid.identity import checked_project
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.consent_store import BasisRow
from fairbank.harvest.consents import gate, identity_of, refresh
from fairbank.harvest.errors import BadDefinition, NothingRecorded
from fairbank.harvest.index import close_to
from fairbank.release.node import Node


def record_basis(node: Node, project: str, basis: LegalBasis, *, note: str, by: str) -> None:
    """Record the legal basis of a project, in the place of one recorded before.

    Series that come in by it are in the index after its next run.

    Args:
        note: on which law, decision or protocol it rests; stays at the node.
        by: who records it, as a name of the site's own.

    Raises:
        BadDefinition: if the note is empty.
    """
    checked_project(project)
    if not note.strip():
        raise BadDefinition(
            "A legal basis was not recorded.",
            why="It needs a note of the law, decision or protocol on which it rests.",
            todo="Give the note again.",
        )
    with identity_of(node) as identity, writing(node.engine) as session:
        session.merge(
            BasisRow(
                project=project,
                basis=basis.value,
                note=note.strip(),
                recorded_by=by,
                recorded=node.clock.now(),
            )
        )
        session.flush()
        refresh(session, identity, project)
        close_to(session, gate(session, project, at=node.clock.now()))
        _audit(node, session, "basis.record", project, basis)


def remove_basis(node: Node, project: str) -> None:
    """Remove the legal basis of a project: from now on it takes consent, and who has not given it goes at once.

    Raises:
        NothingRecorded: if the project has none.
    """
    with identity_of(node) as identity, writing(node.engine) as session:
        row = session.get(BasisRow, project)
        if row is None:
            raise NothingRecorded(
                f"No legal basis is recorded for the project {project[:80]!r}.",
                why="It rests on consent already, or its name is another.",
                todo="Look at 'fairbank node consent list'.",
            )
        basis = LegalBasis(row.basis)
        session.delete(row)
        session.flush()
        refresh(session, identity, project)
        close_to(session, gate(session, project, at=node.clock.now()))
        _audit(node, session, "basis.remove", project, basis)


def bases(node: Node) -> Sequence[BasisRow]:
    """Return all bases on record, sorted by project."""
    with reading(node.engine) as session:
        return list(session.scalars(select(BasisRow).order_by(BasisRow.project)))


def _audit(node: Node, session: Session, act: str, project: str, basis: LegalBasis) -> None:
    audit.record(
        session,
        NodeAudit,
        clock=node.clock,
        actor=node.key.key_id,
        act=act,
        target=project,
        detail={"basis": basis.value},
    )
