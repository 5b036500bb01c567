"""Plots of merged tables: the numbers in them are those of the formulas, and what cannot be drawn is told."""

from __future__ import annotations

import math
import re
from statistics import NormalDist
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from fairbank.analysis.contract import Column, ColumnType, identity_columns, number_column
from fairbank.analysis.errors import NothingToMerge
from fairbank.analysis.merge import MergedTable, merge_rows
from fairbank.analysis.plots import PlotKind, draw
from fairbank.analysis.tool import tool_named, tool_parameters

MODALITY = Column("modality", ColumnType.WORD, None, "Modality.", ("CT", "MR"))
DENSITY = number_column("density", "[hnsf'U]", "Mean density.", biomarker="DCM:112181")
AGAIN = number_column("again", "[hnsf'U]", "Mean density, again.", biomarker="DCM:112181")
OTHER = number_column("volume", "L", "Volume.", biomarker="SCT:118565006")


def table(values: dict[str, list[Any]], column: Column = DENSITY, **more: list[Any]) -> MergedTable:
    """Return a table of one column by site; `more` gives all sites the same values of other columns."""
    others = [column for column in (AGAIN, OTHER) if column.name in more]
    rows = [
        {
            "site": site, "row": f"r{place}", "status": "ok", "reason": None, "modality": "CT", column.name: value,
            **{one.name: more[one.name][place] for one in others},
        }
        for site, found in values.items()
        for place, value in enumerate(found)
    ]  # fmt: skip
    columns = (*identity_columns(()), MODALITY, column, *others)
    return MergedTable("made-up", "1", columns, tuple(rows), (), {site: {} for site in values})


def described(svg: str) -> str:
    root = ElementTree.fromstring(svg)
    return root.find("{http://www.w3.org/2000/svg}desc").text.replace("\N{MINUS SIGN}", "-")


def numbers(text: str) -> list[float]:
    return [float(one.replace(",", "")) for one in re.findall(r"-?[\d,]*\.?\d+(?:e[+-]?\d+)?", text)]


def test_a_forest_plot_has_the_fixed_effect_of_the_inverse_variances() -> None:
    rng = np.random.default_rng(1)
    values = {
        name: list(rng.normal(mean, sd, n)) for name, mean, sd, n in (("a", -800, 20, 12), ("b", -780, 9, 30))
    }
    means = {name: float(np.mean(found)) for name, found in values.items()}
    weights = {name: len(found) / float(np.var(found, ddof=1)) for name, found in values.items()}
    pooled = sum(weights[name] * means[name] for name in values) / sum(weights.values())
    half = NormalDist().inv_cdf(0.975) / math.sqrt(sum(weights.values()))
    said = described(draw(PlotKind.FOREST, table(values)))
    mean, low, high, n = numbers(said.split("fixed effect:")[1])[:4]
    assert (mean, low, high) == pytest.approx((pooled, pooled - half, pooled + half), rel=1e-3)
    assert n == 42
    mean, low, high, n = numbers(said.split("a:")[1])[:4]
    assert (mean, high - low) == pytest.approx((means["a"], 2 * 1.959964 / math.sqrt(weights["a"])), rel=1e-2)


def test_a_site_with_one_value_has_no_interval_and_no_part_in_the_pooled_mean() -> None:
    said = described(draw(PlotKind.FOREST, table({"a": [1.0, 2.0, 3.0], "b": [50.0], "c": [2.0, 3.0, 4.0]})))
    assert "b: 50, no interval, n = 1" in said
    assert numbers(said.split("fixed effect:")[1])[0] == pytest.approx(2.5)


def test_one_site_alone_is_not_pooled_with_itself() -> None:
    assert "fixed effect" not in draw(PlotKind.FOREST, table({"a": [1.0, 2.0, 3.0]}))


def test_agreement_is_the_mean_difference_and_its_limits() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(-800, 30, 25), rng.normal(-795, 30, 25)
    made = table({"a": list(first)}, again=list(second))
    said = described(draw(PlotKind.BLAND_ALTMAN, made, "density", against="again"))
    bias, sd = float(np.mean(first - second)), float(np.std(first - second, ddof=1))
    found = numbers(said.split("Mean difference")[1])
    expected = (bias, bias - 1.959964 * sd, bias + 1.959964 * sd)
    assert (found[0], found[1], found[2]) == pytest.approx(expected, rel=1e-3)
    assert "25 pairs" in said


def test_only_series_of_the_same_name_at_the_same_site_are_pairs() -> None:
    one, two = table({"a": [1.0, 2.0], "b": [3.0, None]}), table({"a": [1.5, 2.5], "c": [9.0]}, AGAIN)
    assert "2 pairs" in described(draw(PlotKind.BLAND_ALTMAN, one, "density", against="again", other=two))
    with pytest.raises(NothingToMerge, match="0 series"):
        draw(PlotKind.BLAND_ALTMAN, one, "density", against="again", other=table({"c": [1.0]}, AGAIN))


def test_two_quantities_do_not_agree_or_disagree() -> None:
    made = table({"a": [1.0, 2.0]}, volume=[1.0, 2.0])
    with pytest.raises(NothingToMerge, match="same biomarker"):
        draw(PlotKind.BLAND_ALTMAN, made, "density", against="volume")
    with pytest.raises(NothingToMerge, match="same column"):
        draw(PlotKind.BLAND_ALTMAN, made, "density")
    with pytest.raises(NothingToMerge, match="same column"):
        draw(PlotKind.BLAND_ALTMAN, made, "density", other=made)


@pytest.mark.parametrize("kind", [PlotKind.DISTRIBUTION, PlotKind.FOREST])
def test_without_a_mean_the_first_biomarker_that_has_values_is_drawn(kind: PlotKind) -> None:
    assert "Mean density" in described(draw(kind, table({"a": [1.0, 2.0], "b": [2.0, 4.0]})))


def test_a_table_without_any_value_is_not_drawn() -> None:
    with pytest.raises(NothingToMerge, match="with a value"):
        draw(PlotKind.DISTRIBUTION, table({"a": [None]}))


@pytest.mark.parametrize("kind", [PlotKind.DISTRIBUTION, PlotKind.FOREST])
@pytest.mark.parametrize(
    "values", [[1e308, -1e308], [1e200, -1e200], [5e-324, 0.0], [1.0, 1.0], [1e-160, 2e-160]]
)
def test_whatever_numbers_a_site_sends_drawing_ends_in_a_picture_or_in_words(
    kind: PlotKind, values: Any
) -> None:
    try:
        ElementTree.fromstring(draw(kind, table({"a": values, "b": [1.0, 2.0]})))
    except NothingToMerge as err:
        assert err.code == "FB-ANA-007"


def test_names_of_sites_cannot_break_the_picture() -> None:
    ElementTree.fromstring(draw(PlotKind.FOREST, table({"<a&": [1.0, 2.0], "b": [1.0, 3.0]})))


def test_a_table_read_again_draws_the_same_picture() -> None:
    name = "lung-densitometry"
    contract = tool_named(name).contract(tool_parameters(name, {}))
    rows = {
        site: [
            {
                **{column.name: None for column in contract.columns},
                "row": f"r{place}", "status": "ok", "mean_hu": -800.0 + place * factor,
            }
            for place in range(5)
        ]
        for site, factor in (("a", 1.0), ("b", 2.0))
    }  # fmt: skip
    made = merge_rows(name, parameters={}, rows_by_site=rows)
    again = MergedTable.from_json(made.to_json())
    for kind in (PlotKind.DISTRIBUTION, PlotKind.FOREST):
        assert draw(kind, again) == draw(kind, made)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "merged-table/1", "columns": [1]}'])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(NothingToMerge):
        MergedTable.from_json(text)
