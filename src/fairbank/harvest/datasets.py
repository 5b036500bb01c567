"""Datasets as a curator defines them at the node."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.harvest.errors import BadDefinition, UnknownDataset
from fairbank.harvest.retention_rows import note_described
from fairbank.harvest.store import DatasetRow
from fairbank.ontology.counts import Count
from fairbank.ontology.record import (
    AccessRights,
    Activity,
    ActivityKind,
    CollectionKind,
    DatasetRecord,
    Totals,
)
from fairbank.ontology.stewardship import Stewardship
from fairbank.ontology.wire import moment
from fairbank.release.node import Node


@dataclass(frozen=True, slots=True)
class Description:
    """What a curator says of a dataset; the counts come from the index."""

    title: str
    description: str
    collection_kind: CollectionKind
    data_use: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    publisher: str | None = None
    contact: str | None = None
    licence: str | None = None
    access_rights: AccessRights = AccessRights.NON_PUBLIC


def define_dataset(node: Node, slug: str, *, project: str, description: Description) -> None:
    """Define a dataset over a project of the research store, or change how an existing one is described.

    Raises:
        BadDefinition: if a word cannot stand in a record (an unknown data-use code, a name with blanks, …).
    """
    _check(node, slug, description)
    now = node.clock.now()
    with writing(node.engine) as session:
        row = session.get(DatasetRow, slug)
        if row is None:
            row = DatasetRow(slug=slug, version=0, published_digest=None, created=now)
            session.add(row)
        row.project = project
        row.title, row.description = description.title, description.description
        row.keywords, row.data_use = list(description.keywords), list(description.data_use)
        row.publisher = description.publisher or node.name
        row.contact, row.licence = description.contact, description.licence
        row.access_rights = description.access_rights.value
        row.collection_kind = description.collection_kind.value
        row.updated = now
        note_described(node, session, slug, project, read_stewardship(row.stewardship))
        _audit(node, session, "dataset.define", slug)


def describe_dataset(node: Node, slug: str, stewardship: Stewardship) -> None:
    """Keep what the curator says of a dataset for the export profiles, in the place of what was said before.

    It leaves the site with the next record, through the release gate like all texts.

    Raises:
        UnknownDataset: if there is no such dataset.
    """
    with writing(node.engine) as session:
        row = dataset_of(session, slug)
        row.stewardship = stewardship.model_dump(mode="json", exclude_defaults=True)
        row.updated = node.clock.now()
        note_described(node, session, slug, row.project, stewardship)
        _audit(node, session, "dataset.describe", slug)


def stewardship_of(node: Node, slug: str) -> Stewardship:
    """Return what the curator has said of a dataset so far.

    Raises:
        UnknownDataset: if there is no such dataset.
    """
    with reading(node.engine) as session:
        kept = dataset_of(session, slug).stewardship
    return read_stewardship(kept) or Stewardship()


def read_stewardship(kept: dict[str, Any] | None) -> Stewardship | None:
    """Return what the index keeps of what a curator said; as JSON, because a database keeps tuples as lists."""
    return Stewardship.model_validate_json(json.dumps(kept)) if kept else None


def datasets(node: Node) -> Sequence[DatasetRow]:
    """Return all datasets of the node, sorted by name."""
    with reading(node.engine) as session:
        return list(session.scalars(select(DatasetRow).order_by(DatasetRow.slug)))


def dataset_of(session: Session, slug: str) -> DatasetRow:
    """Return a dataset.

    Raises:
        UnknownDataset: if none has this name.
    """
    row = session.get(DatasetRow, slug)
    if row is None:
        known = ", ".join(session.scalars(select(DatasetRow.slug).order_by(DatasetRow.slug))) or "none"
        raise UnknownDataset(
            f"This node has no dataset {slug[:80]!r}.",
            why=f"Its datasets are: {known}.",
            todo="Check the spelling, or define the dataset first.",
        )
    return row


def _check(node: Node, slug: str, description: Description) -> None:
    """Refuse now what the record would refuse later."""
    now = moment(node.clock.now())
    none = Count.exact(0)
    try:
        DatasetRecord(
            node=node.name,
            dataset=slug,
            version=1,
            title=description.title,
            description=description.description,
            keywords=description.keywords,
            publisher=description.publisher or node.name,
            contact=description.contact,
            licence=description.licence,
            access_rights=description.access_rights,
            collection_kind=description.collection_kind,
            data_use=description.data_use,
            minimum_count=1,
            totals=Totals(subjects=none, studies=none, series=none, instances=none),
            cube=(),
            provenance=(
                Activity(
                    kind=ActivityKind.HARVEST,
                    tool="fairbank",
                    tool_version="0",
                    agent=node.name,
                    started=now,
                    ended=now,
                ),
            ),
            created=now,
        )
    except ValidationError as err:
        fields = sorted({str(fault["loc"][0]) for fault in err.errors() if fault["loc"]})
        raise BadDefinition(
            f"The dataset cannot be described like this: {', '.join(fields)}.",
            why="Names are a to z, 0 to 9 and hyphens; data use is DUO codes such as DUO:0000007; texts are not empty.",
            todo="Correct what is named, and define the dataset again.",
        ) from err


def _audit(node: Node, session: Session, act: str, target: str) -> None:
    audit.record(session, NodeAudit, clock=node.clock, actor=node.key.key_id, act=act, target=target)
