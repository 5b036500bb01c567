"""Walk a FAIR Data Point by its containers alone, reading each member at its own IRI with fairdatapoint-client."""

from __future__ import annotations

import json
import sys

from fdpclient import operations
from rdflib import DCAT, DCTERMS, RDF, Namespace, URIRef

LDP = Namespace("http://www.w3.org/ns/ldp#")
waiting = [URIRef(f"{sys.argv[1]}/")]
seen: dict[str, list[str]] = {}
distributions: list[str] = []
rights: dict[str, list[str]] = {}
while waiting:
    iri = waiting.pop()
    graph = operations.read(str(iri))
    seen[str(iri)] = sorted(str(each) for each in graph.objects(iri, LDP.contains))
    if (iri, RDF.type, DCAT.Distribution) in graph:
        distributions.append(str(iri))
    if (iri, RDF.type, DCAT.Dataset) in graph:
        rights[str(iri)] = [str(each) for each in graph.objects(iri, DCTERMS.accessRights)]
    waiting += [each for each in graph.objects(iri, LDP.contains) if str(each) not in seen]
print(json.dumps({"seen": seen, "distributions": sorted(distributions), "rights": rights}))
