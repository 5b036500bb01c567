"""Every chart: accessible, inside its frame, no two texts meet, honest about what is not known, always the same."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.charts.drawn_figures import KINDS, faults, parsed, texts

from fairbank.charts.bars import Amount, Bar, bar_chart
from fairbank.charts.count_marks import BLOCK
from fairbank.charts.fairness import SiteResult, fairness_chart, gap_of
from fairbank.charts.figure import Figure, palette, stylesheet, stylesheet_of_files
from fairbank.charts.flow import STAGES, Flow, flow_chart
from fairbank.charts.histogram import Bin, HistogramPanel, histogram
from fairbank.charts.rounds import RoundCurve, round_chart
from fairbank.charts.scale import number_text
from fairbank.charts.upset import NamedSet, Together, guarded, upset_chart
from fairbank.charts.words import spoken
from fairbank.ontology.counts import AtLeast, Count, CountReason, Total

_SINCE = "2026-01-31T12:00:00.000Z"
_WAITING = Count.waiting(CountReason.SITE_NOT_REACHED, _SINCE)
_DECLINED = Count.declined(CountReason.SITE_DECLINED, _SINCE)
_EVERY_KIND: tuple[Total, ...] = (
    Count.exact(1234567), Count.exact(0), Count.below(10), Count.not_countable(), _WAITING, _DECLINED,
    AtLeast(at_least=4321, withheld=2),
)  # fmt: skip
_GERMAN = (
    "Universitätsklinikum Beispielstadt am Rhein, Klinik für Radiologie",
    "Donaudampfschifffahrtsgesellschaftskapitän",
    "Röntgenbildverstärkerqualitätssicherungsmaßnahme",
)
Draw = Callable[[Sequence[str], Sequence[Total], str], Figure]


def labels(number: int, words: str) -> list[str]:
    return [f"{at} {words}" for at in range(number)]


def counts(number: int) -> list[Total]:
    return [_EVERY_KIND[at % len(_EVERY_KIND)] for at in range(number)]


# Geometry


@pytest.mark.parametrize("draw", KINDS)
@pytest.mark.parametrize("number", [0, 1, 3, 30])
@pytest.mark.parametrize("words", ["a", "W" * 40, *_GERMAN, "放射線科" * 12])
def test_every_text_is_inside_the_frame_and_no_two_meet(draw: Draw, number: int, words: str) -> None:
    if draw.__name__ == "flows" and not number:
        return
    assert faults(draw(labels(number, words), counts(number), f"Probandinnen und Probanden: {words}")) == []


_LABELS = st.lists(st.text(max_size=70), min_size=1, max_size=9, unique=True)
_ANY = st.one_of(st.sampled_from(_EVERY_KIND), st.integers(0, 10**9).map(Count.exact))


@pytest.mark.parametrize("draw", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names=_LABELS, title=st.text(max_size=200), data=st.data())
def test_any_names_and_counts_give_a_sound_picture_twice_the_same(
    draw: Draw, names: list[str], title: str, data: st.DataObject
) -> None:
    given_counts = data.draw(st.lists(_ANY, min_size=len(names), max_size=len(names)))
    figure = draw(names, given_counts, title)
    assert figure == draw(names, given_counts, title)
    assert faults(figure) == []
    assert not re.search(r"\b(nan|inf)\b", figure.body)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.integers(0, 500), st.none() | st.floats(-1e9, 1e9, allow_nan=False), max_size=20),
        max_size=9,
    )
)
def test_any_curves_stay_in_their_frame(values: list[dict[int, float | None]]) -> None:
    made = [RoundCurve(f"site {at}", tuple(sorted(each.items()))) for at, each in enumerate(values)]
    figure = round_chart(made, title="t", axis="a", name="c")
    assert faults(figure) == []
    places = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", figure.body)
    assert all(-0.1 <= float(x) <= 720.1 and -0.1 <= float(y) <= figure.height for x, y in places)


# What pages may hold


@pytest.mark.parametrize("draw", KINDS)
def test_a_picture_has_title_description_and_table_and_no_style(draw: Draw) -> None:
    figure = draw(labels(6, "<b>&"), counts(6), "<T> & co")
    picture = parsed(figure)
    assert picture.get("role") == "img"
    ids = [element.get("id") for element in picture.iter() if element.get("id")]
    assert picture.get("aria-labelledby") == " ".join(ids)
    assert picture.findtext("title") == "<T> & co" and picture.findtext("desc")
    inline = figure.inline()
    assert "style" not in inline and "<b>" not in inline and "<script" not in inline
    assert inline.count("<table") == inline.count("<details") == 1
    assert all(cell.strip() for row in figure.table.rows for cell in row)
    assert all(len(row) == len(figure.table.head) for row in figure.table.rows)


@pytest.mark.parametrize("draw", KINDS)
def test_every_class_is_in_the_stylesheet(draw: Draw) -> None:
    used = set(
        " ".join(re.findall(r'class="([^"]*)"', draw(labels(9, "x"), counts(9), "t").inline())).split()
    )
    assert used and all(name.startswith("c-") for name in used)
    # A place for pages to hang their own rules on, without one here.
    assert {name for name in used if not re.search(rf"\.{name}\b", stylesheet())} == set()


@pytest.mark.parametrize("draw", KINDS)
def test_a_file_of_its_own_needs_nothing_else(draw: Draw) -> None:
    alone = draw(labels(3, "x"), counts(3), "t").alone()
    assert "var(" not in alone and "url(" not in alone
    assert palette(dark=False)["--c-0"] in alone and palette(dark=True)["--c-0"] in alone
    assert 'xmlns="http://www.w3.org/2000/svg"' in alone


@pytest.mark.parametrize("draw", KINDS)
@pytest.mark.parametrize("number", [6, 30])
def test_a_picture_is_small(draw: Draw, number: int) -> None:
    assert (
        len(draw(labels(number, "Beispielstadt am Rhein, Radiologie"), counts(number), "t").svg().encode())
        <= 6144
    )


def test_a_long_training_is_small_too() -> None:
    made = [RoundCurve(f"site {at}", tuple((n, (n * 37 % 101) / 100) for n in range(300))) for at in range(8)]
    assert len(round_chart(made, title="t", axis="a", name="c").svg().encode()) <= 6144


# Colours


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_colours_can_be_told_from_the_ground(dark: bool) -> None:
    colours = palette(dark=dark)
    ground = _luminance(colours.pop("--c-ground"))
    for name, colour in colours.items():
        bright, dim = sorted((_luminance(colour), ground), reverse=True)
        contrast = (bright + 0.05) / (dim + 0.05)
        # WCAG 2.2: text 4.5 (1.4.3), graphics 3 (1.4.11).
        assert contrast >= (3 if name == "--c-rule" else 4.5), f"{name}: {contrast:.2f}"


def test_dark_by_the_system_and_dark_by_choice_are_the_same() -> None:
    blocks = re.findall(r"(?s)(:root[^{}]*)\{([^{}]*)\}", stylesheet())
    assert [one.strip() for one, _ in blocks] == [
        ":root", ':root:not([data-theme="light"])', ':root[data-theme="dark"]',
    ]  # fmt: skip
    light, by_system, by_choice = (re.findall(r"(--c-\w+):\s*(\S+);", body) for _, body in blocks)
    assert by_system == by_choice
    assert [name for name, _ in light] == [name for name, _ in by_system]


def test_curves_differ_by_dashes_too() -> None:
    made = [RoundCurve(f"s{at}", ((0, 1.0), (1, 2.0 + at))) for at in range(10)]
    body = round_chart(made, title="t", axis="a", name="c").body
    lines = re.findall(r'<path class="c-l ([^"]*)"', body)
    # Each once as a line and once beside its name.
    assert len(lines) == 20 and len(set(lines)) == 10
    assert len({re.sub(r"c-s\d ?", "", each) for each in lines[:6]}) == 6


def test_the_worst_site_and_the_mean_are_drawn_among_many() -> None:
    made = [RoundCurve(f"s{at}", ((0, 1.0), (1, 2.0)), marked=at == 28, mean=at == 29) for at in range(30)]
    figure = round_chart(made, title="t", axis="a", name="c")
    words = [words for words, _ in texts(figure)]
    assert "s28" in words and "s29" in words and "s20" not in words
    assert "Not drawn, but in the table: 20 of 30 curves." in words
    assert len(figure.table.rows) == 30


# Honest counts


@pytest.mark.parametrize(
    "made",
    [
        lambda n: Bar("a", n),
        lambda n: Bin(0.0, 1.0, n, "a"),
        lambda n: NamedSet("a", n),
        lambda n: Together(frozenset("a"), n),
        lambda n: SiteResult("a", 0.5, n),
        lambda n: Flow("a", (n,) * len(STAGES)),
        lambda n: bar_chart(
            [Bar("a", Count.exact(1)), Bar("b", Count.below(3))], title="t", name="n", total=n
        ),
    ],
)
@pytest.mark.parametrize("number", [0, 5, None])
def test_a_plain_number_is_refused(made, number: object) -> None:
    if number is None and made.__code__.co_names[:1] == ("bar_chart",):
        return
    with pytest.raises(TypeError, match="a count is asked for"):
        made(number)


@pytest.mark.parametrize("draw", [draw for draw in KINDS if draw.__name__ != "curves"])
@pytest.mark.parametrize(
    ("count", "words"),
    [(Count.below(10), "fewer than 10"), (_WAITING, "waiting since"), (_DECLINED, "declined"),
     (Count.not_countable(), "cannot be counted")],
)  # fmt: skip
def test_what_is_not_known_is_said_in_words_and_never_a_zero(draw: Draw, count: Total, words: str) -> None:
    figure = draw(["alpha"], [count], "t")
    assert any(words in cell for row in figure.table.rows for cell in row)
    assert "0" not in [cell for row in figure.table.rows for cell in row]
    if draw.__name__ != "bins":
        assert any(words in each for each, _ in texts(figure))


def _hatched(count: Total) -> str:
    found = re.search(
        r'<path class="c-few" d="([^"]*)"', bar_chart([Bar("a", count)], title="t", name="n").body
    )
    return found[1] if found else ""


def test_a_withheld_count_is_a_block_of_one_size_whatever_the_limit() -> None:
    assert (
        _hatched(Count.below(3))
        and "c-bar" not in bar_chart([Bar("a", Count.below(3))], title="t", name="n").body
    )
    assert re.findall(r"h([\d.]+)", _hatched(Count.below(3))) == [f"{BLOCK:g}"]
    assert re.findall(r"h([\d.]+)", _hatched(Count.below(1000))) == [f"{BLOCK:g}"]
    assert _hatched(Count.exact(5)) == ""


def test_bars_are_as_long_as_their_counts() -> None:
    body = bar_chart(
        [Bar("a", Count.exact(0)), Bar("b", Count.exact(50)), Bar("c", Count.exact(100))], title="t", name="n"
    ).body
    solid = re.search(r'<path class="c-bar" d="([^"]*)"', body)
    assert solid is not None
    half, whole = (float(each) for each in re.findall(r"h([\d.]+)", solid[1]))
    assert whole == pytest.approx(2 * half, abs=0.11)


@given(
    st.lists(
        st.one_of(st.integers(0, 500).map(Count.exact), st.just(Count.below(10))), min_size=1, max_size=12
    )
)
@settings(max_examples=50, deadline=None)
def test_the_total_is_that_of_the_table_and_tells_no_hidden_row(given_counts: list[Count]) -> None:
    hidden = sum(not each.is_exact for each in given_counts)
    whole = sum(each.at_least for each in given_counts) + 3 * hidden
    rows = [Bar(f"r{at}", count) for at, count in enumerate(given_counts)]
    figure = bar_chart(rows, title="t", name="n", total=Count.exact(whole))
    *cells, (label, told) = figure.table.rows
    known = [int(value.replace(",", "")) for _, value in cells if value.replace(",", "").isdigit()]
    assert label == "All together"
    if not hidden:
        assert told == f"{sum(known):,}"
    elif hidden == 1:
        assert told.startswith(f"at least {sum(known):,}" if sum(known) else "not known")


def test_a_share_is_no_count_and_needs_its_words() -> None:
    figure = bar_chart([Bar("a", Amount(0.25, "25 %"))], title="t", name="n")
    assert figure.table.rows == (("a", "25 %"),)


def test_bins_that_are_withheld_are_hatched_and_named_below() -> None:
    panel = HistogramPanel("", (Bin(0, 10, Count.exact(30), "0-10"), Bin(10, 20, Count.below(10), "10-20")))
    figure = histogram([panel], title="t", axis="age", name="h")
    assert "fewer than 10" in " ".join(words for words, _ in texts(figure))
    assert "c-few" in figure.body and "1 withheld" in figure.said


def test_a_set_with_a_withheld_combination_is_told_as_a_range() -> None:
    rows = [
        Together(frozenset({"CT"}), Count.exact(40)),
        Together(frozenset({"CT", "PET"}), Count.below(10)),
        Together(frozenset({"MR"}), Count.exact(25)),
    ]
    sets = [
        NamedSet("CT", Count.exact(44)),
        NamedSet("PET", Count.below(10)),
        NamedSet("MR", Count.exact(25)),
    ]
    assert [str(each.size) for each in guarded(sets, rows)] == ["at least 40 (1 withheld)", "<10", "25"]
    words = " ".join(cell for row in upset_chart(sets, rows, title="t", name="u").table.rows for cell in row)
    assert "44" not in words


@given(st.lists(st.integers(0, 120), min_size=len(STAGES), max_size=len(STAGES)), st.integers(1, 15))
def test_two_stages_never_tell_of_a_few(values: list[int], k: int) -> None:
    ordered = sorted(values, reverse=True)
    shown = Flow("a", tuple(Count.exact(value) for value in ordered)).shown(k)
    told = [each.value for each in shown if isinstance(each, Count) and each.value is not None]
    assert all(a == b or a - b >= k for a, b in pairwise(told))
    assert all(each.at_least <= value for each, value in zip(shown, ordered, strict=True))


# Curves and fairness


def test_a_missed_round_is_a_gap_and_is_named() -> None:
    curve = RoundCurve("north", ((0, 0.5), (1, 0.6), (2, None), (3, 0.7), (4, 0.8)))
    other = RoundCurve("south", tuple((at, 0.4) for at in range(5)))
    figure = round_chart([curve, other], title="t", axis="Dice", name="c", higher_is_better=True)
    line = re.search(r'<path class="c-l c-s0" d="([^"]*)"', figure.body)
    assert line is not None and line[1].count("M") == 2 and line[1].count("L") == 2
    assert "north: no value in round 2." in [words for words, _ in texts(figure)]
    assert figure.table.rows[0] == ("north", "0.8 at round 4", "0.8 at round 4", "round 2")
    assert figure.table.rows[1][3] == "none"


def test_a_site_without_any_value_is_named_and_not_drawn() -> None:
    figure = round_chart(
        [RoundCurve("a", ((0, 1.0),)), RoundCurve("b", ((0, None),))], title="t", axis="y", name="c"
    )
    assert "No value at all: b." in [words for words, _ in texts(figure)]
    assert "No values." in round_chart([], title="t", axis="y", name="c").body


def test_sites_with_few_cases_are_hollow_and_out_of_the_gap() -> None:
    sites = [
        SiteResult("north", 0.9, Count.exact(80), 0.85, 0.95),
        SiteResult("south", 0.8, Count.exact(60), 0.75, 0.85),
        SiteResult("west", 0.1, Count.below(10), 0.0, 0.6),
    ]
    figure = fairness_chart(sites, title="t", axis="Dice", name="f")
    assert gap_of(sites, 20) == pytest.approx(0.1)
    assert figure.body.count("c-hollow") == 1
    assert [row[-1] for row in figure.table.rows] == ["yes", "yes", "no: few cases"]
    assert gap_of(sites[1:], 20) is None


def test_the_stylesheet_of_files_is_small() -> None:
    assert len(stylesheet_of_files().encode()) <= 6144


def test_a_flow_needs_all_its_stages() -> None:
    with pytest.raises(ValueError, match="a flow has 6 counts"):
        Flow("a", (Count.exact(1),))


def test_flows_beyond_those_drawn_are_in_the_table() -> None:
    one = tuple(Count.exact(n) for n in (900, 700, 500, 400, 300, 200))
    figure = flow_chart([Flow(f"node {at}", one) for at in range(8)], title="t", name="w", k=10)
    assert len(figure.table.rows) == 8
    assert "3 more in the table." in [words for words, _ in texts(figure)]


# Languages


class _Elsewhere:
    """A language without Latin letters: whatever is left of them was not said by it."""

    separators = (".", ",")

    def say(self, text: str, **parts: object) -> str:
        pieces = re.split(r"(%\(\w+\)s)", text)
        strange = "".join(each if each.startswith("%(") else re.sub("[A-Za-z]", "я", each) for each in pieces)
        return strange % parts if parts else strange


@pytest.mark.parametrize("draw", KINDS)
@pytest.mark.parametrize("number", [0, 1, 3, 30])
def test_a_chart_speaks_the_language_of_its_reader_and_of_nobody_after(draw: Draw, number: int) -> None:
    if draw.__name__ == "flows" and not number:
        return
    plain = draw(labels(number, "имя"), counts(number), "Числа")
    with spoken(_Elsewhere()):
        page = draw(labels(number, "имя"), counts(number), "Числа").inline()
    visible = re.sub(
        r"UTC|\bto\b|Alter in Jahren|Dice|Flächenmaß", "", " ".join(re.sub("<[^>]*>", " ", page).split())
    )
    assert re.findall("[A-Za-z]+", html.unescape(visible)) == []
    assert draw(labels(number, "имя"), counts(number), "Числа") == plain


def test_numbers_of_a_chart_have_the_separators_of_its_reader() -> None:
    with spoken(_Elsewhere()):
        made = bar_chart([Bar("CT", Count.exact(12_345))], title="CT", name="b")
        assert number_text(-0.25) == "−0,25"
    assert made.table.rows == (("CT", "12.345"),)
    assert ">12.345<" in made.body
