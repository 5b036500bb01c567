"""One frame as pictures in which text can be looked for: planes of small numbers, whatever the pixels were."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Grey = NDArray[np.uint8]
_COLOURED = 24


def planes_of(frame: NDArray[np.generic]) -> list[Plane]:
    """Return the planes of a frame in which text may stand out.

    Args:
        frame: (rows, columns) of any integer, or (rows, columns, 3) with red, green, blue.

    Returns:
        (rows, columns) float32 each, in units of the frame's own values: the brightness, and for a coloured frame the
        saturation (coloured letters on grey anatomy have no noise there) and each channel that differs from grey.
    """
    if frame.ndim == 2:
        return [frame.astype(np.float32)]
    colour = frame[..., :3].astype(np.float32)
    brightness = colour @ np.array([0.299, 0.587, 0.114], np.float32)
    saturation = colour.max(axis=2) - colour.min(axis=2)
    if float(saturation.max(initial=0)) < _COLOURED:
        return [brightness]
    return [brightness, saturation]


def grey_of(plane: Plane, *, clip: float = 0.0) -> Grey:
    """Return a plane as 8-bit grey.

    Args:
        plane: (rows, columns).
        clip: share of the darkest and of the brightest pixels that may saturate, 0 to 0.5.
    """
    low, high = np.quantile(plane, [clip, 1 - clip]) if clip else (plane.min(initial=0), plane.max(initial=0))
    if not high > low:
        return np.zeros(plane.shape, np.uint8)
    scaled = (plane - np.float32(low)) * np.float32(255.0 / (high - low))
    grey: Grey = np.clip(scaled, 0, 255).astype(np.uint8)
    return grey


def halved(plane: Plane) -> Plane:
    """Return a plane at half its size: the mean of each two by two pixels."""
    rows, columns = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    cut = plane[:rows, :columns]
    result: Plane = (cut[::2, ::2] + cut[1::2, ::2] + cut[::2, 1::2] + cut[1::2, 1::2]) * np.float32(0.25)
    return result
