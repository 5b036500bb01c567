"""Bars are as long as their counts, and the description says the same as the picture."""

from __future__ import annotations

from xml.etree import ElementTree

from fairbank.charts.bars import LABEL_LETTERS, Bar, bar_chart

_SVG = "{http://www.w3.org/2000/svg}"


def drawn(*bars: Bar, title: str = "T") -> ElementTree.Element:
    return ElementTree.fromstring(bar_chart(bars, title=title, name="n"))


def test_bars_are_as_long_as_their_counts() -> None:
    chart = drawn(Bar("none", 0), Bar("half", 50), Bar("all", 100))
    widths = [float(one.get("width", "")) for one in chart.iter(f"{_SVG}rect")]
    assert widths[0] == 0 and widths[2] == 2 * widths[1] > 0


def test_the_description_tells_every_count_and_words_are_escaped() -> None:
    chart = drawn(Bar("a < b & c", 3), title="<T>")
    assert chart.findtext(f"{_SVG}desc") == "a < b & c: 3."
    assert chart.findtext(f"{_SVG}title") == "<T>"


def test_a_long_label_is_cut() -> None:
    chart = drawn(Bar("x" * 200, 1))
    assert max(len(one.text or "") for one in chart.iter(f"{_SVG}text")) == LABEL_LETTERS
