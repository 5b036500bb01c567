"""Run one tool over the staged series and write its rows as canonical JSON."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbank.analysis.contract import RowStatus
from fairbank.analysis.staged import read_staged
from fairbank.analysis.tool import require_tool, tool_parameters


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
    rows = list(tool.measure(staged, checked))
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


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
