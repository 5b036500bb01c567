"""A stack of slices as one volume whose axes are the patient's, coarse enough to look at quickly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.pixels.utils import iter_pixels

from fairbank.deid.faces.geometry import Slice, Stack

Values = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# A volume that would be larger than this many voxels is no scan of a person.
_MOST_VOXELS = 200_000_000
_SLAB = 16


@dataclass(frozen=True, slots=True)
class Volume:
    """Values on a grid along the patient's axes.

    Attributes:
        values: real values, (n_x, n_y, n_z) float32; x to the left, y to the back, z to the head.
        inside: where the scan has values, (n_x, n_y, n_z) bool.
        origin_mm: centre of the first voxel.
        step_mm: side of a voxel.
    """

    values: Values
    inside: Mask
    origin_mm: tuple[float, float, float]
    step_mm: float


def volume_of(paths: Sequence[Path], stack: Stack, *, step_mm: float) -> Volume:
    """Read a stack and lay it on a grid along the patient's axes, by linear interpolation.

    Slices and pixels finer than half a step are left out or averaged, so memory follows the grid, not the files.

    Args:
        paths: the files of the series.
        step_mm: side of a voxel of the grid.

    Raises:
        ValueError: if the grid would be too large, or pixels have several samples.
        Exception: whatever pydicom raises for pixels that cannot be decoded.
    """
    corners = stack.corners_mm
    low, high = corners.min(axis=0), corners.max(axis=0)
    shape = tuple(int(size) for size in np.floor((high - low) / step_mm).astype(int) + 1)
    if np.prod(np.array(shape, dtype=np.float64)) > _MOST_VOXELS:
        raise ValueError("the field is larger than a person")
    used = stack.slices[:: max(1, int(step_mm / max(stack.step_mm, 1e-3)))]
    block = max(1, int(step_mm / 2 / min(used[0].spacing)))
    planes = _planes(paths, used, block)
    values, inside = _laid(planes, Stack(used), block, low, shape, step_mm)
    return Volume(values, inside, (float(low[0]), float(low[1]), float(low[2])), step_mm)


def stored_frames(path: Path, frames: Sequence[int]) -> Iterator[npt.NDArray[np.generic]]:
    """Yield some frames of a file as they are stored, (rows, columns), in the order asked for."""
    for frame in iter_pixels(path, indices=list(frames), raw=True):
        if frame.ndim != 2:
            raise ValueError("a slice with several samples per pixel")
        yield frame


def _planes(paths: Sequence[Path], used: Sequence[Slice], block: int) -> Values:
    rows, columns = (size // block for size in used[0].shape)
    planes = np.empty((len(used), rows, columns), dtype=np.float32)
    by_file: dict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(used):
        by_file[one.file].append(number)
    for file, numbers in by_file.items():
        frames = stored_frames(paths[file], [used[number].frame for number in numbers])
        for number, frame in zip(numbers, frames, strict=True):
            whole = frame[: rows * block, : columns * block].reshape(rows, block, columns, block)
            planes[number] = (
                whole.mean(axis=(1, 3), dtype=np.float32) * used[number].slope + used[number].intercept
            )
    return planes


def _laid(
    planes: Values,
    stack: Stack,
    block: int,
    low: npt.NDArray[np.float64],
    shape: tuple[int, ...],
    step_mm: float,
) -> tuple[Values, Mask]:
    """Interpolate slab by slab, so that coordinates never take more memory than a few slices."""
    from scipy import ndimage

    one, places = stack.slices[0], stack.places_mm
    starts = np.array([part.position for part in stack.slices])
    offset = (block - 1) / 2
    values = np.empty(shape, dtype=np.float32)
    inside = np.empty(shape, dtype=bool)
    x, y = (low[axis] + step_mm * np.arange(shape[axis]) for axis in (0, 1))
    for first in range(0, shape[2], _SLAB):
        z = low[2] + step_mm * np.arange(first, min(first + _SLAB, shape[2]))
        points = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1)
        through = points @ one.normal
        number = np.interp(through, places, np.arange(len(places)))
        # The first voxel's place follows the slices: a tilted gantry shears the stack.
        start = np.stack([np.interp(through, places, starts[:, axis]) for axis in range(3)], axis=-1)
        rel = points - start
        row = (rel @ one.along_rows / one.spacing[0] - offset) / block
        column = (rel @ one.along_columns / one.spacing[1] - offset) / block
        slab = slice(first, first + len(z))
        values[:, :, slab] = ndimage.map_coordinates(planes, [number, row, column], order=1, mode="nearest")
        half = stack.step_mm / 2 + 1e-6
        inside[:, :, slab] = (
            (through >= places[0] - half)
            & (through <= places[-1] + half)
            & (row > -0.5)
            & (row < planes.shape[1] - 0.5)
            & (column > -0.5)
            & (column < planes.shape[2] - 0.5)
        )
    return values, inside
