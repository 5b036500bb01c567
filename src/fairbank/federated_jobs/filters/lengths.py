"""Filters that keep the form of an update: differences as they are, and differences of a bounded length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.filters.interface import Arrays, Get, Random
from fairbank.federated_jobs.tensor_files import TensorShape


@dataclass(frozen=True, slots=True)
class Difference:
    """Leaves a difference as it is; that it is one follows from any filter that needs the base."""

    lossy: bool = False

    def form(self, tensor: TensorShape) -> tuple[TensorShape, ...]:
        """Return the same form."""
        return (tensor,)

    def apply(self, weights: Arrays, random: Random) -> tuple[Arrays, Arrays]:
        """Return the same values."""
        return weights, {}

    def restore(self, tensor: TensorShape, get: Get) -> NDArray[Any]:
        """Return the same values."""
        return get(tensor.name)


@dataclass(frozen=True, slots=True)
class ClipNorm(Difference):
    """Shortens a difference to a bound.

    Args:
        bound: the longest Euclidean norm over all weights together.
    """

    bound: float = math.inf

    def apply(self, weights: Arrays, random: Random) -> tuple[Arrays, Arrays]:
        """Return the difference, shortened where it is longer than the bound."""
        length = norm_of(weights)
        if length <= self.bound:
            return weights, {}
        scale = self.bound / length
        return {name: (values * scale).astype(values.dtype) for name, values in weights.items()}, {}


def norm_of(weights: Arrays) -> float:
    """Return the Euclidean norm over all tensors together, summed in float64 in the order of names.

    >>> norm_of({"a": np.array([3.0]), "b": np.array([4.0])})
    5.0
    """
    return math.sqrt(
        sum(float(np.sum(np.square(weights[name], dtype=np.float64))) for name in sorted(weights))
    )
