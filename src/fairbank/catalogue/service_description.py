"""What a SPARQL endpoint says of itself (SPARQL 1.1 Service Description, https://www.w3.org/TR/sparql11-service-description/).

Only what is true: no federated query, no dereferencing, no update. Formats come from the tables that negotiation uses.
"""

from __future__ import annotations

from typing import Final

import pyoxigraph as ox

from fairbank.catalogue import negotiation
from fairbank.ontology import terms

SD: Final = "http://www.w3.org/ns/sparql-service-description#"
FORMATS: Final = "http://www.w3.org/ns/formats/"
_PREFIXES: Final = {"sd": SD, "formats": FORMATS}


def describe(endpoint: str, *, default_is_union: bool) -> list[ox.Triple]:
    """Return the description of the endpoint at an address.

    Args:
        default_is_union: whether a query that names no dataset has the union of all graphs as its default graph.

    >>> found = describe("http://hub.test/sparql", default_is_union=True)
    >>> len([one for one in found if one.predicate.value.endswith("#resultFormat")])
    8
    """
    service, dataset, graph = (
        f"{endpoint}#{name}" for name in ("service", "default-dataset", "default-graph")
    )
    offered = (*negotiation.ROW_FORMATS, *negotiation.GRAPH_FORMATS)
    statements = [
        (service, terms.TYPE, SD + "Service"),
        (service, SD + "endpoint", endpoint),
        (service, SD + "supportedLanguage", SD + "SPARQL11Query"),
        *(
            (service, SD + "resultFormat", FORMATS + negotiation.W3C_NAMES[media_type])
            for media_type in offered
        ),
        (service, SD + "defaultDataset", dataset),
        (dataset, terms.TYPE, SD + "Dataset"),
        (dataset, SD + "defaultGraph", graph),
        (graph, terms.TYPE, SD + "Graph"),
    ]
    if default_is_union:
        statements.append((service, SD + "feature", SD + "UnionDefaultGraph"))
    return [ox.Triple(*(ox.NamedNode(iri) for iri in statement)) for statement in statements]


def written(description: list[ox.Triple], media_type: str) -> bytes:
    """Return a description in one of the graph formats."""
    prefixes = _PREFIXES if media_type == "text/turtle" else None
    return (
        ox.serialize(description, format=ox.RdfFormat.from_media_type(media_type), prefixes=prefixes) or b""
    )
