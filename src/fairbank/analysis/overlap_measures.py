"""How much two masks agree: overlap, and distance of their surfaces.

Sources: Dice 1945, Ecology 26, 297-302; Jaccard 1912, New Phytologist 11, 37-50. Surface distances by Taha & Hanbury
2015, BMC Medical Imaging 15:29, and Maier-Hein et al. 2024, Nature Methods 21, 195-212: the surface of a mask is its
voxels with a face at what is outside; the average runs over the distances of both surfaces together (ASSD), and HD95 is
the larger of the two 95th percentiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.drawn_regions import Mask
from fairbank.analysis.volumes import Triple

_PERCENTILE: Final = 95.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """How much two masks agree.

    Args:
        dice, jaccard: from 0 to 1.
        surface_mm: average symmetric surface distance; None if one mask is empty.
        hd95_mm: 95th percentile of the Hausdorff distance; None if one mask is empty.
    """

    dice: float
    jaccard: float
    surface_mm: float | None
    hd95_mm: float | None


def agreement(found: Mask, reference: Mask, spacing_mm: Triple) -> Agreement:
    """Return how much two masks of the same shape agree; the reference is not empty.

    Args:
        found, reference: (slices, rows, columns) bool.
        spacing_mm: distance of slices, rows, columns.
    """
    common, both = int((found & reference).sum()), int(found.sum()) + int(reference.sum())
    dice, jaccard = 2 * common / both, common / (both - common)
    if not found.any():
        return Agreement(dice, jaccard, None, None)
    box = _box(found | reference)
    there = _distances(found[box], reference[box], spacing_mm)
    back = _distances(reference[box], found[box], spacing_mm)
    return Agreement(
        dice,
        jaccard,
        float(np.concatenate([there, back]).mean()),
        float(max(np.percentile(there, _PERCENTILE), np.percentile(back, _PERCENTILE))),
    )


def _distances(of: Mask, to: Mask, spacing_mm: Triple) -> NDArray[np.float64]:
    """Return how far each voxel of one surface is from the other, (n,) float64 in mm."""
    from scipy.ndimage import distance_transform_edt

    far = distance_transform_edt(~_surface(to), sampling=spacing_mm)
    found: NDArray[np.float64] = far[_surface(of)]
    return found


def _surface(mask: Mask) -> Mask:
    from scipy.ndimage import binary_erosion

    found: Mask = mask & ~binary_erosion(mask)
    return found


def _box(mask: Mask) -> tuple[slice, ...]:
    """Return the smallest box around a mask, one voxel wider where there is room: its edge is no surface then."""
    sides = []
    for axis in range(3):
        places = np.nonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))[0]
        sides.append(slice(max(0, int(places[0]) - 1), int(places[-1]) + 2))
    return tuple(sides)
