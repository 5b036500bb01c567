"""Create, publish, change and delete with fairdatapoint-client, which takes its user's token as a header.

The client says neither the address of what it created nor knows publishing; `requests`, on which it is built, does.
"""

from __future__ import annotations

import json
import sys

import requests
from fdpclient.client import Client
from graphs import document
from rdflib import DCAT, DCTERMS, RDF, Graph

host, name, password = sys.argv[1:]
login = {"email": name, "password": password}
token = requests.post(f"{host}/tokens", json=login, timeout=60).json()["token"]
client = Client(host)
made: dict[str, str] = {}


def mine() -> dict[str, str]:
    # The client writes into what it is given.
    return {"Authorization": f"Bearer {token}"}


def create(kind: str, form: str, parent: str | None) -> str:
    """Create and publish a resource, and return its id."""
    places: list[str] = []
    hooks = {"response": lambda answer, **_: places.append(answer.headers["Location"])}
    graph = document(kind, f"One {kind}", parent=parent)
    getattr(client, f"create_{kind}")(graph, format=form, headers=mine(), hooks=hooks)
    state = {"current": "PUBLISHED"}
    requests.put(f"{places[0]}/meta/state", json=state, headers=mine(), timeout=60).raise_for_status()
    return places[0].removeprefix(f"{host}/{kind}/")


def title(kind: str) -> str:
    """Return the title of a resource as the client reads it."""
    graph: Graph = getattr(client, f"read_{kind}")(made[kind])
    (found,) = graph.subjects(RDF.type, DCAT[kind.capitalize()])
    return str(graph.value(found, DCTERMS.title))


seen = []
parent = None
for kind, form in (("catalog", "turtle"), ("dataset", "json-ld"), ("distribution", "xml")):
    made[kind] = create(kind, form, parent)
    seen.append(title(kind))
    changed = document(kind, f"Another {kind}", parent=parent)
    getattr(client, f"update_{kind}")(made[kind], changed, headers=mine())
    seen.append(title(kind))
    parent = f"{host}/{kind}/{made[kind]}"
gone = []
for kind in ("distribution", "dataset", "catalog"):
    getattr(client, f"delete_{kind}")(made[kind], headers=mine())
    try:
        title(kind)
    except RuntimeError:
        gone.append(kind)
print(json.dumps({"seen": seen, "gone": gone}))
