"""Every page, in a browser: light, dark, narrow, on paper, without scripts; for all, clean, with living links."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urldefrag

import pytest
from tests.web.pages.browsers import take_picture
from tests.web.pages.conftest import Bed
from tests.web.pages.page_checks import (
    NARROW,
    OF_COLOURS,
    RULES,
    WIDE,
    badly_focused,
    badly_printed,
    small_targets,
    untranslated_in_charts,
    violations,
)
from tests.web.pages.samples import WALKED, samples

from fairbank.web.pages.page import Page
from fairbank.web.rendering import TEMPLATES

pytestmark = pytest.mark.browser

# How many headings and main parts a page has, its language, and whether it has a title.
_HEAD = """() => [document.querySelectorAll('h1').length, document.querySelectorAll('main').length,
  document.documentElement.lang, document.title !== '']"""

every_page = pytest.mark.parametrize("page", WALKED, ids=[page.name for page in WALKED])


@every_page
def test_a_page_is_for_all_and_clean(bed: Bed, page: Page) -> None:
    """Light, dark, narrow and in the long language; one tab for all, because opening one costs more than looking."""
    faults: list[tuple[str, Any]] = []
    for number, (who, address) in enumerate(samples(page, bed.filled)):
        with bed.looking(who) as tab:
            assert tab.goto(address).status == 200, address
            place, name = f"{address} as {who}", f"{page.name}-{number}"
            assert tab.evaluate(_HEAD) == [1, 1, "en", True], place
            faults += [(place, each) for each in violations(tab, RULES)]
            take_picture(tab, f"{name}-light")
            # Only colours differ in the dark, and only places where it is narrow.
            tab.emulate_media(color_scheme="dark")
            faults += [(f"{place} in the dark", each) for each in violations(tab, OF_COLOURS)]
            take_picture(tab, f"{name}-dark")
            tab.emulate_media(color_scheme="light")
            faults += [(place, each) for each in badly_focused(tab)]
            tab.set_viewport_size(NARROW)
            for language in ("en", "xx"):
                if language != "en":
                    tab.goto(f"{address}{'&' if '?' in address else '?'}lang={language}")
                    faults += [(place, ("English in a chart", each)) for each in untranslated_in_charts(tab)]
                width = tab.evaluate("document.documentElement.scrollWidth")
                faults += [(place, f"{width} px wide in {language}")] if width > NARROW["width"] else []
                faults += [(place, ("less than 24 px", each)) for each in small_targets(tab)]
                if number == 0:
                    take_picture(tab, f"{name}-narrow-{language}")
            faults += [(f"{place}, narrow", each) for each in badly_focused(tab)]
            faults += [(place, each) for each in tab.evaluate("window.refused")]
    assert faults == []
    assert bed.complaints == []


def test_pages_work_without_scripts(bed: Bed) -> None:
    everything = [(who, address) for page in WALKED for who, address in samples(page, bed.filled)]
    for reader in sorted({who for who, _ in everything}, key=str):
        with bed.opened(reader, java_script_enabled=False) as tab:
            for address in [address for who, address in everything if who == reader]:
                assert tab.goto(address).status == 200
                assert tab.locator("h1").inner_text().strip(), address
                forms = tab.locator("form").evaluate_all(
                    "all => all.map(one => [one.getAttribute('action'),"
                    " one.querySelectorAll('button, input[type=submit]').length])"
                )
                assert all(action for action, _ in forms), f"{address}: a form says where it is sent"
                assert all(buttons for _, buttons in forms), f"{address}: and has a button"


def test_what_people_take_along_is_printed_whole(bed: Bed) -> None:
    told = [page for page in WALKED if "block printed" in (TEMPLATES / f"{page.name}.html").read_text()]
    assert {"collection", "request"} <= {page.name for page in told}
    for page in told:
        who, address = samples(page, bed.filled)[0]
        with bed.opened(who, color_scheme="dark", viewport=WIDE) as tab:
            tab.goto(address)
            assert badly_printed(tab) == [], address
            head = tab.locator(".printed").inner_text()
            assert ("sha256:" in head and "Version" in head) or page.name not in ("collection", "request"), (
                head
            )
            take_picture(tab, f"{page.name}-print")
            assert len(tab.pdf()) > 5_000


def test_titles_are_unique(bed: Bed) -> None:
    titles: dict[str, str] = {}
    for page in WALKED:
        for who, address in samples(page, bed.filled)[:1]:
            title = re.findall(r"<title>(.*?)</title>", bed.client(who).get(address).text, flags=re.S)
            assert len(title) == 1 and titles.setdefault(title[0], page.path) == page.path
    assert len(titles) >= 3


def test_links_are_alive(bed: Bed) -> None:
    dead, asked = [], set()
    for page in WALKED:
        for who, address in samples(page, bed.filled):
            client = bed.client(who)
            for link in _links(client.get(address).text):
                target = urldefrag(link)[0]
                if not target.startswith("/") or (who, target) in asked:
                    continue
                asked.add((who, target))
                status = client.get(target).status_code
                if status >= 400:
                    dead.append((address, target, status))
    assert dead == []
    assert len(asked) > 10


def test_the_keyboard_reaches_the_content_first(bed: Bed) -> None:
    with bed.opened("rita") as tab:
        tab.goto("/")
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        tab.keyboard.press("Enter")
        assert tab.url.endswith("#main")


def test_a_policy_forbids_what_somebody_slips_into_a_page(bed: Bed) -> None:
    with bed.opened() as tab:
        tab.goto("/")
        with pytest.raises(Exception, match=r"TrustedScript|Content Security Policy"):
            tab.add_script_tag(content="window.ran = 1")
        assert tab.evaluate("window.ran") is None
    bed.complaints.clear()


def _links(text: str) -> list[str]:
    from html.parser import HTMLParser

    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            named = dict(attributes)
            for name in ("href", "src"):
                if named.get(name):
                    found.append(str(named[name]))

    Links().feed(text)
    return found
