"""The ways to take the same steps through pages: with a mouse, or by keys alone."""

from __future__ import annotations

from typing import Any, Protocol

from tests.web.pages.clicks import Clicks
from tests.web.pages.keyboard import Keys


class Hand(Protocol):
    """Takes a step; what is meant is named by a CSS selector, of which the first is taken."""

    tab: Any

    def press(self, selector: str) -> None:
        """Follow a link or press a button."""

    def tick(self, selector: str) -> None:
        """Tick a box or take a choice."""

    def pick(self, selector: str, value: str) -> None:
        """Pick from a list that opens; the value is what the list shows."""

    def write(self, selector: str, text: str) -> None:
        """Write into a field."""

    def date(self, selector: str, year: int, month: int, day: int) -> None:
        """Write into a field for a date."""


class ByClicks(Clicks):
    """Somebody with a mouse."""

    def press(self, selector: str) -> None:
        self.click(self.tab.locator(selector).first)

    tick = press

    def pick(self, selector: str, value: str) -> None:
        self.tab.locator(selector).first.select_option(value)
        self.number += 1

    def write(self, selector: str, text: str) -> None:
        self.tab.locator(selector).first.fill(text)

    def date(self, selector: str, year: int, month: int, day: int) -> None:
        self.write(selector, f"{year}-{month:02d}-{day:02d}")


class ByKeys(Keys):
    """Somebody with a keyboard alone."""

    def press(self, selector: str, key: str = "Enter") -> None:
        # The next Tab is for the page that comes.
        self.reach(selector)
        with self.tab.expect_navigation():
            self.tab.keyboard.press(key)

    def tick(self, selector: str) -> None:
        super().press(selector, "Space")

    def pick(self, selector: str, value: str) -> None:
        self.write(selector, value)

    def date(self, selector: str, year: int, month: int, day: int) -> None:
        # A field for a date has parts, which are typed one after another.
        self.write(selector, f"{month:02d}{day:02d}{year}")
