"""Run one tool over the staged series and write its rows as canonical JSON."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairbank.analysis.contract import Contract, Row, RowStatus
from fairbank.analysis.execution import Say, Task, Workers, spread
from fairbank.analysis.journal import Journal
from fairbank.analysis.staged import MANIFEST, read_staged
from fairbank.analysis.tool import NO_MODELS, UsesModel, require_tool, tool_parameters

# The folder of pictures for the curator, beside the rows.
OVERLAYS = "overlays"
# Beside the rows while a run lasts; a killed run goes on from it.
JOURNAL = "rows.journal"
HERE = Workers()


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
    name: str,
    *,
    digest: str,
    parameters: Mapping[str, object],
    inputs: Path,
    into: Path,
    workers: Workers = HERE,
    say: Say = lambda part: None,
    models: Path = NO_MODELS,
) -> ToolOutcome:
    """Measure every staged series and write `{"schema": "rows/1", …}` to `into`.

    What an earlier run of the same tool with the same parameters over the same inputs had finished, when it was killed,
    is not measured again.

    Args:
        name: of the tool.
        digest: of its approved code.
        parameters: as the manifest has them.
        inputs: the staged series.
        into: the file of rows; its folder is worked in.
        workers: who measures.
        say: takes the finished part, from 0 to 1.
        models: a folder with the models that the parameters may name.

    Raises:
        ToolDigestMismatch: if the code here is not what was approved.
        ToolParametersRefused: if a parameter is unknown or out of range.
        RowsRefused: if the tool breaks its own contract.
        WorkersUnusable, SchedulerUnreachable: if those who should measure cannot.
        ModelMissing, ModelUnusable, BundleRefused: if the model that is named cannot be used.
    """
    tool = require_tool(name, digest)
    checked = tool_parameters(name, parameters)
    staged = read_staged(inputs)
    if isinstance(tool, UsesModel):
        tool.check_model(checked, models)
    overlays = into.parent / OVERLAYS
    overlays.mkdir(exist_ok=True)
    task = Task(tool, checked, into.parent, overlays, models)
    journal_file = into.parent / JOURNAL
    with Journal(journal_file, of=_decided_by(digest, checked.model_dump_json(), inputs)) as journal:
        rows = spread(task, staged, journal=journal, workers=workers, say=say)
    contract = tool.contract(checked)
    contract.check(rows)
    body = json.dumps(
        {"schema": "rows/1", "tool": name, "version": tool.version, "rows": rows},
        allow_nan=False,
        separators=(",", ":"),
    ).encode()
    into.write_bytes(body)
    # A withdrawal may have cleared the folder meanwhile.
    journal_file.unlink(missing_ok=True)
    statuses = Counter(str(row["status"]) for row in rows)
    subject_of = {series.unit: series.subject for series in staged}
    measured = [row for row in rows if is_measured(row, contract)]
    return ToolOutcome(
        digest=f"sha256:{hashlib.sha256(body).hexdigest()}",
        statuses={status.value: statuses.get(status.value, 0) for status in RowStatus},
        subjects=len({subject_of[str(v)] for row in measured for v in row.values() if str(v) in subject_of}),
    )


def is_measured(row: Row, contract: Contract) -> bool:
    """Tell whether a row holds a number: one that is not all `ok` may, such as grey values without a geometry."""
    return any(_is_number(value) for name, value in row.items() if name not in contract.key)


def _decided_by(digest: str, parameters: str, inputs: Path) -> str:
    """Return the digest of all that decides the rows: code, parameters, and which files are staged."""
    total = hashlib.sha256(f"{digest}\0{parameters}\0".encode())
    total.update((inputs / MANIFEST).read_bytes())
    return f"sha256:{total.hexdigest()}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
