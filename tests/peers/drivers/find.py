"""Find a dataset in the hub's SPARQL endpoint by the identifier that its author gave it, with fairclient."""

from __future__ import annotations

import json
import sys
import time

from fairclient.sparqlclient import FDPSPARQLClient

host, identifier, catalog = sys.argv[1:]
client = FDPSPARQLClient(f"{host}/sparql")
for _ in range(100):
    found = client.find_subject(identifier, catalog)
    if found:
        break
    # What is published reaches the endpoint within moments.
    time.sleep(0.1)
print(json.dumps(found))
