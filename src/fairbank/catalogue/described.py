"""What people described by the FAIR Data Point, without a node: who sees it, its documents, its place in lists.

A draft is seen at its own address by its owner and by administrators, and nowhere else by anybody. `shown` says that a
resource and all above it are published; every list, search, container and the RDF view ask for that alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import pyoxigraph as ox
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank.catalogue import exports, fdp, fdp_document
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.errors import ResourceDeleted, ResourceNotFound
from fairbank.catalogue.fdp_document import CHILDREN, Place
from fairbank.catalogue.store import DescribedRow
from fairbank.clock import iso
from fairbank.ontology import terms
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.facts import Iri, Literal, Triple
from fairbank.ontology.profiles.fdp_described import DESCRIBED, Kind

_MOMENT: Final = terms.XSD + "dateTime"


class State(StrEnum):
    """The state of a described resource, in the words of the reference implementation; `DELETED` is ours."""

    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    DELETED = "DELETED"


def may_write(who: Account | None) -> bool:
    """Tell whether an account may write to the FAIR Data Point."""
    return who is not None and who.has(Role.ADMIN)


def find(session: Session, iri: str, who: Account | None) -> DescribedRow:
    """Return a resource that a caller may see.

    Raises:
        ResourceNotFound: if there is none, or it is a draft of somebody else.
        ResourceDeleted: if it was deleted; who could not see it before is not told.
    """
    row = session.get(DescribedRow, iri)
    if row is not None and row.state == State.DELETED and row.shown_since is not None:
        raise ResourceDeleted(
            f"The {row.kind} was deleted on {iso(row.changed)[:10]}.",
            why="Whoever described it took it back; its address is not given again.",
            todo="Look for another one; /catalog is the beginning.",
        )
    if row is None or not sees(who, row):
        raise ResourceNotFound(
            "There is no such resource, or you may not see it.",
            why="Which of the two is not told.",
            todo="Read /catalog for the catalogs that there are.",
        )
    return row


def shown(session: Session, kind: Kind, *, parent: str | None = None) -> list[DescribedRow]:
    """Return the resources of a kind that everybody sees, all or below one, by title."""
    statement = select(DescribedRow).where(DescribedRow.shown, DescribedRow.kind == kind.value)
    if parent is not None:
        statement = statement.where(DescribedRow.parent == parent)
    return list(session.scalars(statement.order_by(DescribedRow.title, DescribedRow.iri)))


def shown_datasets(session: Session, *, limit: int | None = None, offset: int = 0) -> list[DescribedRow]:
    """Return a page of the datasets that everybody sees, by IRI."""
    statement = select(DescribedRow).where(DescribedRow.shown, DescribedRow.kind == Kind.DATASET.value)
    return list(session.scalars(statement.order_by(DescribedRow.iri).limit(limit).offset(offset)))


def count_shown_datasets(session: Session) -> int:
    """Return how many datasets everybody sees."""
    statement = select(func.count()).select_from(DescribedRow)
    return session.scalar(statement.where(DescribedRow.shown, DescribedRow.kind == Kind.DATASET.value)) or 0


def newest_below(session: Session) -> dict[str, datetime]:
    """Return when a child that everybody sees was last changed, by the IRI of its parent."""
    statement = select(DescribedRow.parent, func.max(DescribedRow.changed)).where(DescribedRow.shown)
    found: dict[str, datetime] = {}
    for parent, newest in session.execute(statement.group_by(DescribedRow.parent)):
        found[parent] = newest
    return found


def shown_graphs(session: Session) -> list[str]:
    """Return the named graphs of what everybody sees."""
    return list(session.scalars(select(DescribedRow.graph).where(DescribedRow.shown)))


def all_graphs(session: Session) -> list[str]:
    """Return the named graphs of all resources, also of those that nobody sees."""
    return list(session.scalars(select(DescribedRow.graph)))


def children(session: Session, row: DescribedRow) -> list[DescribedRow]:
    """Return the direct children of a resource that are not deleted, by title; drafts are among them."""
    statement = select(DescribedRow).where(
        DescribedRow.parent == row.iri, DescribedRow.state != State.DELETED.value
    )
    return list(session.scalars(statement.order_by(DescribedRow.title, DescribedRow.iri)))


def above(session: Session, row: DescribedRow) -> list[DescribedRow]:
    """Return the parents of a resource up to its catalog, the highest first."""
    parent = session.get(DescribedRow, row.parent)
    return [] if parent is None else [*above(session, parent), parent]


def sees(who: Account | None, row: DescribedRow) -> bool:
    """Tell whether a caller sees a resource at its own address."""
    return row.state != State.DELETED and (row.shown or _is_own(row, who))


def graph_quads(session: Session, graph: str) -> list[ox.Quad] | None:
    """Return what the RDF view holds of a resource by its graph: nothing unless shown; None if there is none."""
    row = session.scalar(select(DescribedRow).where(DescribedRow.graph == graph))
    if row is None:
        return None
    name = ox.NamedNode(graph)
    whole = [*described_triples(row), *exports.as_triples(_links(session, row))] if row.shown else []
    return [ox.Quad(each.subject, each.predicate, each.object, name) for each in whole]


def document(session: Session, row: DescribedRow) -> list[ox.Triple]:
    """Return the document of a resource, as the container of its children that are shown."""
    return [*described_triples(row), *exports.as_triples(_container(session, row))]


def new_document(row: DescribedRow) -> list[ox.Triple]:
    """Return the document of a resource that has no children yet."""
    return [*described_triples(row), *exports.as_triples(_container_of(row, []))]


def expanded(session: Session, row: DescribedRow) -> list[ox.Triple]:
    """Return the document of a resource with its shown children inline."""
    whole = document(session, row)
    for child in _members(session, row):
        whole += described_triples(child)
    return whole


def described_triples(row: DescribedRow) -> list[ox.Triple]:
    """Return what was said of a resource, with what the hub says of the metadata."""
    return [*fdp_document.read(row.content), *exports.as_triples(managed(row))]


def managed(row: DescribedRow) -> Iterator[Triple]:
    """Yield what the hub says of the metadata of a resource by itself."""
    iri, base = row.iri, row.iri.rsplit(f"/{row.kind}/", 1)[0]
    profile = DESCRIBED[Kind(row.kind)]
    yield iri, terms.DCT + "conformsTo", Iri(fdp.profile_iri(base, profile))
    yield iri, ns.FDP_O + "metadataIdentifier", Iri(f"{iri}#metadata")
    yield iri, ns.FDP_O + "metadataIssued", Literal(iso(row.created), _MOMENT)
    yield iri, ns.FDP_O + "metadataModified", Literal(iso(row.changed), _MOMENT)
    if said := said_version(row):
        yield iri, terms.DCT + "hasVersion", Literal(said)


def said_version(row: DescribedRow) -> str:
    """Return what the hub says as the version: the number of the revision, unless the document says one."""
    said = f"<{row.iri}> <{fdp_document.VERSION.value}> "
    return "" if any(line.startswith(said) for line in row.content.splitlines()) else str(row.revision)


def place(row: DescribedRow) -> Place:
    """Return where a document about a resource belongs."""
    base = row.iri.rsplit(f"/{row.kind}/", 1)[0]
    return Place(kind=Kind(row.kind), iri=row.iri, base_iri=base, version=said_version(row))


def summary(row: DescribedRow) -> dict[str, Any]:
    """Return a dataset in a few lines, with the keys of those that nodes publish; it has no counts."""
    return {
        "iri": row.iri,
        "node": "",
        "dataset": row.iri.rpartition("/")[2],
        "version": row.revision,
        "title": row.title,
        "publisher": row.publisher,
        "collection_kind": "",
        "access_rights": row.access_rights,
        "data_use": row.data_use,
        "licence": row.licence,
        "minimum_count": None,
        "totals": {},
        "subjects": "",
        "studies": "",
        "series": "",
        "published": iso(row.shown_since or row.changed),
        "visibility": "public",
        "described_only": True,
    }


def _is_own(row: DescribedRow, who: Account | None) -> bool:
    return who is not None and (who.name == row.owner or may_write(who))


def _members(session: Session, row: DescribedRow) -> Sequence[DescribedRow]:
    return [child for child in children(session, row) if child.shown]


def _links(session: Session, row: DescribedRow) -> Iterator[Triple]:
    relation = CHILDREN.get(Kind(row.kind))
    if relation is not None:
        for child in _members(session, row):
            yield row.iri, relation, Iri(child.iri)


def _container(session: Session, row: DescribedRow) -> Iterator[Triple]:
    yield from _container_of(row, [child.iri for child in _members(session, row)])


def _container_of(row: DescribedRow, members: Sequence[str]) -> Iterator[Triple]:
    relation = CHILDREN.get(Kind(row.kind))
    if relation is not None:
        yield from ((row.iri, relation, Iri(each)) for each in members)
        yield from fdp.container(row.iri, row.iri, relation, members)
