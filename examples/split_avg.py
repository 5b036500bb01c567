"""SplitAVG as an extension: sites compute the lower half of a network, one place the upper half on all features.

In each step every site sends the features of one batch; they are put one after the other, the upper half is trained on
the union, and each site gets the gradient of its own features back. The lower halves are averaged after the step. So no
site's batch is ever normalised or weighed by itself, which is what helps where labels differ between sites.

Features and their gradients tell much of an image, and here the labels go along. fairbank does not dispatch such a
training: it would need a release for every batch, and a class of approval of its own. This shows the arithmetic, in one
process.

Source: after Zhang et al. 2022, SplitAVG: A Heterogeneity-Aware Federated Deep Learning Method for Medical Imaging,
section III, the variant that shares labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import nn

Batch = tuple[torch.Tensor, torch.Tensor]


class SplitAverage:
    """Trains a network that is cut in two, on the batches of several sites.

    Args:
        lower: from images to features; each site starts with a copy.
        upper: from features to scores.
        sites: how many sites there are.
        learning_rate: of plain gradient descent on the mean loss over the union of all batches.
    """

    def __init__(self, lower: nn.Module, upper: nn.Module, *, sites: int, learning_rate: float) -> None:
        self.lowers = [deepcopy(lower) for _ in range(sites)]
        self.upper = upper
        # A site's gradient is its part of the gradient of the union; averaging divides it by the number of sites.
        self._lower_steps = [
            torch.optim.SGD(each.parameters(), lr=learning_rate * sites) for each in self.lowers
        ]
        self._upper_step = torch.optim.SGD(upper.parameters(), lr=learning_rate)

    def step(self, batches: Sequence[Batch]) -> float:
        """Train on one batch of each site, in the order of the sites; return the mean loss of the union."""
        # At the sites.
        features = [lower(images) for lower, (images, _) in zip(self.lowers, batches, strict=True)]
        # What travels: features up, and their gradients down.
        sent = [each.detach().requires_grad_() for each in features]
        labels = torch.cat([targets for _, targets in batches])
        loss = nn.functional.cross_entropy(self.upper(torch.cat(sent)), labels)
        self._upper_step.zero_grad()
        torch.autograd.backward(loss)
        self._upper_step.step()
        # At the sites again.
        for optimizer, feature, told in zip(self._lower_steps, features, sent, strict=True):
            optimizer.zero_grad()
            torch.autograd.backward(feature, told.grad)
            optimizer.step()
        self._average()
        return float(loss.detach())

    def _average(self) -> None:
        with torch.no_grad():
            for same in zip(*(each.parameters() for each in self.lowers), strict=True):
                mean = torch.stack(list(same)).mean(dim=0)
                for parameter in same:
                    parameter.copy_(mean)
