"""What spreading the items of an analysis over processes gains, and what Dask itself costs.

The items are series of CT slices, as large as real ones, that this part makes; the tool is `image-quality`. Three ways
measure all of them: a bare loop, Dask with one process, Dask with two. Each way begins in a process of its own, which
has imported the tool and nothing measured; the time that Dask needs to start its processes counts. Files are in the
page cache.

The ways take turns, and each counts with its median.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TOOL = "image-quality"
WAYS = {"loop_s": "loop", "one_s": "1", "two_s": "2"}
GAIN_GOAL, COST_GOAL = 1.7, 0.9


def measure(*, items: int = 16, slices: int = 32, edge: int = 512, repeats: int = 3) -> dict[str, object]:
    """Return the figures, the goals, and whether they are met.

    Args:
        items: how many series.
        slices, edge: size of each: slices of `edge` x `edge` pixels.
        repeats: how often each way is taken.
    """
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    digests = set()
    with tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder:
        _make(Path(folder), items=items, slices=slices, edge=edge)
        for _ in range(repeats):
            for name, way in WAYS.items():
                seconds, digest = _run(Path(folder), way)
                taken[name].append(seconds)
                digests.add(digest)
    medians = {name: round(statistics.median(times), 2) for name, times in taken.items()}
    gain = statistics.median(taken["one_s"]) / statistics.median(taken["two_s"])
    cost = statistics.median(taken["loop_s"]) / statistics.median(taken["one_s"])
    met = {
        "two_against_one": gain >= GAIN_GOAL,
        "one_against_loop": cost >= COST_GOAL,
        "same_rows": len(digests) == 1,
    }
    figures = {
        "items": items,
        "slices": slices,
        "edge": edge,
        "cores": os.cpu_count(),
        **medians,
        "ranges": {name: [round(min(times), 2), round(max(times), 2)] for name, times in taken.items()},
        "two_against_one": round(gain, 2),
        "one_against_loop": round(cost, 2),
    }
    goals = {"two_against_one": f">= {GAIN_GOAL}", "one_against_loop": f">= {COST_GOAL}", "same_rows": "yes"}
    return {"figures": figures, "goals": goals, "met": met}


def _run(folder: Path, way: str) -> tuple[float, str]:
    told = subprocess.run(
        [sys.executable, __file__, str(folder), way], check=True, capture_output=True, text=True
    ).stdout
    seconds, digest = json.loads(told.splitlines()[-1])
    return float(seconds), str(digest)


def _one_way(folder: Path, way: str) -> None:
    """Measure all items one way, and print how long it took and the digest of the rows."""
    import hashlib

    from fairbank.analysis.execution import Task, Workers, measure_item, on_processes
    from fairbank.analysis.journal import Journal
    from fairbank.analysis.staged import read_staged
    from fairbank.analysis.tool import Desk, tool_named, tool_parameters

    tool, parameters = tool_named(TOOL), tool_parameters(TOOL, {})
    items = read_staged(folder)
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        begun = time.monotonic()
        if way == "loop":
            desk = Desk(scratch, scratch)
            rows = [row for item in items for row in measure_item(tool, item, parameters, desk)]
        else:
            task = Task(tool, parameters, scratch, scratch)
            with Journal(scratch / "journal", of="sha256:0") as journal:
                on_processes(task, items, journal=journal, workers=Workers(int(way)))
                rows = [row for item in items for row in journal.rows[item.unit]]
        seconds = time.monotonic() - begun
    digest = hashlib.sha256(json.dumps([dict(row) for row in rows], sort_keys=True).encode()).hexdigest()
    print(json.dumps([seconds, digest]))


def _make(folder: Path, *, items: int, slices: int, edge: int) -> None:
    """Write the series and the list of them, as a node stages them."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:edge, :edge]
    disk = np.where((x - edge / 2) ** 2 + (y - edge / 2) ** 2 < (edge / 3) ** 2, 40, -1000)
    units = []
    for number in range(items):
        place = folder / f"u{number:03d}"
        place.mkdir()
        for at in range(slices):
            frame = (disk + rng.normal(0, 12, disk.shape)).round().clip(-1024, 3000)
            _write(place / f"{at:06d}.dcm", frame, at)
        names = sorted(file.name for file in place.iterdir())
        units.append({"unit": place.name, "subject": f"p{number}", "files": names})
    (folder / "manifest.json").write_text(json.dumps({"schema": "staged/1", "units": units}))


def _write(file: Path, frame: np.ndarray, at: int) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = f"1.2.3.{at + 1}"
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.Modality, image.PhotometricInterpretation = "CT", "MONOCHROME2"
    image.Rows, image.Columns = frame.shape
    image.SamplesPerPixel, image.PixelRepresentation = 1, 1
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelSpacing, image.SliceThickness = [0.8, 0.8], 1
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, at]
    image.RescaleSlope, image.RescaleIntercept = 1, 0
    image.PixelData = frame.astype("<i2").tobytes()
    image.save_as(file, enforce_file_format=True)


if __name__ == "__main__":
    _one_way(Path(sys.argv[1]), sys.argv[2])
