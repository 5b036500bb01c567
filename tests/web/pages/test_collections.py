"""Finding collections: what the page says is what there is, however it is filtered."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.web.filled_hub import LUNGS, Filled
from tests.web.pages.clicks import Clicks
from tests.web.pages.conftest import BASE, Bed

expect = pytest.importorskip("playwright.sync_api").expect

FILTERS = [
    ("modality", "CT"),
    ("modality", "MR"),
    ("modality", "XX"),
    ("body_part", "CHEST"),
    ("manufacturer", "GE"),
    ("node", "alpha"),
    ("node", "beta"),
    ("sex", "F"),
    ("data_use", "DUO:0000006"),
    ("access_rights", "NON_PUBLIC"),
    ("q", "lung"),
    ("q", "nothing has this"),
]
JSON = {"Accept": "application/json"}
# Facets of which a collection has one value.
ONE_OF_EACH = ("node", "access_rights")


def of(filled: Filled, path: str, pairs: Any = (), **headers: str) -> Any:
    return filled.client.get(f"{path}?{urlencode(list(pairs))}", headers=headers or JSON)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    chosen=st.lists(st.sampled_from(FILTERS), max_size=4, unique_by=lambda pair: pair), size=st.integers(1, 3)
)
def test_the_number_is_that_of_the_rows_of_all_pages_and_of_the_export(
    filled: Filled, chosen: list[tuple[str, str]], size: int
) -> None:
    chosen = [
        pair for at, pair in enumerate(chosen) if pair[0] != "q" or pair[0] not in {p[0] for p in chosen[:at]}
    ]
    rows: list[str] = []
    for offset in itertools.count(0, size):
        page = of(filled, "/collections", [*chosen, ("limit", size), ("offset", offset)]).json()
        if offset and offset >= page["count"]:
            break
        rows += [card["address"] for card in page["cards"]]
        if not page["following"]:
            break
    export = filled.client.get(page["export"], headers=JSON).json()
    text = of(filled, "/collections", chosen, Accept="text/html").text
    assert page["count"] == len(rows) == len(set(rows)) == export["count"] == len(export["datasets"])
    said = "1 collection<" if len(rows) == 1 else f"{len(rows)} collections<"
    assert said in text
    # What a collection has one of adds up: of values that are chosen, those; else all.
    facets = {each["name"]: [*each["choices"], *each["more"]] for each in page["facets"]}
    for name in ONE_OF_EACH:
        picked = [each for each in facets[name] if each["chosen"]] or facets[name]
        assert sum(each["collections"] for each in picked) == page["count"], name
    # All of them in the basket are all of them: on the page, and where they are taken.
    names = [row.removeprefix("/collections/") for row in rows]
    ticks = [("c", name) for name in names]
    basket = of(filled, "/collections", [*chosen, *ticks]).json()
    assert set(basket["ticked"]) == set(names) and basket["elsewhere"] == []
    assert basket["count"] == page["count"], "a tick is no filter"
    if names:
        compared = of(filled, "/compare", ticks).json()
        assert sorted(each["address"] for each in compared["columns"]) == sorted(rows)
    # Values of a filter are alternatives, so that the whole of it is dropped.
    for name in {name for name, _ in chosen}:
        fewer = of(filled, "/collections", [pair for pair in chosen if pair[0] != name]).json()
        assert fewer["count"] >= page["count"]
    if not rows:
        for chip in page["chips"]:
            assert filled.client.get(chip["without"], headers=JSON).json()["count"] == chip["found"]


def test_what_cannot_be_used_is_left_out_and_said(filled: Filled) -> None:
    page = of(
        filled, "/collections", [("modality", "CT"), ("modalty", "MR"), ("offset", "-4"), ("sort", "odd")]
    ).json()
    assert page["ignored"] == ["modalty", "offset", "sort"]
    assert [chip["value"] for chip in page["chips"]] == ["CT"]


def test_the_order_can_be_chosen(filled: Filled) -> None:
    titles = [card["title"] for card in of(filled, "/collections", [("sort", "title")]).json()["cards"]]
    assert titles == sorted(titles)
    for order in ("subjects", "updated"):
        assert of(filled, "/collections", [("sort", order)]).json()["count"] == len(titles)


def test_ticks_are_kept_by_the_address(filled: Filled) -> None:
    page = of(filled, "/collections", [("c", "alpha/lungs"), ("c", "beta/hearts"), ("node", "alpha")]).json()
    assert page["elsewhere"] == ["beta/hearts"]
    assert [card["id"] for card in page["cards"] if card["ticked"]] == ["alpha/lungs"]
    assert "c=beta%2Fhearts" in page["cleared"]


def test_a_collection_says_all_that_is_published_of_it(filled: Filled) -> None:
    page = of(filled, "/collections/alpha/lungs").json()
    assert page["iri"] == LUNGS and page["versions"][0]["version"] == 1
    assert dict(page["totals"])["Subjects"] == {"kind": "exact", "value": 60}
    assert page["uses"][0]["code"] == "DUO:0000006"
    assert {figure["title"] for figure in page["figures"]} >= {"Series by modality", "Subjects by sex"}
    assert LUNGS in page["citation"] and page["scores"]
    for _, address in page["downloads"]:
        assert filled.client.get(address).status_code == 200


def test_a_collection_that_is_not_there_is_a_missing_page(filled: Filled) -> None:
    assert of(filled, "/collections/alpha/nothing", Accept="text/html").status_code == 404


@pytest.mark.browser
def test_finding_and_opening_a_collection_takes_four_clicks(bed: Bed) -> None:
    with bed.opened("rita") as tab:
        tab.goto("/")
        tab.locator("#q").fill("lung")
        tab.locator("#q").press("Enter")
        clicks = Clicks(tab)
        for value in ("CT", "CHEST", "alpha"):
            with tab.expect_response(lambda answer: "/collections?" in answer.url):
                clicks.click(tab.locator(f'input[value="{value}"]'))
            tab.wait_for_selector(f'input[value="{value}"]:checked')
        clicks.click(tab.locator(".card h3 a").first)
        tab.wait_for_url(f"{BASE}/collections/alpha/**")
        assert clicks.number == 4
    assert bed.complaints == []


@pytest.mark.browser
def test_the_back_button_restores_filters_and_list(bed: Bed) -> None:
    def shown() -> tuple[list[str], list[str]]:
        ticked = tab.locator(".facets input:checked").evaluate_all("all => all.map(one => one.value)")
        return ticked, tab.locator(".card h3").all_inner_texts()

    with bed.opened("rita") as tab:
        tab.goto("/collections")
        seen = []
        for value in ("alpha", "CT"):
            seen.append((tab.url, shown()))
            tab.locator(f'input[value="{value}"]').click()
            tab.wait_for_url(f"**{value}**")
            tab.wait_for_selector(f'#found a:has-text("{value}")')
        assert seen[0][1] != seen[1][1]
        for url, state in reversed(seen):
            tab.go_back()
            tab.wait_for_url(url)
            expect(tab.locator(".card")).to_have_count(len(state[1]))
            expect(tab.locator(".facets input:checked")).to_have_count(len(state[0]))
            assert shown() == state
        tab.go_forward()
        tab.wait_for_url(seen[1][0])
        expect(tab.locator(".facets input:checked")).to_have_count(1)
    assert bed.complaints == []
