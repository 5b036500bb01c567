"""A container of very many series: memory stays small, first harvest and second, and when all of it vanishes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SERIES = 100_000
_HARVEST = """
import dataclasses, json, resource, sys
from pathlib import Path
from fairbank.clock import FixedClock
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.sources.protocol import Described, Item, Snapshot
from fairbank.harvest.verdicts import admit_all
from fairbank.release.node import init_node
from fairbank.settings import Settings
from tests.harvest.fakes import FakeArchive, FakeSeries, FakeSource, described, later

home, count = Path(sys.argv[1]), int(sys.argv[2])

def uid(number):
    return f"1.3.6.1.4.1.14519.5.2.1.7009.9004.{number:030d}"

class Large(FakeSource):
    def snapshot(self, container):
        items = (Item(uid(number), f"{number:036d}", 100) for number in range(count))
        return Snapshot(container, tuple(items), complete=True)
    def describe(self, container, items):
        for item in items:
            number = int(item.local_id[-30:])
            yield Described(item, described(FakeSeries(f"P{number // 23}", uid(number // 4) + ".1", item.local_id)))

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

node = init_node(dataclasses.replace(Settings(), home=home), FixedClock(later(0)), name="biobank-a")
order = HarvestOrder("archive", "LUNG", "lung", "curator")
source = Large(FakeArchive({"LUNG": {}}))
found = {"start": peak_mb()}
for stage in ("added", "unchanged", "missing"):
    if stage == "missing":
        count = 0
    tally = harvest_from(node, order, source, judge=admit_all).tally
    found[stage] = getattr(tally, stage)
found["end"] = peak_mb()
print(json.dumps(found))
"""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_memory_stays_small_however_many_series_a_container_has(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HARVEST, str(tmp_path / "home"), str(SERIES)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True, timeout=1800)
    found = json.loads(ended.stdout)
    assert (found["added"], found["unchanged"], found["missing"]) == (SERIES, SERIES, SERIES)
    # 600,000 series may take 300 MB in all, of which about 110 are the program.
    assert found["end"] - found["start"] < SERIES * 300 / 1e6 + 25
