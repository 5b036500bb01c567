"""Merging the rows of several sites."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pydicom
import pytest

from fairbank.analysis.contract import Row
from fairbank.analysis.errors import NothingToMerge, RowsRefused
from fairbank.analysis.execution import measure_item
from fairbank.analysis.merge import MergedTable, merge_rows
from fairbank.analysis.plots import left_out
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import Desk, tool_named, tool_parameters

FILES = Path(pydicom.__file__).parent / "data/test_files"
TOOL = "intensity-geometry"


@pytest.fixture(scope="module")
def rows_by_site() -> dict[str, list[Row]]:
    parameters = tool_parameters(TOOL, {})
    names = {"b": ("CT_small.dcm", "MR_small.dcm"), "a": ("MR_small.dcm", "MR_small_RLE.dcm", "reportsi.dcm")}
    return {
        site: [
            row
            for i, name in enumerate(files)
            for row in measure_item(
                tool_named(TOOL),
                StagedSeries(f"u{i}", "s", (FILES / name,)),
                parameters,
                Desk(Path("/nonexistent"), Path("/nonexistent")),
            )
        ]
        for site, files in names.items()
    }


@pytest.fixture
def merged(rows_by_site: dict[str, list[Row]]) -> MergedTable:
    return merge_rows(TOOL, parameters={}, rows_by_site=rows_by_site)


def test_all_rows_are_in_the_table_with_their_site(merged: MergedTable) -> None:
    table = list(csv.DictReader(io.StringIO(merged.to_csv())))
    assert [(row["site"], row["row"]) for row in table] == [
        ("a", "u0"),
        ("a", "u1"),
        ("a", "u2"),
        ("b", "u0"),
        ("b", "u1"),
    ]
    assert table[2]["mean"] == ""
    assert tuple(table[0]) == merged.header


def test_the_order_of_sites_does_not_change_a_byte(rows_by_site: dict[str, list[Row]]) -> None:
    other = dict(reversed(rows_by_site.items()))
    one, two = (merge_rows(TOOL, parameters={}, rows_by_site=rows) for rows in (rows_by_site, other))
    assert (one.to_csv(), one.to_json(), one.to_svg()) == (two.to_csv(), two.to_json(), two.to_svg())


def test_a_summary_counts_values_by_site_and_modality(merged: MergedTable) -> None:
    found = {(s.site, s.modality): s for s in merged.summaries if s.column == "mean"}
    assert {key: summary.n for key, summary in found.items()} == {
        ("a", "MR"): 2,
        ("b", "CT"): 1,
        ("b", "MR"): 1,
    }
    a_mr = found[("a", "MR")]
    values = [row["mean"] for row in merged.rows if row["site"] == "a" and row["mean"] is not None]
    assert a_mr.mean == pytest.approx(sum(values) / 2)
    assert found[("b", "CT")].sd == 0.0


def test_statuses_are_counted(merged: MergedTable) -> None:
    assert merged.statuses == {
        "a": {"ok": 2, "impossible": 1, "error": 0},
        "b": {"ok": 2, "impossible": 0, "error": 0},
    }
    assert json.loads(merged.to_json())["statuses"] == merged.statuses


def test_what_was_left_out_is_kept_by_site_and_read_again(rows_by_site: dict[str, list[Row]]) -> None:
    reason = next(row["reason"] for row in rows_by_site["a"] if row["reason"])
    few = {"kind": "below-k", "k": 5}
    told = {"b": [{"reason": "other-reasons", "series": few, "subjects": few}]}
    merged = merge_rows(TOOL, parameters={}, rows_by_site=rows_by_site, exclusions=told)
    # A node of an older version counts nothing: its rows do.
    lines = [f"a,{reason},1,not-countable", "b,other-reasons,<5,<5"]
    assert merged.exclusions_csv().splitlines() == ["site,reason,series,subjects", *lines]
    assert MergedTable.from_json(merged.to_json()).exclusions == merged.exclusions
    picture = ElementTree.fromstring(left_out(merged))
    assert (
        picture.findtext("{http://www.w3.org/2000/svg}desc")
        == f"a: {str(reason).replace('_', ' ')}: 1; b: other reasons: fewer than 5."
    )


def test_exclusions_in_foreign_words_are_refused(rows_by_site: dict[str, list[Row]]) -> None:
    count = {"kind": "exact", "value": 12}
    told = {"b": [{"reason": "jane_doe", "series": count, "subjects": count}]}
    with pytest.raises(RowsRefused, match="words"):
        merge_rows(TOOL, parameters={}, rows_by_site=rows_by_site, exclusions=told)


def test_the_plot_has_a_panel_per_modality_and_a_row_per_site(merged: MergedTable) -> None:
    picture = ElementTree.fromstring(merged.to_svg())
    texts = picture.findall(".//{http://www.w3.org/2000/svg}text")
    labels = [text.text for text in texts if text.get("class") in ("panel", "group")]
    assert labels == ["CT", "b (n = 1)", "MR", "a (n = 2)", "b (n = 1)"]


def test_only_numbers_can_be_plotted(merged: MergedTable) -> None:
    with pytest.raises(NothingToMerge, match="orientation"):
        merged.to_svg("orientation")


def test_rows_that_break_the_contract_are_refused(rows_by_site: dict[str, list[Row]]) -> None:
    twice = {**rows_by_site, "a": [rows_by_site["a"][0]] * 2}
    with pytest.raises(RowsRefused, match="twice"):
        merge_rows(TOOL, parameters={}, rows_by_site=twice)
    foreign = {"a": [{**rows_by_site["a"][0], "PatientName": "DOE"}]}
    with pytest.raises(RowsRefused):
        merge_rows(TOOL, parameters={}, rows_by_site=foreign)


def test_nothing_to_merge_is_told() -> None:
    with pytest.raises(NothingToMerge):
        merge_rows(TOOL, parameters={}, rows_by_site={})
