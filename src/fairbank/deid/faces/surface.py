"""The skin as somebody would see it from the front: how deep it lies at each place, and where a nose stands out.

Nothing here knows how faces are removed: the check of a removal is made with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairbank.deid.faces.volume import Mask, Volume

Depth = npt.NDArray[np.float64]

# Between air (-1000 HU) and fat (-100 HU).
_CT_SKIN_HU = -300.0
# Smith 2002 (Human Brain Mapping 17:143-155), section 2: between the robust minimum and maximum of a volume.
_ROBUST_PERCENT = (2.0, 98.0)
_AIR_SHARE = 0.1
# Where even the darkest is brighter than this share of the brightest, no air was scanned.
_NO_AIR_SHARE = 0.3
# How far from the ridge of a nose the cheeks are looked for: half of a nose's width (35-40 mm) and a little.
_CHEEK_MM = 24.0
# Over 24 mm the forehead of a head 120 mm wide falls back by 5 mm, a chin by 9 mm, the cheeks beside a nose by 20 mm.
_STANDS_OUT_MM = 11.0
_NOSE_LENGTH_MM = 14.0
# A head lies at most so far off the middle of what is seen of it.
_OFF_MIDDLE_MM = 35.0
_SMOOTH_MM = 3.0
# Pieces smaller than this share of the largest are no part of a head.
_LARGE_SHARE = 0.05
# Air in front of the skin, at the least, so that it is the skin and not the end of what was scanned.
_AIR_MM = 4.0


@dataclass(frozen=True, slots=True)
class Nose:
    """The tip of a nose on the grid, and how far it stands out over the cheeks."""

    x: int
    z: int
    stands_out_mm: float


def skin_level(volume: Volume, modality: str) -> float:
    """Return the value that parts air from skin."""
    if modality == "CT":
        return _CT_SKIN_HU
    if not volume.inside.any():
        return float("inf")
    least, most = np.percentile(volume.values[volume.inside], _ROBUST_PERCENT)
    return float(min(least + _AIR_SHARE * (most - least), _NO_AIR_SHARE * most))


def body_of(volume: Volume, level: float) -> Mask:
    """Return what is no air, (n_x, n_y, n_z) bool; noise and thin tubes are left out.

    Dark bone may part scalp and brain, so all large pieces are kept.
    """
    from scipy import ndimage

    solid = ndimage.binary_opening((volume.values > level) & volume.inside, iterations=1)
    labels, count = ndimage.label(solid)
    if not count:
        return np.zeros_like(solid)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    large: Mask = (sizes >= _LARGE_SHARE * sizes.max())[labels]
    return large


def depth_of(volume: Volume, body: Mask) -> Depth:
    """Return how far back the skin lies, (n_x, n_z) float64 mm from the grid's front; nan where no skin is seen.

    Skin is seen where air lies before it in what was scanned.
    """
    found = body.any(axis=1)
    first = body.argmax(axis=1)
    air = np.arange(volume.values.shape[1])[None, :, None] < first[:, None, :]
    in_front = (air & volume.inside).sum(axis=1) * volume.step_mm
    depth: Depth = first.astype(np.float64) * volume.step_mm
    depth[~found | (in_front < _AIR_MM)] = np.nan
    return depth


def nose_in(depth: Depth, step_mm: float) -> Nose | None:
    """Return the nose of a depth map, the foremost thing amid it that stands out like one; None if there is none."""
    from scipy import ndimage

    smooth = smoothed(depth, _SMOOTH_MM / step_mm)
    reach = round(_CHEEK_MM / step_mm)
    if smooth.shape[0] <= 2 * reach:
        return None
    ridge = smooth[reach:-reach]
    cheeks = np.minimum(smooth[: -2 * reach], smooth[2 * reach :])
    out = np.nan_to_num(cheeks - ridge, nan=0.0)
    labels, _ = ndimage.label(out > _STANDS_OUT_MM)
    middle = float(np.nonzero(np.isfinite(smooth))[0].mean()) - reach if np.isfinite(smooth).any() else 0.0
    best, foremost = None, np.inf
    for number, region in enumerate(ndimage.find_objects(labels), start=1):
        if (region[1].stop - region[1].start) * step_mm < _NOSE_LENGTH_MM:
            continue
        tip = np.where(labels == number, ridge, np.inf)
        x, z = (int(at) for at in np.unravel_index(int(tip.argmin()), tip.shape))
        if abs(x - middle) * step_mm <= _OFF_MIDDLE_MM and tip[x, z] < foremost:
            best, foremost = Nose(x + reach, z, float(out[x, z])), float(tip[x, z])
    return best


def smoothed(depth: Depth, sigma: float) -> Depth:
    """Return a depth map smoothed where it is known, unknown elsewhere, (n_x, n_z) float64."""
    from scipy import ndimage

    known = np.isfinite(depth)
    weight = ndimage.gaussian_filter(known.astype(np.float64), sigma)
    total = ndimage.gaussian_filter(np.where(known, depth, 0.0), sigma)
    result: Depth = np.where(known, total / np.maximum(weight, 1e-6), np.nan)
    return result
