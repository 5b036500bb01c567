"""Read a FAIR Data Point with fairdatapoint-client, as its tutorial does: by the type and the id of each resource."""

from __future__ import annotations

import json
import sys

from fdpclient.client import Client
from rdflib import DCAT, DCTERMS, RDF, Graph, Namespace, URIRef

FDP_O = Namespace("https://w3id.org/fdp/fdp-o#")
KINDS = ("Catalog", "Dataset", "Distribution")
host, form = sys.argv[1:]
client = Client(host)


def line(graph: Graph, iri: URIRef) -> list[str]:
    (kind,) = [each for each in KINDS if (iri, RDF.type, DCAT[each]) in graph]
    return [str(iri), kind, str(graph.value(iri, DCTERMS.title))]


lines = []
root = client.read_fdp(format=form)
for catalog in sorted(root.objects(None, FDP_O.metadataCatalog)):
    listed = client.read_catalog(catalog.removeprefix(f"{host}/catalog/"), format=form)
    lines.append(line(listed, catalog))
    for dataset in sorted(listed.objects(catalog, DCAT.dataset)):
        name = dataset.removeprefix(f"{host}/datasets/")
        described = client.read_dataset(name, format=form)
        lines.append(line(described, dataset))
        for distribution in sorted(described.objects(dataset, DCAT.distribution)):
            own = client.read_distribution(f"{name}/{distribution.rpartition('#')[2]}", format=form)
            lines.append(line(own, distribution))
print(json.dumps({"fdp": client.fdp_id, "lines": lines}))
