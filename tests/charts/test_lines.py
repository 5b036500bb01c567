"""Lines: accessible, inside their frame, names apart, always the same."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from fairbank.charts.lines import BOTTOM, HEIGHT, LEAST_GAP, LEFT, RIGHT, TOP, WIDTH, Line, line_chart

_SVG = "{http://www.w3.org/2000/svg}"
_POINT = st.tuples(
    st.integers(min_value=0, max_value=10_000).map(float),
    st.floats(min_value=-1e9, max_value=1e9, allow_nan=False),
)


def drawn(*lines: Line, title: str = "T") -> ElementTree.Element:
    return ElementTree.fromstring(line_chart(lines, title=title, axis="dice", across="round", name="n"))


@given(st.lists(st.lists(_POINT, min_size=1, max_size=20, unique_by=lambda p: p[0]).map(sorted), max_size=7))
@settings(max_examples=40, deadline=None)
def test_every_point_lies_in_its_frame(curves) -> None:
    chart = drawn(*(Line(f"site-{at}", tuple(points)) for at, points in enumerate(curves)))
    for path in chart.iter(f"{_SVG}path"):
        if path.get("class") == "line":
            numbers = [float(each) for each in re.findall(r"-?[\d.]+", path.get("d", ""))]
            assert all(LEFT - 0.1 <= x <= RIGHT + 0.1 for x in numbers[::2])
            assert all(TOP - 0.1 <= y <= BOTTOM + 0.1 for y in numbers[1::2])
    labels = sorted(
        float(each.get("y", "")) for each in chart.iter(f"{_SVG}text") if each.get("class") == "label"
    )
    assert all(b - a >= LEAST_GAP - 0.11 for a, b in pairwise(labels))
    assert all(0 < y < HEIGHT for y in labels)
    assert all(0 <= float(each.get("x", "")) <= WIDTH for each in chart.iter(f"{_SVG}text"))


def test_the_description_tells_where_each_line_begins_and_ends() -> None:
    chart = drawn(Line("a < b", ((0, 0.5), (4, 0.75))), title="<T>")
    assert chart.findtext(f"{_SVG}desc") == "dice by round. a < b: from 0.5 at 0 to 0.75 at 4."
    assert chart.findtext(f"{_SVG}title") == "<T>"


def test_a_marked_line_is_thicker_and_a_mean_is_dashed() -> None:
    chart = drawn(
        Line("a", ((0, 1), (1, 2))),
        Line("b", ((0, 1), (1, 3)), marked=True),
        Line("m", ((0, 1), (1, 2)), dashed=True),
    )
    one, two, three = (path for path in chart.iter(f"{_SVG}path") if path.get("class") == "line")
    assert float(two.get("stroke-width", "")) > float(one.get("stroke-width", ""))
    assert three.get("stroke-dasharray") and not one.get("stroke-dasharray")


def test_a_chart_without_values_says_so() -> None:
    assert "No values." in line_chart([Line("a", ())], title="T", axis="y", across="x", name="n")
