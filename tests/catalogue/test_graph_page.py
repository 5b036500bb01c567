"""Documents of the FAIR Data Point as pages: for browsers only, and nothing of a record becomes a script."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pyoxigraph as ox
import pytest
from starlette.testclient import TestClient

from fairbank.catalogue import graph_page

Make = Callable[..., Any]
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class Seen(HTMLParser):
    """Tags, links and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links |= {value or "" for name, value in attrs if name == "href"}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("path", ["/fdp", "/catalog", "/catalog/alpha", "/datasets/alpha/lungs"])
def test_a_browser_gets_a_page_and_harvesters_what_they_had(
    client: TestClient, released: Make, path: str
) -> None:
    released("lungs", title="Lungs <script>alert(1)</script>")
    page = client.get(path, headers={"Accept": BROWSER})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Accept" in page.headers["vary"] and page.headers["etag"]
    seen = Seen(page.text)
    assert "script" not in seen.tags and "h1" in seen.tags and "table" in seen.tags
    again = client.get(path, headers={"Accept": BROWSER, "If-None-Match": page.headers["etag"]})
    assert again.status_code == 304
    for accept in ("text/turtle", "text/turtle, text/html", "application/rdf+xml"):
        assert "html" not in client.get(path, headers={"Accept": accept}).headers["content-type"]


def test_the_page_of_a_dataset_says_its_title_and_links_what_is_beside_it(
    client: TestClient, released: Make
) -> None:
    iri = "http://hub.test/datasets/alpha/lungs"
    released("lungs", title="Lungs & more")
    seen = Seen(client.get("/datasets/alpha/lungs", headers={"Accept": "text/html"}).text)
    assert "Lungs & more" in seen.text and iri in seen.links


def test_only_addresses_of_the_web_become_links() -> None:
    about = ox.NamedNode("http://a.test/1")
    said = [
        ox.NamedNode("javascript:alert(1)"),
        ox.NamedNode('http://b.test/"onclick'.replace('"', "%22")),
        ox.Literal("<b>"),
    ]
    seen = Seen(graph_page.page([ox.Triple(about, ox.NamedNode("http://a.test/p"), each) for each in said]))
    assert [link for link in seen.links if not link.startswith("http")] == ["/static/app.css"]
    assert "javascript:alert(1)" in seen.text and "<b>" in seen.text and "b" not in seen.tags
