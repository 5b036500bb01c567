"""The rows that a container wrote, judged by what its publisher sealed; nothing else of its output is looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import Tool
from fairbank.federated_jobs.container_tools import contract_of_columns
from fairbank.federated_jobs.node.errors import ContainerRowsRefused

SCHEMA: Final = "rows/1"
FILE: Final = "rows.json"
# Digits beyond these could carry something else than a measurement.
DIGITS: Final = 6
MOST_ROWS: Final = 1_000_000
_LARGEST_WHOLE: Final = 10**15


@dataclass(frozen=True, slots=True)
class ContainerRows:
    """Rows that keep to the contract, and of how many subjects anything was measured."""

    body: bytes
    subjects: int


def judged(content: Path, tool: Tool, subject_of: Mapping[str, str]) -> ContainerRows:
    """Return the rows in a file as they go to the release gate; a series without a row gets one that says so.

    Args:
        content: what the container wrote.
        tool: whose columns they have to have.
        subject_of: subjects by the names of the staged series.

    Raises:
        ContainerRowsRefused: naming the place of a fault, never a value.
    """
    from fairbank.analysis.contract import rounded

    contract = contract_of_columns(tool.columns)
    rows = _read(content)
    try:
        contract.check(rows)
    except FairbankError as err:
        raise _refused(f"{err.what} {err.why}".strip()) from err
    seen: set[tuple[Any, ...]] = set()
    for number, row in enumerate(rows, start=1):
        if row["row"] not in subject_of:
            raise _refused(f"Result row {number} is of no series that was handed over.")
        key = tuple(row[name] for name in contract.key)
        if key in seen:
            raise _refused(f"Result row {number} is there twice.")
        seen.add(key)
        for name, value in row.items():
            if isinstance(value, float):
                row[name] = rounded(value, DIGITS)
            elif isinstance(value, int) and abs(value) > _LARGEST_WHOLE:
                raise _refused(f"Result row {number} holds a whole number that is too large.")
    measured = {
        subject_of[row["row"]]
        for row in rows
        if any(isinstance(value, int | float) for name, value in row.items() if name not in contract.key)
    }
    missing = sorted(set(subject_of) - {row["row"] for row in rows})
    empty = dict.fromkeys(contract.names)
    rows += [{**empty, "row": unit, "status": "error"} for unit in missing]
    told = {
        "schema": SCHEMA,
        "tool": tool.name,
        "version": tool.version,
        "rows": _in_order(rows, contract.names),
    }
    return ContainerRows(json.dumps(told, allow_nan=False, separators=(",", ":")).encode(), len(measured))


def _in_order(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    ordered = sorted(rows, key=lambda row: str(row["row"]))
    return [{name: row[name] for name in names} for row in ordered]


def _read(content: Path) -> list[dict[str, Any]]:
    try:
        told = json.loads(content.read_bytes(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as err:
        raise _refused("It is no JSON that can be read.") from err
    if not isinstance(told, dict) or set(told) != {"schema", "rows"} or told["schema"] != SCHEMA:
        raise _refused(f"It is no object of 'schema' ({SCHEMA}) and 'rows'.")
    rows = told["rows"]
    if not isinstance(rows, list) or len(rows) > MOST_ROWS or not all(isinstance(row, dict) for row in rows):
        raise _refused("Its rows are no list of objects.")
    return rows


def _no_constant(text: str) -> float:
    raise ValueError(text)


def _refused(why: str) -> ContainerRowsRefused:
    return ContainerRowsRefused(
        "What the container wrote is not what its publisher sealed.",
        why=why,
        todo="Nothing of it leaves. Its publisher has to correct the tool.",
    )
