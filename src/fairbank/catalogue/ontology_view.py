"""The ontology as the hub publishes it: a document in four RDF formats, and a named graph of the RDF view.

Its subjects are all of the namespace `fb:`, which no other graph of a hub describes, so the union of the graphs counts
none of its triples twice.
"""

from __future__ import annotations

from functools import lru_cache

import pyoxigraph as ox

from fairbank.ontology.model.entries import PREFIXES
from fairbank.ontology.model.triples import Text, Triple, Value, triples
from fairbank.ontology.profiles.facts import Iri

_TURTLE = "text/turtle"


def ontology_graph(base_iri: str) -> str:
    """Return the named graph that holds the ontology in the view of a hub."""
    return f"{base_iri}/graphs/ontology"


@lru_cache(maxsize=4)
def ontology_quads(base_iri: str) -> tuple[ox.Quad, ...]:
    """Return the ontology as the graph of a hub."""
    graph = ox.NamedNode(ontology_graph(base_iri))
    return tuple(ox.Quad(*_statement(triple), graph) for triple in triples())


@lru_cache(maxsize=4)
def written(media_type: str) -> bytes:
    """Return the ontology in one of the RDF formats."""
    prefixes = PREFIXES if media_type == _TURTLE else None
    statements = (ox.Triple(*_statement(triple)) for triple in triples())
    return ox.serialize(statements, format=ox.RdfFormat.from_media_type(media_type), prefixes=prefixes) or b""


def _statement(triple: Triple) -> tuple[ox.NamedNode, ox.NamedNode, ox.NamedNode | ox.Literal]:
    subject, path, value = triple
    return ox.NamedNode(subject), ox.NamedNode(path), _term(value)


def _term(value: Value) -> ox.NamedNode | ox.Literal:
    if isinstance(value, Iri):
        return ox.NamedNode(value.value)
    if isinstance(value, Text):
        return ox.Literal(value.value, language=value.language)
    return ox.Literal(value.value, datatype=ox.NamedNode(value.datatype))
