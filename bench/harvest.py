"""What a harvest costs: reading headers, asking an XNAT, and a million series from an archive to records.

- Headers: all that the index does with the headers of a folder, against bare `pydicom.dcmread` with the same elements,
  on one core in the same run.
- XNAT: requests per session of our source against naive iteration with pyxnat, over the same stand-in.
- A million: the public index of the NCI Imaging Data Commons, as it was at release 24 and at release 25, harvested by
  two nodes at once (its largest collection is one half), each with its own index, and made into one record per
  collection. What the harvests say was added, revised and removed must be what the index's own history says, by SQL.
  What a release took away is missing after one look and gone after two, so the records still count it.

Goals: headers at least 0.7 times as fast as bare pydicom; at least 20 times fewer requests than pyxnat; the million in
under 10 minutes and 1 GB, both nodes together, with exactly the changes of the history.

`--collections N` takes the first N collections only, for trying the benchmark itself: its figures say nothing of the
goals.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parts.header_speed import header_speed
from parts.idc_versions import IdcReplay, difference
from parts.xnat_requests import requests_per_session

GOALS: dict[str, tuple[str, float]] = {
    "headers_to_pydicom": (">=", 0.7),
    "pyxnat_to_our_requests": (">=", 20),
    "million_s": ("<=", 600),
    "million_peak_mb": ("<=", 1_000),
    "changes_missed": ("<=", 0),
}
PARTS = ("headers", "requests", "million")
HARVESTER = Path(__file__).parent / "parts" / "idc_harvest.py"


def measure(*, parts: Sequence[str], collections: int | None) -> dict[str, Any]:
    """Return the figures of some parts, their goals, and whether they are met."""
    figures: dict[str, Any] = {}
    if "headers" in parts:
        speed = header_speed()
        figures |= {
            "headers_per_s_per_core": speed.indexed_per_s,
            "pydicom_headers_per_s_per_core": speed.bare_per_s,
            "headers_to_pydicom": speed.ratio,
        }
    if "requests" in parts:
        figures |= _requests()
    if "million" in parts:
        figures |= _million(collections)
    met = {name: _holds(figures[name], goal) for name, goal in GOALS.items() if name in figures}
    return {"benchmark": "harvest", "figures": figures, "goals": GOALS, "met": met}


def _requests() -> dict[str, float]:
    counted = requests_per_session()
    if not counted.same:
        raise RuntimeError("pyxnat and our source saw other scans")
    return {
        "pyxnat_requests_per_session": counted.naive,
        "our_requests_per_session": counted.ours,
        "pyxnat_to_our_requests": counted.times_fewer,
    }


def _million(collections: int | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder:
        rows = Path(folder) / "rows.sqlite"
        # In a process of its own: the memory of this one is not measured, but it is on the same machine.
        subprocess.run([sys.executable, "-c", _PREPARE, str(rows)], check=True, cwd=Path(__file__).parent)
        source = IdcReplay(rows, 25)
        names = [container.id for container in source.list_containers()][:collections]
        source.close()
        truth = [difference(rows, 24, 25, name) for name in names]
        shares = [[name for name in names if name == "nlst"], [name for name in names if name != "nlst"]]
        begun = time.perf_counter()
        found = _together([share for share in shares if share], rows, Path(folder))
        seconds = time.perf_counter() - begun
    changes: Counter[str] = Counter()
    for one in found:
        changes.update(one["changes_25"])
    expected = {
        "added": sum(one.added for one in truth),
        "updated": sum(one.revised for one in truth),
        "missing": sum(one.removed for one in truth),
    }
    return {
        "series": sum(one["series"] for one in found),
        "exact_cells": sum(one["cells"] for one in found),
        "added": changes["added"],
        "revised": changes["updated"],
        "removed": changes["missing"],
        "changes_missed": sum(abs(changes[name] - count) for name, count in expected.items()),
        "first_release_s": max(one["release_24_s"] for one in found),
        "next_release_s": max(one["release_25_s"] for one in found),
        "records_s": max(one["records_s"] for one in found),
        "million_s": seconds,
        "million_peak_mb": sum(one["peak_mb"] for one in found),
    }


_PREPARE = (
    "import sys; from pathlib import Path; from parts.idc_versions import prepare; prepare(Path(sys.argv[1]))"
)


def _together(shares: Sequence[Sequence[str]], rows: Path, folder: Path) -> list[dict[str, Any]]:
    """Let one node harvest each share, all at the same time, and return what each says."""
    running = [
        subprocess.Popen(
            [sys.executable, str(HARVESTER), str(rows), str(folder / f"node-{number}"), *share],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, share in enumerate(shares)
    ]
    said = [process.communicate()[0] for process in running]
    if failed := [process.returncode for process in running if process.returncode]:
        raise RuntimeError(f"a node ended with {failed[0]}")
    return [json.loads(text.splitlines()[-1]) for text in said]


def _holds(value: float, goal: tuple[str, float]) -> bool:
    return value >= goal[1] if goal[0] == ">=" else value <= goal[1]


def main() -> None:
    """Print the figures: as a table, or with `--json` as one object."""
    parser = argparse.ArgumentParser(description="Measure what a harvest costs.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part only")
    parser.add_argument("--collections", type=int, help="take the first N collections only")
    arguments = parser.parse_args()
    result = measure(parts=arguments.only or PARTS, collections=arguments.collections)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, value in result["figures"].items():
        goal = GOALS.get(name)
        told = f"  (goal {goal[0]} {goal[1]:g}: {'met' if result['met'][name] else 'missed'})" if goal else ""
        print(
            f"{name:32} {value:12,.3f}{told}" if isinstance(value, float) else f"{name:32} {value:12,}{told}"
        )


if __name__ == "__main__":
    main()
