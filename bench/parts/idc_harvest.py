"""One node's share of the Imaging Data Commons: harvested at one release, then at the next, then made into records.

    python idc_harvest.py ROWS HOME COLLECTION…

Run as a process of its own, so that its memory can be measured. Prints one JSON object.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fairbank.clock import SystemClock
from fairbank.harvest.consent import LegalBasis
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.header_harvest import HarvestOrder, harvest_from
from fairbank.harvest.legal_basis import record_basis
from fairbank.harvest.publishing import preview
from fairbank.ontology.counts import CountKind
from fairbank.ontology.record import CollectionKind
from fairbank.release.node import Node, init_node
from fairbank.settings import Settings
from parts.idc_versions import IdcReplay

SMALLEST_COUNT = 10


def harvested(rows: Path, home: Path, collections: Sequence[str]) -> dict[str, Any]:
    """Return seconds of each step, what changed from one release to the next, and the peak memory in MB."""
    settings = dataclasses.replace(
        # A release of the IDC may take away more of a small collection than a hospital loses in a year.
        Settings(), home=home, release_minimum_count=SMALLEST_COUNT, harvest_hold_percent=100, harvest_hold_items=10**6
    )  # fmt: skip
    node = init_node(settings, SystemClock(), name="idc")
    for collection in collections:
        record_basis(node, collection, LegalBasis.ANONYMOUS_DATA, note="public images", by="bench")
    found: dict[str, Any] = {}
    for release in (24, 25):
        begun = time.perf_counter()
        found[f"changes_{release}"] = _release(node, rows, release, collections)
        found[f"release_{release}_s"] = time.perf_counter() - begun
    begun = time.perf_counter()
    found |= _records(node, collections)
    found["records_s"] = time.perf_counter() - begun
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def _release(node: Node, rows: Path, release: int, collections: Sequence[str]) -> dict[str, int]:
    source = IdcReplay(rows, release)
    shown = {container.id for container in source.list_containers()}
    counted: Counter[str] = Counter()
    for collection in collections:
        if collection not in shown:
            continue
        order = HarvestOrder("idc", collection, collection, "bench")
        tally = harvest_from(node, order, source).tally
        assert tally is not None
        if tally.errors:
            raise RuntimeError(f"{tally.errors} series of {collection} could not be taken in")
        counted.update(added=tally.added, updated=tally.updated, missing=tally.missing)
    source.close()
    return dict(counted)


def _records(node: Node, collections: Sequence[str]) -> dict[str, int]:
    """Make the record of each collection, and count what their cubes hold in all."""
    series = cells = 0
    for collection in collections:
        dataset = collection.replace("_", "-")
        about = Description(collection, "Public images.", CollectionKind.CLINICAL, data_use=("DUO:0000042",))
        define_dataset(node, dataset, project=collection, description=about)
        made = preview(node, dataset)
        series += sum(cell.series.value or 0 for cell in made.exact.cube)
        cells += sum(cell.subjects.kind is CountKind.EXACT for cell in made.record.cube)
    return {"series": series, "cells": cells}


if __name__ == "__main__":
    print(json.dumps(harvested(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])))
