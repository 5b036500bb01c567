"""What the layers of the FAIR Data Point are made from, read from SQL for one reader: nothing that they may not see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

import fairbank
from fairbank.catalogue import described, exports
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import CatalogNotFound
from fairbank.catalogue.fdp import Catalog, DescribedCatalog, Named, Point
from fairbank.catalogue.store import DatasetRow, HubIdentity, NodeRow
from fairbank.catalogue.visibility import visible
from fairbank.ontology.profiles.facts import Facts
from fairbank.ontology.profiles.fdp import FDP
from fairbank.ontology.profiles.fdp_described import Kind


def point(session: Session, hub: Hub, found: Sequence[Named]) -> Point:
    """Return the root, given the catalogs that its reader sees."""
    made = session.scalars(select(HubIdentity.created)).one()
    return Point(
        base_iri=hub.base_iri,
        version=fairbank.__version__,
        issued=made,
        modified=max((made, *(catalog.modified for catalog in found))),
    )


def all_catalogs(session: Session, hub: Hub, who: Account | None) -> list[Named]:
    """Return the catalogs of nodes by name, then those that people described by title."""
    newest = described.newest_below(session)
    return [
        *catalogs(session, hub, who),
        *(
            DescribedCatalog(row.iri, row.title, max(row.changed, newest.get(row.iri, row.changed)))
            for row in described.shown(session, Kind.CATALOG)
        ),
    ]


def catalogs(session: Session, hub: Hub, who: Account | None) -> list[Catalog]:
    """Return the catalogs by name: of each node that may send, and of others with a dataset that the reader sees."""
    statement = select(DatasetRow.node, func.count(), func.max(DatasetRow.published)).where(visible(who))
    counted: dict[str, tuple[int, datetime]] = {
        node: (number, newest)
        for node, number, newest in session.execute(statement.group_by(DatasetRow.node))
    }
    found = []
    for row in session.scalars(select(NodeRow).order_by(NodeRow.name)):
        number, newest = counted.get(row.name, (0, row.enrolled))
        if number or row.revoked is None:
            modified = max(newest, row.enrolled)
            found.append(Catalog(hub.base_iri, row.name, row.title, row.enrolled, modified, number))
    return found


def catalog(session: Session, hub: Hub, node: str, who: Account | None) -> Catalog:
    """Return a node's catalog.

    Raises:
        CatalogNotFound: if there is no such node, or it was shut out and the reader sees no dataset of it.
    """
    for each in catalogs(session, hub, who):
        if each.node == node:
            return each
    raise CatalogNotFound(
        f"There is no catalog {node[:80]!r}.",
        why="Each enrolled node has one catalog, named after it.",
        todo="Read /catalog for those there are.",
    )


def members(
    session: Session, node: str, who: Account | None, *, limit: int, offset: int = 0
) -> list[DatasetRow]:
    """Return a page of the datasets of a node that the reader sees, by name."""
    statement = select(DatasetRow).where(visible(who), DatasetRow.node == node)
    return list(session.scalars(statement.order_by(DatasetRow.dataset).limit(limit).offset(offset)))


def dataset_facts(session: Session, hub: Hub, row: DatasetRow) -> Facts:
    """Return what a dataset's document by FDP 1.2 is made from."""
    return exports.facts_of(session, hub, row, FDP)
