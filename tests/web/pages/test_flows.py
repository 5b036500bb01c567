"""The flows of the pages whole, without scripts and by keys alone: the same steps, taken by two hands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.web.pages.conftest import Bed
from tests.web.pages.hands import ByClicks, ByKeys, Hand
from tests.web.pages.page_checks import WIDE
from tests.web.pages.test_jobs_pages import permit_of_a_kept_key
from tests.web.pages.test_requests_page import a_request
from tests.web.pages.test_signing import PASSPHRASE, with_key

expect = pytest.importorskip("playwright.sync_api").expect

# Takes the first page after somebody signed in, and returns the steps.
Flow = Callable[[Bed], tuple[str, Callable[[Hand], None]]]


def live_counts(bed: Bed) -> tuple[str, Callable[[Hand], None]]:
    with_key(bed.filled, "rita")

    def steps(hand: Hand) -> None:
        hand.press('nav a[href="/counts"]')
        for name in ("modality", "body_part", "sex"):
            hand.tick(f"#{name}-1")
        hand.press("#put")
        hand.write('form:has([value="ask"]) [name="passphrase"]', PASSPHRASE)
        hand.press('form:has([value="ask"]) .main-act')
        answers = hand.tab.get_by_role("region", name="Answers of the biobanks")
        expect(answers.get_by_text("no answer yet").first).to_be_visible()

    return "rita", steps


def asking_for_three(bed: Bed) -> tuple[str, Callable[[Hand], None]]:
    with_key(bed.filled, "rita")

    def steps(hand: Hand) -> None:
        hand.press('nav a[href="/collections"]')
        for name in ("alpha/lungs", "alpha/brains", "beta/hearts"):
            hand.tick(f'input[name="c"][value="{name}"]')
        hand.press('.bar [formaction="/requests/new"]')
        hand.write('[name="title"]', "Three collections")
        hand.tick('[name="data_use"]')
        hand.write('[name="statement"]', "To find nodules.")
        hand.tick('[name="output_classes"]')
        hand.date('[name="until"]', 2026, 12, 31)
        hand.press('[name="act"][value="check"]')
        hand.write('form:has([value="send"]) [name="passphrase"]', PASSPHRASE)
        hand.press('[name="act"][value="send"]')
        expect(hand.tab.get_by_role("heading", name="What happens next")).to_be_visible()
        hand.tab.goto("/")
        expect(hand.tab.get_by_role("link", name="Three collections").first).to_be_visible()

    return "rita", steps


def deciding(bed: Bed) -> tuple[str, Callable[[Hand], None]]:
    request, _ = a_request(bed.filled, "Decided without scripts")

    def steps(hand: Hand) -> None:
        hand.press(f'main a[href="/requests/{request}"]')
        hand.tick('[name="word"][value="approve"]')
        hand.pick('form:has([value="approve"]) [name="reason"]', "fits")
        hand.press('form:has([value="approve"]) button')
        expect(hand.tab.get_by_role("cell", name="Approve")).to_be_visible()

    return "carla", steps


def starting_a_job(bed: Bed) -> tuple[str, Callable[[Hand], None]]:
    permit = permit_of_a_kept_key(bed.filled)

    def steps(hand: Hand) -> None:
        hand.press(f'main a[href="/jobs/new?grant={permit}"]')
        hand.press('a[href*="tool=intensity-geometry"]')
        hand.write("#title", "First look")
        hand.press("form:has(#title) .main-act")
        hand.write("#passphrase", PASSPHRASE)
        hand.press('[name="act"][value="send"]')
        expect(hand.tab.locator("h1")).to_contain_text("First look")

    return "rita", steps


def comparing(bed: Bed) -> tuple[str, Callable[[Hand], None]]:
    def steps(hand: Hand) -> None:
        hand.press('nav a[href="/jobs"]')
        # As they stand in the list, the newest first.
        for name in ("trained again", "trained"):
            hand.tick(f'input[name="run"][value="{bed.filled.jobs[name]}"]')
        hand.press('form:has([name="run"]) button')
        expect(hand.tab.locator("h1")).to_have_text("Compare runs")
        expect(hand.tab.locator("table.compared").first).to_contain_text("accuracy of the merged model, best")

    return "rita", steps


def auditing(bed: Bed) -> tuple[str, Callable[[Hand], None]]:
    month = bed.hub.clock.now().strftime("%Y-%m")

    def steps(hand: Hand) -> None:
        hand.press('nav a[href="/audit"]')
        hand.pick("#node", "alpha")
        hand.press("form:has(#node) .main-act")
        hand.press(f'main li a[href*="since={month}"]')
        row = hand.tab.get_by_role("row", name=month).first
        expect(row).to_contain_text("alpha")
        expect(row).to_contain_text("ed25519:")
        hand.press('a[href$="#chain"]')
        expect(hand.tab.get_by_text("The log holds together.")).to_be_visible()

    return "ursula", steps


@pytest.mark.browser
@pytest.mark.parametrize(
    "flow", [live_counts, asking_for_three, deciding, starting_a_job, comparing, auditing]
)
def test_a_flow_is_whole_without_scripts(kept_bed: Bed, flow: Flow) -> None:
    who, steps = flow(kept_bed)
    with kept_bed.opened(who, java_script_enabled=False) as tab:
        tab.goto("/")
        steps(ByClicks(tab))


@pytest.mark.browser
@pytest.mark.parametrize("flow", [live_counts, starting_a_job, comparing, auditing])
def test_a_flow_is_gone_through_by_keys_alone(kept_bed: Bed, flow: Flow) -> None:
    who, steps = flow(kept_bed)
    with kept_bed.opened(who, viewport=WIDE) as tab:
        tab.goto("/")
        hand: Any = ByKeys(tab)
        steps(hand)
        assert hand.faults == []
    assert kept_bed.complaints == []
