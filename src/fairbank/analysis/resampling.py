"""A region and its grey values on a grid of cubes, as the IBSI has it.

The new grid has the centre of the old one, and as many voxels as cover it (IBSI manual, section 2.4). Beyond the image
the nearest value holds. A new voxel belongs to the region from half on, where the region is interpolated linearly.
Only what lies around the region is worked out; the values are those of the whole.
"""

from __future__ import annotations

import math
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.errors import ItemImpossible
from fairbank.analysis.volumes import Triple

Interpolator = Literal["linear", "cubic-bspline", "nearest"]
Mask = NDArray[np.bool_]
# The weight of a value so far away in a cubic B-spline is below single precision.
_REACH: Final = 16
MOST_VOXELS: Final = 200_000_000
_HALF: Final = 0.5


def resampled(
    values: NDArray[Any], mask: Mask, spacing_mm: Triple, *, to_mm: float, interpolator: Interpolator
) -> tuple[NDArray[np.float64], Mask]:
    """Return grey values and mask around a region on cubes, both (slices, rows, columns).

    Args:
        values: (slices, rows, columns); what has no value, NaN, takes the least value around the region.
        mask: of the same shape, not empty.
        spacing_mm: distance of slices, rows, columns.
        to_mm: edge of the cubes.
        interpolator: of the values.

    Raises:
        ItemImpossible: `too_many_voxels` if the new grid is too large; `empty_region` if nothing of the region is left.
    """
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    near, first = _around(mask)
    starts, counts = [], []
    for axis in range(3):
        length, spacing = mask.shape[axis], spacing_mm[axis]
        # In mm from the centre of the old first voxel.
        whole = math.ceil(length * spacing / to_mm)
        origin = 0.5 * ((length - 1) * spacing - (whole - 1) * to_mm)
        places = np.nonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))[0]
        low = max(0, math.floor(((places[0] - 1) * spacing - origin) / to_mm))
        high = min(whole - 1, math.ceil(((places[-1] + 1) * spacing - origin) / to_mm))
        starts.append(origin + low * to_mm)
        counts.append(high - low + 1)
    if math.prod(counts) > MOST_VOXELS:
        raise ItemImpossible("too_many_voxels")
    kinds = {
        "linear": SimpleITK.sitkLinear,
        "cubic-bspline": SimpleITK.sitkBSpline,
        "nearest": SimpleITK.sitkNearestNeighbor,
    }

    around = values[near].astype(np.float64)
    if np.isnan(around).any():
        around = np.nan_to_num(around, nan=float(np.nanmin(around)) if np.isfinite(around).any() else 0.0)

    def on_cubes(array: NDArray[Any], kind: Any) -> NDArray[np.float64]:
        image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array, dtype=np.float64))
        # The library's order is columns, rows, slices.
        image.SetSpacing([float(each) for each in reversed(spacing_mm)])
        image.SetOrigin([at * each for at, each in zip(reversed(first), reversed(spacing_mm), strict=True)])
        work = SimpleITK.ResampleImageFilter()
        work.SetSize(counts[::-1])
        work.SetOutputSpacing([to_mm] * 3)
        work.SetOutputOrigin(starts[::-1])
        work.SetInterpolator(kind)
        work.SetUseNearestNeighborExtrapolator(True)
        found: NDArray[np.float64] = SimpleITK.GetArrayFromImage(work.Execute(image))
        return found

    inside: Mask = on_cubes(mask[near], SimpleITK.sitkLinear) >= _HALF
    if not inside.any():
        raise ItemImpossible("empty_region")
    return on_cubes(around, kinds[interpolator]), inside


def _around(mask: Mask) -> tuple[tuple[slice, ...], list[int]]:
    """Return the box of a mask with what interpolation reaches to, and where it begins."""
    sides = []
    for axis in range(3):
        places = np.nonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))[0]
        sides.append(slice(max(0, int(places[0]) - _REACH), int(places[-1]) + 1 + _REACH))
    return tuple(sides), [side.start for side in sides]
