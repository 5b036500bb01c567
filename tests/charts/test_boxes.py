"""The box plot: accessible, inside its frame, nothing overlapping, always the same."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbank.charts.boxes import FiveNumbers, Group, box_plot
from fairbank.charts.scale import Scale, number_text

SVG = "{http://www.w3.org/2000/svg}"
values = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
groups = st.lists(
    st.builds(
        Group,
        st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=90),
        st.lists(values).map(tuple),
    ),
    max_size=30,
)


def plotted(*given: Group) -> ElementTree.Element:
    return ElementTree.fromstring(box_plot(given, title="Mean per series", axis="Mean grey value"))


def boxes(picture: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    """Return a generous frame of every text: left, top, right, bottom."""
    found = []
    for text in picture.iter(f"{SVG}text"):
        size = float(text.get("font-size", "13"))
        width = 0.6 * size * len(text.text or "")
        x, y = float(text.get("x", "0")), float(text.get("y", "0"))
        left = {"start": x, "middle": x - width / 2, "end": x - width}[text.get("text-anchor", "start")]
        found.append((left, y - size, left + width, y + 0.3 * size))
    return found


def test_the_picture_has_a_title_and_says_what_it_shows() -> None:
    picture = plotted(Group("site a", (1.0, 2.0, 3.0)), Group("site b", ()))
    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == "t d"
    assert picture.findtext(f"{SVG}title") == "Mean per series"
    description = picture.findtext(f"{SVG}desc") or ""
    assert "site a: 3 values from 1 to 3, median 2" in description
    assert "site b: no values" in description


def test_a_box_is_drawn_only_for_enough_values() -> None:
    few, many = plotted(Group("a", (1.0, 2.0))), plotted(Group("a", (1.0, 2.0, 3.0, 4.0, 5.0)))
    assert few.find(f"{SVG}rect") is None
    assert many.find(f"{SVG}rect") is not None


@settings(max_examples=60, deadline=None)
@given(groups)
def test_any_values_and_names_give_a_sound_picture_twice_the_same(rows: list[Group]) -> None:
    picture = box_plot(rows, title="t", axis="a")
    assert picture == box_plot(rows, title="t", axis="a")
    drawn = [e.get(name, "") for e in ElementTree.fromstring(picture).iter() for name in ("d", "x", "width")]
    assert not any("nan" in value or "inf" in value for value in drawn)


@pytest.mark.parametrize("count", [1, 3, 30])
@pytest.mark.parametrize(
    "label", ["a", "Universitätsklinikum Beispielstadt am Rhein, Radiologie und Neuroradiologie"]
)
def test_every_text_is_inside_the_frame_and_none_overlap(count: int, label: str) -> None:
    picture = plotted(*(Group(f"{label} {i}", (-1234.5, 0.0, 98765.4)) for i in range(count)))
    width, height = (float(n) for n in picture.get("viewBox", "").split()[2:])
    frames = boxes(picture)
    assert all(l >= 0 and t >= 0 and r <= width and b <= height for l, t, r, b in frames)  # noqa: E741
    overlapping = [
        (a, b)
        for i, a in enumerate(frames)
        for b in frames[i + 1 :]
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]
    assert overlapping == []


def test_markup_in_a_name_is_text() -> None:
    picture = plotted(Group("<script>alert(1)</script>", (1.0,)))
    assert picture.find(f".//{SVG}script") is None


def test_a_picture_of_three_sites_is_small() -> None:
    rows = [Group(f"site {i}", tuple(float(n * i) for n in range(200))) for i in range(1, 4)]
    assert len(box_plot(rows, title="t", axis="a").encode()) <= 6 * 1024


def test_values_lie_within_the_axis() -> None:
    scale = Scale.around([-3.2, 17.9], left=0.0, right=100.0)
    assert scale.low <= -3.2 < 17.9 <= scale.high
    assert (scale.place(scale.low), scale.place(scale.high)) == (0.0, 100.0)


def test_one_value_has_an_axis_too() -> None:
    assert Scale.around([5.0], left=0.0, right=10.0).place(5.0) == pytest.approx(5.0, abs=2.0)
    assert FiveNumbers.of([5.0]).upper == 5.0


def test_numbers_have_a_true_minus_sign() -> None:
    assert number_text(-0.5) == "\N{MINUS SIGN}0.5"
