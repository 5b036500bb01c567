"""Comparing, asking by SPARQL, live counts and biobanks: what the pages say of what is there."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from tests.web.filled_hub import Filled
from tests.web.pages.clicks import Clicks
from tests.web.pages.conftest import Bed

from fairbank.catalogue.projector import Projector

HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}


def of(filled: Filled, path: str, *pairs: tuple[str, str], who: str | None = None, **headers: str) -> Any:
    token = filled.people[who].headers if who is not None else {}
    return filled.client.get(f"{path}?{urlencode(pairs)}", headers={**token, **(headers or JSON)})


def test_only_what_differs_is_compared_and_one_that_is_gone_is_named(filled: Filled) -> None:
    names = [("c", name) for name in ("alpha/lungs", "beta/hearts", "alpha/none")]
    page = of(filled, "/compare", *names).json()
    assert page["gone"] == ["alpha/none"] and [each["id"] for each in page["columns"]] == [
        "alpha/lungs",
        "beta/hearts",
    ]
    assert all(line["differs"] for line in page["lines"])
    whole = of(filled, "/compare", *names, ("all", "yes")).json()
    assert len(whole["lines"]) == len(page["lines"]) + page["alike"] > len(page["lines"])
    assert whole["together"]["title"] == "What the collections have"


@pytest.fixture(scope="module")
def asked(filled: Filled) -> Filled:
    """The hub with its RDF view, which the hub makes in the background."""
    projector = Projector(filled.hub)
    assert projector.open()
    projector.project()
    projector.close()
    return filled


def test_a_question_that_cannot_be_read_stays_and_is_marked_where_it_stops(asked: Filled) -> None:
    shown = of(asked, "/sparql", ("query", "SELECT *\nWHERE { ?s ?? ?t }"), **HTML)
    assert shown.status_code == 200
    assert "Line 2 cannot be read from column" in shown.text
    assert "WHERE { ?s ?? ?t }" in shown.text


def test_programs_are_answered_by_the_protocol_as_before(asked: Filled) -> None:
    told = of(asked, "/sparql", Accept="text/turtle")
    assert told.headers["content-type"].startswith("text/turtle")
    refused = of(asked, "/sparql", ("query", "nonsense"), Accept="application/sparql-results+json")
    assert refused.status_code == 400


def test_answers_to_a_question_are_those_of_who_asked(filled: Filled) -> None:
    question = ("id", filled.ids["question"][0])
    page = of(filled, "/counts", question, who="rita").json()
    (answer,) = page["shown"]["answers"]
    assert answer["collection"] == "alpha/lungs" and answer["subjects"]["kind"] == "waiting" and answer["why"]
    assert page["shown"]["at_most"] is None and not page["shown"]["complete"]
    assert of(filled, "/counts", question, who="otto").status_code == 404


def test_criteria_become_a_question_and_a_command(filled: Filled) -> None:
    page = of(filled, "/counts", ("modality", "CT"), ("odd", "1"), who="rita").json()
    assert page["said"] == ["Modality: CT"] and page["ignored"] == ["odd"]
    assert page["command"] == "fairbank search --modality CT --live"
    assert page["published"]["kind"] == "exact"


def test_a_biobank_says_what_it_published(filled: Filled) -> None:
    page = of(filled, "/nodes/alpha").json()
    assert {each["address"] for each in page["published"]} == {
        "/collections/alpha/lungs",
        "/collections/alpha/brains",
    }
    assert page["node"]["collections"] == 2
    assert of(filled, "/nodes/none", **HTML).status_code == 404
    assert "beta" in of(filled, "/nodes", **HTML).text


@pytest.mark.browser
def test_live_counts_take_six_clicks_at_most(bed: Bed) -> None:
    with bed.opened("rita") as tab:
        tab.goto("/")
        clicks = Clicks(tab)
        clicks.click(tab.get_by_role("link", name="Live counts"))
        for value in ("CT", "CHEST", "F"):
            clicks.click(tab.locator(f'input[value="{value}"]'))
        clicks.click("#put")
        tab.get_by_text("fairbank search --modality CT --body-part CHEST --sex F --live").wait_for()
        clicks.click(tab.locator(".list a").first)
        tab.locator("#answers table").wait_for()
        assert clicks.number <= 6
    assert bed.complaints == []
