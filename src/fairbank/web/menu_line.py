"""How many items of the menu stand on its line beside the name and the account; the others are one click away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fairbank.charts.text_width import text_width

# From this width on `app.css` shows the line (64rem), and below it one folded menu; without its margins.
_ROOM: Final = 1024 - 32
_SIZE, _NAME_SIZE = 16, 18
_GAP: Final = 20
# Gaps beside the menu, and what a button has around its words.
_BESIDE, _BUTTON = 48, 50
# As wide as `app.css` lets the name of an account be.
_WIDEST_NAME: Final = 160


def on_line(items: Sequence[str], *, brand: str, who: str, door: str, more: str) -> int:
    """Return how many of the items fit on the line, from the first; all, or some beside a fold for the others.

    Args:
        brand: the name at the left.
        who: name of the account, empty for nobody.
        door: the words of the way in or out.
        more: the words of the fold.

    >>> on_line(["Home", "Jobs"], brand="fairbank", who="", door="Sign in", more="More")
    2
    """
    name = min(_WIDEST_NAME, text_width(who, _SIZE)) + _GAP if who else 0
    beside = text_width(brand, _NAME_SIZE, bold=True) + name + text_width(door, _SIZE, bold=True)
    room = _ROOM - _BESIDE - _BUTTON - beside
    widths = [text_width(item, _SIZE) + _GAP for item in items]
    if sum(widths) <= room:
        return len(items)
    room -= text_width(more, _SIZE) + _GAP * 2
    fitting = [number for number in range(len(items)) if sum(widths[:number]) <= room]
    return fitting[-1] if fitting else 0
