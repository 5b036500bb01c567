"""Create and publish a catalog, a dataset and a distribution with fairclient; the dataset a second time as a draft."""

from __future__ import annotations

import json
import sys

from fairclient.fdpclient import FDPClient
from graphs import document

host, name, password = sys.argv[1:]
client = FDPClient(host, name, password)
catalog = client.create_and_publish("catalog", document("catalog", "Ailleurs – été"))
dataset = client.create_and_publish("dataset", document("dataset", "Études", parent=catalog))
distribution = client.create_and_publish("distribution", document("distribution", "Fichiers", parent=dataset))
draft = client.post_serialized("dataset", document("dataset", "canary", parent=catalog)).headers["Location"]
print(
    json.dumps(
        {
            "catalog": catalog,
            "dataset": dataset,
            "distribution": distribution,
            "draft": draft,
            # The client keeps the Content-Type of the last state that it sent: JSON.
            "read": client.get_data(distribution).text,
            "draft_status": client.get_data(draft).status_code,
        }
    )
)
