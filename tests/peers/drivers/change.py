"""Change the title of one resource with fairclient, and delete another."""

from __future__ import annotations

import json
import sys

from fairclient.fdpclient import FDPClient
from fairclient.utils import rewrite_graph_subject
from graphs import document

host, name, password, catalog, changed, deleted = sys.argv[1:]
client = FDPClient(host, name, password)
graph = document("dataset", "Études, revues", parent=catalog)
rewrite_graph_subject(graph, "https://elsewhere.test/dataset", changed)
client.update_serialized(changed, graph)
client.delete_record(deleted)
print(json.dumps("done"))
