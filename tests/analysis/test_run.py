"""Items of a tool one after the other: what fails costs its own row, and nothing is left lying about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest

from fairbank.analysis.contract import Row
from fairbank.analysis.execution import measure_item
from fairbank.analysis.intensity_geometry import IntensityGeometry
from fairbank.analysis.run import OVERLAYS, run_tool
from fairbank.analysis.staged import StagedSeries
from fairbank.analysis.tool import Desk, tool_digest, tool_named, tool_names, tool_parameters

CT = Path(pydicom.__file__).parent / "data/test_files/CT_small.dcm"
TOOL = "intensity-geometry"


class Stumbling(IntensityGeometry):
    """Fails on one item, in words that quote what no row may hold."""

    def measure(self, item: StagedSeries, parameters: Any, desk: Desk) -> Sequence[Row]:
        if item.unit == "u1":
            raise ValueError(f"no sense in {item.files[0]} of Jane Doe")
        return super().measure(item, parameters, desk)


def test_an_error_that_no_tool_foresaw_costs_one_row_and_its_text_is_not_kept(tmp_path: Path) -> None:
    parameters, desk = tool_parameters(TOOL, {}), Desk(tmp_path, tmp_path)
    items = [StagedSeries(f"u{number}", "s", (CT,)) for number in range(3)]
    rows = [row for item in items for row in measure_item(Stumbling(), item, parameters, desk)]
    IntensityGeometry().contract(parameters).check(rows)
    assert [(row["row"], row["status"]) for row in rows] == [("u0", "ok"), ("u1", "error"), ("u2", "ok")]
    told = {name: value for name, value in rows[1].items() if value is not None}
    assert told == {"row": "u1", "status": "error", "reason": "unreadable"}


def test_after_a_run_there_are_the_rows_and_a_folder_for_pictures_and_nothing_else(tmp_path: Path) -> None:
    inputs, scratch = tmp_path / "inputs", tmp_path / "scratch"
    (inputs / "u0").mkdir(parents=True)
    scratch.mkdir()
    shutil.copy(CT, inputs / "u0" / "000001.dcm")
    units = [{"unit": "u0", "subject": "p0", "files": ["000001.dcm"]}]
    (inputs / "manifest.json").write_text(json.dumps({"schema": "staged/1", "units": units}))
    outcome = run_tool(
        TOOL, digest=tool_digest(TOOL), parameters={}, inputs=inputs, into=scratch / "rows.json"
    )
    assert (outcome.statuses["ok"], outcome.subjects) == (1, 1)
    assert sorted(path.name for path in scratch.iterdir()) == sorted(["rows.json", OVERLAYS])


@pytest.mark.parametrize("name", tool_names())
def test_a_tool_names_each_module_once_and_its_own_among_them(name: str) -> None:
    tool = tool_named(name)
    assert len(set(tool.modules)) == len(tool.modules)
    assert type(tool).__module__ in tool.modules
