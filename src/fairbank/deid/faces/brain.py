"""Where the brain is, as far as a shear needs it: within a few millimetres, in CT and in MR.

CT: soft tissue within bone. MR: what is bright within the dark of skull and fluid. Both are cut loose from the rest by
erosion, and the largest piece amid the head is grown back; then what is thin, such as the cord, is cut off.

Sources: Smith 2002 (Human Brain Mapping 17:143-155) for the robust range and the threshold; Muschelli et al. 2015
(NeuroImage 114:379-385) for 0-100 HU.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fairbank.deid.faces.surface import body_of, skin_level
from fairbank.deid.faces.volume import Mask, Values, Volume

Distances = npt.NDArray[np.float64]

_BRAIN_HU = (0.0, 100.0)
# How wide the bridges are that are cut, mm; of all pieces like a brain the largest is used.
_CUT_MM = (3.0, 4.5, 6.0, 8.0, 10.0)
# From a newborn's to beyond the largest adult's (1.9 l), with the fluid around it.
_LITRES = (0.25, 1.95)
# Half of the thinnest part that belongs to the brain for this purpose: the cord and nerves are thinner.
_THIN_MM = 10.0
_CLOSED_MM = 6.0
# Scalp and skull lie between brain and air: a mask that comes nearer has leaked into the face.
_COVERED_MM = 5.0
_UNCOVERED_SHARE = 0.004
_TALLEST_MM = 165.0
_LARGEST_MM = 230.0
# An ellipsoid fills 0.52 of its box; a brain with muscles of neck and face leaves more of it empty.
_FILLS = 0.42
_MR_SHARES = (0.6, 0.5, 0.7, 0.4)


def brain_of(volume: Volume, modality: str) -> Mask | None:
    """Return the brain, (n_x, n_y, n_z) bool; None if nothing like one is found.

    Args:
        volume: a head at 3 mm or so, CT in Hounsfield units.
        modality: CT or MR.
    """
    body = body_of(volume, skin_level(volume, modality))
    if not body.any():
        return None
    box = _box_of(body, volume.step_mm)
    body = _whole(_closed(body[box], volume.step_mm))
    covered = _distance(body) * volume.step_mm
    best, most = None, 0
    for tissue in _tissues(volume.values[box], body, modality):
        deep = _distance(tissue) * volume.step_mm
        for cut_mm in _CUT_MM:
            mask = _cut_loose(tissue, deep, _ball(body, 0.8), (cut_mm, volume.step_mm))
            if mask is not None and mask.sum() > most and _like_a_brain(mask, covered, volume.step_mm):
                best, most = mask, int(mask.sum())
    if best is None:
        return None
    found = np.zeros(volume.values.shape, dtype=bool)
    found[box] = best
    return found


def _box_of(body: Mask, step_mm: float) -> tuple[slice, slice, slice]:
    """Return where the head is: the body's box, from its top down as far as a head reaches."""
    spans = [np.flatnonzero(body.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    x, y, z = (slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    return x, y, slice(max(z.start, z.stop - int(_LARGEST_MM / step_mm)), z.stop)


def _tissues(values: Values, body: Mask, modality: str) -> list[Mask]:
    if modality == "CT":
        from scipy import ndimage

        soft = ndimage.gaussian_filter(values, 1.0)
        return [(soft > _BRAIN_HU[0]) & (soft < _BRAIN_HU[1]) & (values < _BRAIN_HU[1]) & body]
    # The median of the middle of the head, which the brain fills for the most part, tells its brightness.
    typical = float(np.median(values[_ball(body, 0.6)]))
    return [(values > share * typical) & body for share in _MR_SHARES]


def _cut_loose(tissue: Mask, deep: Distances, middle: Mask, sizes_mm: tuple[float, float]) -> Mask | None:
    from scipy import ndimage

    cut_mm, step_mm = sizes_mm
    core = _largest(deep > cut_mm, within=middle)
    if core is None:
        return None
    grown = (_away_from(core) * step_mm <= cut_mm + step_mm) & tissue
    filled = ndimage.binary_fill_holes(_closed(grown, step_mm))
    thick = _largest(_distance(filled) * step_mm > _THIN_MM)
    if thick is None:
        return None
    result: Mask = (_away_from(thick) * step_mm <= _THIN_MM) & filled
    return result


def _like_a_brain(mask: Mask, covered: Distances, step_mm: float) -> bool:
    litres = float(mask.sum()) * step_mm**3 / 1e6
    sides = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    lengths = [int(places[-1] - places[0] + 1) for places in sides]
    uncovered = float((mask & (covered < _COVERED_MM)).sum())
    return bool(
        _LITRES[0] <= litres <= _LITRES[1]
        and lengths[2] * step_mm < _TALLEST_MM
        and mask.sum() / np.prod(lengths) > _FILLS
        and uncovered < _UNCOVERED_SHARE * mask.sum()
    )


def _ball(body: Mask, share: float) -> Mask:
    """Return a ball amid the head: as wide as the head is, under its top."""
    top = body.shape[2] - 1
    across = np.flatnonzero(body.any(axis=(1, 2)))
    width = float(across[-1] - across[0] + 1)
    xs, ys, _ = np.nonzero(body[:, :, max(0, top - int(width)) :])
    centre = (float(xs.mean()), float(ys.mean()), top - width / 2)
    grids = np.ogrid[tuple(slice(0, size) for size in body.shape)]
    squared = sum((grid - at) ** 2 for grid, at in zip(grids, centre, strict=True))
    inside: Mask = np.asarray(squared < (share * width / 2) ** 2)
    return inside


def _closed(mask: Mask, step_mm: float) -> Mask:
    near = _away_from(mask) * step_mm <= _CLOSED_MM
    closed: Mask = (_distance(near) * step_mm > _CLOSED_MM) | mask
    return closed


def _whole(body: Mask) -> Mask:
    """Return a body with its hollows: mouth, nose and sinuses, slice by slice in each direction."""
    from scipy import ndimage

    filled = ndimage.binary_fill_holes(body)
    for number in range(body.shape[0]):
        filled[number] = ndimage.binary_fill_holes(filled[number])
    whole: Mask = filled
    return whole


def _largest(mask: Mask, *, within: Mask | None = None) -> Mask | None:
    """Return the connected piece that is largest, as far as it lies within a region."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    sizes = np.bincount((labels if within is None else labels[within]).ravel(), minlength=count + 1)
    sizes[0] = 0
    if not sizes.any():
        return None
    piece: Mask = labels == int(sizes.argmax())
    return piece


def _distance(mask: Mask) -> Distances:
    """Return how far each voxel of a mask is from what is not in it, in voxels."""
    from scipy import ndimage

    distances: Distances = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1, 1:-1]
    return distances


def _away_from(mask: Mask) -> Distances:
    """Return how far each voxel is from a mask, in voxels; 0 within it."""
    from scipy import ndimage

    distances: Distances = ndimage.distance_transform_edt(~mask)
    return distances
