"""Where the slices of a series lie in the patient, from headers alone; no pixel is read.

Coordinates are those of DICOM's patient: x to the left, y to the back, z to the head, in mm (DICOM PS3.3, C.7.6.2.1.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset

Floats = npt.NDArray[np.float64]

# Positions nearer than this are one position: scanners round to a micrometre or so.
_SAME_PLACE_MM = 0.01
# Direction cosines that differ by less belong to one orientation.
_COSINE_DIGITS = 3
_SPACING_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Slice:
    """One frame of one file, and where it lies.

    Attributes:
        file: number of the file in the series, from 0.
        frame: number of the frame in the file, from 0.
        position: centre of the first voxel, (x, y, z) mm.
        orientation: direction of growing columns, then of growing rows: six cosines.
        spacing: between rows, between columns, mm.
        shape: rows, columns.
        slope: with `intercept`, from stored to real values.
        frame_of_reference: name of the coordinate system; empty if not told.
    """

    file: int
    frame: int
    position: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]
    spacing: tuple[float, float]
    shape: tuple[int, int]
    slope: float
    intercept: float
    frame_of_reference: str

    @property
    def along_columns(self) -> Floats:
        """Return the direction of growing columns, (3,) float64."""
        return np.array(self.orientation[:3])

    @property
    def along_rows(self) -> Floats:
        """Return the direction of growing rows, (3,) float64."""
        return np.array(self.orientation[3:])

    @property
    def normal(self) -> Floats:
        """Return the direction in which slices follow each other, (3,) float64."""
        return np.cross(self.along_columns, self.along_rows)


@dataclass(frozen=True)
class Stack:
    """Parallel slices, one for each place, in the order of the normal.

    Attributes:
        slices: the first slice seen at each place.
        repeats: how many more slices lie at the same places (time points, echoes, weightings).
    """

    slices: tuple[Slice, ...]
    repeats: int = 0

    @cached_property
    def places_mm(self) -> Floats:
        """Return where each slice lies along the normal, (n_slices,) float64, ascending."""
        normal = self.slices[0].normal
        return np.array([float(np.dot(one.position, normal)) for one in self.slices])

    @property
    def step_mm(self) -> float:
        """Return the median distance of neighbouring slices."""
        return float(np.median(np.diff(self.places_mm))) if len(self.slices) > 1 else 0.0

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Return the size of the field: along the normal, the rows' and the columns' direction."""
        one = self.slices[0]
        through = float(self.places_mm[-1] - self.places_mm[0]) + self.step_mm
        return through, one.shape[0] * one.spacing[0], one.shape[1] * one.spacing[1]

    @property
    def corners_mm(self) -> Floats:
        """Return the eight corners of the field in the patient, (8, 3) float64."""
        return np.concatenate([_corners(self.slices[0]), _corners(self.slices[-1])])


def slices_of(paths: Sequence[Path]) -> tuple[list[Dataset], list[Slice]]:
    """Return the headers of a series' files, and each frame whose place they tell.

    Raises:
        Exception: whatever pydicom raises for a malformed header.
    """
    headers: list[Dataset] = [dcmread(path, stop_before_pixels=True) for path in paths]
    found: list[Slice] = []
    for number, header in enumerate(headers):
        found.extend(slices_in(header, number))
    return headers, found


def slices_in(header: Dataset, file: int) -> list[Slice]:
    """Return the frames of one file whose place its header tells; none if it tells no place."""
    if "SharedFunctionalGroupsSequence" in header or "PerFrameFunctionalGroupsSequence" in header:
        return _of_functional_groups(header, file)
    position, orientation = header.get("ImagePositionPatient"), header.get("ImageOrientationPatient")
    spacing = header.get("PixelSpacing")
    if not position or not orientation or not spacing or int(header.get("NumberOfFrames") or 1) != 1:
        return []
    rescale = (header.get("RescaleSlope"), header.get("RescaleIntercept"))
    return [_slice(header, (file, 0), (position, orientation, spacing), rescale)]


def stacks_of(slices: Sequence[Slice]) -> list[Stack]:
    """Return slices as stacks of one coordinate system, orientation and matrix; the largest stack first."""
    groups: dict[tuple[object, ...], list[Slice]] = {}
    for one in slices:
        key = (
            one.frame_of_reference,
            tuple(round(cosine, _COSINE_DIGITS) + 0.0 for cosine in one.orientation),
            tuple(round(mm, _SPACING_DIGITS) for mm in one.spacing),
            one.shape,
        )
        groups.setdefault(key, []).append(one)
    return sorted((_stacked(group) for group in groups.values()), key=lambda stack: -len(stack.slices))


def _stacked(group: list[Slice]) -> Stack:
    normal = group[0].normal
    ordered = sorted(
        group, key=lambda one: (round(float(np.dot(one.position, normal)), 2), one.file, one.frame)
    )
    kept: list[Slice] = []
    last = -np.inf
    for one in ordered:
        place = float(np.dot(one.position, normal))
        if place - last > _SAME_PLACE_MM:
            kept.append(one)
            last = place
    return Stack(tuple(kept), repeats=len(group) - len(kept))


def _of_functional_groups(header: Dataset, file: int) -> list[Slice]:
    """Read the frames of an enhanced object (DICOM PS3.3, C.7.6.16)."""
    shared = _first(header, "SharedFunctionalGroupsSequence")
    found = []
    for number, frame in enumerate(header.get("PerFrameFunctionalGroupsSequence") or ()):
        place = _of_group(frame, shared, "PlanePositionSequence", "ImagePositionPatient")
        turned = _of_group(frame, shared, "PlaneOrientationSequence", "ImageOrientationPatient")
        spacing = _of_group(frame, shared, "PixelMeasuresSequence", "PixelSpacing")
        if not place or not turned or not spacing:
            return []
        rescale = tuple(
            _of_group(frame, shared, "PixelValueTransformationSequence", name)
            for name in ("RescaleSlope", "RescaleIntercept")
        )
        found.append(_slice(header, (file, number), (place, turned, spacing), rescale))
    return found


def _of_group(frame: Dataset, shared: Dataset | None, sequence: str, name: str) -> object:
    for holder in (frame, shared):
        item = None if holder is None else _first(holder, sequence)
        if item is not None and item.get(name) is not None:
            return item.get(name)
    return None


def _first(dataset: Dataset, sequence: str) -> Dataset | None:
    items = dataset.get(sequence)
    return items[0] if items else None


def _slice(
    header: Dataset, number: tuple[int, int], plane: Sequence[object], rescale: Sequence[object]
) -> Slice:
    position, orientation, spacing = (tuple(float(value) for value in part) for part in plane)  # type: ignore[attr-defined]  # pydicom has no types: these are multi-valued
    slope, intercept = rescale
    return Slice(
        file=number[0],
        frame=number[1],
        position=_three(position),
        orientation=_six(orientation),
        spacing=(spacing[0], spacing[1]),
        shape=(int(header.Rows), int(header.Columns)),
        slope=1.0 if slope is None else float(str(slope)),
        intercept=0.0 if intercept is None else float(str(intercept)),
        frame_of_reference=str(header.get("FrameOfReferenceUID") or ""),
    )


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    x, y, z = values
    return x, y, z


def _six(values: tuple[float, ...]) -> tuple[float, float, float, float, float, float]:
    a, b, c, d, e, f = values
    return a, b, c, d, e, f


def _corners(one: Slice) -> Floats:
    across = one.along_columns * one.spacing[1] * (one.shape[1] - 1)
    down = one.along_rows * one.spacing[0] * (one.shape[0] - 1)
    first = np.array(one.position)
    return np.array([first, first + across, first + down, first + across + down])
