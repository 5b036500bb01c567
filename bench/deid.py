"""What de-identification costs: files a second on one core, on two, and memory; with other tools in the same run.

All over one kind of file: a CT image of 512 x 512, 313 elements, 532 kB.

- Tools (`…_per_s`): files a second of one core's processor time, so that what else the machine does counts little; each
  tool's best of three rounds, once it has its tables. `headers_*` is `clean_file` with the second look at what it wrote
  left out: the file read from the disk, admission, the subject's identifiers gathered, facts recorded, the judgement
  whether its pixels have to be looked at (one in a thousand of these is), every element cleaned, marks, the new file as
  bytes, its SHA-256. `verified_*` is all of `clean_file`: those bytes read again by another reader, each element
  judged, the identifiers sought in header and pixels. `dcmanon` (Rust), `dicom-anonymizer`, `dicognito` and `deid` work
  with their defaults, which check nothing that they wrote, and `pydicom_read_and_save` changes nothing.
- Processes: a folder through `fairbank deid run`; `parts/deid_processes.py` says what each figure means. By the clock,
  so it needs a quiet machine: see `two_to_one_of_machine`.
- Memory: how a process grows over 10,000 files with all of `clean_file`, by a line through the last four fifths.

It takes three minutes on two free cores. Goals: at least 200 files/s/core for headers only, 100 with verification, 1.8
times as fast on two processes, and no more than 1 MB growth per 1,000 files.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from parts.deid_files import ct_files
from parts.deid_memory import memory
from parts.deid_processes import two_to_one
from parts.deid_tools import PEERS, files_per_s, here

GOALS: dict[str, tuple[str, float]] = {
    "headers_research_per_s": (">=", 200),
    "headers_basic_per_s": (">=", 200),
    "verified_research_per_s": (">=", 100),
    "verified_basic_per_s": (">=", 100),
    "two_to_one": (">=", 1.8),
    "memory_mb_per_1000_files": ("<=", 1),
}
PARTS = ("tools", "processes", "memory")
_TOOL_FILES, _FOLDER_FILES, _MEMORY_FILES = 60, 1000, 10_000


def measure(*, parts: Sequence[str], scale: float) -> dict[str, Any]:
    """Return the figures of some parts, their goals, and whether they are met."""
    figures: dict[str, float] = {}
    if "tools" in parts:
        speed = files_per_s(list(ct_files(max(2, int(_TOOL_FILES * scale)))), here())
        figures |= {f"{tool}_per_s": value for tool, value in speed.items()}
        ours = speed["verified_research"]
        figures |= {
            f"verified_to_{tool}": ours / speed[tool]
            for tool in (*PEERS, "pydicom_read_and_save")
            if tool in speed
        }
    if "processes" in parts:
        figures |= two_to_one(max(100, int(_FOLDER_FILES * scale)))
    if "memory" in parts:
        figures |= memory(max(2000, int(_MEMORY_FILES * scale)))
    met = {name: _holds(figures[name], goal) for name, goal in GOALS.items() if name in figures}
    return {"benchmark": "deid", "figures": figures, "goals": GOALS, "met": met}


def _holds(value: float, goal: tuple[str, float]) -> bool:
    return value >= goal[1] if goal[0] == ">=" else value <= goal[1]


def main() -> None:
    """Print the figures: as a table, or with `--json` as one object."""
    parser = argparse.ArgumentParser(description="Measure what de-identification costs.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part only")
    parser.add_argument(
        "--scale", type=float, default=1, help="take this share of the files, to try the benchmark"
    )
    arguments = parser.parse_args()
    result = measure(parts=arguments.only or PARTS, scale=arguments.scale)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result["figures"].items():
        goal = GOALS.get(name)
        told = f"  (goal {goal[0]} {goal[1]:g}: {'met' if result['met'][name] else 'missed'})" if goal else ""
        print(f"{name:32} {value:12,.2f}{told}")


if __name__ == "__main__":
    main()
