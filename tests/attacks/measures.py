"""How well an attack did: likeness of pictures, area under a curve, exposure of canaries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
_WINDOW = 7


def ssim(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the structural similarity of two pictures in 0 to 1, with windows of 7 by 7 that weigh evenly.

    Source: Wang et al. 2004, Image Quality Assessment, equation 13.
    """
    a, b = (
        np.lib.stride_tricks.sliding_window_view(np.asarray(each, float), (_WINDOW,) * 2)
        for each in (one, other)
    )
    axes = (-2, -1)
    mean_a, mean_b = a.mean(axes), b.mean(axes)
    both = (a * b).mean(axes) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (a.var(axes) + b.var(axes) + c2))).mean())


def scaled(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture whose darkest value is 0 and whose brightest is 1."""
    spread = float(picture.max() - picture.min())
    return (picture - picture.min()) / spread if spread > 0 else np.zeros_like(picture)


def best_match(found: NDArray[np.float32], victims: NDArray[np.float32]) -> float:
    """Return how like a picture is to the victim that it is most like."""
    return max(ssim(found, victim) for victim in victims)


def identifies(found: NDArray[np.float32], victim: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    """Tell whether a picture is more like its victim than like any other."""
    return ssim(found, victim) > max(ssim(found, other) for other in others)


def auc(inside: Numbers, outside: Numbers) -> float:
    """Return the chance that one who was in scores higher than one who was not, ties counting half."""
    apart = np.asarray(inside)[:, None] - np.asarray(outside)[None, :]
    return float((apart > 0).mean() + 0.5 * (apart == 0).mean())


def auc_sd(inside: int, outside: int) -> float:
    """Return the standard deviation of that chance where nothing can be told.

    Source: Mann & Whitney 1947.
    """
    return float(np.sqrt((inside + outside + 1) / (12 * inside * outside)))


def exposures(canaries: Numbers, others: Numbers) -> Numbers:
    """Return by how many bits each canary's loss is lower than chance; (n,).

    Source: Carlini et al. 2019, The Secret Sharer, definition 5, estimated by sampling.
    """
    ranks = 1 + (np.asarray(others)[None, :] < np.asarray(canaries)[:, None]).sum(axis=1)
    return np.asarray(np.log2((len(others) + 1) / ranks), dtype=np.float64)
