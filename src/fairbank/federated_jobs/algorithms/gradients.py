"""Whether a model that came lets its own weights be trained: how many of them some images move at all.

A model whose units are dead for what a site has leaves that site's update without anything of it, so that in a sum with
others the update of one remains (gradient suppression).

Weights are counted, not their values: of a small network with rectified units more than half of all values stand still
for images that are much alike, in each of its layers some move.

Source: Pasquini et al. 2022 (arXiv 2111.07380), section 4; the thresholds are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

# Of all trained weights.
MOST_DEAD = 0.5
# A weight of which fewer values move counts as dead.
LEAST_MOVED = 0.05
# Of fewer samples nothing can be said: of one, half of all rectified units are silent.
FEWEST_SAMPLES = 8
_SAMPLES = 16


def places_of(entries: int, *, batch_size: int) -> list[list[int]]:
    """Return which of so many entries are tried, spread over all of them, in batches; nothing of too few.

    >>> places_of(9, batch_size=4)
    [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    >>> places_of(7, batch_size=4)
    []
    """
    if entries < FEWEST_SAMPLES:
        return []
    count = min(entries, _SAMPLES)
    chosen = [place * entries // count for place in range(count)]
    return [chosen[start : start + batch_size] for start in range(0, count, batch_size)]


def dead_share(
    network: nn.Module, trained: Mapping[str, nn.Parameter], losses: Iterable[torch.Tensor]
) -> float:
    """Return the share of the trained weights of which almost no value has a gradient in any loss, 0 if there is none.

    Args:
        losses: each worked out when it is asked for, of some samples.
    """
    # What is added or scaled alone moves also where nothing of an image comes through.
    weights = {name: each for name, each in trained.items() if each.ndim > 1} or trained
    moved = {name: torch.zeros_like(each, dtype=torch.bool) for name, each in weights.items()}
    tried = False
    with left_alone(network):
        for loss in losses:
            tried = True
            network.zero_grad()
            torch.autograd.backward(loss)
            for name, each in weights.items():
                if each.grad is not None:
                    moved[name] |= each.grad != 0
        network.zero_grad()
    dead = sum(float(each.float().mean()) < LEAST_MOVED for each in moved.values())
    return dead / len(moved) if tried and moved else 0.0


@contextmanager
def left_alone(network: nn.Module) -> Iterator[None]:
    """Measure, and leave the network's mode and torch's sources of chance as they were."""
    was = network.training
    network.eval()
    with torch.random.fork_rng():
        yield
    network.train(was)
