"""Comparing runs: what differs, how they did, and how few clicks it takes from home."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from tests.web.filled_hub import Filled
from tests.web.pages.asking import JSON
from tests.web.pages.clicks import Clicks
from tests.web.pages.conftest import Bed

expect = pytest.importorskip("playwright.sync_api").expect


def compared(filled: Filled, *runs: str, who: str = "rita", **more: str) -> Any:
    pairs = [*(("run", filled.jobs.get(each, each)) for each in runs), *more.items()]
    address = f"/runs/compare?{urlencode(pairs)}"
    answer = filled.client.get(address, headers={**filled.people[who].headers, **JSON})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_only_what_differs_is_shown_with_best_last_and_a_chosen_round(filled: Filled) -> None:
    page = compared(filled, "trained", "trained again", at="2")
    assert [(each["name"], each["cells"]) for each in page["choices"]] == [
        ("learning_rate", ["0.01", "0.05"])
    ]
    rows = {each["name"]: each["cells"] for each in page["metrics"]}
    assert rows["accuracy of the merged model, best"] == ["0.7981 after round 4", "0.8274 after round 4"]
    assert rows["loss of the merged model, best"] == rows["loss of the merged model, last"]
    assert rows["accuracy of the merged model, after round 2"] == ["0.7107", "0.7515"]
    whole = compared(filled, "trained", "trained again", at="2", all="yes")
    lines = [*whole["choices"], *whole["metrics"]]
    assert len(lines) == len(page["choices"]) + len(page["metrics"]) + page["alike"]
    assert page["alike"] == sum(not each["differs"] for each in lines) > 20
    assert [each["title"] for each in page["at_sites"]] == [
        "accuracy at each biobank, 1: Sex from lungs and hearts, 0.01",
        "accuracy at each biobank, 2: Sex from lungs and hearts, 0.05",
    ]
    assert not page["different"]


def test_runs_on_different_images_are_marked_and_what_is_not_one_s_own_is_named(filled: Filled) -> None:
    page = compared(filled, "trained", "analysed", "none")
    assert (page["different"], page["gone"]) == (True, ["none"])
    # Beta's output of the analysis was withheld: what came is of alpha alone.
    assert [each["cells"] for each in page["sites"]] == [["alpha, beta", "alpha"]]
    others = compared(filled, "trained", "analysed", who="otto")
    assert (others["columns"], len(others["gone"])) == ([], 2)
    # Nothing of what came of a job is for who only oversees it.
    assert compared(filled, "trained", who="ursula")["columns"] == []


def test_the_other_axis_keeps_all_else_and_draws_other_places(bed: Bed) -> None:
    runs = [("run", bed.filled.jobs[name]) for name in ("trained", "trained again")]
    client = bed.client("rita")
    linear = client.get(f"/runs/compare?{urlencode([*runs, ('metric', 'loss'), ('at', '3')])}").text
    log = client.get(
        f"/runs/compare?{urlencode([*runs, ('metric', 'loss'), ('at', '3'), ('log', 'yes')])}"
    ).text
    assert "metric=loss&amp;at=3&amp;log=yes#curves" in linear and "metric=loss&amp;at=3#curves" in log
    assert linear[linear.index('id="curves"') :] != log[log.index('id="curves"') :]


@pytest.mark.browser
def test_two_runs_are_compared_in_four_clicks(bed: Bed) -> None:
    with bed.opened("rita") as tab:
        tab.goto("/")
        clicks = Clicks(tab)
        clicks.click("nav >> text=Jobs")
        for name in ("trained", "trained again"):
            clicks.click(f'input[name="run"][value="{bed.filled.jobs[name]}"]')
        clicks.click("text=Compare the ticked ones")
        expect(tab.locator("h1")).to_have_text("Compare runs")
        expect(tab.locator("table.compared").first).to_contain_text("accuracy of the merged model, best")
        assert clicks.number <= 4
