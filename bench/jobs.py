"""What the dispatch of jobs costs, with real processes over HTTP; each part says what it sets up and measures.

    python bench/jobs.py [--json] [--part claims]

Goals: 200 nodes with 20 jobs each on one hub, no lease lost, 95 % of the claims answered within 100 ms; an upload of
1 GB that is cut ten times sends at most 2 % more, and the hub stays below 200 MB; with a warm worker a round begins at
most 50 ms after its claim was answered.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from importlib.util import find_spec
from typing import Any

# Each has `measure()`, which returns its figures, its goals, and which of them were met.
PARTS = ("claims", "upload", "start", "dask")


def measure(parts: list[str]) -> dict[str, Any]:
    """Return the figures, goals and verdicts of all parts, each under the part's name."""
    whole: dict[str, Any] = {"figures": {}, "goals": {}, "met": {}}
    for part in parts:
        found = import_module(f"parts.jobs_{part}").measure()
        for kind in whole:
            whole[kind][part] = found[kind]
    return whole


if __name__ == "__main__":
    present = [part for part in PARTS if find_spec(f"parts.jobs_{part}")]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", action="append", choices=present, help="may be repeated; all by default")
    given = parser.parse_args()
    print(json.dumps(measure(given.part or present), indent=None if given.json else 2))
