"""Chance that nobody outside a worker knows: keyed by the operating system, never by a job's seed, never kept.

Whoever knows the noise of a step can take it off again. A generator that is made for simulations has few states and
can be guessed, so this is a stream cipher: ChaCha20 with a key of 256 bits.

Source: RFC 8439; Box & Muller 1958, A Note on the Generation of Random Normal Deviates.
"""

from __future__ import annotations

import math
import os

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

_KEY_BYTES, _NONCE_BYTES = 32, 16


class NoiseSource:
    """Draws numbers that cannot be drawn again."""

    __slots__ = ("_stream",)

    def __init__(self) -> None:
        cipher = Cipher(ChaCha20(os.urandom(_KEY_BYTES), os.urandom(_NONCE_BYTES)), mode=None)
        self._stream = cipher.encryptor()

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Return numbers in [0, 1), (count,), each a multiple of 2^-53."""
        words = np.frombuffer(self._stream.update(bytes(8 * count)), dtype="<u8")
        drawn: NDArray[np.float64] = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return drawn

    def normal(self, count: int) -> NDArray[np.float64]:
        """Return standard normal numbers, (count,)."""
        half = (count + 1) // 2
        length = np.sqrt(-2.0 * np.log1p(-self.uniform(half)))
        angle = 2.0 * math.pi * self.uniform(half)
        return np.concatenate((length * np.cos(angle), length * np.sin(angle)))[:count]

    def drawn(self, count: int, rate: float) -> list[int]:
        """Return which of so many are drawn, each by itself with the same probability (Poisson sampling)."""
        return [int(place) for place in np.flatnonzero(self.uniform(count) < rate)]

    def below(self, bounds: list[int]) -> list[int]:
        """Return a number from 0 up to each bound, which it does not reach."""
        return [int(part * bound) for part, bound in zip(self.uniform(len(bounds)), bounds, strict=True)]
