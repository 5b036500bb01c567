"""Widths of text: never less than the font's own, and a cut text fits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.charts.text_width import ELLIPSIS, fitted, shown, text_width, wrapped

_FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")


@given(st.text(max_size=80), st.floats(20, 400))
def test_a_cut_text_fits_its_room(text: str, room: float) -> None:
    assert text_width(fitted(text, room, 13), 13) <= room


@given(st.text(max_size=200), st.floats(40, 400), st.integers(1, 4))
def test_wrapped_lines_fit_and_are_few(text: str, room: float, lines: int) -> None:
    found = wrapped(text, room, 12, lines=lines)
    assert 1 <= len(found) <= lines
    assert all(text_width(line, 12) <= room for line in found)


def test_what_is_cut_says_so() -> None:
    assert fitted("x" * 100, 50, 13).endswith(ELLIPSIS)
    assert wrapped("one two three four", 40, 13, lines=1)[0].endswith(ELLIPSIS)


@given(st.text(max_size=40))
def test_shown_text_can_stand_in_xml(text: str) -> None:
    assert all(letter >= " " for letter in shown(text))


@pytest.mark.skipif(not _FONT.exists(), reason="DejaVu Sans is not installed here")
@pytest.mark.parametrize(
    "text",
    ["The quick brown fox", "Universitätsklinikum Köln", "0123456789 [−0.84, ≥ 0.90] %…", "Журнал Ωμέγα"],
)
def test_no_text_is_wider_than_the_font_makes_it(text: str) -> None:
    image_font = pytest.importorskip("PIL.ImageFont")
    font = image_font.truetype(str(_FONT), 1000, layout_engine=image_font.Layout.BASIC)
    assert text_width(text, 1000) >= font.getlength(text) - len(text)
