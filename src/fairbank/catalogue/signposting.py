"""FAIR Signposting: typed links in the `Link` header, for programs that come to an address and know nothing of it.

Source: FAIR Signposting Profile, level 1 (https://signposting.org/FAIR/); RFC 8288; Linked Data Platform 1.0, 5.2.1.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from fairbank.catalogue.fdp import Catalog, Point, catalog_iri
from fairbank.catalogue.negotiation import GRAPH_FORMATS
from fairbank.catalogue.schema_org import CLASSES, CONTEXT, QUERY
from fairbank.catalogue.store import DescribedRow
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.facts import Facts, distributions, licence_address
from fairbank.ontology.profiles.fdp_described import Kind

# Long headers are refused by servers and clients, and a list that is cut off would read as a whole one.
MOST_ITEMS: Final = 20


def of_point(point: Point, catalogs: Sequence[str]) -> Iterator[str]:
    """Yield the links of the root."""
    yield from _resource(point.iri, "DataCatalog")
    yield from _items(catalogs, total=len(catalogs))


def of_catalog(catalog: Catalog, datasets: Sequence[str]) -> Iterator[str]:
    """Yield the links of a catalog, with its datasets if they are few."""
    yield from _resource(catalog.iri, "DataCatalog")
    yield _link(f"{catalog.base_iri}/", "collection")
    yield from _items(datasets, total=catalog.datasets)


def of_dataset(facts: Facts) -> Iterator[str]:
    """Yield the links of a dataset."""
    yield from _resource(facts.iri, "Dataset")
    yield _link(catalog_iri(facts.base_iri, facts.record.node), "collection")
    items = list(distributions(facts))
    yield from _items(items, total=len(items))
    licence = licence_address(facts)
    if licence is not None and licence.isascii():
        yield _link(licence, "license")


def of_described(row: DescribedRow, items: Sequence[str]) -> Iterator[str]:
    """Yield the links of what somebody described."""
    yield from _resource(row.iri, CLASSES[Kind(row.kind)])
    yield _link(row.parent, "collection")
    yield from _items(items, total=len(items))
    if row.licence is not None and row.licence.isascii() and row.licence.startswith(("http://", "https://")):
        yield _link(row.licence, "license")


def _resource(iri: str, schema_class: str) -> Iterator[str]:
    yield _link(iri, "cite-as")
    yield _link(CONTEXT + schema_class, "type")
    yield _link(ns.LDP + "DirectContainer", "type")
    for media_type in GRAPH_FORMATS:
        yield f'{_link(iri, "describedby")}; type="{media_type}"'
    yield f'{_link(iri + QUERY, "describedby")}; type="application/ld+json"; profile="{CONTEXT}"'


def _items(iris: Sequence[str], *, total: int) -> Iterator[str]:
    if total == len(iris) <= MOST_ITEMS:
        for iri in iris:
            yield _link(iri, "item")


def _link(target: str, relation: str) -> str:
    return f'<{target}>; rel="{relation}"'
