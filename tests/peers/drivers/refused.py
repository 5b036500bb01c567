"""What fairclient's user sees when the hub refuses: a wrong password, a document without a title, a strange parent."""

from __future__ import annotations

import json
import logging
import sys

from fairclient.fdpclient import FDPClient
from graphs import document
from rdflib import DCTERMS
from requests import HTTPError

host, name, password = sys.argv[1:]
logging.disable(logging.CRITICAL)
refusals = []


def attempt(act, *words):
    try:
        act(*words)
    except HTTPError as error:
        refusals.append([error.response.status_code, error.response.text])
    else:
        refusals.append([0, "went well"])


attempt(FDPClient, host, name, "wrong " + password)
client = FDPClient(host, name, password)
untitled = document("catalog", "x")
untitled.remove((None, DCTERMS.title, None))
attempt(client.post_serialized, "catalog", untitled)
attempt(client.post_serialized, "dataset", document("dataset", "x", parent=f"{host}/catalog/alpha"))
attempt(client.post_serialized, "dataset", document("dataset", "x"))
print(json.dumps(refusals))
