"""Counts what somebody clicks; typing is free."""

from __future__ import annotations

from typing import Any


class Clicks:
    """A tab whose clicks are counted.

    Attributes:
        number: of clicks so far.
    """

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.number = 0

    def click(self, what: Any) -> None:
        """Click a locator, or what a selector names."""
        (self.tab.locator(what) if isinstance(what, str) else what).click()
        self.number += 1
