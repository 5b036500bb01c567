"""Import the index into a new hub and make its RDF view anew, in a process of its own; print what that took as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from fairbank.catalogue.context import init_hub
from fairbank.catalogue.idc.mirror import Outcome, Wish, import_index
from fairbank.catalogue.idc.source import installed_index
from fairbank.catalogue.projector import Projector
from fairbank.clock import SystemClock
from fairbank.settings import Settings


def processor_s() -> float:
    """Return the processor seconds of this process so far, all threads together."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(home: Path, limit: int | None) -> None:
    hub = init_hub(replace(Settings(), home=home), SystemClock(), public_base_iri="http://127.0.0.1")
    wish, projector = Wish(limit=limit), Projector(hub)
    begun, wall = processor_s(), time.monotonic()
    report = import_index(hub, installed_index(), wish)
    if not projector.open():
        raise RuntimeError("another process writes the view")
    projector.project()
    imported, wall_imported = processor_s() - begun, time.monotonic() - wall
    begun, wall = processor_s(), time.monotonic()
    projector.rebuild()
    rebuilt, wall_rebuilt = processor_s() - begun, time.monotonic() - wall
    projector.close()
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    begun = processor_s()
    again = import_index(hub, installed_index(), wish)
    if set(again.outcomes) != {Outcome.UNCHANGED}:
        raise RuntimeError(f"the second import changed something: {again.outcomes}")
    print(
        json.dumps(
            {
                "series": report.series,
                "collections": len(report.steps),
                "rows_left_out": sum(report.left_out.values()),
                "import_cpu_s": imported,
                "import_wall_s": wall_imported,
                "import_again_cpu_s": processor_s() - begun,
                "rebuild_cpu_s": rebuilt,
                "rebuild_wall_s": wall_rebuilt,
                "peak_bytes": peak_bytes,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
