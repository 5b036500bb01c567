"""Clients that describe by the FAIR Data Point, and what they say, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyoxigraph import Store
from rdflib import Graph, URIRef
from rdflib.namespace import Namespace
from starlette.testclient import TestClient

from fairbank.catalogue import accounts, export
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.projector import Projector
from fairbank.catalogue.query_pool import CURRENT
from fairbank.database import reading, writing

Make = Callable[..., Any]
BASE = "http://hub.test"
ROOT = f"{BASE}/"
PASSWORD = "correct horse battery"
PREFIXES = """\
@prefix dct: <http://purl.org/dc/terms/> .
@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix fb: <https://w3id.org/fairbank/terms#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
PUBLISHER = 'dct:publisher [ a foaf:Agent ; foaf:name "Institute of Examples" ]'
THEME = "dcat:theme <http://publications.europa.eu/resource/authority/data-theme/HEAL>"


def catalog(subject: str = "<>", *, title: str = "Described by hand", more: str = "") -> str:
    return f'{PREFIXES}{subject} a dcat:Catalog ; dct:title "{title}" ; {PUBLISHER} . {more}'


def dataset(
    parent: str, subject: str = "<>", *, title: str = "Hand-written lungs", said: str = "", more: str = ""
) -> str:
    return (
        f'{PREFIXES}{subject} a dcat:Dataset ; dct:isPartOf <{parent}> ; dct:title "{title}" ; {PUBLISHER} ; {THEME} ;'
        f' dct:description "Known on paper only." ; dcat:keyword "lung", "paper" {said} . {more}'
    )


def distribution(parent: str, *, title: str = "Files on request") -> str:
    return (
        f'{PREFIXES}<> a dcat:Distribution ; dct:isPartOf <{parent}> ; dct:title "{title}" ;'
        ' dcat:mediaType "application/dicom" ; dcat:accessURL <https://files.example.org/> .'
    )


LDP = Namespace("http://www.w3.org/ns/ldp#")
FDP_O = Namespace("https://w3id.org/fdp/fdp-o#")
FORMATS = {
    "text/turtle": "turtle",
    "application/n-triples": "nt",
    "application/ld+json": "json-ld",
    "application/rdf+xml": "xml",
}
CANARY = "canary-title"


class Writer:
    """A client of the FAIR Data Point that has logged in as its kind does."""

    def __init__(self, web: TestClient, name: str) -> None:
        self.web = web
        answer = web.post("/tokens", json={"email": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        self.headers = {"Authorization": f"Bearer {answer.json()['token']}"}

    def send(self, method: str, address: str, content: str | bytes, **headers: str) -> Any:
        wanted = {"Content-Type": "text/turtle", **{k.replace("_", "-"): v for k, v in headers.items()}}
        body = content.encode() if isinstance(content, str) else content
        return self.web.request(method, address, content=body, headers={**self.headers, **wanted})

    def made(self, kind: str, content: str) -> str:
        """Return the IRI of what was made."""
        answer = self.send("POST", f"/{kind}", content)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"])

    def publish(self, *iris: str) -> None:
        for iri in iris:
            answer = self.web.put(f"{iri}/meta/state", json={"current": "PUBLISHED"}, headers=self.headers)
            assert (answer.status_code, answer.json()) == (200, {"current": "PUBLISHED"}), answer.text

    def graph(self, iri: str) -> Graph:
        answer = self.web.get(iri, headers={**self.headers, "Accept": "text/turtle"})
        assert answer.status_code == 200, answer.text
        return Graph().parse(data=answer.text, format="turtle")

    def values(self, iri: str, path: URIRef) -> list[str]:
        return sorted(str(each) for each in self.graph(iri).objects(URIRef(iri), path))


def log_in(hub: Hub, web: TestClient, name: str, role: Role) -> Writer:
    with writing(hub.engine) as session:
        accounts.create_account(session, hub, name=name, password=PASSWORD, roles=[role])
    return Writer(web, name)


def asked(web: TestClient, query: str) -> list[str]:
    answer = web.get("/sparql", params={"query": query}, headers={"Accept": "text/csv"})
    assert answer.status_code == 200, answer.text
    return answer.text.split("\r\n")[1:-1]


def public_texts(
    hub: Hub, web: TestClient, committee: dict[str, str], projector: Projector
) -> dict[str, str]:
    """Return what every public address of the catalogue says, to a stranger and to the committee."""
    projector.project()
    told: dict[str, str] = {}
    query = "SELECT * { ?s ?p ?o }"
    addresses = [
        "/", "/expanded", "/meta", "/catalog", "/datasets", "/datasets?limit=500", "/search", f"/search?q={CANARY}",
        f"/search?q={CANARY}&min_subjects=1", "/nodes", "/v1/nodes", "/profiles", "/sparql", "/openapi.json",
        f"/sparql?query={query}", "/?profile=schema.org", "/v1/audit/head",
    ]  # fmt: skip
    for address in addresses:
        for accept in ("text/turtle", "application/ld+json", "application/json", "text/html", "text/csv"):
            for name, headers in (("stranger", {}), ("committee", committee)):
                answer = web.get(address, headers={"Accept": accept, **headers})
                told[f"{name} {accept} {address}"] = answer.text + str(answer.headers)
    with reading(hub.engine) as session:
        told["export"] = str([*export.published_quads(session, BASE)])
    # The log of what was done, which administrators and auditors read, names each draft by its id.
    told["store"] = "".join(
        str(quad)
        for quad in Store.read_only(str(hub.rdf / CURRENT))
        if "/graphs/audit/" not in str(quad.graph_name)
    )
    return told


def raw_store(hub: Hub) -> bytes:
    return b"".join(path.read_bytes() for path in (hub.rdf / CURRENT).rglob("*") if path.is_file())
