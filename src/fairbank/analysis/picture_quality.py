"""Noise, signal, sharpness and clipping of single frames: formulas, and nothing else.

Noise is measured where the picture is smooth, from what a difference operator leaves of it, so that anatomy does not
count as noise. It is told as the standard deviation of white noise; noise that neighbouring pixels share, as a soft
kernel or an interpolation makes it, is told too small.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.volumes import Voxels

Mask = NDArray[np.bool_]

# Median of the absolute values of a normal variable with standard deviation 1 (Donoho 1995, IEEE Transactions on
# Information Theory 41, 613-627).
_MEDIAN_OF_NORMAL = 0.6745
# Root of the sum of squares of the operator's weights 1 -2 1, -2 4 -2, 1 -2 1.
_OPERATOR_GAIN = 6.0
# Standard deviation of the magnitude of noise without signal, in units of the noise of each channel: sqrt(2 - pi/2)
# (Gudbjartsson & Patz 1995, Magnetic Resonance in Medicine 34, 910-914).
RAYLEIGH = math.sqrt(2 - math.pi / 2)
_FEWEST_PIXELS = 200
# The steepest places of a frame are its edges.
_STEEPEST_SHARE = 0.005
_EDGE_REACH_MM = 5.0
_FEWEST_STEEP = 30


def noise_sd(frame: Voxels, region: Mask) -> float | None:
    """Return the standard deviation of noise in a region; None if the region is too small or of one value.

    The median of the absolute values that the operator of Immerkaer leaves, over 6 x 0.6745.

    Args:
        frame: (rows, columns) float32.
        region: which of its pixels count; one counts only where all of its neighbours do.

    Source: Immerkaer 1996, Computer Vision and Image Understanding 64, 300-302, for the operator; the median in place
    of the mean, after Donoho 1995, keeps edges out.
    """
    if min(frame.shape) < 3:
        return None
    rows = frame[:-2] - 2 * frame[1:-1] + frame[2:]
    left = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    kept = _surrounded(region) & np.isfinite(left)
    values = np.abs(left[kept])
    if values.size < _FEWEST_PIXELS:
        return None
    found = float(np.median(values)) / (_OPERATOR_GAIN * _MEDIAN_OF_NORMAL)
    return found if found > 0 else None


def threshold_between(values: NDArray[np.float32]) -> float:
    """Return the value that best parts grey values into two classes.

    Args:
        values: (n,) float32, finite, not all equal.

    Source: Otsu 1979, IEEE Transactions on Systems, Man, and Cybernetics 9, 62-66, over 256 bins.

    >>> 10 < threshold_between(np.array([9, 10, 10, 90, 91], dtype=np.float32)) < 90
    True
    """
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    between = np.nan_to_num(between[:-1], nan=0.0)
    # The middle of all that are equally good.
    best = np.nonzero(between >= between.max() * (1 - 1e-9))[0]
    return float(edges[1 + int(best[len(best) // 2])])


def edge_width_mm(frame: Voxels, spacing_mm: tuple[float, float]) -> float | None:
    """Return how wide the sharpest edges of a frame are; None if it has too few.

    At the steepest 0.5 % of pixels: the range of values within 5 mm over the steepness there, and of these the median.
    An edge that is blurred by a Gaussian of s mm has a width of sqrt(2 pi) s; none is narrower than two pixels.

    Args:
        frame: (rows, columns) float32, finite.
        spacing_mm: distance of rows, and of columns.

    Source: slope of the edge spread function, as in Boone & Seibert 1994, Medical Physics 21, 1541-1545, by its
    greatest steepness in place of a fit.
    """
    from scipy import ndimage

    if min(frame.shape) < 16:
        return None
    steepness = np.hypot(*np.gradient(frame, *spacing_mm))
    least = float(np.quantile(steepness, 1 - _STEEPEST_SHARE))
    steep = steepness >= max(least, 1e-6)
    if least <= 0 or steep.sum() < _FEWEST_STEEP:
        return None
    reach = [2 * max(1, round(_EDGE_REACH_MM / one)) + 1 for one in spacing_mm]
    spread = ndimage.maximum_filter(frame, reach) - ndimage.minimum_filter(frame, reach)
    return float(np.median(spread[steep] / steepness[steep]))


def at_least_share(frame: Voxels, top: float) -> float:
    """Return the part of a frame's pixels that reach a value, padding left out."""
    finite = np.isfinite(frame)
    return float((frame[finite] >= top).mean()) if finite.any() else 0.0


def _surrounded(region: Mask) -> Mask:
    """Return which inner pixels, (rows - 2, columns - 2), lie in a region with all eight neighbours."""
    wide = region[:-2] & region[1:-1] & region[2:]
    found: Mask = wide[:, :-2] & wide[:, 1:-1] & wide[:, 2:]
    return found
