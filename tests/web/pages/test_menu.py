"""The menu: on one line where the window is wide, else folded; all of it within a click, without a script."""

from __future__ import annotations

import pytest
from tests.web.pages.browsers import take_picture
from tests.web.pages.conftest import Bed

from fairbank.web.menu_line import on_line

_ITEMS = [
    "Start",
    "Sammlungen",
    "Biobanken",
    "Zählen vor Ort",
    "Anträge",
    "Aufträge",
    "Modelle",
    "Bewilligungen",
]
# One line with a margin above and below it.
_ONE_LINE = 60


def test_as_many_items_stand_on_the_line_as_fit_beside_a_name() -> None:
    def on(who: str, number: int) -> int:
        return on_line(_ITEMS[:number], brand="fairbank", who=who, door="Abmelden", more="Mehr")

    assert on("anna", 4) == 4
    assert 2 < on("a" * 40, 8) < on("", 8) < 8
    assert on("a" * 40, 8) == on("a" * 400, 8)
    assert on_line(["W" * 200], brand="fairbank", who="", door="Abmelden", more="Mehr") == 0


@pytest.mark.browser
def test_the_menu_is_one_line_and_opens_without_a_script(bed: Bed) -> None:
    with bed.opened("anna", java_script_enabled=False) as tab:
        for width, at_once, fold in (
            (1600, 5, "more"),
            (1024, 5, "more"),
            (1000, 0, "menu"),
            (768, 0, "menu"),
        ):
            tab.set_viewport_size({"width": width, "height": 700})
            # Again and again: what has not changed since is shown with its style, too.
            tab.goto("/collections?lang=de")
            assert tab.locator("header.top").bounding_box()["height"] <= _ONE_LINE, width
            assert tab.locator("nav a:visible").count() == at_once, width
            summaries = tab.locator("nav summary:visible")
            assert summaries.count() == 1
            summaries.click()
            assert tab.locator("nav a:visible").count() == tab.locator("nav a").count() > at_once, width
            take_picture(tab, f"menu-{width}-{fold}")
