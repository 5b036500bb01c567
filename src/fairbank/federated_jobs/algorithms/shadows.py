"""Membership told with shadow models: how a sample's loss compares with models that saw it and models that did not.

A site trains some models of its own, each on one half of its samples, so that each sample is in half of them. What they
say of a sample is what its loss under the model in question is judged by: a hard one is no longer taken for a stranger.

Source: Carlini et al. 2022, Membership Inference Attacks From First Principles, sections 4 and 6, with one variance for
all samples, as they advise for few models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from fairbank.federated_jobs.algorithms.remembering import FEWEST, area, rarest
from fairbank.federated_jobs.release_check import LIRA, PREFIX, RARE_LIRA

Numbers = NDArray[np.float64]
# Trains a fresh model on some of the samples, drawn by a seed, and returns the loss of each of all, (n,).
Shadow = Callable[[Sequence[int], int], Numbers]
_LEAST_SD = 1e-6


def told(
    target: Numbers, members: int, far: Numbers, *, shadow: Shadow, count: int, seed: int
) -> dict[str, float]:
    """Return how well members are told from others by shadow models; nothing with too few of either.

    Args:
        target: losses under the model in question, of the members first, (n,).
        far: how far each sample is from the middle one, (n,).
        shadow: trains one.
        count: of shadow models, even.
    """
    if min(members, len(target) - members) < FEWEST:
        return {}
    random = np.random.default_rng(seed)
    seen, within = [], []
    for pair in range(count // 2):
        half = np.zeros(len(target), dtype=bool)
        half[random.permutation(len(target))[: len(target) // 2]] = True
        for mask, each in ((half, 0), (~half, 1)):
            seen.append(confidence(shadow(np.flatnonzero(mask).tolist(), seed + 2 * pair + each)))
            within.append(mask)
    scores = ratios(confidence(target), np.array(seen), np.array(within))
    found = {LIRA: area(scores[:members], scores[members:])}
    rare = rarest((far[:members], far[members:]))
    if rare is not None:
        found[RARE_LIRA] = area(scores[:members][rare[0]], scores[members:][rare[1]])
    return {PREFIX + name: value for name, value in found.items()}


def confidence(losses: Numbers) -> Numbers:
    """Return losses as logits of the probability of the right answer, which are nearly normal; (n,).

    Source: Carlini et al. 2022, section 4.1.
    """
    bounded = np.clip(losses, 1e-9, 700.0)
    return np.asarray(-bounded - np.log(-np.expm1(-bounded)), dtype=np.float64)


def ratios(target: Numbers, seen: Numbers, within: NDArray[np.bool_]) -> Numbers:
    """Return by how much each sample is likelier one that was trained on, as a logarithm; (n,).

    Args:
        target: of the model in question, (n,).
        seen, within: of each shadow model, and whether it was trained on the sample; (count, n).
    """
    inside, outside = (np.where(mask, seen, np.nan) for mask in (within, ~within))
    middle_in, middle_out = np.nanmean(inside, axis=0), np.nanmean(outside, axis=0)
    spread = max(float(np.nanstd(np.concatenate([inside - middle_in, outside - middle_out]))), _LEAST_SD)
    apart = (target - middle_out) ** 2 - (target - middle_in) ** 2
    return np.asarray(apart / (2 * spread**2), dtype=np.float64)


def batches(places: Sequence[int], *, size: int, passes: int, seed: int) -> Iterator[list[int]]:
    """Yield places in an order that a seed draws anew for each pass."""
    random = torch.Generator().manual_seed(seed)
    for _ in range(passes):
        order = torch.randperm(len(places), generator=random).tolist()
        for start in range(0, len(order), size):
            yield [places[at] for at in order[start : start + size]]
