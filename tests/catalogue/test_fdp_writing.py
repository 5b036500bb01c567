"""What people describe by the FAIR Data Point: made, replaced and deleted, beside what nodes publish; bad input."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from rdflib import Graph, URIRef
from rdflib.compare import isomorphic
from rdflib.namespace import DCAT, DCTERMS, FOAF, RDF
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.catalogue.fdp_writer import (
    BASE,
    CANARY,
    FDP_O,
    FORMATS,
    PASSWORD,
    ROOT,
    Make,
    Writer,
    asked,
    catalog,
    dataset,
    distribution,
    log_in,
    public_texts,
)

from fairbank import audit
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.projector import Projector
from fairbank.database import reading
from fairbank.web.hub_app import create_app


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


# -- tokens --------------------------------------------------------------------------------------------------------


def test_a_client_logs_in_with_the_name_of_an_account(writer: Writer, web: TestClient) -> None:
    assert web.get("/v1/whoami", headers=writer.headers).json()["account"] == "anna"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email": "anna", "password": "wrong"}, 401, "FB-CAT-021"),
        ({"email": "nobody@example.org", "password": PASSWORD}, 401, "FB-CAT-021"),
        ({"email": "anna"}, 400, "FB-CAT-080"),
        ({"email": ["anna"], "password": PASSWORD}, 400, "FB-CAT-080"),
        ({"email": "anna\x00", "password": PASSWORD}, 400, "FB-CAT-080"),
        ({"email": "a" * 2000, "password": PASSWORD}, 400, "FB-CAT-080"),
        ([], 400, "FB-CAT-080"),
    ],
)
def test_a_log_in_that_does_not_fit_is_refused(
    writer: Writer, web: TestClient, body: Any, status: int, code: str
) -> None:
    answer = web.post("/tokens", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 50_000, b'{"email": "\\ud800", "password": "x"}', b"\xff"]
)
def test_a_log_in_that_is_no_json_is_refused(web: TestClient, body: bytes) -> None:
    answer = web.post("/tokens", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "FB-CAT-080")


@pytest.mark.parametrize("role", [Role.COMMITTEE, Role.RESEARCHER])
def test_only_administrators_write(hub: Hub, web: TestClient, role: Role, shelf: str) -> None:
    other = log_in(hub, web, "other", role)
    for method, address in (
        ("POST", "/catalog"),
        ("PUT", shelf),
        ("DELETE", shelf),
        ("PUT", f"{shelf}/meta/state"),
    ):
        answer = other.send(method, address, catalog())
        assert (answer.status_code, answer.json()["code"]) == (403, "FB-CAT-023"), method
        stranger = web.request(method, address, content=catalog())
        assert (stranger.status_code, stranger.json()["code"]) == (401, "FB-CAT-020"), method
    assert web.get(shelf).status_code == 200


# -- making --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", ["<>", "_:it", "<https://archive.example.org/projects/LUNG>", "<#it>"])
def test_what_is_made_has_the_iri_that_the_hub_gives(writer: Writer, shelf: str, subject: str) -> None:
    more = f"{subject} foaf:page <#page> . <#page> dct:title 'page' ." if subject != "<#it>" else ""
    answer = writer.send("POST", "/dataset", dataset(shelf, subject, more=more))
    iri = answer.headers["location"]
    assert answer.status_code == 201 and iri.startswith(f"{BASE}/dataset/")
    assert answer.headers["content-type"] == "text/turtle"
    said = Graph().parse(data=answer.text, format="turtle")
    assert (URIRef(iri), RDF.type, DCAT.Dataset) in said
    assert {str(each).partition("#")[0] for each in said.subjects()} == {iri}, "it is about nothing else"
    assert not [each for triple in said for each in triple if each.n3().startswith("_:")], "no blank nodes"
    again = writer.web.get(iri, headers=writer.headers)
    assert (again.content, again.headers["etag"]) == (answer.content, answer.headers["etag"])


@pytest.mark.parametrize("media_type", FORMATS)
def test_every_format_is_read_and_written(writer: Writer, shelf: str, media_type: str) -> None:
    sent = Graph().parse(data=dataset(shelf, "<http://x.test/d>"), format="turtle")
    body = sent.serialize(format=FORMATS[media_type], encoding="utf-8")
    answer = writer.send(
        "POST", "/dataset", body, Content_Type=f"{media_type}; charset=utf-8", Accept=media_type
    )
    assert (answer.status_code, answer.headers["content-type"]) == (201, media_type)
    kept = Graph().parse(data=answer.text, format=FORMATS[media_type])
    iri = URIRef(answer.headers["location"])
    for path in (DCTERMS.title, DCTERMS.description, DCAT.keyword, DCAT.theme, DCTERMS.isPartOf):
        assert set(kept.objects(iri, path)) == set(sent.objects(URIRef("http://x.test/d"), path))
    agent = kept.value(iri, DCTERMS.publisher)
    assert kept.value(agent, FOAF.name).toPython() == "Institute of Examples"


def test_the_hub_adds_what_only_it_knows(writer: Writer, shelf: str) -> None:
    iri = writer.made("dataset", dataset(shelf, said='; dct:identifier "LUNG-1"'))
    assert writer.values(iri, DCTERMS.hasVersion) == ["1"]
    assert writer.values(iri, FDP_O.metadataIdentifier) == [f"{iri}#metadata"]
    assert writer.values(iri, DCTERMS.identifier) == ["LUNG-1"], "as it was posted"
    (profile,) = writer.values(iri, DCTERMS.conformsTo)
    named = writer.web.get(profile.removeprefix(BASE)).text
    assert named == writer.web.get(f"{iri}/spec", headers=writer.headers).text
    said = writer.made("dataset", dataset(shelf, said='; dct:hasVersion "2024b"'))
    assert writer.values(said, DCTERMS.hasVersion) == ["2024b"]


def test_a_page_at_the_old_address_stays_there(writer: Writer, shelf: str) -> None:
    old = "https://archive.example.org/projects/LUNG"
    iri = writer.made("dataset", dataset(shelf, f"<{old}>", said=f"; dcat:landingPage <{old}>"))
    assert writer.values(iri, DCAT.landingPage) == [old]


def test_names_below_the_old_one_move_with_it(writer: Writer, shelf: str) -> None:
    more = '<http://x.test/d#me> a foaf:Agent ; foaf:name "Me" .'
    iri = writer.made(
        "dataset", dataset(shelf, "<http://x.test/d>", said="; dct:creator <http://x.test/d#me>", more=more)
    )
    assert writer.values(iri, DCTERMS.creator) == [f"{iri}#me"]


def test_blank_nodes_never_take_a_name_that_is_there(writer: Writer, shelf: str) -> None:
    more = '<#genid-1> a foaf:Agent ; foaf:name "Mine" .'
    iri = writer.made("dataset", dataset(shelf, said="; dct:creator <#genid-1>", more=more))
    graph = writer.graph(iri)
    assert graph.value(URIRef(f"{iri}#genid-1"), FOAF.name).toPython() == "Mine"
    assert (
        graph.value(graph.value(URIRef(iri), DCTERMS.publisher), FOAF.name).toPython()
        == "Institute of Examples"
    )


@pytest.mark.parametrize("parent", [f"dct:isPartOf <{ROOT}> ;", f"dct:isPartOf <{BASE}> ;", ""])
def test_a_catalog_is_part_of_the_root(writer: Writer, parent: str) -> None:
    iri = writer.made("catalog", catalog().replace("dct:title", f"{parent} dct:title"))
    assert writer.values(iri, DCTERMS.isPartOf) == [ROOT]


# -- replacing -----------------------------------------------------------------------------------------------------


def test_what_was_read_can_be_sent_back_changed(writer: Writer, shelf: str) -> None:
    iri = writer.made("dataset", dataset(shelf))
    file = writer.made("distribution", distribution(iri))
    writer.publish(iri, file)
    for round_, media_type in enumerate(FORMATS, start=2):
        read = writer.web.get(iri, headers={**writer.headers, "Accept": media_type})
        graph = Graph().parse(data=read.text, format=FORMATS[media_type])
        graph.set((URIRef(iri), DCTERMS.title, graph.value(URIRef(iri), DCTERMS.title) + "!"))
        body = graph.serialize(format=FORMATS[media_type], encoding="utf-8")
        answer = writer.send(
            "PUT", iri, body, Content_Type=media_type, Accept=media_type, If_Match=read.headers["etag"]
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] != read.headers["etag"]
        assert writer.values(iri, DCTERMS.hasVersion) == [str(round_)], (
            "the hub counts where nothing else is said"
        )
    assert writer.values(iri, DCTERMS.title) == ["Hand-written lungs!!!!"]
    assert writer.values(iri, DCAT.distribution) == [file], "the children stay"
    assert writer.web.get(iri).status_code == 200, "and so does the state"


def test_sending_the_same_again_changes_nothing(writer: Writer, shelf: str) -> None:
    iri = writer.made("dataset", dataset(shelf))
    before = writer.web.get(iri, headers=writer.headers)
    answer = writer.send("PUT", iri, before.content)
    assert (answer.status_code, answer.headers["etag"]) == (200, before.headers["etag"])
    assert isomorphic(Graph().parse(data=answer.text), Graph().parse(data=before.text))


@pytest.mark.parametrize("subject", ["<>", "<https://archive.example.org/LUNG>", "_:x"])
def test_a_replacement_may_name_the_resource_as_it_likes(writer: Writer, shelf: str, subject: str) -> None:
    iri = writer.made("dataset", dataset(shelf, "<https://archive.example.org/LUNG>"))
    answer = writer.send("PUT", iri, dataset(shelf, subject, title="New"))
    assert answer.status_code == 200
    assert writer.values(iri, DCTERMS.title) == ["New"]


def test_a_replacement_shows_everywhere(
    web: TestClient, writer: Writer, shelf: str, projector: Projector
) -> None:
    iri = writer.made("dataset", dataset(shelf, title="Kidneys"))
    writer.publish(iri)
    projector.project()
    assert writer.send("PUT", iri, dataset(shelf, title="Spleens")).status_code == 200
    projector.project()
    assert asked(web, f"SELECT ?t {{ <{iri}> dct:title ?t }}") == ["Spleens"]
    assert web.get("/search?q=kidneys").json()["count"] == 0
    assert web.get("/search?q=spleens").json()["count"] == 1


def test_a_stale_etag_is_refused_and_one_of_any_format_taken(writer: Writer, shelf: str) -> None:
    iri = writer.made("dataset", dataset(shelf))
    tags = [
        writer.web.get(iri, headers={**writer.headers, "Accept": each}).headers["etag"] for each in FORMATS
    ]
    assert len(set(tags)) == len(FORMATS)
    for number, tag in enumerate(tags):
        answer = writer.send("PUT", iri, dataset(shelf, title=f"Title {number}"), If_Match=tag)
        assert answer.status_code == (200 if number == 0 else 412)
    assert answer.json()["code"] == "FB-CAT-085"
    for tag in ('"x"', f"W/{answer.headers.get('etag', tags[0])}", "x", ""):
        assert writer.send("PUT", iri, dataset(shelf), If_Match=tag).status_code == 412, tag
        refused = writer.web.delete(iri, headers={**writer.headers, "If-Match": tag})
        assert refused.status_code == 412
    assert writer.send("PUT", iri, dataset(shelf), If_Match="*").status_code == 200
    now = writer.web.get(iri, headers=writer.headers).headers["etag"]
    assert writer.send("PUT", iri, dataset(shelf, title="Last"), If_Match=f'"x", {now}').status_code == 200


def test_of_many_replacements_of_one_state_exactly_one_wins(hub: Hub, writer: Writer, shelf: str) -> None:
    iri = writer.made("dataset", dataset(shelf))
    tag = writer.web.get(iri, headers=writer.headers).headers["etag"]
    statuses: list[int] = []
    begin = threading.Barrier(6)
    clients = [TestClient(create_app(hub), base_url=BASE) for _ in range(6)]

    def send(number: int) -> None:
        begin.wait(30)
        answer = clients[number].put(
            iri, content=dataset(shelf, title=f"By {number}"),
            headers={**writer.headers, "Content-Type": "text/turtle", "If-Match": tag},
        )  # fmt: skip
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sorted(statuses) == [200, *[412] * 5]
    assert writer.values(iri, DCTERMS.hasVersion) == ["2"]


# -- deleting ------------------------------------------------------------------------------------------------------


def test_what_is_deleted_is_gone_with_all_below_it(
    hub: Hub, web: TestClient, writer: Writer, shelf: str, projector: Projector
) -> None:
    committee = log_in(hub, web, "carla", Role.COMMITTEE).headers
    iri = writer.made("dataset", dataset(shelf, title=CANARY))
    file = writer.made("distribution", distribution(iri, title=CANARY))
    writer.publish(iri, file)
    draft = writer.made("dataset", dataset(shelf, title=CANARY))
    assert CANARY in public_texts(hub, web, committee, projector)["store"]
    answer = writer.web.delete(shelf, headers={**writer.headers, "Content-Type": "application/json"})
    assert (answer.status_code, answer.content) == (204, b"")
    for address in (shelf, iri, file):
        for headers in ({}, writer.headers):
            gone = web.get(address, headers=headers)
            assert (gone.status_code, gone.json()["code"]) == (410, "FB-CAT-089")
            assert CANARY not in gone.text
    assert web.get(draft, headers=writer.headers).status_code == 404, "nobody ever saw it"
    for place, text in public_texts(hub, web, committee, projector).items():
        if place != "store":
            # Files that were replaced are left to the store's own housekeeping.
            assert CANARY not in text and iri not in text, place
    assert asked(web, f'SELECT ?s {{ ?s ?p "{CANARY}" }}') == []
    assert writer.send("PUT", iri, dataset(shelf)).status_code == 410
    assert writer.web.delete(iri, headers=writer.headers).status_code == 410


def test_every_act_is_in_the_audit_log(hub: Hub, writer: Writer, shelf: str) -> None:
    writer.send("PUT", shelf, catalog(title="Other"))
    writer.web.delete(shelf, headers=writer.headers)
    with reading(hub.engine) as session:
        acts = session.scalars(
            select(audit.HubAudit.act).where(audit.HubAudit.target == shelf).order_by(audit.HubAudit.seq)
        ).all()
        audit.verify(session, audit.HubAudit)
    assert acts == [f"described.{act}" for act in ("create", "publish", "replace", "delete")]


# -- what nodes publish --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/datasets/alpha/lungs", "/dataset/alpha/lungs", "/catalog/alpha", "/datasets/alpha/none"]
)
def test_what_a_node_has_signed_is_not_written_here(writer: Writer, published: Make, path: str) -> None:
    published("lungs")
    before = writer.web.get("/datasets/alpha/lungs").headers["etag"]
    for method, below in (("PUT", ""), ("DELETE", ""), ("PUT", "/meta/state")):
        answer = writer.send(method, path + below, json.dumps({"current": "PUBLISHED"}))
        assert (answer.status_code, answer.json()["code"]) == (403, "FB-CAT-087"), (method, below)
        assert "signed" in answer.json()["why"]
    assert writer.web.get("/datasets/alpha/lungs").headers["etag"] == before


@pytest.mark.parametrize(
    ("parent", "status", "code"),
    [
        (f"{BASE}/catalog/alpha", 403, "FB-CAT-087"),
        (f"{BASE}/catalog/nobody", 400, "FB-CAT-084"),
        (f"{BASE}/catalog/019b76da-a800-7000-8000-0000000000ff", 400, "FB-CAT-084"),
        (ROOT, 400, "FB-CAT-084"),
        ("https://elsewhere.example.org/catalog/1", 400, "FB-CAT-084"),
    ],
)
def test_a_dataset_is_part_of_a_catalog_that_was_described_here(
    writer: Writer, published: Make, parent: str, status: int, code: str
) -> None:
    published("lungs")
    answer = writer.send("POST", "/dataset", dataset(parent))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_distribution_is_part_of_a_dataset_that_was_described_here(
    writer: Writer, published: Make, shelf: str
) -> None:
    published("lungs")
    for parent, status in ((f"{BASE}/datasets/alpha/lungs", 403), (shelf, 400)):
        assert writer.send("POST", "/distribution", distribution(parent)).status_code == status


def test_a_resource_stays_where_it_was_made(writer: Writer, shelf: str) -> None:
    other = writer.made("catalog", catalog())
    iri = writer.made("dataset", dataset(shelf))
    answer = writer.send("PUT", iri, dataset(other))
    assert (answer.status_code, answer.json()["code"]) == (400, "FB-CAT-084")
    none = dataset(shelf).replace(f"dct:isPartOf <{shelf}> ;", "")
    both = dataset(shelf, said=f"; dct:isPartOf <{other}>")
    for content in (none, both):
        assert writer.send("POST", "/dataset", content).json()["code"] == "FB-CAT-084"


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["catalog", "dataset", "distribution"])
@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"x" * 10 * 2**20, "text/turtle", 413, "FB-CAT-013"),
        (b"<> <http://p.test/p>", "text/turtle", 400, "FB-CAT-080"),
        (b"", "text/turtle", 400, "FB-CAT-083"),
        (b"{}", "application/json", 415, "FB-CAT-081"),
        (b"<> <http://p.test/p> 'a\\u0000b' .", "text/turtle", 400, "FB-CAT-083"),
        (b"<> <http://purl.org/dc/terms/issued> '2024-13-45'^^<http://www.w3.org/2001/XMLSchema#date> .", "text/turtle",
         400, "FB-CAT-083"),
        (b'{"a": ' * 50_000, "application/ld+json", 400, "FB-CAT-083"),
    ],
)  # fmt: skip
def test_a_bad_body_changes_nothing(
    hub: Hub, writer: Writer, shelf: str, kind: str, content: bytes, content_type: str, status: int, code: str
) -> None:
    with reading(hub.engine) as session:
        before = audit.head(session, audit.HubAudit)
    for method, address in (("POST", f"/{kind}"), ("PUT", shelf)):
        answer = writer.send(method, address, content, Content_Type=content_type, Accept="text/turtle")
        assert (answer.status_code, answer.json()["code"]) == (status, code), method
        assert answer.headers["content-type"] == "application/problem+json"
    with reading(hub.engine) as session:
        assert audit.head(session, audit.HubAudit) == before


def test_a_body_without_a_length_is_refused(writer: Writer) -> None:
    answer = writer.web.post("/catalog", content=iter([b"<> ", b"a <x> ."]), headers=writer.headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "FB-CAT-014")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_does_not_fit_the_shapes_is_told_as_the_caller_likes(
    writer: Writer, shelf: str, method: str
) -> None:
    content = catalog().replace("dct:title", "dct:alternative")
    address = "/catalog" if method == "POST" else shelf
    for accept in ("*/*", "application/json", "application/problem+json, text/turtle;q=0.5"):
        answer = writer.send(method, address, content, Accept=accept)
        assert (answer.status_code, answer.json()["code"]) == (400, "FB-CAT-082"), accept
        (result,) = answer.json()["results"]
        assert result["path"] == str(DCTERMS.title) and result["component"] == "MinCountConstraintComponent"
    for media_type, name in FORMATS.items():
        answer = writer.send(method, address, content, Accept=media_type)
        assert (answer.status_code, answer.headers["content-type"]) == (400, media_type)
        report = Graph().parse(data=answer.text, format=name)
        assert "http://www.w3.org/ns/shacl#ValidationReport" in {
            str(each) for each in report.objects(None, RDF.type)
        }
    assert writer.values(shelf, DCTERMS.title) == ["Described by hand"]


@pytest.mark.parametrize("kind", ["catalog", "dataset", "distribution"])
def test_unknown_addresses_are_not_found(writer: Writer, kind: str) -> None:
    address = f"/{kind}/019b76da-a800-7000-8000-0000000000ff"
    read = [("GET", below) for below in ("", "/meta", "/meta/state", "/spec", "/expanded")]
    calls = [*read, ("DELETE", ""), ("PUT", "")]
    for method, below in calls:
        answer = writer.send(method, address + below, catalog())
        assert (answer.status_code, answer.json()["code"]) == (404, "FB-CAT-086"), (method, below)
    answer = writer.web.put(f"{address}/meta/state", json={"current": "PUBLISHED"}, headers=writer.headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "FB-CAT-086")


def test_a_kind_is_found_under_its_own_address_only(writer: Writer, shelf: str) -> None:
    assert writer.web.get(shelf.replace("/catalog/", "/dataset/"), headers=writer.headers).status_code == 404


@pytest.mark.parametrize("accept", ["application/trig", "application/json", "image/png"])
def test_what_was_written_is_answered_in_turtle_if_nothing_else_will_do(writer: Writer, accept: str) -> None:
    answer = writer.send("POST", "/catalog", catalog(), Accept=accept)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "text/turtle")
    assert (
        writer.web.get(answer.headers["location"], headers={**writer.headers, "Accept": accept}).status_code
        == 406
    )


def test_a_reader_who_holds_a_document_gets_304_and_head_works(writer: Writer, shelf: str) -> None:
    first = writer.web.get(shelf)
    again = writer.web.get(shelf, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert writer.web.head(shelf).headers["etag"] == first.headers["etag"]
    iri = writer.made("dataset", dataset(shelf))
    assert writer.web.get(shelf).headers["etag"] == first.headers["etag"], "a draft changes nothing"
    writer.publish(iri)
    assert writer.web.get(shelf).headers["etag"] != first.headers["etag"]
    relations = {
        part.split('rel="')[1].split('"')[0] for part in writer.web.get(iri).headers["link"].split(", ")
    }
    assert {"cite-as", "type", "collection", "describedby"} <= relations


def test_what_is_described_comes_in_the_words_of_schema_org(
    web: TestClient, writer: Writer, shelf: str
) -> None:
    iri = writer.made("dataset", dataset(shelf, said="; dct:license <https://x.test/licence>"))
    file = writer.made("distribution", distribution(iri))
    asked_for = {"Accept": 'application/ld+json;profile="https://schema.org/"'}
    assert web.get(iri, headers=asked_for).status_code == 404, "a draft"
    writer.publish(iri, file)
    said = web.get(iri, headers=asked_for).json()
    assert (said["@type"], said["@id"], said["name"]) == ("Dataset", iri, "Hand-written lungs")
    assert said["license"] == "https://x.test/licence" and sorted(said["keywords"]) == ["lung", "paper"]
    assert said["publisher"]["name"] == "Institute of Examples"
    assert said["includedInDataCatalog"]["@id"] == shelf
    assert [each["@id"] for each in said["distribution"]] == [file]
    above = web.get(f"{shelf}?profile=schema.org").json()
    assert (above["@type"], [each["@id"] for each in above["dataset"]]) == ("DataCatalog", [iri])
    assert web.get(f"{file}?profile=schema.org").json()["isPartOf"]["@id"] == iri


def test_the_root_says_when_something_was_last_published(
    hub: Hub, web: TestClient, writer: Writer, shelf: str
) -> None:
    def modified() -> str:
        graph = Graph().parse(data=web.get("/", headers={"Accept": "text/turtle"}).text, format="turtle")
        return str(graph.value(URIRef(ROOT), FDP_O.metadataModified))

    before = modified()
    hub.clock.advance(3600)
    iri = writer.made("dataset", dataset(shelf))
    assert modified() == before, "a draft says nothing"
    writer.publish(iri)
    assert modified() > before
