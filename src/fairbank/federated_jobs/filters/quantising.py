"""Filters that send fewer bits for each value: half precision, one byte, one bit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.filters.interface import Arrays, Get, Random
from fairbank.federated_jobs.tensor_files import TensorShape, unfit

# What the scales of a tensor are called beside it.
SCALE = "scale."
_LEVELS = 127


@dataclass(frozen=True, slots=True)
class HalfPrecision:
    """Sends 16 bits for each value; what half precision cannot hold is cut at its largest number."""

    lossy: bool = True

    def form(self, tensor: TensorShape) -> tuple[TensorShape, ...]:
        """Return the form with half the bits."""
        return (TensorShape(tensor.name, "F16", tensor.shape),)

    def apply(self, weights: Arrays, random: Random) -> tuple[Arrays, Arrays]:
        """Return the nearest numbers of half precision."""
        largest = float(np.finfo(np.float16).max)
        return {name: np.clip(w, -largest, largest).astype(np.float16) for name, w in weights.items()}, {}

    def restore(self, tensor: TensorShape, get: Get) -> NDArray[Any]:
        """Return the values in their type."""
        return get(tensor.name).astype(tensor.numpy)


@dataclass(frozen=True, slots=True)
class Int8:
    """Sends a whole number from -127 to 127 for each value, and the largest amount of each block as its scale.

    Args:
        block: values that share a scale.
        stochastic: round up with the chance that makes the mean right.
    """

    block: int = 1024
    stochastic: bool = False
    lossy: bool = True

    def form(self, tensor: TensorShape) -> tuple[TensorShape, ...]:
        """Return one byte for each value, and one scale for each block."""
        scales = TensorShape(SCALE + tensor.name, "F32", (self._blocks(tensor.size),))
        return TensorShape(tensor.name, "I8", tensor.shape), scales

    def apply(self, weights: Arrays, random: Random) -> tuple[Arrays, Arrays]:
        """Return whole numbers and scales."""
        numbers, scales = {}, {}
        for name in sorted(weights):
            values = weights[name]
            blocks = self._in_blocks(values.astype(np.float32).reshape(-1))
            scale = (np.abs(blocks).max(axis=1) / np.float32(_LEVELS)).astype(np.float32)
            steps = blocks / np.where(scale > 0, scale, np.float32(1))[:, None]
            if self.stochastic:
                steps = np.floor(steps + random(f"int8 {name}").random(steps.shape, dtype=np.float32))
            whole = np.clip(np.rint(steps), -_LEVELS, _LEVELS).astype(np.int8)
            numbers[name] = whole.reshape(-1)[: values.size].reshape(values.shape)
            scales[SCALE + name] = scale
        return numbers, scales

    def restore(self, tensor: TensorShape, get: Get) -> NDArray[Any]:
        """Return whole numbers times their scales."""
        scale = get(SCALE + tensor.name)
        if not bool(np.isfinite(scale).all()) or bool((scale < 0).any()):
            raise unfit(f"A scale of {tensor.name!r} is not a size.")
        blocks = self._in_blocks(get(tensor.name).reshape(-1).astype(np.float32))
        blocks *= scale[:, None]
        return blocks.reshape(-1)[: tensor.size].reshape(tensor.shape).astype(tensor.numpy, copy=False)

    def _blocks(self, size: int) -> int:
        return math.ceil(size / self.block)

    def _in_blocks(self, values: NDArray[Any]) -> NDArray[Any]:
        filled = np.zeros(self._blocks(values.size) * self.block, dtype=values.dtype)
        filled[: values.size] = values
        return filled.reshape(-1, self.block)


@dataclass(frozen=True, slots=True)
class Sign:
    """Sends whether each value is negative, and the mean amount of the tensor."""

    lossy: bool = True

    def form(self, tensor: TensorShape) -> tuple[TensorShape, ...]:
        """Return one bit for each value, and one scale."""
        bits = TensorShape(tensor.name, "U8", (math.ceil(tensor.size / 8),))
        return bits, TensorShape(SCALE + tensor.name, "F32", (1,))

    def apply(self, weights: Arrays, random: Random) -> tuple[Arrays, Arrays]:
        """Return packed bits and mean amounts."""
        bits = {name: np.packbits(w.reshape(-1) >= 0) for name, w in weights.items()}
        amounts = {
            SCALE + name: np.array([np.mean(np.abs(w), dtype=np.float64) if w.size else 0], dtype=np.float32)
            for name, w in weights.items()
        }
        return bits, amounts

    def restore(self, tensor: TensorShape, get: Get) -> NDArray[Any]:
        """Return the mean amount with the sign of each value."""
        amount = get(SCALE + tensor.name)[0]
        if not bool(np.isfinite(amount)) or amount < 0:
            raise unfit(f"The scale of {tensor.name!r} is not a size.")
        positive = np.unpackbits(get(tensor.name), count=tensor.size).astype(bool)
        values: NDArray[Any] = np.where(positive, amount, -amount).astype(tensor.numpy)
        return values.reshape(tensor.shape)
