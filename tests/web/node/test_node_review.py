"""Images one by one: what is seen of each, words on single files, one signature, and what the next run makes of it."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.web.node.conftest import PHRASE, AtTheDesk, hidden
from tests.web.node.node_browser import serve
from tests.web.node.test_node_images import ultrasound
from tests.web.pages.browsers import BROWSER
from tests.web.pages.clicks import Clicks
from tests.web.pages.keyboard import Keys

from fairbank.audit import NodeAudit
from fairbank.database import reading
from fairbank.deid.project_review import project_groups
from fairbank.deid.project_samples import draw_of_project, sampling_of_project
from fairbank.deid.store import ItemRow
from fairbank.harvest.legal_basis import LegalBasis, record_basis

SIGNED = {"person": "ada", "passphrase": PHRASE}


@pytest.fixture
def held(at: AtTheDesk, tmp_path: Path, fairbank: Any) -> Any:
    """Return what holds so many pictures at the node; given again it runs once more."""
    scans = tmp_path / "scans"
    scans.mkdir()
    record_basis(at.site.node, "all", LegalBasis.ANONYMOUS_DATA, note="made for a test", by="curator")

    def run(count: int) -> AtTheDesk:
        for number in range(1, count + 1):
            path = scans / f"us-{number}.dcm"
            if not path.exists():
                path.write_bytes(ultrasound(number))
        fairbank("deid", "run", scans, "--project", "all", "--workers", "1", home=at.site.node.settings.home)
        return at

    return run


def sheet_of(client: Any) -> str:
    return re.findall(r'href="(/review/[0-9a-f]+)"', client.get("/review").text)[0]


def items(at: AtTheDesk) -> list[tuple[str, str | None]]:
    with reading(at.site.node.engine) as session:
        rows = session.scalars(select(ItemRow).order_by(ItemRow.quarantine))
        return sorted((row.status, row.verdict) for row in rows)


def test_files_are_decided_one_by_one_and_the_next_run_does_as_was_said(held: Any) -> None:
    at = held(3)
    client = at.seated()
    sheet = sheet_of(client)
    assert "Text found" in client.get("/review").text
    page = client.get(f"{sheet}/0?keys=on").text
    assert '<rect class="found"' in page
    assert "PAT-US" in page and "pseudonyms are examples" not in page
    twin = client.get(f"{sheet}/0", headers={"Accept": "application/json"}).json()
    assert twin["boxes"][0]["look"] == "found" and twin["header"]["rows"][0]["change"] == "kept"
    assert client.get(sheet, headers={"Accept": "application/json"}).json()["shown"] == 3
    assert (
        client.get("/review", headers={"Accept": "application/json"}).json()["waiting"][0]["cause"] == "text"
    )
    proof = hidden(client.get(sheet).text)["csrf"]
    for number, word in enumerate(("accept", "refuse", "blank")):
        said = {"csrf": proof, "act": "say", "word": word, "edge": "top", "keys": "on"}
        answer = client.post(f"{sheet}/{number}", data=said)
        onward = f"{sheet}/{number + 1}?keys=on" if number < 2 else f"{sheet}?from=0#sign"
        assert answer.headers["location"] == onward
    shown = client.get(sheet).text
    chosen = dict(re.findall(r'name="(word-q-\d+)" value="(\w+)" checked', shown))
    assert sorted(chosen.values()) == ["accept", "blank", "refuse"]
    assert project_groups(at.site.node.engine, "all")[0].one_by_one == 0
    done = at.send(client, sheet, why="looked at each", **chosen, **SIGNED)
    assert done.headers["location"] == "/review"
    assert "Queue empty" in client.get("/review").text
    with reading(at.site.node.engine) as session:
        (entry,) = session.scalars(select(NodeAudit).where(NodeAudit.act == "items.decide"))
        assert (entry.detail["accept"], entry.detail["refuse"], entry.detail["blank"]) == (1, 1, 1)
        assert entry.detail["decision"].startswith("sha256:")
    held(3)
    assert items(at) == [("impossible", "keep-held"), ("ok", "release"), ("ok", "release")]
    with reading(at.site.node.engine) as session:
        works = [json.loads(work) for work in session.scalars(select(ItemRow.work)) if work]
    assert sorted("person" in work["found_by"] for work in works) == [False, True]
    assert "looked at each" in client.get(f"{sheet}").text


def test_what_one_keeps_back_does_not_go_with_its_group(held: Any) -> None:
    at = held(2)
    client = at.seated()
    sheet = sheet_of(client)
    assert at.send(client, sheet, **{"word-q-000001": "refuse"}, **SIGNED).status_code == 303
    assert at.send(client, sheet, act="decide", decision="release", why="fine", **SIGNED).status_code == 303
    held(2)
    assert items(at) == [("impossible", "keep-held"), ("ok", "release")]


@pytest.mark.parametrize(
    "sent", [{}, {"word-q-000009": "accept"}, {"word-q-000001": "blank"}, {"word-q-000001": "sell"}]
)
def test_nothing_is_decided_by_words_that_cannot_be(held: Any, sent: dict[str, str]) -> None:
    at = held(1)
    client = at.seated()
    answer = at.send(client, sheet_of(client), **sent, **SIGNED)
    assert answer.status_code in (409, 422)
    assert project_groups(at.site.node.engine, "all")[0].one_by_one == 0


def test_an_area_outside_the_picture_is_refused_and_what_was_typed_stays(held: Any) -> None:
    at = held(1)
    client = at.seated()
    sheet = sheet_of(client)
    proof = hidden(client.get(sheet).text)["csrf"]
    for areas in ("900 900 5 5", "1 2 3", "a b c d"):
        said = {"csrf": proof, "act": "say", "word": "blank", "areas": areas}
        answer = client.post(f"{sheet}/0", data=said)
        assert answer.status_code == 422
        assert areas in answer.text


def test_a_picture_that_cannot_be_shown_cannot_be_let_go(held: Any, tmp_path: Path) -> None:
    at = held(1)
    client = at.seated()
    sheet = sheet_of(client)
    (tmp_path / "scans" / "us-1.dcm").write_bytes(b"no picture")
    page = client.get(f"{sheet}/0").text
    assert "There is no picture to show" in page and 'value="accept"' not in page
    assert client.get(f"{sheet}/q-000001/max").status_code == 404
    answer = at.send(client, sheet, **{"word-q-000001": "accept"}, **SIGNED)
    assert (answer.status_code, "Nobody has seen what is in it" in answer.text) == (422, True)
    assert at.send(client, sheet, **{"word-q-000001": "refuse"}, **SIGNED).status_code == 303


def test_a_sample_of_what_went_out_is_looked_at_like_the_rest(held: Any) -> None:
    at = held(3)
    client, node = at.seated(), at.site.node
    sheet = sheet_of(client)
    assert at.send(client, sheet, act="decide", decision="release", why="fine", **SIGNED).status_code == 303
    held(3)
    draw_of_project(node.engine, "all", "curator", node.clock)
    sample = sheet_of(client)
    assert "Audit sample" in client.get("/review").text
    names = re.findall(r'name="(word-[0-9a-f]+)" value="accept"', client.get(sample).text)
    assert client.get(f"{sample}/{names[0].removeprefix('word-')}/max").status_code == 200
    assert at.send(client, sample, **dict.fromkeys(names[:2], "accept"), **SIGNED).status_code == 303
    assert at.send(client, sample, **{names[2]: "refuse"}, **SIGNED).status_code == 303
    told = sampling_of_project(node.engine, "all")
    assert told is not None and (told.looked_at, told.failed) == (3, 1)
    assert "Somebody saw something identifying" in client.get("/review").text


@pytest.mark.browser
def test_forty_files_with_forty_keys_and_one_signature(held: Any) -> None:
    """Flow 8: one click, forty keys, sign."""
    from playwright.sync_api import sync_playwright

    at = held(40)
    first = at.seated()
    sheet = sheet_of(first)
    faults: list[str] = []
    with ExitStack() as stack, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER)
        bed = serve(at, browser, stack)
        tab = browser.new_context(base_url=bed.base).new_page()
        tab.clock.install()
        tab.on("console", lambda said: faults.append(f"{tab.url} {said.text}"))
        tab.goto(f"/start/{at.desk.link()}")
        tab.fill("#open-person", "ada")
        tab.fill("#open-passphrase", PHRASE)
        tab.click("main button")
        tab.goto(sheet)
        tab.clock.fast_forward(250_000)
        assert "any key" in tab.get_by_role("alert").inner_text()
        tab.keyboard.press("Shift")
        tab.clock.fast_forward(250_000)
        tab.keyboard.press("Shift")
        assert tab.get_by_role("alert").count() == 0
        clicks, keys = Clicks(tab), Keys(tab)
        # What is clicked is reached by Tab as well.
        keys.reach('a.button[href*="keys=on"]')
        clicks.click(tab.get_by_text("One by one, with single keys"))
        for number in range(40):
            tab.wait_for_selector(f"h1:has-text('File {number + 1} of 40')")
            tab.keyboard.press("a")
        tab.wait_for_url("**#sign")
        keys.write("#passphrase", PHRASE)
        keys.reach("form:has(#passphrase) .main-act")
        clicks.click(tab.get_by_role("button", name="Sign for these files"))
        tab.wait_for_url("**/review")
        assert clicks.number == 2 and keys.faults == []
        browser.close()
    assert faults == []
    assert project_groups(at.site.node.engine, "all")[0].one_by_one == 40
