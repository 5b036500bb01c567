"""How many headers are read in a second: by the index, and by bare pydicom with the same elements, in one run."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file

from fairbank.harvest.headers import TAGS, read_headers
from fairbank.harvest.series import describe, group_series


@dataclass(frozen=True, slots=True)
class HeaderSpeed:
    """Headers per second of one core, as the median of several rounds.

    Attributes:
        ratio: the median of the ratios of the rounds; each round measures both.
    """

    files: int
    bare_per_s: float
    indexed_per_s: float
    ratio: float


def header_speed(*, files: int = 3000, rounds: int = 5) -> HeaderSpeed:
    """Measure both on the DICOM files of pydicom's wheel, copied until there are enough.

    `indexed` is all that the index does with headers: reading, grouping into series, facts and quality of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = _copies(Path(folder), files)
        _bare(paths), _indexed(paths)
        measured = [(_seconds(_bare, paths), _seconds(_indexed, paths)) for _ in range(rounds)]
    return HeaderSpeed(
        files=len(paths),
        bare_per_s=len(paths) / statistics.median(bare for bare, _ in measured),
        indexed_per_s=len(paths) / statistics.median(indexed for _, indexed in measured),
        ratio=statistics.median(bare / indexed for bare, indexed in measured),
    )


def _bare(paths: Sequence[Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in paths:
            pydicom.dcmread(path, stop_before_pixels=True, specific_tags=TAGS)


def _indexed(paths: Sequence[Path]) -> None:
    headers = [header for header in read_headers(paths) if header is not None]
    for of_series in group_series(headers).values():
        describe(of_series)


def _seconds(work: Callable[[Sequence[Path]], None], paths: Sequence[Path]) -> float:
    # Time of the processor: others on the machine slow both down, though not by the same measure.
    started = time.process_time()
    work(paths)
    return time.process_time() - started


def _copies(folder: Path, files: int) -> list[Path]:
    """Return copies of the readable files, one folder per round, as series of their own in none."""
    root = Path(get_testdata_file("CT_small.dcm", download=False)).parent
    readable = [path for path in sorted(root.rglob("*")) if path.is_file() and read_headers([path])[0]]
    copies = []
    for number in range(files):
        copy = folder / f"{number:06d}.dcm"
        shutil.copyfile(readable[number % len(readable)], copy)
        copies.append(copy)
    return copies


if __name__ == "__main__":
    found = header_speed()
    print(
        f"{found.files} files: bare pydicom {found.bare_per_s:.0f}/s, indexed {found.indexed_per_s:.0f}/s, "
        f"ratio {found.ratio:.2f} (goal 0.70)"
    )
