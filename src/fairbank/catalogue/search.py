"""Finding datasets: facets over the imaging cube, ranked text, and one dataset in full; all from SQL.

Subjects do not add up: one may be in many cells and at several sites. So a total over several datasets is what is
certain at each of them, added up, and says that it is not de-duplicated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pyoxigraph import Triple
from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from fairbank.catalogue import clinical, described, graph_writing, holdings
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.criteria import AXES, Criteria, Sort
from fairbank.catalogue.description import edition_quads
from fairbank.catalogue.errors import DatasetNotFound
from fairbank.catalogue.facet_index import MEASURES, FacetIndex, Places
from fairbank.catalogue.facet_reading import read_index
from fairbank.catalogue.facets import choose, counted
from fairbank.catalogue.feasibility import feasibility
from fairbank.catalogue.record_rows import Edition
from fairbank.catalogue.search_totals import of_cells, of_totals
from fairbank.catalogue.store import ActivityRow, DatasetRow, DescribedRow, DistributionRow, StratumRow
from fairbank.catalogue.visibility import unhidden, visible
from fairbank.catalogue.withdrawal import check_not_withdrawn
from fairbank.catalogue.word_search import WordSearch
from fairbank.clock import iso
from fairbank.ontology.counts import Count, CountKind, Total, total
from fairbank.ontology.profiles import namespaces

LARGEST_PAGE = 500
_BELOW = CountKind.BELOW_K.value
# Long, and read by nobody who lists datasets.
_NOT_IN_SUMMARIES = tuple(
    defer(getattr(DatasetRow, name))
    for name in ("description", "keywords", "quality", "holdings", "variables", "search_text")
)


def search(session: Session, criteria: Criteria, who: Account | None) -> dict[str, Any]:
    """Return the page of datasets that match, best first, with facets and totals over all that match."""
    index, shown = read_index(session, who)
    ordered, spelling = WordSearch(session, index, shown, who).find(criteria.words)
    selection = choose(index, criteria, ordered)
    places = _sorted(index, selection.places(), criteria.sort)
    page = places[criteria.offset : criteria.offset + min(criteria.limit, LARGEST_PAGE)].tolist()
    certain = of_cells(index, criteria) if criteria.of_cells else of_totals(index)
    answer = {
        "schema": "search/1",
        "count": len(places),
        "offset": criteria.offset,
        "datasets": [
            {**shown, "matching": certain.of(place)} if criteria.of_cells else shown
            for place, shown in zip(
                page, _summaries(session, [index.keys[each][0] for each in page]), strict=True
            )
        ],
        "facets": counted(criteria, selection),
        "totals": certain.totals(places),
    }
    if spelling is not None:
        answer["spelling"] = asdict(spelling)
    if criteria.asks_feasibility:
        answer["feasibility"] = feasibility(index, criteria, places)
    return answer


def number_found(session: Session, criteria: Criteria, who: Account | None) -> int:
    """Return how many datasets match, without anything about them."""
    index, shown = read_index(session, who)
    ordered, _ = WordSearch(session, index, shown, who).find(criteria.words)
    return len(choose(index, criteria, ordered).places())


def axes_of(session: Session, iris: Sequence[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the modalities and body parts of datasets, by IRI and axis, each once and sorted."""
    columns = (StratumRow.iri, StratumRow.modality, StratumRow.body_part)
    found: dict[str, tuple[set[str], set[str]]] = {}
    for iri, modality, part in session.execute(select(*columns).where(StratumRow.iri.in_(iris)).distinct()):
        modalities, parts = found.setdefault(iri, (set(), set()))
        modalities.add(modality)
        parts.add(part)
    return {
        iri: {"modality": tuple(sorted(modalities)), "body_part": tuple(sorted(parts))}
        for iri, (modalities, parts) in found.items()
    }


def spread_of(session: Session, iris: Sequence[str], attribute: str) -> list[tuple[str, Total]]:
    """Return how many subjects of some datasets have each value of an attribute, added up over what they publish."""
    rows = session.execute(
        select(DistributionRow, DatasetRow.minimum_count)
        .join(DatasetRow, DatasetRow.iri == DistributionRow.iri)
        .where(DistributionRow.iri.in_(iris), DistributionRow.attribute == attribute)
    )
    found: dict[str, list[Count]] = {}
    for row, k in rows:
        found.setdefault(row.value, []).append(Count.model_validate(_distribution(row, k)["subjects"]))
    return [(value, total(counts)) for value, counts in sorted(found.items())]


def listing(session: Session, who: Account | None) -> list[dict[str, Any]]:
    """Return all datasets that a caller may see, by node and name; then those that people described."""
    rows = session.scalars(
        select(DatasetRow).where(visible(who)).order_by(DatasetRow.node, DatasetRow.dataset)
    )
    return [*map(summary, rows), *map(described.summary, described.shown_datasets(session))]


@dataclass(frozen=True, slots=True)
class Brief:
    """What the catalogue holds in all, of what a caller may see.

    Attributes:
        subjects: what is certain of all datasets together, as in the totals of a search.
        newest: the datasets of nodes that were published last, the newest first.
    """

    datasets: int
    subjects: dict[str, Any]
    newest: tuple[dict[str, Any], ...]


def in_brief(session: Session, who: Account | None, *, newest: int) -> Brief:
    """Return the catalogue in a few numbers.

    Args:
        newest: how many of the newest datasets.
    """
    index, shown = read_index(session, who)
    places = np.flatnonzero(shown).astype(np.int32)
    # Those that people described without a node come last.
    of_nodes = np.array([place for place in places.tolist() if index.nodes[place]], np.int32)
    last = _newest(index, of_nodes)[:newest].tolist()
    return Brief(
        datasets=len(places),
        subjects=of_totals(index).totals(places)["subjects"],
        newest=tuple(_summaries(session, [index.keys[each][0] for each in last])),
    )


def find(session: Session, iri: str, who: Account | None) -> DatasetRow:
    """Return a dataset that a caller may see.

    Raises:
        DatasetNotFound: if there is none, or the caller may not see it.
        DatasetWithdrawn: if it was withdrawn; who could not see it before is not told.
    """
    row = session.scalar(select(DatasetRow).where(DatasetRow.iri == iri, visible(who)))
    if row is None:
        gone = session.scalar(select(DatasetRow).where(DatasetRow.iri == iri, unhidden(who)))
        if gone is not None:
            check_not_withdrawn(gone)
        raise DatasetNotFound(
            "There is no such dataset, or you may not see it.",
            why="Which of the two is not told.",
            todo="See 'fairbank search' for what there is.",
        )
    return row


def summary(row: DatasetRow) -> dict[str, Any]:
    """Return a dataset in a few lines."""
    return {
        "iri": row.iri,
        "node": row.node,
        "dataset": row.dataset,
        "version": row.version,
        "title": row.title,
        "publisher": row.publisher,
        "collection_kind": row.collection_kind,
        "access_rights": row.access_rights,
        "data_use": row.data_use,
        "licence": row.licence,
        "conditions": holdings.conditions_in_json(row.conditions),
        "minimum_count": row.minimum_count,
        "totals": row.totals,
        **{measure: _shown(row.totals.get(measure, {})) for measure in MEASURES},
        "published": iso(row.published),
        "visibility": row.visibility,
    }


def in_full(edition: Edition) -> dict[str, Any]:
    """Return everything that is published about a dataset, as one version of it says."""
    row = edition.dataset
    return {
        "schema": "dataset/1",
        **summary(row),
        "description": row.description,
        "keywords": row.keywords,
        "contact": row.contact,
        **holdings.in_json(row.holdings),
        "acquired_from": row.acquired_from,
        "acquired_to": row.acquired_to,
        "digest": row.digest,
        "signed_by": edition.signer,
        "cube": [_cell(cell, row.minimum_count) for cell in edition.strata],
        "distributions": [_distribution(each, row.minimum_count) for each in edition.distributions],
        "provenance": [_activity(each) for each in edition.activities],
        "quality": row.quality,
        "variables": clinical.in_json(row.variables),
    }


def as_rdf(edition: Edition, media_type: str, *, also: Iterable[Triple] = ()) -> bytes:
    """Return a dataset's description as RDF; the arguments are those of `triples_of`."""
    return graph_writing.written(triples_of(edition, also=also), media_type, prefixes=namespaces.PREFIXES)


def triples_of(edition: Edition, *, also: Iterable[Triple] = ()) -> list[Triple]:
    """Return a dataset's description, each triple once.

    Args:
        also: what its document says beyond what SPARQL sees, such as the layer of the FAIR Data Point.
    """
    return [*dict.fromkeys((*(quad.triple for quad in edition_quads(edition)), *also))]


def _shown(count: dict[str, Any]) -> str:
    return str(Count.model_validate(count)) if count else ""


def _summaries(session: Session, iris: Sequence[str]) -> list[dict[str, Any]]:
    found = select(DatasetRow).where(DatasetRow.iri.in_(iris)).options(*_NOT_IN_SUMMARIES)
    rows = {row.iri: row for row in session.scalars(found)}
    if len(rows) == len(iris):
        return [summary(rows[iri]) for iri in iris]
    others = select(DescribedRow).where(DescribedRow.iri.in_([iri for iri in iris if iri not in rows]))
    without_node = {row.iri: row for row in session.scalars(others)}
    return [summary(rows[iri]) if iri in rows else described.summary(without_node[iri]) for iri in iris]


def _sorted(index: FacetIndex, places: Places, sort: Sort) -> Places:
    """Return places in an order; what it says nothing about, such as withheld totals, comes last and by title."""
    if sort is Sort.BEST:
        return places
    # The index is in the order of titles.
    by_title = np.sort(places)
    if sort is Sort.TITLE:
        return by_title
    if sort is Sort.SUBJECTS:
        return by_title[np.argsort(-index.totals[by_title, 0], kind="stable")]
    return _newest(index, by_title)


def _newest(index: FacetIndex, places: Places) -> Places:
    """Return places in the order of publication, the newest first; those of one moment stay in their order."""
    return places[np.argsort(-index.published[places], kind="stable")]


def _cell(cell: StratumRow, k: int) -> dict[str, Any]:
    counts = {name: _count(cell, name, k) for name in ("series", "studies", "subjects")}
    return {**{axis: getattr(cell, axis) for axis in AXES}, **counts}


def _distribution(row: DistributionRow, k: int) -> dict[str, Any]:
    return {
        "attribute": row.attribute,
        "value": row.value,
        "how_known": row.how_known,
        "subjects": _count(row, "subjects", k),
    }


def _count(row: Any, measure: str, k: int) -> dict[str, Any]:
    kind, value = getattr(row, f"{measure}_status"), getattr(row, measure)
    if value is not None:
        return {"kind": kind, "value": value}
    return {"kind": kind, "k": k} if kind == _BELOW else {"kind": kind}


def _activity(row: ActivityRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "tool": row.tool,
        "tool_version": row.tool_version,
        "profile": row.profile,
        "profile_digest": row.profile_digest,
        "source_system": row.source_system,
        "agent": row.agent,
        "started": iso(row.started),
        "ended": iso(row.ended),
    }
