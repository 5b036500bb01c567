"""The living style sheet: every piece that pages are made of, for those who build them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fairbank.catalogue.context import Hub
from fairbank.ontology.counts import Count, CountReason
from fairbank.web.pages.page import Page
from fairbank.web.pages.visits import Visit
from fairbank.web.state_table import STATES

_SINCE: Final = "2026-01-31T12:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Style:
    """`style.html`."""

    counts: tuple[Count, ...]
    states: tuple[tuple[str, str], ...]
    answer: str


def show(hub: Hub, visit: Visit) -> Style:
    """Put the page together; with `?answer=` the part shows that."""
    counts = (
        Count.exact(12_345),
        Count.below(10),
        Count.waiting(CountReason.SITE_DECIDES, _SINCE),
        Count.declined(CountReason.SITE_DECLINED, _SINCE),
    )
    states = tuple(("site", state) for state in STATES["site"])
    return Style(counts, states, visit.asked.get("answer", ""))


PAGE = Page(name="style", path="/style", context=Style, show=show, parts=("answer",), development=True)
