"""The filter that sends only the largest values of each tensor, with their places."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.filters.interface import Arrays, Get, Random
from fairbank.federated_jobs.tensor_files import TensorShape, unfit

# What the places of a tensor's values are called beside it.
INDEX = "index."
_MOST_VALUES = 2**32


@dataclass(frozen=True, slots=True)
class TopK:
    """Sends the largest part of each tensor.

    Args:
        fraction: of the values of each tensor; at least one is sent.
    """

    fraction: Decimal = Decimal("0.1")
    lossy: bool = True

    def form(self, tensor: TensorShape) -> tuple[TensorShape, ...]:
        """Return the values that are sent, and their places."""
        if tensor.size >= _MOST_VALUES:
            raise unfit(f"{tensor.name!r} has more values than a place can name.")
        k = self._k(tensor.size)
        return (
            TensorShape(tensor.name, tensor.dtype, (k,)),
            TensorShape(INDEX + tensor.name, "U32", (k,)),
        )

    def apply(self, weights: Arrays, random: Random) -> tuple[Arrays, Arrays]:
        """Return the largest values and their places, in the order of places."""
        values, places = {}, {}
        for name, whole in weights.items():
            flat = whole.reshape(-1)
            chosen = _largest(np.abs(flat), self._k(flat.size))
            values[name], places[INDEX + name] = flat[chosen], chosen.astype(np.uint32)
        return values, places

    def restore(self, tensor: TensorShape, get: Get) -> NDArray[Any]:
        """Return the values at their places and zeros elsewhere."""
        places = get(INDEX + tensor.name).astype(np.int64)
        ascending = bool((np.diff(places) > 0).all())
        if not ascending or (places.size and int(places[-1]) >= tensor.size):
            raise unfit(f"A place in {tensor.name!r} is out of order or out of range.")
        flat = np.zeros(tensor.size, dtype=tensor.numpy)
        flat[places] = get(tensor.name)
        return flat.reshape(tensor.shape)

    def _k(self, size: int) -> int:
        return min(size, max(1, math.ceil(self.fraction * size)))


def _largest(amounts: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Return the places of the k largest amounts, ascending; of equal ones the first."""
    least = np.partition(amounts, amounts.size - k)[amounts.size - k]
    above = np.flatnonzero(amounts > least)
    level = np.flatnonzero(amounts == least)[: k - above.size]
    return np.sort(np.concatenate([above, level]))
