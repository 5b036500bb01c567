"""Each statistic over sites has a plot: whole, readable, of what the result tells and nothing else."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.analysis.breast_cancer import LIMITS, ask, federated, sites

from fairbank.analysis.errors import NothingToMerge
from fairbank.analysis.statistic_plots import axes_of, draw_statistic, t_quantile
from fairbank.analysis.statistics.question import Kind, Question
from fairbank.analysis.statistics_tool import StatisticsParameters
from fairbank.charts.boxes import WIDTH
from fairbank.release.tables import TableRules

SVG = "{http://www.w3.org/2000/svg}"
TIMES = (1, 2, 3.5, 5)
FEATURES = ("radius", "texture", "smoothness")
QUESTIONS = {
    Kind.COUNT: ask(statistic="count", groups=("diagnosis", "size")),
    Kind.DESCRIBE: ask(statistic="describe", variables=("area", "texture"), groups=("diagnosis",)),
    Kind.HISTOGRAM: ask(
        statistic="histogram", variables=("radius",), edges=(8, 10, 12, 14, 16, 20, 24), groups=("diagnosis",)
    ),
    Kind.QUANTILES: ask(statistic="quantiles", variables=("radius",), edges=(8, 12, 14, 16, 20)),
    Kind.CONTINGENCY: ask(statistic="contingency", groups=("diagnosis", "size")),
    Kind.T_TEST: ask(statistic="t-test", variables=("area", "texture"), groups=("size",)),
    Kind.ANOVA: ask(statistic="anova", variables=("area", "texture"), groups=("size",)),
    Kind.LINEAR: ask(statistic="linear", variables=FEATURES, outcome="area"),
    Kind.LOGISTIC: ask(statistic="logistic", variables=("texture", "radius"), outcome="diagnosis=malignant"),
    Kind.COX: ask(statistic="cox", variables=("texture",), time="followed", event="died", edges=TIMES),
    Kind.KAPLAN_MEIER: ask(
        statistic="kaplan-meier", time="followed", event="died", groups=("size",), edges=(1, 3, 5)
    ),
    Kind.PCA: ask(statistic="pca", variables=FEATURES),
    Kind.COMBAT: ask(statistic="combat", variables=FEATURES),
}  # fmt: skip
# So many subjects that groups of these three sites are told.
FEW = TableRules(k=2)


@pytest.fixture(scope="module")
def results() -> dict[Kind, dict[str, Any]]:
    few = (Kind.COUNT, Kind.CONTINGENCY, Kind.DESCRIBE, Kind.HISTOGRAM, Kind.KAPLAN_MEIER)
    return {
        kind: federated(question, sites(), limits=FEW if kind in few else LIMITS)
        for kind, question in QUESTIONS.items()
    }


def drawn(result: dict[str, Any], axes: dict[str, str] | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(draw_statistic(result, axes))


def texts(picture: ElementTree.Element, kind: str) -> list[str]:
    return [each.text or "" for each in picture.iter(f"{SVG}text") if each.get("class") == kind]


def said(picture: ElementTree.Element) -> str:
    return picture.findtext(f"{SVG}desc") or ""


@pytest.mark.parametrize("kind", list(Kind))
def test_every_statistic_is_drawn_inside_its_frame_and_said_in_words(
    results: dict[Kind, dict[str, Any]], kind: Kind
) -> None:
    picture = drawn(results[kind])
    assert draw_statistic(results[kind]) == draw_statistic(json.loads(json.dumps(results[kind])))
    assert picture.findtext(f"{SVG}title") and len(said(picture)) > 20
    if picture.get("class") == "c-chart":
        # The places of its texts are tested with the charts.
        return
    height = float(picture.get("height", "0"))
    for text in picture.iter(f"{SVG}text"):
        x, letters = float(text.get("x", "0")), len(text.text or "")
        # A letter is about 6.4 wide at size 13, 8 at size 16.
        wide = letters * (8.0 if text.get("font-size") == "16" else 6.4)
        start = {"end": x - wide, "middle": x - wide / 2}.get(text.get("text-anchor", "start"), x)
        assert start >= -2 and start + wide <= WIDTH + 8, text.text
        assert 0 < float(text.get("y", "0")) < height, text.text


def test_ratios_are_drawn_as_the_model_has_them_around_one(results: dict[Kind, dict[str, Any]]) -> None:
    row = next(row for row in results[Kind.LOGISTIC]["rows"] if row["variable"] == "texture")
    picture = drawn(results[Kind.LOGISTIC], {"texture": "Texture, 1"})
    (group,) = [each for each in texts(picture, "group") if each.startswith("Texture, 1")]
    assert f": {row['ratio']:.4g} [" in group and "p < 0.001" in group
    assert "1" in texts(picture, "tick")
    assert not any("intercept" in each for each in texts(picture, "group"))


def test_a_curve_ends_where_the_estimate_does_and_says_who_is_at_risk(
    results: dict[Kind, dict[str, Any]],
) -> None:
    result = results[Kind.KAPLAN_MEIER]
    picture = drawn(result)
    rows = {(row["group"][0], row["time"]): row for row in result["rows"]}
    for group in ("large", "small"):
        assert f"{group}: {100 * rows[group, '3 to 5']['survival']:.0f} % from 5 on" in said(picture)
    at_risk = texts(picture, "at-risk")
    # At the start everybody, from a year on those who are left.
    assert at_risk[:2] == [str(rows["large", "below 1"]["at_risk"]), str(rows["large", "1 to 3"]["at_risk"])]


def test_bins_that_sites_withheld_are_no_columns_of_zero(results: dict[Kind, dict[str, Any]]) -> None:
    result = results[Kind.HISTOGRAM]
    assert any(site["withheld"] for site in result["sites"].values())
    picture = drawn(result)
    assert any(path.get("class") == "c-few" for path in picture.iter(f"{SVG}path"))
    assert "withheld or not known" in said(picture)
    assert any("at least" in words for words in texts(picture, "c-note"))
    arrows = "".join(path.get("d", "") for path in picture.iter(f"{SVG}path") if path.get("class") == "c-on")
    ends = {row["group"][-1] for row in result["rows"]} & {"below 8", "from 24"}
    assert arrows.count("M") == len(ends) * len({tuple(row["group"][:-1]) for row in result["rows"]})


def test_a_cell_that_no_site_tells_says_so(results: dict[Kind, dict[str, Any]]) -> None:
    result = json.loads(json.dumps(results[Kind.CONTINGENCY]))
    del result["rows"][0]
    for site in result["sites"].values():
        site["withheld"] = True
    assert "withheld" in texts(drawn(result), "untold")
    for site in result["sites"].values():
        site["withheld"] = False
    assert texts(drawn(result), "untold") == []


def test_a_cell_is_tinted_by_its_size_and_below_zero_otherwise(results: dict[Kind, dict[str, Any]]) -> None:
    picture = drawn(results[Kind.PCA])
    cells = [each for each in picture.iter(f"{SVG}rect") if each.get("class") == "cell"]
    values = texts(picture, "value")
    assert len(cells) == len(values)
    for cell, value in zip(cells, values, strict=True):
        assert (cell.get("fill") == "#d8743b") == value.startswith("\N{MINUS SIGN}")


def test_variables_are_named_with_their_units_where_the_tools_say_them() -> None:
    asked = StatisticsParameters(statistic=Kind.DESCRIBE, variables=("mean_hu",), measure="lung-densitometry")
    assert axes_of({"question": asked.model_dump(mode="json")})["mean_hu"].endswith(", [hnsf'U]")
    assert axes_of({"question": {"statistic": "of another version"}}) == {}


def test_a_result_without_a_group_is_not_drawn() -> None:
    question: Question = QUESTIONS[Kind.COUNT]
    empty = {
        "statistic": "count",
        "question": question.model_dump(mode="json"),
        "sites": {},
        "rows": [],
        "totals": {},
    }
    with pytest.raises(NothingToMerge):
        draw_statistic(empty)
    too_large = {
        **empty,
        "statistic": "cox",
        "rows": [{"variable": "x", "coefficient": 9e9, "standard_error": 1, "p": 1}],
    }
    with pytest.raises(NothingToMerge):
        draw_statistic({**too_large, "totals": {"subjects": 1, "events": 1, "converged": True}})


def test_the_interval_of_a_difference_is_student_s() -> None:
    from scipy import stats

    for df in (3.0, 17.5, 400.0):
        assert t_quantile(df) == pytest.approx(float(stats.t.ppf(0.975, df)), rel=1e-9)
