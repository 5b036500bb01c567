"""What people describe by the FAIR Data Point is a draft first: drafts are on no public route, what is published is."""

from __future__ import annotations

import pytest
from rdflib import Graph, URIRef
from rdflib.namespace import DCAT, RDF
from starlette.testclient import TestClient
from tests.catalogue.fdp_writer import (
    BASE,
    CANARY,
    LDP,
    ROOT,
    Make,
    Writer,
    asked,
    catalog,
    dataset,
    distribution,
    log_in,
    public_texts,
    raw_store,
)

from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.projector import Projector


@pytest.fixture
def web(hub: Hub, app_of: Make) -> TestClient:
    return TestClient(app_of(hub), base_url=BASE)


@pytest.fixture
def writer(hub: Hub, web: TestClient) -> Writer:
    return log_in(hub, web, "anna", Role.ADMIN)


@pytest.fixture
def shelf(writer: Writer) -> str:
    """A catalog that is published."""
    iri = writer.made("catalog", catalog())
    writer.publish(iri)
    return iri


def test_a_draft_is_on_no_public_route_and_what_is_published_is(
    hub: Hub, web: TestClient, writer: Writer, shelf: str, projector: Projector
) -> None:
    committee = log_in(hub, web, "carla", Role.COMMITTEE).headers
    iri = writer.made("dataset", dataset(shelf, title=CANARY))
    drawer = writer.made("catalog", catalog(title=f"{CANARY}-catalog"))
    file = writer.made("distribution", distribution(iri, title=f"{CANARY}-files"))
    for place, text in public_texts(hub, web, committee, projector).items():
        for secret in (CANARY, *(each.rpartition("/")[2] for each in (iri, drawer, file))):
            # What was asked for is echoed by links to the next page only.
            assert secret not in text, place
    assert CANARY.encode() not in raw_store(hub)
    for headers in (committee, {}):
        for address in (iri, drawer, file):
            for below in ("", "/meta", "/meta/state", "/spec", "/expanded"):
                answer = web.get(address + below, headers=headers)
                assert answer.status_code == 404 and CANARY not in answer.text, (address, below)
    assert web.get(shelf).text.count("ldp:contains") == 0
    assert writer.web.get(f"{iri}/meta/state", headers=writer.headers).json() == {"current": "DRAFT"}

    writer.publish(iri, drawer, file)
    told = public_texts(hub, web, committee, projector)
    for place in (
        "text/turtle /expanded",
        "application/json /datasets",
        f"application/json /search?q={CANARY}",
    ):
        assert CANARY in told[f"stranger {place}"], place
    assert CANARY in told["export"] and CANARY in told["store"]
    assert URIRef(iri) in writer.graph(shelf).objects(URIRef(shelf), LDP.contains)


def test_a_walk_from_the_root_finds_what_is_published(web: TestClient, writer: Writer, shelf: str) -> None:
    iri = writer.made("dataset", dataset(shelf))
    file = writer.made("distribution", distribution(iri))
    writer.publish(iri, file)
    found, waiting = [], [ROOT]
    while waiting:
        here = waiting.pop()
        found.append(here)
        graph = Graph().parse(data=web.get(here, headers={"Accept": "text/turtle"}).text, format="turtle")
        waiting += [str(each) for each in graph.objects(URIRef(here), LDP.contains)]
    assert found == [ROOT, shelf, iri, file]
    inline = Graph().parse(data=web.get(f"{shelf}/expanded").text, format="turtle")
    assert (URIRef(iri), RDF.type, DCAT.Dataset) in inline


def test_what_is_published_is_in_sparql_search_and_lists(
    web: TestClient, writer: Writer, shelf: str, projector: Projector, published: Make
) -> None:
    published("lungs")
    iri = writer.made(
        "dataset",
        dataset(shelf, title="Ärztlich", said='; dct:identifier "X1"; dct:license <https://x.test/l>'),
    )
    writer.publish(iri)
    projector.project()
    query = f'SELECT ?s {{ ?s dct:identifier "X1" ; dct:isPartOf <{shelf}> }}'
    assert asked(web, query) == [iri]
    assert asked(web, f"SELECT ?d {{ <{shelf}> dcat:dataset ?d }}") == [iri]
    found = web.get("/search", params={"q": "ärztlich"}).json()
    assert [each["iri"] for each in found["datasets"]] == [iri]
    assert found["datasets"][0]["described_only"] is True
    everything = web.get("/search").json()
    assert [each["iri"] for each in everything["datasets"]] == [f"{BASE}/datasets/alpha/lungs", iri]
    assert {each["value"]: each["datasets"] for each in everything["facets"]["licence"]}[
        "https://x.test/l"
    ] == 1
    assert [each["value"] for each in everything["facets"]["node"]] == ["alpha"]
    chosen = web.get("/search", params={"licence": "https://x.test/l"}).json()
    assert [each["iri"] for each in chosen["datasets"]] == [iri]
    enough = web.get("/search", params={"min_subjects": 10, "min_sites": 2}).json()["feasibility"]
    assert (enough["sites"], enough["enough"]) == (1, "false"), "what has no counts is no site"
    pages = [web.get(f"/datasets?limit=1&offset={place}").json()["datasets"] for place in (0, 1, 2)]
    assert [[each["iri"] for each in page] for page in pages] == [[f"{BASE}/datasets/alpha/lungs"], [iri], []]
    listed = Graph().parse(data=web.get("/datasets", headers={"Accept": "text/turtle"}).text, format="turtle")
    assert (URIRef(f"{BASE}/datasets"), DCAT.dataset, URIRef(iri)) in listed


def test_nothing_is_seen_of_what_lies_in_a_draft(
    web: TestClient, writer: Writer, projector: Projector
) -> None:
    drawer = writer.made("catalog", catalog())
    iri = writer.made("dataset", dataset(drawer))
    file = writer.made("distribution", distribution(iri))
    writer.publish(iri, file)
    projector.project()
    assert web.get(iri).status_code == web.get(file).status_code == 404
    assert asked(web, "SELECT ?d { ?d a dcat:Dataset }") == []
    assert web.get("/datasets").json()["total"] == 0
    writer.publish(drawer)
    projector.project()
    assert web.get(iri).status_code == web.get(file).status_code == 200
    assert asked(web, "SELECT ?d { ?d a dcat:Dataset }") == [iri]
    assert asked(web, "SELECT ?d { ?d a dcat:Distribution }") == [file]


def test_a_rebuilt_view_is_the_same(
    web: TestClient, writer: Writer, shelf: str, projector: Projector
) -> None:
    iri = writer.made("dataset", dataset(shelf))
    writer.made("dataset", dataset(shelf, title=CANARY))
    writer.publish(iri)
    projector.project()
    before = asked(web, "SELECT * { ?s ?p ?o } ORDER BY ?s ?p ?o")
    projector.rebuild()
    assert asked(web, "SELECT * { ?s ?p ?o } ORDER BY ?s ?p ?o") == before
    assert not [line for line in before if CANARY in line]


def test_metadata_about_metadata_says_state_path_and_permissions(
    web: TestClient, writer: Writer, shelf: str
) -> None:
    iri = writer.made("dataset", dataset(shelf))
    mine = web.get(f"{shelf}/meta", headers=writer.headers).json()
    assert mine["state"] == {"current": "PUBLISHED", "children": {"dataset": {iri: "DRAFT"}}}
    assert mine["member"]["membership"]["name"] == "owner"
    assert [each["code"] for each in mine["member"]["membership"]["permissions"]] == ["R", "W", "C", "D"]
    assert web.get(f"{shelf}/meta").json()["state"]["children"] == {"dataset": {}}
    meta = web.get(f"{iri}/meta", headers=writer.headers).json()
    assert list(meta["path"]) == [ROOT, shelf, iri]
    assert [each["parent"] for each in meta["path"].values()] == [None, ROOT, shelf]


@pytest.mark.parametrize("word", ["DRAFT", "DELETED", "published", ""])
def test_what_is_published_never_becomes_a_draft_again(writer: Writer, shelf: str, word: str) -> None:
    answer = writer.web.put(f"{shelf}/meta/state", json={"current": word}, headers=writer.headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "FB-CAT-088")
    writer.publish(shelf)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"current": 1}', b"[]", b'"PUBLISHED"', b"[" * 30_000])
def test_a_state_that_is_not_said_is_refused(writer: Writer, shelf: str, body: bytes) -> None:
    answer = writer.send("PUT", f"{shelf}/meta/state", body, Content_Type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "FB-CAT-080")
