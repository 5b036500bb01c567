"""The hub as a FAIR Data Point: a harvester that follows links finds all that is visible, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyshacl
import pytest
from rdflib import Graph, URIRef
from rdflib.namespace import DCAT, DCTERMS, RDF, Namespace
from starlette.testclient import TestClient

from fairbank.catalogue import records
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.records import Visibility
from fairbank.database import writing
from fairbank.ontology import terms
from fairbank.ontology.counts import Count
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.record import Totals
from fairbank.ontology.stewardship import Guideline, Stewardship

Make = Callable[..., Any]
BASE = "http://hub.test"
ROOT = f"{BASE}/"
LUNGS = f"{BASE}/datasets/alpha/lungs"
LDP = Namespace("http://www.w3.org/ns/ldp#")
FDP_O = Namespace("https://w3id.org/fdp/fdp-o#")
FORMATS = {
    "text/turtle": "turtle",
    "application/n-triples": "nt",
    "application/ld+json": "json-ld",
    "application/rdf+xml": "xml",
}
TURTLE = {"Accept": "text/turtle"}
EXTRA = Stewardship(samples=("https://alpha.test/sample",), analytics=("https://alpha.test/numbers",))
CANARY = "canary-title"
DOCUMENTS = [
    "/",
    "/expanded",
    "/catalog",
    "/catalog/alpha",
    "/catalog/alpha/expanded",
    "/datasets/alpha/lungs",
    "/datasets/alpha/lungs/expanded",
    "/datasets/alpha/lungs/distributions",
    "/datasets/alpha/lungs/distributions/in-situ",
]
SHAPES = [
    "/spec",
    "/catalog/alpha/spec",
    "/datasets/alpha/lungs/spec",
    "/profile/fdp-1.2",
    "/profile/fdp-1.2-root",
]
METAS = ["/meta", "/catalog/alpha/meta", "/datasets/alpha/lungs/meta"]
OF_A_DATASET = [
    "",
    "/expanded",
    "/distributions",
    "/distributions/in-situ",
    "/spec",
    "/meta",
    "?profile=fdp-1.2",
]


@pytest.fixture
def web(hub: Hub, app_of: Make) -> TestClient:
    return TestClient(app_of(hub), base_url=BASE)


def release_three(released: Make) -> Make:
    """Publish three datasets of two biobanks."""
    released("lungs", "brains", stewardship=EXTRA)
    released("hearts", node="beta", title="Hearts of Beta")
    return released


@pytest.fixture
def point(released: Make) -> Make:
    return release_three(released)


@pytest.fixture(scope="module")
def shown(shared_hub: Make, app_of: Make) -> TestClient:
    """A hub with those three, which no test may change."""
    shared = shared_hub()
    release_three(shared.publish)
    return TestClient(app_of(shared.hub), base_url=BASE)


def hide(hub: Hub, iri: str) -> None:
    with writing(hub.engine) as session:
        records.set_visibility(session, hub, iri=iri, visibility=Visibility.HIDDEN, actor="admin")


def read(web: TestClient, iri: str) -> Graph:
    """Return the document at an IRI, as a harvester reads it."""
    answer = web.get(iri.partition("#")[0].removeprefix(BASE), headers=TURTLE)
    assert answer.status_code == 200, (iri, answer.text)
    assert answer.headers["content-type"] == "text/turtle"
    return Graph().parse(data=answer.text, format="turtle", publicID=iri)


def children(web: TestClient, parent: str, path: URIRef) -> list[str]:
    """Return what a resource links to, on all pages, and check that its container says the same."""
    found, address = [], parent
    while address:
        answer = web.get(address.removeprefix(BASE), headers=TURTLE)
        graph = Graph().parse(data=answer.text, format="turtle")
        page = sorted(graph.objects(URIRef(parent), path))
        assert (URIRef(parent), RDF.type, LDP.DirectContainer) in graph
        assert (URIRef(parent), LDP.membershipResource, URIRef(parent)) in graph
        assert list(graph.objects(URIRef(parent), LDP.hasMemberRelation)) == [path]
        assert sorted(graph.objects(URIRef(parent), LDP.contains)) == page
        found += [str(each) for each in page]
        address = answer.links["next"]["url"] if "next" in answer.links else ""
    return found


def walk(web: TestClient) -> tuple[list[str], list[str], list[str]]:
    """Return catalogs, datasets and distributions in the order in which links lead to them."""
    catalogs = children(web, ROOT, FDP_O.metadataCatalog)
    datasets = [each for catalog in catalogs for each in children(web, catalog, DCAT.dataset)]
    return (
        catalogs,
        datasets,
        [each for dataset in datasets for each in children(web, dataset, DCAT.distribution)],
    )


def violations(graph: Graph, shapes: str) -> list[str]:
    _, report, _ = pyshacl.validate(graph, shacl_graph=Graph().parse(data=shapes, format="turtle"))
    sh = Namespace("http://www.w3.org/ns/shacl#")
    return [
        str(report.value(each, sh.resultMessage)) for each in report.subjects(sh.resultSeverity, sh.Violation)
    ]


# -- a harvester ---------------------------------------------------------------------------------------------------


def test_a_walk_from_the_root_finds_everything_once(shown: TestClient) -> None:
    catalogs, datasets, found = walk(shown)
    assert catalogs == [f"{BASE}/catalog/alpha", f"{BASE}/catalog/beta"]
    assert datasets == [f"{BASE}/datasets/{name}" for name in ("alpha/brains", "alpha/lungs", "beta/hearts")]
    assert found == [f"{dataset}#in-situ" for dataset in datasets]
    for distribution in found:
        assert (URIRef(distribution), RDF.type, DCAT.Distribution) in read(shown, distribution)


def test_each_level_fits_the_shapes_that_it_names(shown: TestClient) -> None:
    catalogs, datasets, _ = walk(shown)
    for iri in (ROOT, *catalogs, *datasets):
        graph = read(shown, iri)
        (profile,) = [
            each for each in graph.objects(URIRef(iri), DCTERMS.conformsTo) if str(each).startswith(BASE)
        ]
        named = shown.get(str(profile).removeprefix(BASE), headers=TURTLE).text
        spec = shown.get(iri.removeprefix(BASE).rstrip("/") + "/spec", headers=TURTLE).text
        assert named == spec
        assert violations(graph, spec) == []
        assert not [each for triple in graph for each in triple if each.n3().startswith("_:")], (
            "no blank nodes"
        )


def test_a_dataset_with_withheld_counts_and_holdings_fits_its_shapes(web: TestClient, released: Make) -> None:
    below = Count.below(10)
    released(
        "lungs",
        totals=Totals(subjects=below, studies=below, series=below, instances=below),
        stewardship=Stewardship(
            conditions=("lung-cancer",),
            annotation_guideline=Guideline(title="How lesions are drawn"),
            biorepositories=("bbmri-eric:ID:DE_BMBH",),
            biomarkers=("suv",),
            omics_held=True,
            planned_time_points=3,
            planned_follow_up="P5Y",
        ),
    )
    graph = read(web, LUNGS)
    assert violations(graph, web.get("/datasets/alpha/lungs/spec").text) == []
    # Once from what SPARQL sees, once from the layer of the FAIR Data Point: the same triple.
    assert len(list(graph.objects(URIRef(LUNGS), URIRef(terms.SUBJECT_BELOW)))) == 1
    assert len(list(graph.objects(URIRef(LUNGS), URIRef(terms.PLANNED_TIME_POINTS)))) == 1


@pytest.mark.parametrize(
    ("path", "iri", "missing"),
    [
        ("/", ROOT, "FAIRDataPoint says no fdp-o:conformsToFdpSpec."),
        ("/catalog/alpha", f"{BASE}/catalog/alpha", "Catalog says no dct:title."),
        ("/datasets/alpha/lungs", LUNGS, "Dataset says no dct:title."),
    ],
)
def test_the_shapes_see_what_is_missing(shown: TestClient, path: str, iri: str, missing: str) -> None:
    graph = read(shown, iri)
    graph.remove((URIRef(iri), FDP_O.conformsToFdpSpec if path == "/" else DCTERMS.title, None))
    assert violations(graph, shown.get(path.rstrip("/") + "/spec").text) == [missing]


@pytest.mark.parametrize("path", ["/catalog/alpha", "/catalog/alpha/expanded"])
def test_long_catalogs_come_in_pages(web: TestClient, released: Make, path: str) -> None:
    released(*(f"set-{number}" for number in range(5)))
    address, seen = f"{path}?limit=2", []
    while address:
        answer = web.get(address, headers=TURTLE)
        graph = Graph().parse(data=answer.text, format="turtle")
        seen.append(len(list(graph.objects(URIRef(f"{BASE}/catalog/alpha"), LDP.contains))))
        address = answer.links.get("next", {}).get("url", "").removeprefix(BASE)
    assert seen == [2, 2, 1]


def test_every_distribution_that_a_document_names_can_be_read(shown: TestClient) -> None:
    named = set()
    for query in ("", *(f"?profile={name}" for name in PROFILES)):
        graph = Graph().parse(
            data=shown.get(f"/datasets/alpha/lungs{query}", headers=TURTLE).text, format="turtle"
        )
        named |= set(graph.subjects(RDF.type, DCAT.Distribution)) | set(
            graph.objects(None, DCAT.distribution)
        )
    assert {str(each) for each in named} == {
        f"{LUNGS}#{name}" for name in ("in-situ", "sample-1", "analytics-1")
    }
    container = read(shown, f"{LUNGS}/distributions")
    assert set(container.objects(None, LDP.contains)) == named
    for each in named:
        assert list(read(shown, str(each)).predicate_objects(each)), "its IRI leads to a description"
        own = read(shown, f"{LUNGS}/distributions/{str(each).partition('#')[2]}")
        assert (each, RDF.type, DCAT.Distribution) in own
        assert list(own.objects(each, DCAT.accessURL))


def test_the_container_of_all_catalogs_is_the_root_s(shown: TestClient) -> None:
    graph = read(shown, f"{BASE}/catalog")
    iri = URIRef(f"{BASE}/catalog")
    assert graph.value(iri, LDP.membershipResource) == URIRef(ROOT)
    assert sorted(graph.objects(iri, LDP.contains)) == [
        URIRef(f"{BASE}/catalog/{name}") for name in ("alpha", "beta")
    ]


def test_what_is_inline_is_what_the_children_say(shown: TestClient) -> None:
    inline = read(shown, f"{BASE}/catalog/alpha/expanded")
    for dataset in ("lungs", "brains"):
        iri = URIRef(f"{BASE}/datasets/alpha/{dataset}")
        assert (iri, RDF.type, DCAT.Dataset) in inline
        assert set(inline.triples((iri, None, None))) <= set(read(shown, str(iri)))
    assert (URIRef(f"{BASE}/catalog/beta"), RDF.type, DCAT.Catalog) in read(shown, f"{BASE}/expanded")
    assert (URIRef(f"{LUNGS}#sample-1"), RDF.type, DCAT.Distribution) in read(shown, f"{LUNGS}/expanded")


# -- formats and conditional requests ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_says_the_same_in_every_format(shown: TestClient, path: str) -> None:
    found = set()
    for media_type, name in FORMATS.items():
        answer = shown.get(path, headers={"Accept": media_type})
        assert answer.headers["content-type"] == media_type
        found.add(frozenset(Graph().parse(data=answer.text, format=name)))
    assert len(found) == 1 and len(found.pop()) > 3


@pytest.mark.parametrize("path", [*DOCUMENTS, *SHAPES, *METAS])
def test_a_reader_who_holds_a_document_gets_304_and_head_works(shown: TestClient, path: str) -> None:
    headers = {"Accept": "application/json" if path in METAS else "text/turtle"}
    first = shown.get(path, headers=headers)
    assert first.status_code == 200 and "Accept" in first.headers["vary"]
    again = shown.get(path, headers={**headers, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert shown.get(path, headers={**headers, "If-None-Match": '"other"'}).status_code == 200
    head = shown.head(path, headers=headers)
    assert (head.status_code, head.headers["etag"]) == (200, first.headers["etag"])
    assert shown.get(path, headers={"Accept": "application/trig"}).status_code == 406


def test_the_etag_follows_what_is_published(web: TestClient, point: Make) -> None:
    before = {
        path: web.get(path, headers=TURTLE).headers["etag"]
        for path in ("/catalog/alpha", "/datasets/alpha/lungs")
    }
    point("lungs", version=2, title="Another title")
    point("new")
    for path, etag in before.items():
        assert web.get(path, headers={**TURTLE, "If-None-Match": etag}).status_code == 200


def test_browsers_and_programs_get_at_the_root_what_they_got_before(shown: TestClient) -> None:
    browser = shown.get(
        "/", headers={"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    )
    assert browser.headers["content-type"].startswith("text/html")
    for accept in ("application/json", "*/*"):
        assert shown.get("/", headers={"Accept": accept}).json()["base_iri"] == BASE
    both = shown.get("/", headers={"Accept": "text/turtle, text/html;q=0.5"})
    assert both.headers["content-type"] == "text/turtle"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/catalog/nobody", "FB-CAT-110"),
        ("/catalog/nobody/spec", "FB-CAT-110"),
        ("/datasets/alpha/lungs/distributions/other", "FB-CAT-111"),
        ("/profile/none", "FB-ONT-003"),
    ],
)
def test_what_is_not_there_is_said(shown: TestClient, path: str, code: str) -> None:
    answer = shown.get(path, headers=TURTLE)
    assert (answer.status_code, answer.json()["code"]) == (404, code)


# -- who sees what -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hidden", "withdrawn"])
def test_what_is_hidden_or_withdrawn_is_on_no_route(
    hub: Hub, web: TestClient, point: Make, person_named: Make, how: str
) -> None:
    node = point("secret", title=CANARY)
    iri, path = f"{BASE}/datasets/alpha/secret", "/datasets/alpha/secret"
    assert iri in walk(web)[1]
    if how == "hidden":
        hide(hub, iri)
    else:
        body = b'{"schema": "withdrawal/1", "reason": "error"}'
        assert node.send("PUT", "/v1/datasets/secret/withdrawal", body).status_code == 200
    for address in [*DOCUMENTS, *METAS]:
        answer = web.get(address, headers={"Accept": "text/turtle, application/json;q=0.5"})
        assert answer.status_code == 200
        assert CANARY not in answer.text and "secret" not in answer.text, address
    for below in OF_A_DATASET:
        answer = web.get(path + below, headers={"Accept": "*/*"})
        assert answer.status_code == (404 if how == "hidden" else 410)
        assert CANARY not in answer.text and CANARY not in str(answer.headers)
    assert iri not in walk(web)[1]
    member = person_named("carla", Role.ADMIN)
    meta = web.get(path + "/meta", headers=member.headers)
    assert meta.status_code == (200 if how == "hidden" else 410)
    if how == "hidden":
        assert meta.json()["state"]["current"] == "DRAFT"


def test_the_catalog_of_a_node_that_was_shut_out_stays_while_it_shows_something(
    hub: Hub, web: TestClient, point: Make, person_named: Make
) -> None:
    admin = person_named("anna", Role.ADMIN)
    assert web.delete("/v1/nodes/beta", headers=admin.headers).status_code == 204
    assert web.get("/catalog/beta", headers=TURTLE).status_code == 200
    hide(hub, f"{BASE}/datasets/beta/hearts")
    assert web.get("/catalog/beta", headers=TURTLE).status_code == 404
    assert walk(web)[0] == [f"{BASE}/catalog/alpha"]


def test_metadata_about_metadata_says_state_path_and_permissions(web: TestClient, point: Make) -> None:
    meta = web.get("/datasets/alpha/lungs/meta").json()
    catalog = f"{BASE}/catalog/alpha"
    assert meta["state"]["current"] == "PUBLISHED"
    assert meta["state"]["children"]["distribution"][f"{LUNGS}#in-situ"] == "PUBLISHED"
    assert list(meta["path"]) == [ROOT, catalog, LUNGS]
    assert [entry["parent"] for entry in meta["path"].values()] == [None, ROOT, catalog]
    assert meta["member"] == {
        "user": None,
        "membership": {"name": "reader", "permissions": [{"mask": 1, "code": "R"}]},
    }
    assert sorted(web.get("/catalog/alpha/meta").json()["state"]["children"]["dataset"]) == [
        f"{BASE}/datasets/alpha/brains",
        LUNGS,
    ]
    assert list(web.get("/meta").json()["state"]["children"]["catalog"]) == [catalog, f"{BASE}/catalog/beta"]


def test_access_rights_are_words_of_the_eu(shown: TestClient) -> None:
    rights = set(read(shown, LUNGS).objects(URIRef(LUNGS), DCTERMS.accessRights))
    assert [str(each).rpartition("/")[0] for each in rights] == [
        "http://publications.europa.eu/resource/authority/access-right"
    ]
