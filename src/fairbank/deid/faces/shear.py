"""A shear as Quickshear does it: everything in front of and below one plane goes, and the plane leaves the brain.

The brain is flattened onto its sagittal profile, whose lower convex hull is taken. Quickshear's plane runs along the
hull's first edge, which on a smooth mask is a tangent of the forehead and leaves cheeks and chin. Here its direction is
that from the hull's foremost to its lowest point, which follows how the head is held; the plane of that direction
touches the hull, then moves away by a margin, so no brain is lost whatever the direction. In the patient's millimetres
it is the same for every stack of slices of one coordinate system, however they are turned.

Source: Schimke & Hale 2011, Quickshear defacing for neuroimages, USENIX HealthSec.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbank.deid.faces.geometry import Floats
from fairbank.deid.faces.volume import Mask, Volume

MARGIN_MM = 6.0
# 35 to 45 degrees in a head held upright. Flatter planes leave the eyes, steeper ones cheeks and chin.
_STEEP_RAD = (float(np.radians(36.0)), float(np.radians(55.0)))


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane across the patient, from left to right: points with `normal · p > offset_mm` are taken away.

    The normal points forward and down.
    """

    normal: tuple[float, float, float]
    offset_mm: float

    def beyond(self, points: Floats) -> Mask:
        """Return which points are taken away, (…, 3) mm → (…) bool."""
        away: Mask = points @ np.array(self.normal) > self.offset_mm
        return away


def plane_under(brain: Mask, volume: Volume, *, margin_mm: float = MARGIN_MM) -> Plane:
    """Return the plane that takes the face away and leaves the brain.

    Args:
        brain: (n_x, n_y, n_z) bool, not empty.
        volume: the grid on which the brain lies.
        margin_mm: between plane and brain.
    """
    profile = brain.any(axis=0)
    ys, zs = np.nonzero(profile)
    origin = np.array(volume.origin_mm)
    lower = _lower_hull(np.column_stack([ys, zs]) * volume.step_mm + origin[1:])
    front, lowest = lower[0], lower[lower[:, 1].argmin()]
    steep = float(np.clip(np.arctan2(front[1] - lowest[1], lowest[0] - front[0]), *_STEEP_RAD))
    normal = np.array([-np.sin(steep), -np.cos(steep)])
    offset = float((lower @ normal).max()) + margin_mm + volume.step_mm / 2
    return Plane((0.0, float(normal[0]), float(normal[1])), offset)


def _lower_hull(points: Floats) -> Floats:
    """Return the lower convex hull from front to back, (n, 2); Andrew's monotone chain."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    hull: list[Floats] = []
    for point in ordered:
        while len(hull) >= 2 and _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return np.array(hull)


def _turn(first: Floats, second: Floats, third: Floats) -> float:
    a, b = second - first, third - first
    return float(a[0] * b[1] - a[1] * b[0])
