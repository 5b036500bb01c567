"""The rows that a record becomes: the same for the newest version, which is stored, and for an older one, which is not.

So there is one way from a sealed record to JSON and RDF. Older versions are read from the envelope that was kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairbank.catalogue import clinical, holdings
from fairbank.catalogue.store import ActivityRow, DatasetRow, DistributionRow, StratumRow
from fairbank.clock import parse_iso
from fairbank.ontology.record import DatasetRecord


@dataclass(frozen=True, slots=True)
class Edition:
    """One version of a dataset as rows, ready to be described.

    Attributes:
        dataset: its row; for an older version one that is in no database.
        strata: by modality, body part, manufacturer and slice thickness.
        distributions: in the order of the record.
        activities: in the order in which they happened.
        signer: the key that sealed it.
        version_of: the IRI of the dataset, where this describes one version and not the dataset itself.
        previous: the IRI of the version before, where this describes one version and there was one.
        current: the IRI of the newest version, where this describes the dataset itself.
    """

    dataset: DatasetRow
    strata: Sequence[StratumRow]
    distributions: Sequence[DistributionRow]
    activities: Sequence[ActivityRow]
    signer: str
    version_of: str | None = None
    previous: str | None = None
    current: str | None = None


def fill(row: DatasetRow, record: DatasetRecord, *, digest: str) -> None:
    """Write what a record says into a dataset's row."""
    row.version = record.version
    row.digest = digest
    row.title = record.title
    row.description = record.description
    row.keywords = list(record.keywords)
    row.publisher = record.publisher
    row.contact = record.contact
    row.licence = record.licence
    row.access_rights = record.access_rights.value
    row.collection_kind = record.collection_kind.value
    row.data_use = list(record.data_use)
    row.minimum_count = record.minimum_count
    row.totals = record.totals.model_dump(mode="json", exclude_none=True)
    row.quality = [each.model_dump(mode="json", exclude_none=True) for each in record.quality]
    row.conditions = list(dict.fromkeys(record.stewardship.conditions)) if record.stewardship else []
    row.holdings = holdings.kept(record.stewardship)
    row.variables = clinical.kept(record)
    row.open_at = record.stewardship.open_at if record.stewardship else None
    row.acquired_from = record.acquired_from
    row.acquired_to = record.acquired_to
    row.created = parse_iso(record.created)
    # In small letters: a database whose locale is C knows only the English ones.
    row.search_text = " ".join(
        (record.title, " ".join(record.keywords), facet_words(record), record.description)
    ).lower()


def strata_of(iri: str, record: DatasetRecord) -> list[StratumRow]:
    """Return the rows of a record's cube."""
    return [
        StratumRow(
            iri=iri,
            modality=cell.modality,
            body_part=cell.body_part,
            manufacturer=cell.manufacturer,
            slice_thickness=cell.slice_thickness,
            series=cell.series.value,
            series_status=cell.series.kind.value,
            studies=cell.studies.value,
            studies_status=cell.studies.kind.value,
            subjects=cell.subjects.value,
            subjects_status=cell.subjects.kind.value,
        )
        for cell in record.cube
    ]


def distributions_of(iri: str, record: DatasetRecord) -> list[DistributionRow]:
    """Return the rows of a record's distributions."""
    return [
        DistributionRow(
            iri=iri,
            attribute=row.attribute,
            value=row.value,
            how_known=row.how_known.value,
            subjects=row.subjects.value,
            subjects_status=row.subjects.kind.value,
        )
        for row in record.distributions
    ]


def activities_of(iri: str, record: DatasetRecord) -> list[ActivityRow]:
    """Return the rows of a record's provenance."""
    return [
        ActivityRow(
            iri=iri,
            place=place,
            kind=activity.kind.value,
            tool=activity.tool,
            tool_version=activity.tool_version,
            profile=activity.profile,
            profile_digest=activity.profile_digest,
            source_system=activity.source_system,
            agent=activity.agent,
            started=parse_iso(activity.started),
            ended=parse_iso(activity.ended),
        )
        for place, activity in enumerate(record.provenance)
    ]


def facet_words(record: DatasetRecord) -> str:
    """Return the words of a record's facets, for the text index."""
    words = {word for cell in record.cube for word in (cell.modality, cell.body_part, cell.manufacturer)}
    beyond = (holdings.words(record.stewardship), clinical.words(record))
    return " ".join(
        (record.node, record.publisher, record.collection_kind.value, *sorted(words), *beyond)
    ).rstrip()
