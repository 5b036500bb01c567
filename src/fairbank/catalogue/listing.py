"""The flat list of all datasets, page by page, for harvesters: as JSON and as a `dcat:Catalog` with LDP paging links.

No container has to be walked and no query asked. The pages are cut by offset, in the order of node and name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyoxigraph import Literal, NamedNode, Triple
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank.catalogue import described, graph_writing
from fairbank.catalogue.accounts import Account
from fairbank.catalogue.errors import ParameterRefused
from fairbank.catalogue.parameters import whole_number
from fairbank.catalogue.search import LARGEST_PAGE, summary
from fairbank.catalogue.store import DatasetRow, DescribedRow
from fairbank.catalogue.visibility import visible
from fairbank.clock import iso
from fairbank.ontology import terms

USUAL_PAGE = 100
_LDP_PAGE = "http://www.w3.org/ns/ldp#Page"


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list, as one caller sees it.

    Attributes:
        rows: what nodes publish, by node and name, then what people described, by IRI.
        total: how many datasets the whole list has.
        limit: the most that a page holds; None for the whole list at once.
    """

    rows: Sequence[DatasetRow | DescribedRow]
    total: int
    limit: int | None
    offset: int


def read_page(session: Session, who: Account | None, *, limit: str | None, offset: str | None) -> Page:
    """Return a page of what a caller may see, its bounds as they stand in the address; all of it without bounds.

    Raises:
        ParameterRefused: if a bound is no number, out of its range, or beyond the end of the list.
    """
    first = whole_number(offset, name="offset", least=0) if offset is not None else 0
    most = whole_number(limit, name="limit", least=1, most=LARGEST_PAGE) if limit is not None else None
    if most is None and offset is not None:
        most = USUAL_PAGE
    published = session.scalar(select(func.count()).select_from(DatasetRow).where(visible(who))) or 0
    total = published + described.count_shown_datasets(session)
    # The end itself is an empty page: a harvester may get there when something is withdrawn meanwhile.
    if first > total:
        raise ParameterRefused(
            f"offset={first} is beyond the end of the list.",
            why=f"It has {total} datasets now.",
            todo="Begin again without an offset, and follow the links of each page.",
        )
    statement = select(DatasetRow).where(visible(who)).order_by(DatasetRow.node, DatasetRow.dataset)
    rows: list[DatasetRow | DescribedRow] = [*session.scalars(statement.offset(first).limit(most))]
    left = None if most is None else most - len(rows)
    if left != 0:
        rows += described.shown_datasets(session, limit=left, offset=max(first - published, 0))
    return Page(rows, total, most, first)


def as_json(page: Page) -> dict[str, Any]:
    """Return a page, or the whole list, as JSON."""
    bounds = {} if page.limit is None else {"limit": page.limit, "offset": page.offset}
    listed = [described.summary(row) if isinstance(row, DescribedRow) else summary(row) for row in page.rows]
    return {"schema": "datasets/1", "total": page.total, **bounds, "datasets": listed}


def as_rdf(page: Page, base_iri: str, media_type: str) -> bytes:
    """Return a page as a `dcat:Catalog` that names each dataset with title, moment of change and version."""
    catalogue = NamedNode(catalogue_iri(base_iri))
    moment = NamedNode(terms.XSD + "dateTime")
    triples = [
        Triple(catalogue, NamedNode(terms.TYPE), NamedNode(terms.DCAT + "Catalog")),
        Triple(catalogue, NamedNode(terms.DCT + "title"), Literal(f"Imaging datasets of {base_iri}")),
    ]
    for row in page.rows:
        dataset = NamedNode(row.iri)
        triples += [
            Triple(catalogue, NamedNode(terms.DCAT + "dataset"), dataset),
            Triple(dataset, NamedNode(terms.TYPE), NamedNode(terms.DCAT + "Dataset")),
            Triple(dataset, NamedNode(terms.DCT + "title"), Literal(row.title)),
            Triple(dataset, NamedNode(terms.DCT + "modified"), Literal(_modified(row), datatype=moment)),
            Triple(dataset, NamedNode(terms.DCAT + "version"), Literal(_version(row))),
        ]
    return graph_writing.written(triples, media_type, prefixes=terms.PREFIXES)


def page_links(page: Page, base_iri: str) -> str:
    """Return the `Link` header of a page: what it is, of what, and the first, last, previous and next page.

    Source: W3C Linked Data Platform Paging 1.0, section 6.2; RFC 8288.
    """
    whole = catalogue_iri(base_iri)
    if page.limit is None:
        return f'<{whole}>; rel="canonical"'
    last = max(page.total - 1, 0) // page.limit * page.limit
    targets = {"first": 0, "last": last}
    if page.offset > 0:
        targets["prev"] = max(page.offset - page.limit, 0)
    if page.offset + page.limit < page.total:
        targets["next"] = page.offset + page.limit
    links = [f'<{whole}>; rel="canonical"', f'<{_LDP_PAGE}>; rel="type"']
    links += [
        f'<{whole}?limit={page.limit}&offset={offset}>; rel="{relation}"'
        for relation, offset in targets.items()
    ]
    return ", ".join(links)


def catalogue_iri(base_iri: str) -> str:
    """Return the IRI of the list of all datasets."""
    return f"{base_iri}/datasets"


def _modified(row: DatasetRow | DescribedRow) -> str:
    return iso(row.changed if isinstance(row, DescribedRow) else row.created)


def _version(row: DatasetRow | DescribedRow) -> str:
    return str(row.revision if isinstance(row, DescribedRow) else row.version)
