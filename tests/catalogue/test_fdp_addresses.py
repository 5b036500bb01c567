"""The addresses that clients of FAIR Data Points build themselves lead to the documents that the IRIs lead to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyoxigraph as ox
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdflib import DCTERMS, Graph
from rdflib.compare import isomorphic
from starlette.testclient import TestClient

from fairbank.catalogue import graph_writing, records
from fairbank.catalogue.context import Hub
from fairbank.catalogue.records import Visibility
from fairbank.database import writing

Make = Callable[..., Any]
BASE = "http://hub.test"
# What a client that accepts everything sends by itself, and the address whose Turtle it gets.
SAME = {
    "/fdp": "/",
    "/dataset": "/datasets",
    "/dataset/alpha/lungs": "/datasets/alpha/lungs",
    "/distribution/alpha/lungs/in-situ": "/datasets/alpha/lungs/distributions/in-situ",
}
TITLE = "Poumons de l'Hôpital 🫁"


@pytest.fixture(scope="module")
def web(shared_hub: Make, app_of: Make) -> TestClient:
    """A hub with one dataset, which no test may change."""
    shared = shared_hub()
    shared.publish("lungs", title=TITLE)
    return TestClient(app_of(shared.hub), base_url=BASE)


def graph(text: str, media_type: str) -> Graph:
    return Graph().parse(data=text, format=media_type)


@pytest.mark.parametrize("address", SAME)
def test_an_address_has_the_document_of_the_iri_as_plain_turtle(web: TestClient, address: str) -> None:
    answer = web.get(address, headers={"Accept": "*/*"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/turtle")
    named = web.get(SAME[address], headers={"Accept": "text/turtle"})
    assert isomorphic(graph(answer.text, "turtle"), graph(named.text, "turtle"))
    if address != "/dataset":
        assert web.head(address, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("address", SAME)
def test_an_address_takes_no_request_for_a_format_that_it_has_not(web: TestClient, address: str) -> None:
    assert web.get(address, headers={"Accept": "image/png"}).status_code == 406


@pytest.mark.parametrize("address", ["/fdp", "/distribution/alpha/lungs/in-situ"])
def test_a_browser_is_shown_a_page(web: TestClient, address: str) -> None:
    page = web.get(address, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    named = web.get(SAME[address], headers={"Accept": "text/turtle"})
    titles = {str(title) for title in graph(named.text, "turtle").objects(None, DCTERMS.title)}
    assert any(f"<h1>{title}</h1>" in page.text for title in titles)


@pytest.mark.parametrize("address", ["/dataset/alpha/lungs", "/distribution/alpha/lungs/in-situ"])
def test_a_hidden_dataset_is_at_no_address(hub: Hub, app_of: Make, released: Make, address: str) -> None:
    released("lungs", title=TITLE)
    own = TestClient(app_of(hub), base_url=BASE)
    with writing(hub.engine) as session:
        records.set_visibility(
            session,
            hub,
            iri=f"{BASE}/datasets/alpha/lungs",
            visibility=Visibility.HIDDEN,
            actor="admin",
        )
    answer = own.get(address)
    assert answer.status_code == 404 and "Poumons" not in answer.text
    assert "lungs" not in own.get("/dataset").text


@pytest.mark.parametrize("wish", ["text/turtle", "application/ld+json", "application/rdf+xml; charset=utf-8"])
@pytest.mark.parametrize("address", ["/", "/catalog/alpha", "/datasets", "/datasets/alpha/lungs"])
def test_who_accepts_everything_may_wish_by_content_type(web: TestClient, address: str, wish: str) -> None:
    answer = web.get(address, headers={"Accept": "*/*", "Content-Type": wish})
    assert answer.headers["content-type"] == wish.partition(";")[0]
    assert "Content-Type" in answer.headers["vary"]


@pytest.mark.parametrize("headers", [{"Accept": "application/json"}, {"Accept": "*/*"}])
def test_what_is_accepted_or_no_graph_goes_before_that_wish(web: TestClient, headers: dict[str, str]) -> None:
    wish = "text/turtle" if headers["Accept"] != "*/*" else "text/html"
    answer = web.get("/datasets/alpha/lungs", headers={**headers, "Content-Type": wish})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("address", ["/catalog/alpha/expanded", "/dataset", "/dataset/alpha/lungs"])
def test_turtle_reads_the_same_for_who_takes_it_for_latin_1(web: TestClient, address: str) -> None:
    answer = web.get(address, headers={"Accept": "text/turtle"})
    read = graph(answer.content.decode("iso-8859-1"), "turtle")
    assert TITLE in {str(value) for value in read.objects()}


LETTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
# Letters that an IRI may hold as they are (RFC 3987).
NAMES = st.text(st.sampled_from("abcÀß脑🧠-_"), min_size=1, max_size=8)


@given(text=st.text(LETTERS, max_size=40), name=NAMES)
def test_escapes_say_what_the_letters_said(text: str, name: str) -> None:
    iri = ox.NamedNode(f"http://example.org/{name}")
    statement = ox.Triple(iri, iri, ox.Literal(text, datatype=iri))
    content = graph_writing.written([statement], "text/turtle", prefixes={"e": "http://example.org/"})
    assert content.isascii()
    assert [quad.triple for quad in ox.parse(content, format=ox.RdfFormat.TURTLE)] == [statement]
