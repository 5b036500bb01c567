"""What running jobs costs, part by part; each part says its goals and whether they are met.

python bench/jobs.py [--json] [PART …]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from parts import jobs_dask

PARTS: dict[str, Callable[[], dict[str, object]]] = {"dask": jobs_dask.measure}


def main() -> None:
    """Run the parts and print their figures; exit with 1 if a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="parts to run; all by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    given = parser.parse_args()
    figures = {name: PARTS[name]() for name in given.parts or PARTS}
    met = all(all(part["met"].values()) for part in figures.values())  # type: ignore[attr-defined]
    if given.json:
        print(json.dumps({**figures, "met": met}, indent=1))
    else:
        for name, part in figures.items():
            print(f"{name}:")
            for figure, value in part.items():
                print(f"  {figure}: {value}")
    raise SystemExit(not met)


if __name__ == "__main__":
    main()
