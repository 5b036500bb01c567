"""Writing to the FAIR Data Point: making, replacing, publishing and deleting what is described without a node.

SQL is the truth: each act is one transaction that checks, writes the row, its audit entry and the events from which the
RDF view is brought up to date. Writers take turns, so of two that began from the same state the second is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyoxigraph as ox
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue import described, exports, fdp_document, shacl_gate
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.described import State
from fairbank.catalogue.errors import (
    ChangedMeanwhile,
    NotWritable,
    ParentRefused,
    ResourceDeleted,
    ResourceNotFound,
    StateRefused,
)
from fairbank.catalogue.fdp_document import Place
from fairbank.catalogue.negotiation import GRAPH_FORMATS
from fairbank.catalogue.rdf_answers import etag
from fairbank.catalogue.search_index import forget_dataset, index_dataset
from fairbank.catalogue.store import DescribedRow, NodeRow
from fairbank.database import one_writer_at_a_time
from fairbank.ontology import terms
from fairbank.ontology.profiles.fdp_described import DESCRIBED, Kind

_PARENTS = {Kind.DATASET: Kind.CATALOG, Kind.DISTRIBUTION: Kind.DATASET}
# What a caller demands of the state that it changes; raises ChangedMeanwhile.
Condition = Callable[[Session, DescribedRow], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """A document that arrived, parsed with the IRI of the resource as its base."""

    triples: Sequence[ox.Triple]


def iri_of(hub: Hub, kind: Kind, name: str) -> str:
    """Return the IRI of a described resource."""
    return f"{hub.base_iri}/{kind.value}/{name}"


def create(session: Session, hub: Hub, who: Account, *, place: Place, sent: Sent) -> DescribedRow:
    """Make a draft from a document.

    Raises:
        DocumentRefused: if it says what it may not.
        ParentRefused: if it names no parent that can be its own.
        ShapesViolated: if it does not fit the shapes of its kind.
    """
    one_writer_at_a_time(session)
    triples = fdp_document.prepared(sent.triples, place)
    parent = _parent(session, hub, triples, place, who)
    now = hub.clock.now()
    row = DescribedRow(
        iri=place.iri,
        graph=f"{hub.base_iri}/graphs/{place.kind.value}/{place.iri.rpartition('/')[2]}",
        kind=place.kind.value,
        parent=parent,
        owner=who.name,
        state=State.DRAFT.value,
        shown=False,
        revision=1,
        created=now,
        changed=now,
    )
    _fill(row, fdp_document.with_parent(triples, place, parent))
    shacl_gate.check(DESCRIBED[place.kind], described.described_triples(row))
    session.add(row)
    _record(session, hub, who, row, act="create")
    return row


def replace(
    session: Session, hub: Hub, who: Account, *, iri: str, sent: Sent, condition: Condition
) -> DescribedRow:
    """Replace the document of a resource; its state stays as it is.

    Raises:
        ResourceNotFound: if there is none.
        ChangedMeanwhile: if it is not in the state that the caller demands.
        DocumentRefused: if the new document says what it may not.
        ParentRefused: if it names another parent.
        ShapesViolated: if it does not fit the shapes of its kind.
    """
    one_writer_at_a_time(session)
    row = described.find(session, iri, who)
    condition(session, row)
    place = described.place(row)
    triples = fdp_document.prepared(sent.triples, place)
    parent = fdp_document.parent_of(triples, place)
    if parent != row.parent:
        raise ParentRefused(
            f"The document names <{parent[:200]}> as its parent, which is <{row.parent}>.",
            why="A resource stays where it was made: its place is part of what harvesters know of it.",
            todo="Name the same parent, or delete it and make it anew at the other place.",
        )
    before = row.content
    _fill(row, fdp_document.with_parent(triples, place, parent))
    if row.content == before:
        return row
    row.revision += 1
    row.changed = hub.clock.now()
    shacl_gate.check(DESCRIBED[place.kind], described.described_triples(row))
    _index(session, row)
    _record(session, hub, who, row, act="replace")
    return row


def publish(session: Session, hub: Hub, who: Account, *, iri: str, wanted: str) -> DescribedRow:
    """Bring a resource into a state; the only way is from draft to published.

    It is seen as soon as everything above it is published, too.

    Raises:
        ResourceNotFound: if there is none.
        StateRefused: if the state is none, or lies behind.
    """
    one_writer_at_a_time(session)
    row = described.find(session, iri, who)
    if wanted == row.state:
        return row
    if wanted != State.PUBLISHED:
        raise StateRefused(
            f"The state of this {row.kind} cannot become {wanted[:40]!r}; it is {row.state}.",
            why="A draft is published once. What was published may have been read and cited, so it is no draft again.",
            todo='Send {"current": "PUBLISHED"}, or delete the resource.',
        )
    row.state, row.changed = State.PUBLISHED.value, hub.clock.now()
    _record(session, hub, who, row, act="publish")
    for each in _subtree(session, row):
        _show(session, hub, each)
    return row


def delete(session: Session, hub: Hub, who: Account, *, iri: str, condition: Condition) -> None:
    """Delete a resource with all below it; the address of what was seen says so from then on.

    Raises:
        ResourceNotFound: if there is none.
        ChangedMeanwhile: if it is not in the state that the caller demands.
    """
    one_writer_at_a_time(session)
    row = described.find(session, iri, who)
    condition(session, row)
    for each in list(_subtree(session, row)):
        each.state, each.shown = State.DELETED.value, False
        each.content = each.title = each.description = each.search_text = each.publisher = ""
        each.keywords, each.data_use, each.licence, each.access_rights = [], [], None, ""
        each.changed = hub.clock.now()
        forget_dataset(session, each.iri)
        _record(session, hub, who, each, act="delete")


def matching(tags: str | None) -> Condition:
    """Return the condition that a resource is as one of some ETags says (RFC 9110, section 13.1.1).

    Without the header everything is accepted, as by the reference implementation, which knows no such header.
    """

    def condition(session: Session, row: DescribedRow) -> None:
        if tags is None:
            return
        named = {tag.strip() for tag in tags.split(",")}
        if "*" not in named and not named & set(etags(session, row)):
            raise ChangedMeanwhile(
                f"The {row.kind} is not as your If-Match says.",
                why="Somebody has changed it, or one of its children, since you read it; yours would undo that.",
                todo="Read it again, and send the change anew with the new ETag.",
            )

    return condition


def etags(session: Session, row: DescribedRow) -> Iterator[str]:
    """Yield the ETag of a resource's document in each format."""
    document = described.document(session, row)
    for media_type in GRAPH_FORMATS:
        yield etag(exports.serialized(document, media_type), media_type)


def refuse_harvested(what: str) -> NotWritable:
    """Return the error about something that a node publishes."""
    return NotWritable(
        f"This {what} is published by a node and cannot be changed here.",
        why="Its node has signed it, and what it says is what was counted there.",
        todo="Change it at the node and publish again; or describe a dataset in a catalog of your own (POST /catalog).",
    )


def _parent(session: Session, hub: Hub, triples: Sequence[ox.Triple], place: Place, who: Account) -> str:
    parent = fdp_document.parent_of(triples, place)
    if place.kind is Kind.CATALOG:
        if parent != f"{hub.base_iri}/":
            raise ParentRefused(
                f"The catalog names <{parent[:200]}> as its parent.",
                why="Catalogs are part of the FAIR Data Point itself.",
                todo=f"Name <{hub.base_iri}/> by dct:isPartOf, or nothing.",
            )
        return parent
    wanted = _PARENTS[place.kind]
    name = parent.removeprefix(f"{hub.base_iri}/{wanted.value}/")
    if parent.startswith(f"{hub.base_iri}/datasets/") or (
        wanted is Kind.CATALOG and name != parent and session.get(NodeRow, name) is not None
    ):
        raise refuse_harvested(wanted.value)
    try:
        found = described.find(session, parent, who)
    except (ResourceNotFound, ResourceDeleted) as err:
        raise _no_parent(parent, wanted) from err
    if found.kind != wanted.value:
        raise _no_parent(parent, wanted)
    return parent


def _no_parent(parent: str, wanted: Kind) -> ParentRefused:
    return ParentRefused(
        f"The parent <{parent[:200]}> is no {wanted.value} of this hub.",
        why=f"What is written here is part of a {wanted.value} that was described here before.",
        todo=f"Make the {wanted.value} first, and name the IRI of its Location by dct:isPartOf.",
    )


def _fill(row: DescribedRow, triples: Sequence[ox.Triple]) -> None:
    def said(name: str, iri: str = row.iri) -> list[str]:
        return fdp_document.texts(triples, iri, name)

    publishers = [name for each in said(terms.DCT + "publisher") for name in said(terms.FOAF + "name", each)]
    rights = [each.removeprefix(terms.ACCESS_RIGHT) for each in said(terms.DCT + "accessRights")]
    row.content = fdp_document.written(triples)
    row.title = " ".join(said(terms.DCT + "title"))
    row.description = " ".join(said(terms.DCT + "description"))
    row.keywords = said(terms.DCAT + "keyword")
    row.publisher = ", ".join(publishers)
    row.licence = next(iter(said(terms.DCT + "license")), None)
    row.access_rights = rights[0] if rights else ""
    row.data_use = []
    # In small letters: a database whose locale is C knows only the English ones.
    words = (row.title, " ".join(row.keywords), row.publisher, row.description)
    row.search_text = " ".join(words).lower()


def _subtree(session: Session, row: DescribedRow) -> Iterator[DescribedRow]:
    yield row
    for child in described.children(session, row):
        yield from _subtree(session, child)


def _show(session: Session, hub: Hub, row: DescribedRow) -> None:
    above = session.get(DescribedRow, row.parent)
    is_shown = row.state == State.PUBLISHED and (above is None or above.shown)
    if is_shown == row.shown:
        return
    row.shown, row.shown_since = is_shown, row.shown_since or hub.clock.now()
    session.flush()
    _index(session, row)
    _announce(session, hub, row)


def _index(session: Session, row: DescribedRow) -> None:
    if row.shown and row.kind == Kind.DATASET:
        index_dataset(
            session,
            iri=row.iri,
            title=row.title,
            keywords=" ".join(row.keywords),
            facets=row.publisher,
            description=row.description,
        )


def _record(session: Session, hub: Hub, who: Account, row: DescribedRow, *, act: str) -> None:
    detail: dict[str, Any] = {"kind": row.kind, "revision": row.revision}
    audit.record(
        session, audit.HubAudit, clock=hub.clock, actor=who.name, act=f"described.{act}", target=row.iri,
        detail=detail,
    )  # fmt: skip
    session.flush()
    _announce(session, hub, row)


def _announce(session: Session, hub: Hub, row: DescribedRow) -> None:
    # The parent's graph names its children.
    for iri in (row.iri, row.parent):
        events.append(session, events.HubEvent, clock=hub.clock, kind="described.changed", subject=iri)
