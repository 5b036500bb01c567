"""A series as one volume: rescaled grey values and where they lie in the patient, or the word why there is none.

Headers are read first and say whether the slices make up a volume at all; pixels are read when they are asked for, so
many slices at a time as are asked for. Nothing here keeps or returns a UID, a date or a path.

The rules by which slices are judged are those of the index (`fairbank.harvest.geometry`): a step of more than 1.5 times
the median hides missing slices, steps are uneven beyond max(0.1 mm, 2 %), a stack is tilted if the way from its first
slice to its last leaves the normal by more than 0.1 degrees and 0.25 mm.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.utils import iter_pixels

from fairbank.analysis.dicom_frames import (
    Header,
    Vector,
    functional_value,
    number_of,
    padding_of,
    unit_of,
    vector_of,
)
from fairbank.analysis.errors import ItemImpossible
from fairbank.harvest.geometry import tolerance_mm

Voxels = NDArray[np.float32]
Triple = tuple[float, float, float]

# Of these the values mean nothing without their rescaling (PS3.3 C.8.2.1, C.8.9.1).
_RESCALED = frozenset({"CT", "PT"})
# Rescale Type (0028,1054) of CT: Hounsfield units; "US" is unspecified, as some makers write it.
_HOUNSFIELD = frozenset({"", "HU", "US"})
_FEWEST_SLICES = 3
_SAME_ORIENTATION = 1e-4
_SAME_SPACING = 1e-3
# Places nearer to each other than this share of the larger steps are one place.
_SAME_PLACE = 0.1
_GAP = 1.5
_TILT_DEGREES, _TILT_MM = 0.1, 0.25

# Why a series is no volume. The first group is said while reading, the second of its slices.
READING_REASONS = ("empty", "unreadable", "not_an_image", "color", "undecodable")
STACK_FAULTS = (
    "mixed_sizes",
    "mixed_modalities",
    "geometry_missing",
    "mixed_orientations",
    "mixed_spacing",
    "too_few_slices",
    "several_volumes",
    "duplicate_slices",
    "missing_slices",
    "uneven_spacing",
    "gantry_tilt",
    "rescale_missing",
    "not_hounsfield",
)
VOLUME_REASONS = READING_REASONS + STACK_FAULTS


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the voxels of an array `(slices, rows, columns)` lie, in the patient's coordinates of DICOM (LPS).

    Args:
        shape: number of slices, rows, columns.
        spacing_mm: distance of neighbouring slices, rows, columns.
        origin_mm: centre of the first voxel.
        axes: unit vectors along which the indices of slices, rows and columns grow.

    Source: DICOM PS3.3, C.7.6.2.1.1: x grows to the left, y to the back, z to the head.
    """

    shape: tuple[int, int, int]
    spacing_mm: Triple
    origin_mm: Triple
    axes: tuple[Triple, Triple, Triple]

    @property
    def affine(self) -> NDArray[np.float64]:
        """Return the matrix, (4, 4) float64, from (slice, row, column, 1) to (x, y, z, 1) in mm."""
        found = np.eye(4)
        found[:3, :3] = np.array(self.axes).T * np.array(self.spacing_mm)
        found[:3, 3] = self.origin_mm
        return found

    @property
    def orientation(self) -> str:
        """Return where the indices grow to, nearest letters: of R/L, A/P, I/S; an axial series is `SPL`."""
        letters = []
        for axis in self.axes:
            largest = max(range(3), key=lambda place: abs(axis[place]))
            letters.append(("RL", "AP", "IS")[largest][axis[largest] > 0])
        return "".join(letters)

    @property
    def voxel_ml(self) -> float:
        """Return the volume of one voxel in ml."""
        return math.prod(self.spacing_mm) / 1000.0


@dataclass(frozen=True, slots=True)
class Plane:
    """One frame of a file: where it lies, and how its stored values become grey values."""

    file: Path
    frame: int
    position: Vector | None
    slope: float
    intercept: float
    padding: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Stack:
    """The slices of a series in order, whether they make up a volume or not.

    Args:
        planes: sorted along the normal where it is known; otherwise as the files came.
        modality: its code.
        unit: of the rescaled values, as `unit_of` says it.
        thickness_mm: the greatest slice thickness that the headers name.
        faults: words of `STACK_FAULTS`, the gravest first.
        missing: how many slices are missing between the first and the last.
        spacing_mm: distance of rows and of columns, where the headers say.
        grid: where the voxels lie; only of a stack without faults.
    """

    planes: tuple[Plane, ...]
    modality: str
    unit: str
    thickness_mm: float | None
    faults: tuple[str, ...]
    missing: int
    spacing_mm: tuple[float, float] | None
    grid: Grid | None

    def frames(self, start: int = 0, stop: int | None = None, *, step: int = 1) -> Iterator[Voxels]:
        """Yield frames, (rows, columns) float32, rescaled, padding as NaN.

        Raises:
            ItemImpossible: if the pixels of one cannot be decoded here.
        """
        for file, group in groupby(self.planes[start:stop:step], key=lambda plane: plane.file):
            planes = list(group)
            for plane, stored in zip(planes, _decoded(file, [one.frame for one in planes]), strict=True):
                yield _rescaled(plane, stored)


@dataclass(frozen=True, slots=True)
class Volume:
    """A stack without faults."""

    stack: Stack
    grid: Grid

    def voxels(self, start: int = 0, stop: int | None = None, *, padding: float = math.nan) -> Voxels:
        """Return the grey values of slices `start` to `stop`, (slices, rows, columns) float32, rescaled.

        Args:
            start, stop: as of a Python slice; all slices by default.
            padding: what stands where the scanner wrote padding.

        Raises:
            ItemImpossible: if the pixels of a slice cannot be decoded here.
        """
        count = len(range(*slice(start, stop).indices(self.grid.shape[0])))
        found = np.empty((count, *self.grid.shape[1:]), dtype=np.float32)
        for place, frame in enumerate(self.stack.frames(start, stop)):
            found[place] = frame
        if not math.isnan(padding):
            np.nan_to_num(found, copy=False, nan=padding)
        return found


def stack_of(headers: Sequence[Header]) -> Stack:
    """Return the slices of a series in order, with all that keeps them from being a volume.

    A file that is there twice, by its SOP Instance UID, counts once.

    Raises:
        ItemImpossible: for colour.
    """
    once = list(
        {str(header.dataset.get("SOPInstanceUID", header.file)): header for header in headers}.values()
    )
    if any(header.coloured for header in once):
        raise ItemImpossible("color")
    first = once[0]
    planes = [plane for header in once for plane in _planes(header)]
    faults = _header_faults(once)
    orientations = [
        vector_of(functional_value(h.dataset, n, "PlaneOrientationSequence", "ImageOrientationPatient"), 6)
        for h in once
        for n in range(h.frames)
    ]
    spacings = [
        vector_of(functional_value(h.dataset, n, "PixelMeasuresSequence", "PixelSpacing"), 2)
        for h in once
        for n in range(h.frames)
    ]
    faults += _spread(orientations, spacings, planes)
    grid, missing = None, 0
    if not {"geometry_missing", "mixed_orientations"} & set(faults):
        orientation = orientations[0]
        assert orientation is not None
        placed = _sorted_along(orientation, planes)
        planes = [plane for _, plane in placed]
        found, missing = _place_faults(orientation, placed)
        faults += found
        if not faults:
            grid = _grid(once[0], orientation, spacings[0], placed)
    thickness = [
        number_of(functional_value(h.dataset, 0, "PixelMeasuresSequence", "SliceThickness")) for h in once
    ]
    spacing = spacings[0]
    return Stack(
        planes=tuple(planes),
        modality=first.modality,
        unit=unit_of(first),
        thickness_mm=max((one for one in thickness if one is not None and one > 0), default=None),
        faults=tuple(word for word in STACK_FAULTS if word in faults),
        missing=missing,
        spacing_mm=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        grid=grid,
    )


def volume_of(stack: Stack) -> Volume:
    """Return the volume that a stack makes up.

    Raises:
        ItemImpossible: with the gravest of its faults, if it has any.
    """
    if stack.grid is None:
        raise ItemImpossible(stack.faults[0])
    return Volume(stack, stack.grid)


def to_lps(voxels: NDArray[Any], grid: Grid) -> tuple[NDArray[Any], Grid]:
    """Return a view whose slices grow to the head, rows to the back and columns to the left, and its grid.

    Axes are only swapped and turned round; no value is interpolated.

    Args:
        voxels: (slices, rows, columns).
        grid: where they lie.
    """
    return turned_to("SPL", voxels, grid)


def turned_to(orientation: str, voxels: NDArray[Any], grid: Grid) -> tuple[NDArray[Any], Grid]:
    """Return a view whose axes grow to where three letters say, as near as they can, and its grid.

    Args:
        orientation: for each axis, in order, the letter of where it grows to: of R/L, A/P, I/S, each pair once.
        voxels: three axes.
        grid: where they lie.
    """
    axes = np.array(grid.axes)
    # Where x, y and z of the patient grow to (L, P, S), and which of them each axis is to follow, which way.
    wanted = [
        ("LPS".find(letter), 1) if letter in "LPS" else ("RAI".find(letter), -1) for letter in orientation
    ]
    # Which axis goes where: the order with the largest sum of cosines to what is wanted.
    order = max(
        permutations(range(3)), key=lambda one: sum(abs(axes[one[i], wanted[i][0]]) for i in range(3))
    )
    turned = voxels.transpose(order)
    origin, shape = np.array(grid.origin_mm), [grid.shape[i] for i in order]
    spacing, directions = [grid.spacing_mm[i] for i in order], axes[list(order)]
    for i, (along, sign) in enumerate(wanted):
        if directions[i, along] * sign < 0:
            origin = origin + directions[i] * spacing[i] * (shape[i] - 1)
            directions[i] = -directions[i]
            turned = np.flip(turned, axis=i)
    rows = [_triple(direction) for direction in directions]
    return turned, Grid(
        (shape[0], shape[1], shape[2]), _triple(spacing), _triple(origin), (rows[0], rows[1], rows[2])
    )


def _planes(header: Header) -> Iterator[Plane]:
    dataset = header.dataset
    padding = padding_of(dataset)
    for frame in range(header.frames):
        slope, intercept = _rescaling(dataset, frame)
        position = functional_value(dataset, frame, "PlanePositionSequence", "ImagePositionPatient")
        yield Plane(
            header.file,
            frame,
            vector_of(position, 3),
            1.0 if slope is None else slope,
            intercept or 0.0,
            padding,
        )


def _rescaling(dataset: Any, frame: int) -> tuple[float | None, float | None]:
    slope, intercept = (
        number_of(functional_value(dataset, frame, "PixelValueTransformationSequence", name))
        for name in ("RescaleSlope", "RescaleIntercept")
    )
    return slope or None, intercept


def _header_faults(headers: Sequence[Header]) -> list[str]:
    faults = []
    if len({(int(h.dataset.Rows), int(h.dataset.Columns)) for h in headers}) > 1:
        faults.append("mixed_sizes")
    if len({h.modality for h in headers}) > 1:
        faults.append("mixed_modalities")
    if headers[0].modality in _RESCALED and any(
        None in _rescaling(h.dataset, frame) for h in headers for frame in range(h.frames)
    ):
        faults.append("rescale_missing")
    if headers[0].modality == "CT" and any(
        str(functional_value(h.dataset, 0, "PixelValueTransformationSequence", "RescaleType") or "").upper()
        not in _HOUNSFIELD
        for h in headers
    ):
        faults.append("not_hounsfield")
    return faults


def _spread(
    orientations: Sequence[Vector | None], spacings: Sequence[Vector | None], planes: Sequence[Plane]
) -> list[str]:
    """Return what is wrong with orientations and spacings that should be the same for all."""
    placed = [plane.position for plane in planes]
    if any(one is None for one in (*orientations, *spacings, *placed)):
        return ["geometry_missing"]
    faults = []
    turned = np.array(orientations)
    normal = np.cross(turned[0, :3], turned[0, 3:])
    wide = np.array(spacings)
    if abs(float(np.linalg.norm(normal)) - 1.0) > 0.01 or (wide <= 0).any():
        return ["geometry_missing"]
    if (np.abs(turned - turned[0]) > _SAME_ORIENTATION).any():
        faults.append("mixed_orientations")
    if (np.abs(wide - wide[0]) > _SAME_SPACING * wide[0]).any():
        faults.append("mixed_spacing")
    return faults


def _sorted_along(orientation: Vector, planes: Sequence[Plane]) -> list[tuple[float, Plane]]:
    """Return planes with their place along the normal in mm, in order."""
    normal = _normal(orientation)
    placed = [
        (float(np.dot(plane.position, normal)), plane) for plane in planes if plane.position is not None
    ]
    return sorted(placed, key=lambda one: one[0])


def _place_faults(orientation: Vector, placed: Sequence[tuple[float, Plane]]) -> tuple[list[str], int]:
    """Return what is wrong with the places of slices, and how many slices are missing."""
    if len(placed) < _FEWEST_SLICES:
        return ["too_few_slices"], 0
    places = np.array([place for place, _ in placed])
    steps = np.diff(places)
    usual = float(np.median(np.sort(steps)[len(steps) // 2 :]))
    if usual <= 0:
        return ["duplicate_slices"], 0
    new = steps > _SAME_PLACE * usual
    faults = []
    if not new.all():
        per_place = Counter(np.concatenate([[0], np.cumsum(new)]).tolist())
        same = len(set(per_place.values())) == 1
        faults.append("several_volumes" if same else "duplicate_slices")
    steps = steps[new]
    step = float(np.median(steps))
    whole = np.where(steps > _GAP * step, np.maximum(1, np.round(steps / step)), 1)
    missing = int((whole - 1).sum())
    if missing:
        faults.append("missing_slices")
    if (np.abs(steps - whole * step) > tolerance_mm(step)).any():
        faults.append("uneven_spacing")
    if _is_tilted(_normal(orientation), placed[0][1], placed[-1][1]):
        faults.append("gantry_tilt")
    return faults, missing


def _is_tilted(normal: Vector, first: Plane, last: Plane) -> bool:
    assert first.position is not None and last.position is not None
    way = last.position - first.position
    along = float(np.dot(way, normal))
    drift = float(np.linalg.norm(way - along * normal))
    return drift > _TILT_MM and math.degrees(math.atan2(drift, along)) > _TILT_DEGREES


def _grid(
    first: Header, orientation: Vector, spacing: Vector | None, placed: Sequence[tuple[float, Plane]]
) -> Grid:
    assert spacing is not None and placed[0][1].position is not None
    step = (placed[-1][0] - placed[0][0]) / (len(placed) - 1)
    return Grid(
        shape=(len(placed), int(first.dataset.Rows), int(first.dataset.Columns)),
        # Pixel Spacing (0028,0030) names the distance of rows first (PS3.3 C.10.7.1.3).
        spacing_mm=(step, float(spacing[0]), float(spacing[1])),
        origin_mm=_triple(placed[0][1].position),
        # The first three cosines are those of a row, along which the column index grows (PS3.3 C.7.6.2.1.1).
        axes=(_triple(_normal(orientation)), _triple(orientation[3:]), _triple(orientation[:3])),
    )


def _normal(orientation: Vector) -> Vector:
    normal: Vector = np.cross(orientation[:3], orientation[3:])
    return normal / float(np.linalg.norm(normal))


def _triple(values: Any) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _decoded(file: Path, frames: Sequence[int]) -> Iterator[NDArray[Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from iter_pixels(file, indices=list(frames))
    except Exception as err:
        # The decoders of many libraries raise errors of every kind.
        raise ItemImpossible("undecodable") from err


def _rescaled(plane: Plane, stored: NDArray[Any]) -> Voxels:
    found = stored.astype(np.float32) * np.float32(plane.slope) + np.float32(plane.intercept)
    if plane.padding is not None:
        found[(stored >= plane.padding[0]) & (stored <= plane.padding[1])] = np.nan
    return found
