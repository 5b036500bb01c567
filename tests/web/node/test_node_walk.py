"""Every page of a node in a browser, where something waits and where nothing does: as those of the hub are tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.web.hostile_texts import TEXTS, in_turn, pieces
from tests.web.node.conftest import PHRASE
from tests.web.node.filled_node import Wording, empty, fill, job, plain
from tests.web.node.node_browser import NodeBed, crawl, links, page_at, serve
from tests.web.pages.browsers import BROWSER, take_picture
from tests.web.pages.hands import ByClicks, ByKeys, Hand
from tests.web.pages.page_checks import (
    NARROW,
    OF_COLOURS,
    RULES,
    WIDE,
    badly_focused,
    badly_printed,
    shown_on_paper,
    small_targets,
    tab_through,
    violations,
)
from tests.web.pages.skeletons import difference, skeletons

from fairbank.federated_jobs.node.output_review import held
from fairbank.release.people import unlock
from fairbank.web.node.page import pages
from fairbank.web.rendering import TEMPLATES

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = [
    pytest.mark.browser,
    # Of values that no device writes.
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom"),
]

_OF_CHANGES = {"INS[]", "DEL[]", "MARK[]", "SPAN[class]"}
STATES = ("full", "empty")


class Beds:
    """Nodes that are made when a test first asks for them.

    One has something in each queue, one nothing, and in one every text is hostile.
    """

    def __init__(self, factory: pytest.TempPathFactory, stack: ExitStack) -> None:
        from playwright.sync_api import sync_playwright

        self._factory, self._stack = factory, stack
        driver = stack.enter_context(sync_playwright())
        self._browser = driver.chromium.launch(executable_path=BROWSER)
        stack.callback(self._browser.close)
        self._beds: dict[str, NodeBed] = {}
        self._addresses: dict[str, list[str]] = {}

    def __getitem__(self, state: str) -> NodeBed:
        if state not in self._beds:
            folder = self._factory.mktemp(state)
            at = (
                empty(folder)
                if state == "empty"
                else fill(folder, hostile() if state == "hostile" else plain)
            )
            self._stack.callback(at.fed.close)
            self._beds[state] = serve(at, self._browser, self._stack)
            self._addresses[state] = crawl(at.seated(), most=1 if state == "empty" else 2)
        self._beds[state].complaints.clear()
        return self._beds[state]

    def addresses(self, state: str) -> list[str]:
        """Return what could be reached from the first page when the node was made."""
        assert self[state]
        return self._addresses[state]


def hostile() -> Wording:
    short, whole = in_turn(60), pieces(4_000)[0]
    return lambda text, most: whole if most > 1_000 else next(short)[:most]


@pytest.fixture(scope="module")
def beds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beds]:
    with ExitStack() as stack:
        yield Beds(tmp_path_factory, stack)


def titled(state: str, address: str, number: int) -> str:
    page = page_at(address)
    assert page is not None
    return f"{page.name}-{number}-{state}"


def test_every_page_is_reached_from_the_first(beds: Beds) -> None:
    reached = {page.name for page in map(page_at, beds.addresses("full")) if page}
    pictures_only = {page.name for page in pages() if "{view}" in page.path or page.name.endswith("picture")}
    assert {page.name for page in pages()} - reached <= pictures_only
    assert len(beds.addresses("empty")) == 5


@pytest.mark.parametrize("state", STATES)
def test_a_page_of_a_node_is_for_all_and_clean(beds: Beds, state: str) -> None:
    """Light, dark, narrow and in the long language; one tab for all, because opening one costs more than looking."""
    bed, faults = beds[state], []
    titles: dict[str, str] = {}
    with bed.opened(color_scheme="light", viewport=WIDE) as tab:
        for number, address in enumerate(beds.addresses(state)):
            # The browser keeps the language.
            within = "&" if "?" in address else "?"
            assert tab.goto(f"{address}{within}lang=en").status == 200, address
            name = titled(state, address, number)
            faults += [(address, each) for each in violations(tab, RULES)]
            faults += [(address, "not one h1 and one main")] * (tab.locator("h1, main").count() != 2)
            kind = address.partition("?")[0]
            if titles.setdefault(tab.title(), kind) != kind:
                faults.append((address, f"has the title of {titles[tab.title()]}: {tab.title()}"))
            take_picture(tab, f"{name}-light")
            tab.emulate_media(color_scheme="dark")
            faults += [(address, ("dark", each)) for each in violations(tab, OF_COLOURS)]
            take_picture(tab, f"{name}-dark")
            tab.emulate_media(color_scheme="light")
            faults += [(address, each) for each in badly_focused(tab)]
            tab.set_viewport_size(NARROW)
            for language in ("en", "xx"):
                if language != "en":
                    tab.goto(f"{address}{within}lang={language}")
                    take_picture(tab, f"{name}-narrow-{language}")
                wide = tab.evaluate("document.documentElement.scrollWidth")
                faults += [(address, f"{wide} wide in {language}")] if wide > NARROW["width"] else []
                faults += [(address, each) for each in small_targets(tab)]
            faults += [(address, ("narrow", each)) for each in badly_focused(tab)]
            faults += [(address, each) for each in tab.evaluate("window.happened")]
            tab.set_viewport_size(WIDE)
    assert faults == []
    assert bed.complaints == []


@pytest.mark.parametrize("state", STATES)
def test_a_page_of_a_node_works_without_scripts(beds: Beds, state: str) -> None:
    faults = []
    with beds[state].opened(java_script_enabled=False) as tab:
        for address in beds.addresses(state):
            assert tab.goto(address).status == 200
            assert tab.locator("h1").inner_text().strip(), address
            forms = tab.locator("form").evaluate_all(
                "all => all.map(one => [one.getAttribute('action'), one.querySelectorAll('button').length])"
            )
            faults += [(address, each) for each in forms if not all(each)]
    assert faults == []


@pytest.mark.parametrize("state", STATES)
def test_links_of_a_node_are_alive(beds: Beds, state: str) -> None:
    client, asked = beds[state].at.seated(), set()
    for address in beds.addresses(state):
        asked |= {(each, address) for each in links(client.get(address).text)}
    known = dict(sorted(asked))
    dead = [(each, at) for each, at in known.items() if client.get(each).status_code >= 400]
    assert dead == []
    assert len(known) > 5


def test_hostile_texts_of_images_and_jobs_stay_texts(beds: Beds) -> None:
    hostile, tame = beds["hostile"], beds["full"]
    both = list(zip(beds.addresses("hostile"), beds.addresses("full"), strict=True))
    wrong: list[tuple[str, Any]] = []
    with hostile.opened() as tab:
        for address, _ in both:
            tab.goto(address)
            wrong += [(address, each) for each in tab.evaluate("window.happened")]
    ones, others = hostile.at.seated(), tame.at.seated()
    texts = [
        client.get(address).text
        for pair in both
        for client, address in zip((ones, others), pair, strict=True)
    ]
    context = hostile.browser.new_context()
    found = skeletons(context.new_page(), texts)
    context.close()
    said = " ".join(text for _, text in found[::2])
    for at, (address, same) in enumerate(both):
        assert page_at(address) == page_at(same)
        one, other = found[2 * at][0], found[2 * at + 1][0]
        if page_at(address) == page_at("/review/a/0"):
            # What is marked in a header depends on its values: no element may be of another kind.
            one = sorted(set(one) - _OF_CHANGES - set(other))
            other = []
        if fault := difference(one, other):
            wrong.append((address, fault))
    assert wrong == []
    assert hostile.complaints == []
    spaceless = "".join(said.split())
    missing = [text for text in TEXTS if "".join(text.split()) not in spaceless]
    assert missing == []


def test_the_ledger_is_printed_whole_and_held_images_not_at_all(beds: Beds) -> None:
    addresses = beds.addresses("full")
    with beds["full"].opened(viewport=WIDE, color_scheme="dark") as tab:
        tab.goto("/ledger")
        assert badly_printed(tab) == []
        assert (
            "sha256:" in tab.locator(".printed").inner_text()
            or len(tab.locator(".printed").inner_text()) > 60
        )
        take_picture(tab, "node_ledger-print")
        reviewed = [each for each in addresses if each.startswith("/review")]
        assert len(reviewed) >= 3
        for address in reviewed:
            tab.goto(address)
            assert shown_on_paper(tab) == [], address


# -- what is done there --------------------------------------------------------------------------------------------


def waiting_job(bed: NodeBed, title: str) -> str:
    made = job(bed.at, title)
    return f'a[href="/jobs/{made}"]'


def test_a_job_is_approved_in_six_clicks_and_no_two_at_once(beds: Beds) -> None:
    link = waiting_job(beds["full"], "Approved by clicks")
    with beds["full"].opened() as tab:
        tab.goto("/")
        assert tab.locator("main form, main input").count() == 0, "nothing is decided from a list"
        clicks = ByClicks(tab)
        approve_it(clicks, link)
        assert clicks.number == 6


def held_output(bed: NodeBed) -> str:
    """Let a job's output wait for a decision, and return its id."""
    at = bed.at
    at.held_job(unlock(at.site.node, "ada", PHRASE))
    return held(at.site.outbox)[-1].id


def release_it(hand: Hand, release: str) -> None:
    hand.press(f'main a[href="/outbox/{release}"]')
    hand.tick('[value="release"]')
    hand.write("#passphrase", PHRASE)
    hand.press("main form .main-act")
    expect(hand.tab.get_by_text("It may leave.").first).to_be_visible()


def approve_it(hand: Hand, link: str) -> None:
    hand.press(link)
    for number in (1, 2, 3):
        hand.tick(f'[name="statement"][value="{number}"]')
    hand.tick('[value="approve"]')
    hand.write("#passphrase", PHRASE)
    hand.press("main form .main-act")
    hand.tab.wait_for_url("**/jobs/*")
    expect(hand.tab.locator('[value="approve"]')).to_have_count(0)


def test_an_output_is_released_in_three_clicks(beds: Beds) -> None:
    release = held_output(beds["full"])
    with beds["full"].opened() as tab:
        tab.goto("/")
        clicks = ByClicks(tab)
        release_it(clicks, release)
        assert clicks.number == 3
    assert release not in {one.id for one in held(beds["full"].at.site.outbox)}


def test_a_job_and_an_output_are_decided_by_keys_alone(beds: Beds) -> None:
    link, release = waiting_job(beds["full"], "Approved by keys"), held_output(beds["full"])
    with beds["full"].opened(viewport=WIDE) as tab:
        keys = ByKeys(tab)
        tab.goto("/")
        approve_it(keys, link)
        tab.goto("/")
        release_it(keys, release)
        assert keys.faults == []
    assert release not in {one.id for one in held(beds["full"].at.site.outbox)}


def test_a_job_and_an_output_are_decided_without_scripts(beds: Beds) -> None:
    link, release = waiting_job(beds["full"], "Approved without scripts"), held_output(beds["full"])
    with beds["full"].opened(java_script_enabled=False) as tab:
        tab.goto("/")
        approve_it(ByClicks(tab), link)
        tab.goto("/")
        release_it(ByClicks(tab), release)
    assert release not in {one.id for one in held(beds["full"].at.site.outbox)}


def test_tab_leaves_every_field_of_several_lines_at_a_node(beds: Beds) -> None:
    written = {page_at(each).name: each for each in beds.addresses("full")}
    with beds["full"].opened(viewport=WIDE) as tab:
        for name, address in written.items():
            if "<textarea" in (TEMPLATES / f"{name}.html").read_text(encoding="utf-8"):
                tab.goto(address)
                assert len(tab_through(tab)) >= 10, address
