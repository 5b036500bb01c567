"""Every page, in a browser: light and dark, narrow, without scripts; for all readers, clean, with living links."""

from __future__ import annotations

from typing import Any
from urllib.parse import urldefrag

import pytest
from tests.web.pages.conftest import Bed
from tests.web.pages.page_checks import badly_printed
from tests.web.pages.samples import WALKED, samples

from fairbank.web.pages.page import Page
from fairbank.web.pages.registry import pages
from fairbank.web.rendering import TEMPLATES

pytestmark = pytest.mark.browser

NARROW = {"width": 320, "height": 800}
WIDE = {"width": 1280, "height": 900}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
OF_COLOURS = {"runOnly": ["color-contrast"]}
# Addresses of pages that are yet to come; each counts only until it is registered.
COMING = ("/models", "/runs/compare")
every_page = pytest.mark.parametrize("page", WALKED, ids=[page.name for page in WALKED])


@every_page
def test_a_page_is_for_all_and_clean(bed: Bed, page: Page) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    for number, (who, address) in enumerate(samples(page, bed.filled)):
        with bed.opened(who, color_scheme="light", viewport=WIDE) as tab:
            answer = tab.goto(address)
            assert answer.status == 200, address
            assert tab.locator("h1").count() == 1
            assert tab.locator("main").count() == 1
            assert tab.title() and tab.locator("html").get_attribute("lang") == "en"
            assert _violations(axe.run(tab, options=RULES)) == [], f"{address} as {who}"
            bed.take_picture(tab, f"{page.name}-{number}-light")
            # Only colours differ in the dark.
            tab.emulate_media(color_scheme="dark")
            assert _violations(axe.run(tab, options=OF_COLOURS)) == [], f"{address} as {who} in the dark"
            bed.take_picture(tab, f"{page.name}-{number}-dark")
            assert tab.evaluate("window.refused") == []
    assert bed.complaints == []


@every_page
def test_a_page_fits_a_narrow_screen(bed: Bed, page: Page) -> None:
    for number, (who, address) in enumerate(samples(page, bed.filled)):
        for language in ("en", "xx"):
            with bed.opened(who, viewport=NARROW) as tab:
                tab.goto(f"{address}{'&' if '?' in address else '?'}lang={language}")
                bed.take_picture(tab, f"{page.name}-{number}-narrow-{language}")
                width = tab.evaluate("document.documentElement.scrollWidth")
                assert width <= NARROW["width"], f"{address} as {who} is {width} px wide in {language}"
                small = tab.evaluate(_SMALL_TARGETS)
                assert small == [], f"{address}: smaller than 24 px: {small}"


@every_page
def test_a_page_works_without_scripts(bed: Bed, page: Page) -> None:
    for who, address in samples(page, bed.filled):
        with bed.opened(who, java_script_enabled=False) as tab:
            assert tab.goto(address).status == 200
            assert tab.locator("h1").inner_text().strip()
            for form in tab.locator("form").all():
                assert form.get_attribute("action"), "a form says where it is sent"
                assert form.locator("button, input[type=submit]").count() >= 1, "and has a button"


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
            bed.take_picture(tab, f"{page.name}-print")
            assert len(tab.pdf()) > 5_000


def test_titles_are_unique(bed: Bed) -> None:
    titles: dict[str, str] = {}
    with bed.opened("anna") as tab:
        for page in WALKED:
            for _, address in samples(page, bed.filled)[:1]:
                if tab.goto(address).status == 404:
                    # It is not for her, and says what every missing page says.
                    continue
                assert titles.setdefault(tab.title(), page.path) == page.path
    assert len(titles) >= 3


def test_links_are_alive(bed: Bed) -> None:
    registered = {page.path for page in pages()}
    coming = tuple(each for each in COMING if each not in registered)
    dead, asked = [], set()
    for page in WALKED:
        for who, address in samples(page, bed.filled):
            client = bed.client(who)
            for link in _links(client.get(address).text):
                target = urldefrag(link)[0]
                if not target.startswith("/") or target.startswith(coming) or (who, target) in asked:
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


def _violations(found: Any) -> list[tuple[str, str]]:
    return [(each["id"], each["nodes"][0]["html"][:200]) for each in found.response["violations"]]


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


# Buttons, fields and links that stand alone are 24 px high at least; links in a sentence may be smaller (WCAG 2.5.8).
_SMALL_TARGETS = """() => {
  const all = 'button, input:not([type=hidden]), select, textarea, summary, nav a, footer a, .button';
  const alone = (each) => each.getClientRects().length && !each.closest('.unseen, .skip');
  const box = (each) => (each.closest('label.tick') || each).getBoundingClientRect();
  return [...document.querySelectorAll(all)].filter(alone)
    .filter((each) => box(each).height < 24 || box(each).width < 24)
    .map((each) => each.outerHTML.slice(0, 80));
}"""
