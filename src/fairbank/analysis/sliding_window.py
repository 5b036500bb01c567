"""A network over a whole volume, patch by patch; where patches overlap, scores are averaged.

Source: the same as `monai.inferers.sliding_window_inference` (MONAI 1.6) with constant or Gaussian weights: a volume
smaller than a patch is padded with zeros on both sides, the last patch of an axis ends with the volume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.networks import Network

Weighting = Literal["constant", "gaussian"]
Shape = tuple[int, int, int]
# Of a patch's edge, as MONAI has it.
_SIGMA: Final = 0.125
_LEAST: Final = 1e-3


def infer(
    network: Network,
    voxels: NDArray[np.float32],
    *,
    patch: Shape,
    overlap: float,
    weighting: Weighting,
    say: Callable[[float], None] = lambda part: None,
) -> NDArray[np.float32]:
    """Return scores of all voxels, (channels, *shape) float32.

    Args:
        network: scores one patch.
        voxels: three axes, float32.
        patch: the size that the network takes.
        overlap: part of a patch that the next one shares, from 0 to below 1.
        weighting: how scores count where patches overlap.
        say: takes the finished part, from 0 to 1.

    Raises:
        ModelUnusable: if the network does not take such patches.
    """
    before = [max(0, wanted - have) // 2 for wanted, have in zip(patch, voxels.shape, strict=True)]
    after = [max(0, wanted - have - b) for wanted, have, b in zip(patch, voxels.shape, before, strict=True)]
    padded = np.pad(voxels, list(zip(before, after, strict=True)))
    weights = _weights(patch, weighting)
    total: Any = None
    counted = np.zeros(padded.shape, dtype=np.float32)
    places = list(_places(padded.shape, patch, overlap))
    for number, place in enumerate(places, start=1):
        scores = network(np.ascontiguousarray(padded[place]))
        if total is None:
            total = np.zeros((len(scores), *padded.shape), dtype=np.float32)
        total[(slice(None), *place)] += scores * weights
        counted[place] += weights
        say(number / len(places))
    total /= counted
    inner = tuple(slice(b, b + have) for b, have in zip(before, voxels.shape, strict=True))
    found: NDArray[np.float32] = total[(slice(None), *inner)]
    return found


def _places(shape: tuple[int, ...], patch: Shape, overlap: float) -> Iterator[tuple[slice, ...]]:
    starts = []
    for length, edge in zip(shape, patch, strict=True):
        step = edge if edge == length else max(1, int(edge * (1 - overlap)))
        count = -(-(length - edge) // step) + 1
        starts.append([min(number * step, length - edge) for number in range(count)])
    for corner in product(*starts):
        yield tuple(slice(at, at + edge) for at, edge in zip(corner, patch, strict=True))


def _weights(patch: Shape, weighting: Weighting) -> NDArray[np.float32]:
    if weighting == "constant":
        return np.ones(patch, dtype=np.float32)
    found = np.ones(patch)
    for axis, edge in enumerate(patch):
        place = np.arange(edge) - (edge - 1) / 2
        bell = np.exp(-(place**2) / (2 * (_SIGMA * edge) ** 2))
        found *= np.expand_dims(bell, tuple(other for other in range(3) if other != axis))
    scaled: NDArray[np.float32] = np.maximum(found, _LEAST).astype(np.float32)
    return scaled
