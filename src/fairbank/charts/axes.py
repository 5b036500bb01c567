"""Numbers along an axis, those left out that would touch the one before."""

from __future__ import annotations

from collections.abc import Iterable

from fairbank.charts.figure import NOTE_SIZE, WIDTH, group, text
from fairbank.charts.text_width import text_width


def tick_row(ticks: Iterable[tuple[float, str]], y: float) -> str:
    """Return texts around their places on a horizontal axis, all inside the picture.

    Args:
        ticks: where, ascending, and the words.
        y: of the foot of the texts.
    """
    drawn: list[str] = []
    free = 0.0
    for place, words in ticks:
        half = text_width(words, NOTE_SIZE) / 2
        x = min(max(place, half), WIDTH - half)
        if x - half >= free:
            drawn.append(text(x, y, words, "c-small"))
            free = x + half + 8
    return group("c-m", drawn)
