"""Small documents of each kind, under IRIs of their author's own."""

from __future__ import annotations

from rdflib import DCAT, DCTERMS, FOAF, RDF, BNode, Graph, Literal, URIRef


def document(kind: str, title: str, *, parent: str | None = None) -> Graph:
    """Return the description of a catalog, dataset or distribution."""
    graph, subject, publisher = Graph(), URIRef(f"https://elsewhere.test/{kind}"), BNode()
    graph.add((subject, RDF.type, DCAT[kind.capitalize()]))
    graph.add((subject, DCTERMS.title, Literal(title)))
    graph.add((subject, DCTERMS.identifier, Literal(f"my own {kind}")))
    graph.add((subject, DCTERMS.publisher, publisher))
    graph.add((publisher, RDF.type, FOAF.Agent))
    graph.add((publisher, FOAF.name, Literal("Hôpital d'Ailleurs")))
    graph.add(
        (subject, DCAT.theme, URIRef("http://publications.europa.eu/resource/authority/data-theme/HEAL"))
    )
    graph.add((subject, DCAT.accessURL, URIRef("https://elsewhere.test/files")))
    graph.add(
        (subject, DCAT.mediaType, URIRef("https://www.iana.org/assignments/media-types/application/dicom"))
    )
    if parent:
        graph.add((subject, DCTERMS.isPartOf, URIRef(parent)))
    return graph
