"""Run one tool over the staged series and write its rows as canonical JSON."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbank.analysis.contract import Row, RowStatus
from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.staged import StagedSeries, read_staged
from fairbank.analysis.tool import Desk, Tool, ToolParameters, require_tool, tool_parameters

# The folder of pictures for the curator, beside the rows.
OVERLAYS = "overlays"
# Why nothing is known of an item whose measuring broke off; every tool's words have it.
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What a run left behind.

    Args:
        digest: `sha256:…` of the file of rows.
        statuses: number of series by status; it stays at the node.
        subjects: how many different subjects have a series of which anything was measured; it stays at the node.
    """

    digest: str
    statuses: dict[str, int]
    subjects: int


def run_tool(
    name: str, *, digest: str, parameters: Mapping[str, object], inputs: Path, into: Path
) -> ToolOutcome:
    """Measure every staged series and write `{"schema": "rows/1", …}` to `into`.

    Raises:
        ToolDigestMismatch: if the code here is not what was approved.
        ToolParametersRefused: if a parameter is unknown or out of range.
        RowsRefused: if the tool breaks its own contract.
    """
    tool = require_tool(name, digest)
    checked = tool_parameters(name, parameters)
    staged = read_staged(inputs)
    overlays = into.parent / OVERLAYS
    overlays.mkdir(exist_ok=True)
    rows: list[Row] = []
    for item in staged:
        with tempfile.TemporaryDirectory(dir=into.parent) as scratch:
            rows += measure_item(tool, item, checked, Desk(Path(scratch), overlays))
    tool.contract(checked).check(rows)
    body = json.dumps(
        {"schema": "rows/1", "tool": name, "version": tool.version, "rows": rows},
        allow_nan=False,
        separators=(",", ":"),
    ).encode()
    into.write_bytes(body)
    statuses = Counter(str(row["status"]) for row in rows)
    subject_of = {series.unit: series.subject for series in staged}
    # A row that is not all `ok` may still tell something measured, such as grey values without a geometry.
    measured = [row for row in rows if any(_is_number(value) for value in row.values())]
    return ToolOutcome(
        digest=f"sha256:{hashlib.sha256(body).hexdigest()}",
        statuses={status.value: statuses.get(status.value, 0) for status in RowStatus},
        subjects=len({subject_of[str(v)] for row in measured for v in row.values() if str(v) in subject_of}),
    )


def measure_item(tool: Tool, item: StagedSeries, parameters: ToolParameters, desk: Desk) -> list[Row]:
    """Return the rows of one item, all columns filled in; an item that fails becomes one row that says so.

    Nothing of an error but its kind is kept: its text may quote what is in a file.
    """
    names = tool.contract(parameters).names
    try:
        measured = tool.measure(item, parameters, desk)
    except ItemImpossible as fault:
        measured = [_without_value(item, RowStatus.IMPOSSIBLE, fault.reason)]
    except Exception:  # noqa: BLE001 - an outermost edge: one odd file must not stop the other items
        measured = [_without_value(item, RowStatus.ERROR, UNREADABLE)]
    return [{name: row.get(name) for name in names} for row in measured]


def _without_value(item: StagedSeries, status: RowStatus, reason: str) -> Row:
    return {"row": item.unit, "status": status.value, "reason": reason}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
