"""How well a drawn region agrees with another: overlap, and distances of their surfaces in mm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


def agreement(predicted: Mask, truth: Mask, spacing_mm: Sequence[float]) -> dict[str, float]:
    """Return Dice, Jaccard, the average symmetric surface distance and the 95th percentile of surface distances.

    Two empty regions agree wholly in overlap and have no surfaces. Where only one is empty, overlap is 0 and distances
    are left out, since there is no finite one.

    Args:
        predicted, truth: of the same shape.
        spacing_mm: distance of neighbouring voxels along each axis.

    Source: Dice 1945; Jaccard 1912; Heimann et al. 2009, IEEE Transactions on Medical Imaging 28, 1251 (surface
    distances); the percentile is the greater of both directions, as in Taha & Hanbury 2015.

    >>> both = np.ones((3, 3), dtype=bool)
    >>> agreement(both, both, (1.0, 1.0))
    {'dice': 1.0, 'jaccard': 1.0, 'surface_mm': 0.0, 'hausdorff_mm': 0.0}
    """
    shared, either = int((predicted & truth).sum()), int((predicted | truth).sum())
    if not either:
        return {"dice": 1.0, "jaccard": 1.0}
    found = {"dice": 2 * shared / (shared + either), "jaccard": shared / either}
    if predicted.any() and truth.any():
        there = _distances(predicted, truth, spacing_mm)
        back = _distances(truth, predicted, spacing_mm)
        found["surface_mm"] = float(np.concatenate([there, back]).mean())
        found["hausdorff_mm"] = float(max(np.percentile(there, 95), np.percentile(back, 95)))
    return found


def _distances(of: Mask, to: Mask, spacing_mm: Sequence[float]) -> NDArray[np.float64]:
    """Return the distance of each surface voxel of one region to the surface of another, in mm."""
    away = ndimage.distance_transform_edt(~_surface(to), sampling=tuple(spacing_mm))
    found: NDArray[np.float64] = np.asarray(away, dtype=np.float64)[_surface(of)]
    return found


def _surface(mask: Mask) -> Mask:
    """Return the voxels of a region that touch what is not in it; the edge of the array counts as outside."""
    inner: Mask = ndimage.binary_erosion(mask)
    return mask & ~inner
