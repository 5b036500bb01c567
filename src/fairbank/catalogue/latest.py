"""What nodes published last: versions of datasets, of all that a caller may see."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.store import DatasetRow, VersionRow
from fairbank.catalogue.visibility import visible


def latest_of(session: Session, node: str, who: Account | None, *, limit: int) -> list[dict[str, Any]]:
    """Return what a node published last, of what a caller may see: the newest first, with what changed since before.

    `before` is the number of the version that it took the place of, None where the dataset was new.
    """
    columns = (DatasetRow.dataset, DatasetRow.title, VersionRow.iri, VersionRow.version, VersionRow.received)
    found = session.execute(
        select(*columns)
        .join(DatasetRow, DatasetRow.iri == VersionRow.iri)
        .where(DatasetRow.node == node, visible(who))
        .order_by(VersionRow.received.desc(), VersionRow.iri, VersionRow.version.desc())
        .limit(limit)
    ).all()
    return [
        {
            "dataset": dataset,
            "title": title,
            "version": version,
            "received": received,
            "before": session.scalar(
                select(func.max(VersionRow.version)).where(
                    VersionRow.iri == iri, VersionRow.version < version
                )
            ),
        }
        for dataset, title, iri, version, received in found
    ]
