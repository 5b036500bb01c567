"""From the index to the record with exact counts, which stays at the node; `publishing` makes of it what may leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from fairbank.harvest.aspects import Aspect
from fairbank.harvest.clinical.store import variables
from fairbank.harvest.counting import DAYS_KNOWN, Facts, assessed_key, count_series, subjects_key
from fairbank.harvest.datasets import dataset_of, read_stewardship
from fairbank.harvest.distributions import Word, distributions
from fairbank.harvest.errors import NothingToPublish
from fairbank.harvest.index import runs
from fairbank.harvest.provenance import provenance
from fairbank.harvest.retention_rows import with_law
from fairbank.ontology.counts import Count
from fairbank.ontology.record import (
    UNKNOWN,
    AccessRights,
    CollectionKind,
    DatasetRecord,
    Quality,
    Stratum,
    Totals,
)
from fairbank.ontology.wire import moment
from fairbank.release.contributions import Key
from fairbank.release.node import Node
from fairbank.release.published_counts import cell_key, quality_key, total_key


def build(session: Session, node: Node, dataset: str) -> DatasetRecord:
    """Return the record of a dataset with exact counts, which must not leave like this.

    Raises:
        UnknownDataset: if there is no such dataset.
        NothingToPublish: if the index holds no series of it that may be published.
    """
    row = dataset_of(session, dataset)
    counted = count_series(session, row.project, at=node.clock.now())
    return record_of_counts(session, node, dataset, counted.contributions.totals(), counted.facts)


def record_of_counts(
    session: Session, node: Node, dataset: str, counts: Mapping[Key, int], facts: Facts
) -> DatasetRecord:
    """Return the record of a dataset with given counts.

    Args:
        counts: what is counted, by key; what is not there is 0.
        facts: what the record says beside them.

    Raises:
        UnknownDataset: if there is no such dataset.
        NothingToPublish: if there is no series among the counts.
    """
    row = dataset_of(session, dataset)
    if not counts.get(total_key("series")):
        raise NothingToPublish(
            f"The dataset {dataset!r} has no series in the index that may be counted.",
            why="A record without images describes nothing. Subjects without consent are not counted unless another "
            "legal basis is recorded; nor are series whose de-identification is not verified.",
            todo="Look at 'fairbank node consent list' and 'fairbank harvest held'; pull the images and index the "
            "research store if that was not done.",
        )
    k = node.settings.release_minimum_count
    words = {(key[1], key[2]): count for key, count in counts.items() if key[0] == "distributions"}
    first_year, last_year = _years(words, k)
    return DatasetRecord(
        node=node.name,
        dataset=dataset,
        **described(session, node, dataset),
        minimum_count=k,
        totals=Totals(**{name: Count.exact(counts.get(total_key(name), 0)) for name in Totals.model_fields}),
        cube=_cube(counts),
        distributions=distributions(words, named=facts.named, days_known=bool(counts.get(DAYS_KNOWN))),
        acquired_from=first_year,
        acquired_to=last_year,
        provenance=provenance(runs(session, row.project), agent=row.publisher),
        quality=quality_of_counts(counts, facts, k),
        variables=variables(
            session,
            row.project,
            {key[1]: count for key, count in counts.items() if key[0] == "variables"},
        ),
    )


def described(session: Session, node: Node, dataset: str) -> dict[str, Any]:
    """Return what the next record of a dataset says that is no count: words of the curator, its version and time.

    Raises:
        UnknownDataset: if there is no such dataset.
    """
    row = dataset_of(session, dataset)
    return {
        "version": row.version + 1,
        "title": row.title,
        "description": row.description,
        "keywords": tuple(row.keywords),
        "publisher": row.publisher,
        "contact": row.contact,
        "licence": row.licence,
        "access_rights": AccessRights(row.access_rights),
        "collection_kind": CollectionKind(row.collection_kind),
        "data_use": tuple(row.data_use),
        "stewardship": with_law(session, row.project, read_stewardship(row.stewardship)),
        "created": moment(node.clock.now()),
    }


def _cube(counts: Mapping[Key, int]) -> tuple[Stratum, ...]:
    cells = sorted({key[1:5] for key in counts if key[0] == "cube"})
    return tuple(
        Stratum(
            modality=modality,
            body_part=body_part,
            manufacturer=manufacturer,
            slice_thickness=thickness,
            **{
                name: Count.exact(
                    counts.get(cell_key((modality, body_part, manufacturer, thickness), name), 0)
                )
                for name in ("series", "studies", "subjects")
            },
        )
        for modality, body_part, manufacturer, thickness in cells
    )


def _years(words: Mapping[Word, int], k: int) -> tuple[int | None, int | None]:
    """Return the first and last year with at least k subjects: an outlying year would tell about few people."""
    years = [
        int(value)
        for (attribute, value), subjects in words.items()
        if attribute == "acquisition-year" and value != UNKNOWN and subjects >= k
    ]
    return (min(years), max(years)) if years else (None, None)


def quality_of_counts(counts: Mapping[Key, int], facts: Facts, k: int) -> tuple[Quality, ...]:
    """Return each aspect: assessed if it could be for any series, affected counted among those only.

    Series of fewer than k subjects are not counted, nor are those beside series of fewer subjects.
    """
    found = []
    for aspect in Aspect:
        if not counts.get(assessed_key(aspect.value)):
            found.append(Quality(aspect=aspect.value, assessed=False))
            continue
        affected = counts.get(quality_key(aspect.value), 0)
        of_subjects = counts.get(subjects_key(aspect.value, affected=True), 0)
        without = counts.get(subjects_key(aspect.value, affected=False), 0)
        few = affected > 0 and (of_subjects < k or 0 < without < k)
        found.append(
            Quality(
                aspect=aspect.value,
                assessed=True,
                how_known=facts.how_known.get(aspect.value),
                at=facts.assessed_at.get(aspect.value),
                series_affected=Count.below(k) if few else Count.exact(affected),
            )
        )
    return tuple(found)
