"""Withdrawing a dataset for good: from the commit on nobody sees it, and its address says that it is gone, and why.

It is final. The rows and the sealed versions stay in SQL as evidence of what was published; no route reads them.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import DatasetNotFound, DatasetWithdrawn
from fairbank.catalogue.search_index import forget_dataset
from fairbank.catalogue.store import DatasetRow
from fairbank.clock import iso
from fairbank.ontology.withdrawal import WithdrawalReason


def withdraw(session: Session, hub: Hub, *, iri: str, reason: WithdrawalReason, actor: str) -> DatasetRow:
    """Withdraw a dataset and return its row; the same withdrawal again changes nothing.

    Raises:
        DatasetNotFound: if there is none.
        DatasetWithdrawn: if it was withdrawn for another reason.
    """
    row = session.get(DatasetRow, iri)
    if row is None:
        raise DatasetNotFound(
            "There is no such dataset at the hub.",
            why="Only what was published can be withdrawn.",
            todo="Check its name.",
        )
    if row.withdrawn is not None and row.withdrawn_because == reason.value:
        return row
    check_not_withdrawn(row)
    row.withdrawn, row.withdrawn_because = hub.clock.now(), reason.value
    # Both are derived, and a search must not even rank by words of what is gone.
    row.search_text = ""
    forget_dataset(session, iri)
    detail = {"reason": reason.value, "version": row.version, "digest": row.digest}
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act="dataset.withdraw",
        target=iri,
        detail=detail,
    )
    events.append(
        session, events.HubEvent, clock=hub.clock, kind="dataset.withdrawn", subject=iri, detail=detail
    )
    return row


def check_not_withdrawn(row: DatasetRow) -> None:
    """Refuse to go on with a dataset that was withdrawn.

    Raises:
        DatasetWithdrawn: naming the class of the reason and the date.
    """
    if row.withdrawn is not None:
        raise DatasetWithdrawn.of(
            f"{row.node}/{row.dataset}", at=iso(row.withdrawn), reason=str(row.withdrawn_because)
        )


def withdrawn_among(session: Session, datasets: Collection[str]) -> list[str]:
    """Return those of some datasets, by IRI, that were withdrawn."""
    gone = select(DatasetRow.iri).where(DatasetRow.iri.in_(datasets), DatasetRow.withdrawn.is_not(None))
    return sorted(session.scalars(gone))
