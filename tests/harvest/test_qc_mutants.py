"""Series that were spoilt on purpose: each fault is reported as what it is, and dcm2niix warns of the same ones."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable
from pathlib import Path

import dcm2niix
import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.harvest.conftest import bundled

from fairbank.harvest.aspects import Aspect, Assessment
from fairbank.harvest.headers import read_headers
from fairbank.harvest.series import describe

Series = list[Dataset]
# What only geometry tells; stated and numbered things are looked at below.
OF_GEOMETRY = {
    Aspect.MISSING_SLICES,
    Aspect.INCOMPLETE_VOLUMES,
    Aspect.DUPLICATE_FILES,
    Aspect.DUPLICATE_SLICES,
    Aspect.UNEVEN_SPACING,
    Aspect.TILTED_SLICES,
    Aspect.SLICE_GAPS,
    Aspect.SLICE_OVERLAP,
    Aspect.WRONG_SPACING,
    Aspect.SEVERAL_STACKS,
    Aspect.MIXED_PARAMETERS,
}
LONG = 12
# What dcm2niix says on its standard output where slices cannot be stacked evenly.
WARNINGS = ("Interslice distance varies", "Missing images?")
UNSTACKABLE = {Aspect.MISSING_SLICES, Aspect.UNEVEN_SPACING, Aspect.DUPLICATE_SLICES}


def real() -> Series:
    """Return a real CT of five slices."""
    folder = bundled("dicomdirtests/98892001/CT5N")
    return sorted((pydicom.dcmread(path) for path in folder.iterdir()), key=lambda one: one.InstanceNumber)


def built() -> Series:
    """Return copies of a real slice, one above the other."""
    series = []
    for number in range(LONG):
        slice = pydicom.dcmread(bundled("CT_small.dcm"))
        across, along, _ = slice.ImagePositionPatient
        slice.ImagePositionPatient = [across, along, -75 + 2.5 * number]
        slice.SliceLocation = -75 + 2.5 * number
        slice.InstanceNumber, slice.SliceThickness = number + 1, 2.5
        del slice.SpacingBetweenSlices
        series.append(renamed(slice, f"2.25.77{number:03d}"))
    return series


def renamed(slice: Dataset, uid: str) -> Dataset:
    slice.SOPInstanceUID = slice.file_meta.MediaStorageSOPInstanceUID = uid
    return slice


def moved(series: Series, axis: int, by: Callable[[int], float]) -> Series:
    changed = copy.deepcopy(series)
    for number, slice in enumerate(changed):
        position = list(slice.ImagePositionPatient)
        position[axis] += by(number)
        slice.ImagePositionPatient = position
    return changed


def middle(series: Series) -> int:
    return len(series) // 2


def jump(series: Series, by_mm: float) -> Series:
    return moved(series, 2, lambda number: by_mm if number == middle(series) else 0.0)


def with_twin(series: Series) -> Series:
    twin = renamed(copy.deepcopy(series[middle(series)]), "2.25.99999")
    twin.InstanceNumber = int(max(slice.InstanceNumber for slice in series)) + 1
    return [*series, twin]


MUTANTS: dict[str, tuple[Callable[[Series], Series], set[Aspect]]] = {
    "whole": (lambda series: series, set()),
    "an inner slice dropped": (
        lambda series: [*series[: middle(series)], *series[middle(series) + 1 :]],
        {Aspect.MISSING_SLICES},
    ),
    "an end dropped": (lambda series: series[:-1], set()),
    "the other end dropped": (lambda series: series[1:], set()),
    "a file twice": (lambda series: [*series, series[middle(series)]], {Aspect.DUPLICATE_FILES}),
    "a slice twice": (with_twin, {Aspect.DUPLICATE_SLICES}),
    "a jump of 0.2 mm": (lambda series: jump(series, 0.2), {Aspect.UNEVEN_SPACING}),
    "rounding of 0.05 mm": (lambda series: jump(series, 0.05), set()),
    "tilted": (lambda series: moved(series, 1, lambda number: 0.5 * number), {Aspect.TILTED_SLICES}),
    "drifting by rounding": (lambda series: moved(series, 1, lambda number: 0.04 * (number % 2)), set()),
}
OF_THE_LONG_ONE: dict[str, tuple[Callable[[Series], Series], set[Aspect]]] = {
    "three inner slices dropped": (lambda series: [*series[:4], *series[7:]], {Aspect.MISSING_SLICES}),
    "slices dropped at two places": (
        lambda series: [*series[:2], *series[3:7], *series[9:]],
        {Aspect.MISSING_SLICES},
    ),
    "two stacks side by side": (
        lambda series: moved(series, 0, lambda number: 35.0 if number >= 6 else 0.0),
        {Aspect.SEVERAL_STACKS},
    ),
}
CASES = [
    *[("real", name, *mutant) for name, mutant in MUTANTS.items()],
    *[("built", name, *mutant) for name, mutant in (MUTANTS | OF_THE_LONG_ONE).items()],
]
SERIES = {"real": real, "built": built}


def written(series: Series, folder: Path) -> list[Path]:
    paths = []
    for number, slice in enumerate(series):
        paths.append(folder / f"{number:03d}.dcm")
        slice.save_as(paths[-1])
    return paths


def assessed(paths: list[Path]) -> dict[Aspect, Assessment]:
    headers = read_headers(paths)
    return describe([header for header in headers if header is not None]).quality


@pytest.mark.parametrize(("kind", "name", "spoil", "faults"), CASES, ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_each_fault_is_reported_as_what_it_is_and_dcm2niix_agrees(
    kind: str, name: str, spoil: Callable[[Series], Series], faults: set[Aspect], tmp_path: Path
) -> None:
    (source := tmp_path / "in").mkdir()
    (out := tmp_path / "out").mkdir()
    known = assessed(written(spoil(SERIES[kind]()), source))
    found = {aspect for aspect in OF_GEOMETRY if known[aspect].affected}
    assert found == faults
    assert known[Aspect.MISSING_SLICES].assessed
    if name != "two stacks side by side":  # dcm2niix splits these, and says something else
        done = subprocess.run(
            [dcm2niix.bin, "-b", "o", "-f", "x", "-o", str(out), str(source)],
            capture_output=True,
            text=True,
            check=True,
        )
        warned = any(warning in done.stdout + done.stderr for warning in WARNINGS)
        assert warned == bool(found & UNSTACKABLE), done.stdout
        assert ("gantry tilt" in done.stdout.lower()) == (Aspect.TILTED_SLICES in found), done.stdout


@pytest.mark.parametrize(("dropped", "missing"), [((5,), 1), ((5, 6, 7), 3), ((3, 8, 9), 3)])
def test_what_is_missing_is_counted(dropped: tuple[int, ...], missing: int, tmp_path: Path) -> None:
    series = [slice for number, slice in enumerate(built()) if number not in dropped]
    known = assessed(written(series, tmp_path))
    assert known[Aspect.MISSING_SLICES].details == (f"{missing} slices",)


def test_a_missing_end_is_hinted_at_by_numbers_and_counts_only(tmp_path: Path) -> None:
    series = built()
    whole = assessed(written(series, tmp_path))[Aspect.POSSIBLY_INCOMPLETE]
    assert not whole.assessed
    first_dropped = assessed(written(series, tmp_path)[1:])[Aspect.POSSIBLY_INCOMPLETE]
    assert first_dropped.affected and first_dropped.details == ("1 numbers before the first",)
    for slice in series:
        slice.NumberOfSeriesRelatedInstances = str(LONG)
    counted = written(series, tmp_path)
    assert assessed(counted)[Aspect.POSSIBLY_INCOMPLETE].assessed
    assert not assessed(counted)[Aspect.POSSIBLY_INCOMPLETE].affected
    assert assessed(counted[:-1])[Aspect.POSSIBLY_INCOMPLETE].details == ("1 fewer than stated",)
