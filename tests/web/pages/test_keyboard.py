"""Finding, asking and deciding by Tab, Space and Enter alone; and what was typed outlives the session."""

from __future__ import annotations

import re

import pytest
from tests.web.pages.conftest import BASE, Bed
from tests.web.pages.keyboard import Keys
from tests.web.pages.page_checks import WIDE, tab_through
from tests.web.pages.samples import WALKED, samples
from tests.web.pages.test_requests_page import a_request

from fairbank.web.rendering import TEMPLATES

expect = pytest.importorskip("playwright.sync_api").expect
TYPED = "Typed before the session ended."


@pytest.mark.browser
def test_a_collection_is_found_and_opened_by_keys(bed: Bed) -> None:
    with bed.opened("rita", viewport=WIDE) as tab:
        tab.goto("/")
        keys = Keys(tab)
        keys.write("#q", "lung")
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/collections?**")
        for value in ("CT", "alpha"):
            keys.press(f'input[value="{value}"]', "Space")
            tab.wait_for_selector(f'input[value="{value}"]:checked')
            tab.wait_for_url(f"**{value}**")
            # What had the focus has it still, although the list is another.
            expect(tab.locator(f'input[value="{value}"]')).to_be_focused()
        keys.press(".card h3 a")
        tab.wait_for_url(f"{BASE}/collections/alpha/**")
        assert keys.faults == []
    assert bed.complaints == []


@pytest.mark.browser
def test_access_is_asked_for_by_keys(kept_bed: Bed) -> None:
    with kept_bed.opened("rita", viewport=WIDE) as tab:
        tab.goto("/collections")
        keys = Keys(tab)
        for name in ("alpha/lungs", "beta/hearts"):
            keys.press(f'input[name="c"][value="{name}"]', "Space")
            tab.wait_for_url(f"**{name.replace('/', '%2F')}**")
        keys.press('.bar [formaction="/requests/new"], .bar a[href^="/requests/new"]')
        tab.wait_for_url("**/requests/new?**")
        keys.write('[name="title"]', "By keys alone")
        keys.press('[name="data_use"]', "Space")
        keys.write('[name="statement"]', "To find nodules.")
        keys.press('[name="output_classes"]', "Space")
        # A field for a date has parts, which are typed one after another.
        keys.write('[name="until"]', "12312026")
        keys.press('[name="act"][value="check"]')
        tab.wait_for_url("**step=check**")
        assert re.search(r"draft=[0-9a-f-]+", tab.url)
        expect(tab.get_by_text("By keys alone").first).to_be_visible()
        keys.reach('[name="act"][value="send"], form:has([name="act"][value="send"]) button')
        assert keys.faults == []
    assert kept_bed.complaints == []


@pytest.mark.browser
def test_a_committee_decides_by_keys(kept_bed: Bed) -> None:
    request, _ = a_request(kept_bed.filled, "Decided by keys")
    with kept_bed.opened("carla", viewport=WIDE) as tab:
        tab.goto("/")
        keys = Keys(tab)
        keys.press(f'main a[href="/requests/{request}"]')
        tab.wait_for_url(f"**/requests/{request}")
        keys.press('[name="word"][value="approve"]', "Space")
        keys.reach('select[name="reason"]')
        tab.keyboard.press("ArrowDown")
        keys.press('form:has([value="approve"]) button')
        expect(tab.get_by_role("cell", name="Approve")).to_be_visible()
        assert keys.faults == []
    assert kept_bed.complaints == []


@pytest.mark.browser
def test_tab_leaves_every_field_of_several_lines_and_every_page(bed: Bed) -> None:
    with_texts = [page for page in WALKED if "<textarea" in (TEMPLATES / f"{page.name}.html").read_text()]
    assert {"sparql", "new_request", "request"} <= {page.name for page in with_texts}
    for page in with_texts:
        who, address = samples(page, bed.filled)[0]
        with bed.opened(who, viewport=WIDE) as tab:
            tab.goto(address)
            assert len(tab_through(tab)) >= 10, address


def test_what_was_typed_on_any_page_outlives_the_session(bed: Bed) -> None:
    tried = 0
    for page in (page for page in WALKED if page.acts):
        _, address = samples(page, bed.filled)[0]
        for act in page.acts:
            fields = {"act": act, "text": TYPED, "why": TYPED, "title": TYPED}
            lost = bed.client().post(address, data=fields)
            assert lost.status_code == 401, (address, act)
            assert lost.text.count(f'value="{TYPED}"') == 3, (address, act)
            tried += 1
    assert tried >= 5
