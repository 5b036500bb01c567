"""The whole published view as one text, in an order that depends on nothing but what it says.

The canonical form leaves out what a hub adds by itself (when it took something in, ids of jobs, digests of what names
them), so that two hubs of the same base IRI with the same records give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyoxigraph import NamedNode, Quad, RdfFormat, Store, Triple, parse, serialize
from sqlalchemy.orm import Session

from fairbank.catalogue.negotiation import ExportFormat
from fairbank.catalogue.ontology_view import ontology_graph
from fairbank.catalogue.projector import graph_quads
from fairbank.catalogue.visibility import visible_graphs
from fairbank.ontology import terms
from fairbank.ontology.profiles.namespaces import FDP_O

_OF_ARTEFACTS = frozenset(
    {
        terms.DCT + "identifier",
        terms.PROV + "startedAtTime",
        terms.PROV + "endedAtTime",
        terms.MANIFEST_DIGEST,
        terms.VISA_DIGEST,
    }
)
_OF_DESCRIBED = frozenset({FDP_O + "metadataIssued", FDP_O + "metadataModified"})
# By the kind of graph: the first part of its address below `graphs/`.
_LEFT_OUT = {
    "datasets": frozenset({terms.DCT + "issued"}),
    "catalog": _OF_DESCRIBED,
    "dataset": _OF_DESCRIBED,
    "distribution": _OF_DESCRIBED,
    "models": _OF_ARTEFACTS,
    "results": _OF_ARTEFACTS,
}


def published_quads(session: Session, base_iri: str) -> Iterator[Quad]:
    """Yield what everybody may see, made from SQL, as the engine of the view holds it."""
    # The engine normalises literals (a time of .000Z becomes Z), so an export is the same as an answer of SPARQL.
    store = Store()
    store.bulk_extend(
        quad
        for graph in visible_graphs(session, base_iri, None)
        # The ontology is the software's, not the hub's: `fairbank ontology export` writes it.
        if graph != ontology_graph(base_iri)
        for quad in graph_quads(session, base_iri, graph)
    )
    yield from store


def canonical(quads: Iterable[Quad], base_iri: str) -> Iterator[Quad]:
    """Yield the quads that depend on the records only."""
    for quad in quads:
        graph = quad.graph_name.value if isinstance(quad.graph_name, NamedNode) else ""
        kind = graph.removeprefix(f"{base_iri}/graphs/").partition("/")[0]
        if quad.predicate.value not in _LEFT_OUT.get(kind, frozenset()):
            yield quad


def written(quads: Iterable[Quad], form: ExportFormat) -> bytes:
    """Return quads as sorted text: N-Quads with their graphs, or Turtle of all triples without."""
    if form is ExportFormat.NQUADS:
        return _sorted_lines(quads, RdfFormat.N_QUADS)
    lines = _sorted_lines((quad.triple for quad in quads), RdfFormat.N_TRIPLES)
    triples = (quad.triple for quad in parse(lines, format=RdfFormat.N_TRIPLES))
    return serialize(triples, format=RdfFormat.TURTLE, prefixes=terms.PREFIXES) or b""


def _sorted_lines(statements: Iterable[Quad] | Iterable[Triple], form: RdfFormat) -> bytes:
    content = serialize(statements, format=form) or b""
    # By bytes, so by code points; a line break within a literal is escaped in both formats.
    return b"".join(sorted({line + b"\n" for line in content.split(b"\n") if line}))
