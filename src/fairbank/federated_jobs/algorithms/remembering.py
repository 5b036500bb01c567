"""How much a model remembers of the samples that it was trained on: numbers of a site about the merged model.

Held-out samples are the others that an attacker would compare with; both sides come from the same split by subject.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from fairbank.federated_jobs.release_check import AUC, COPY, GAP, PREFIX, RARE_AUC, TPR

if TYPE_CHECKING:
    from torch import nn


Numbers = NDArray[np.float64]
# Evenly spaced of each side: enough for what is told, and never the cost of an epoch.
MOST_SAMPLES = 2000
# Fewer on a side say nothing of a tenth.
FEWEST = 10
_RARE, _FALSE_ALARMS = 0.9, 0.01


def places(count: int) -> list[int]:
    """Return which of so many samples are looked at, evenly spaced."""
    step = max(1, -(-count // MOST_SAMPLES))
    return list(range(0, count, step))


def told(
    losses: tuple[Numbers, Numbers], rareness: tuple[Numbers, Numbers], copied: float
) -> dict[str, float]:
    """Return the numbers of the check.

    Args:
        losses: of the samples that were trained on, (n,), and of those held out, (m,).
        rareness: of the same samples, the larger the less like the others.
        copied: the largest correlation of a part of the model with an image.
    """
    inside, outside = losses
    found = {COPY: copied}
    if min(len(inside), len(outside)) >= FEWEST:
        found[GAP] = float(outside.mean() - inside.mean())
        found[AUC] = area(-inside, -outside)
        found[TPR] = caught(-inside, -outside)
        rare = rarest(rareness)
        if rare is not None:
            found[RARE_AUC] = area(-inside[rare[0]], -outside[rare[1]])
    return {PREFIX + name: value for name, value in found.items()}


def rarest(far: tuple[Numbers, Numbers]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Return which samples of both sides are among the tenth that is furthest off; None if too few are."""
    limit = float(np.quantile(np.concatenate(far), _RARE))
    inside, outside = far[0] >= limit, far[1] >= limit
    return (inside, outside) if min(inside.sum(), outside.sum()) >= FEWEST else None


def area(inside: Numbers, outside: Numbers) -> float:
    """Return the chance that one of those inside scores higher than one outside, ties counting half.

    Source: Mann & Whitney 1947; Yeom et al. 2018, Privacy Risk in Machine Learning, for losses as scores.

    >>> area(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    0.875
    """
    ordered = np.sort(outside)
    below = np.searchsorted(ordered, inside, side="left")
    up_to = np.searchsorted(ordered, inside, side="right")
    return float((below + up_to).sum() / (2 * len(inside) * len(outside)))


def caught(inside: Numbers, outside: Numbers) -> float:
    """Return which part of those inside scores higher than all but one in a hundred of those outside.

    Source: Carlini et al. 2022, Membership Inference Attacks From First Principles, section 3.
    """
    return float((inside > np.quantile(outside, 1 - _FALSE_ALARMS, method="higher")).mean())


def rareness(images: Sequence[NDArray[np.float32]], middle: NDArray[np.float64]) -> Numbers:
    """Return how far each image is from the middle one, (n,)."""
    return np.array([float(np.linalg.norm(each - middle)) for each in images], dtype=np.float64)


def copied(network: nn.Module, images: Sequence[NDArray[np.float32]]) -> float:
    """Return the largest correlation of a row of a tensor with an image; 0 if none has as many values as an image.

    Every tensor counts, buffers too: whatever the layer is called, what equals an image is one.
    """
    if not images:
        return 0.0
    pixels = _whitened(np.stack([each.reshape(-1) for each in images]).astype(np.float64))
    best = 0.0
    for rows in _rows(network, pixels.shape[1]):
        best = max(best, float(np.abs(_whitened(rows) @ pixels.T).max()))
    return min(best, 1.0)


def _rows(network: nn.Module, width: int) -> Iterator[Numbers]:
    for tensor in network.state_dict().values():
        if not torch.is_floating_point(tensor) or tensor.numel() < width:
            continue
        values = tensor.detach().cpu().double().numpy()
        if values.ndim and values.size == len(values) * width:
            yield values.reshape(len(values), width)
        elif values.size == width:
            yield values.reshape(1, width)


def _whitened(rows: Numbers) -> Numbers:
    apart = rows - rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(apart, axis=1, keepdims=True)
    unit: Numbers = np.divide(apart, lengths, out=np.zeros_like(apart), where=lengths > 1e-12)
    return unit
