"""Dataset records arriving from nodes: checked, stored as the bytes that were sealed, read into rows, announced.

The hub trusts a record no further than its seal: it must be sealed with the key of the node that sends it, be about
that node, have a newer version than the one before, and hold no exact number of subjects below its own minimum count.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from sqlalchemy import delete
from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import DatasetNotFound, RecordRefused
from fairbank.catalogue.nodes import keys_of
from fairbank.catalogue.record_rows import activities_of, distributions_of, facet_words, fill, strata_of
from fairbank.catalogue.search_index import index_dataset
from fairbank.catalogue.store import ActivityRow, DatasetRow, DistributionRow, StratumRow, VersionRow
from fairbank.catalogue.uploads import ReleaseMeta
from fairbank.catalogue.withdrawal import check_not_withdrawn
from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.record import DatasetRecord, Totals
from fairbank.signing import Sealed

LARGEST_RECORD_BYTES = 64 * 2**20


class Visibility(StrEnum):
    """Who sees a dataset: everyone, or only committee and administrators."""

    PUBLIC = "public"
    HIDDEN = "hidden"


class RecordReceiver:
    """Takes the releases of class `record`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def check(self, session: Session, meta: ReleaseMeta) -> None:
        """Refuse what is too large to be a record."""
        if meta.total_bytes > LARGEST_RECORD_BYTES:
            raise _refused(f"it has {meta.total_bytes} bytes")

    def complete(self, session: Session, meta: ReleaseMeta, path: Path) -> None:
        """Publish a record in the caller's transaction.

        Raises:
            BadEnvelope: if it is not sealed with a key of the sender's.
            MalformedObject: if it is not a record.
            RecordRefused: if it is too large, not the sender's, not newer, or not suppressed.
        """
        self.check(session, meta)
        record, sealed = DatasetRecord.open(path.read_bytes(), trusted=list(keys_of(session, meta.node)))
        if record.node != meta.node:
            raise _refused("it is about another node")
        if next(exposed(record), None) is not None:
            raise _refused(f"it holds exact counts below its own minimum of {record.minimum_count}")
        publish(session, self._hub, record, sealed)


def publish(session: Session, hub: Hub, record: DatasetRecord, sealed: Sealed) -> None:
    """Store a verified record, its rows, its audit entry and its event.

    Raises:
        DatasetWithdrawn: if the dataset was withdrawn, which is final.
        RecordRefused: if its version is not newer.
    """
    iri = dataset_iri(hub, record.node, record.dataset)
    row = session.get(DatasetRow, iri)
    if row is not None:
        check_not_withdrawn(row)
    if row is not None and record.version <= row.version:
        raise _refused(f"its version {record.version} is not newer than {row.version}")
    now = hub.clock.now()
    if row is None:
        row = DatasetRow(
            iri=iri,
            graph=f"{hub.base_iri}/graphs/datasets/{record.node}/{record.dataset}",
            node=record.node,
            dataset=record.dataset,
            visibility=Visibility.PUBLIC.value,
            first_published=now,
        )
        session.add(row)
    fill(row, record, digest=sealed.digest)
    row.published = now
    session.flush()
    _replace_rows(session, iri, record)
    session.add(
        VersionRow(
            iri=iri,
            version=record.version,
            digest=sealed.digest,
            envelope=sealed.envelope_bytes,
            signer=sealed.signer,
            received=now,
        )
    )
    _index(session, iri, record)
    detail = {"version": record.version, "digest": sealed.digest}
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=sealed.signer,
        act="dataset.publish",
        target=iri,
        detail=detail,
    )
    events.append(
        session, events.HubEvent, clock=hub.clock, kind="dataset.published", subject=iri, detail=detail
    )


def set_visibility(session: Session, hub: Hub, *, iri: str, visibility: Visibility, actor: str) -> None:
    """Show or hide a dataset, at once for every query that starts after the commit.

    Raises:
        DatasetNotFound: if there is none.
        DatasetWithdrawn: if it was withdrawn, which is final.
    """
    row = session.get(DatasetRow, iri)
    if row is None:
        raise DatasetNotFound("There is no such dataset.", why="", todo="Check its address.")
    check_not_withdrawn(row)
    row.visibility = visibility.value
    detail = {"visibility": visibility.value}
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act="dataset.visibility",
        target=iri,
        detail=detail,
    )
    events.append(
        session,
        events.HubEvent,
        clock=hub.clock,
        kind="dataset.visibility-changed",
        subject=iri,
        detail=detail,
    )


def dataset_iri(hub: Hub, node: str, dataset: str) -> str:
    """Return the IRI of a dataset."""
    return f"{hub.base_iri}/datasets/{node}/{dataset}"


def exposed(record: DatasetRecord) -> Iterator[str]:
    """Yield the places where a record tells more than its own minimum count permits.

    The node has suppressed small counts before; this looks at what can be seen without the exact numbers: no exact
    count below the minimum, and no cell that is withheld only in part.
    """
    k = record.minimum_count
    for cell in record.cube:
        numbers = (cell.series, cell.studies, cell.subjects)
        exact = sum(_is_exact(number) for number in numbers)
        if any(_is_small(number, k) for number in numbers) or 0 < exact < len(numbers):
            yield f"cube {cell.modality} {cell.body_part}"
    for row in record.distributions:
        if _is_small(row.subjects, k):
            yield f"distribution {row.attribute}"
    for aspect in record.quality:
        if aspect.series_affected is not None and _is_small(aspect.series_affected, k):
            yield f"quality {aspect.aspect}"
    if any(_is_small(each.subjects, k) for each in record.variables):
        yield "variables"
    if any(_is_small(getattr(record.totals, name), k) for name in Totals.model_fields):
        yield "totals"


def _is_exact(count: Count) -> bool:
    return count.kind is CountKind.EXACT


def _is_small(count: Count, k: int) -> bool:
    return _is_exact(count) and count.at_least < k


def _replace_rows(session: Session, iri: str, record: DatasetRecord) -> None:
    for table in (StratumRow, DistributionRow, ActivityRow):
        session.execute(delete(table).where(table.iri == iri))
    session.add_all(strata_of(iri, record))
    session.add_all(distributions_of(iri, record))
    session.add_all(activities_of(iri, record))


def _index(session: Session, iri: str, record: DatasetRecord) -> None:
    index_dataset(
        session,
        iri=iri,
        title=record.title,
        keywords=" ".join(record.keywords),
        facets=facet_words(record),
        description=record.description,
    )


def _refused(reason: str) -> RecordRefused:
    return RecordRefused(
        f"The record cannot be published: {reason}.",
        why="A record is published only as its own node sealed it, newer than before, with small numbers withheld.",
        todo="Harvest and publish again at the node.",
    )
