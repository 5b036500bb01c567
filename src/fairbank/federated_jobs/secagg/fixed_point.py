"""Real numbers as whole numbers of a ring, so that sums are exact and masks hide them without a trace.

A number x within ±bound becomes round(x · 2^20) mod 2^bits. A sum of n of them is right as long as n · bound · 2^20 is
below half the ring, and differs from the real sum by at most n / 2^21.

Source: Bonawitz et al. 2017, Practical Secure Aggregation for Privacy-Preserving Machine Learning, section 4 (sums in
a ring Z_R with R above n times the range).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.secagg.errors import NumbersUnfit

FRACTION_BITS: Final = 20
Whole = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Ring:
    """How numbers are written.

    Attributes:
        bits: of the ring; 64 where counts travel with the numbers.
        bound: numbers are cut off at plus and minus this.
        sites: how many are summed at most.
    """

    bits: Literal[32, 64]
    bound: float
    sites: int

    def __post_init__(self) -> None:
        if not (self.bound > 0 and self.sites * self.bound * 2**FRACTION_BITS < 2 ** (self.bits - 1)):
            largest = 2 ** (self.bits - 1 - FRACTION_BITS) / self.sites
            raise NumbersUnfit(
                f"Sums of {self.sites} sites do not fit into {self.bits} bits with a bound of {self.bound:g}.",
                why=f"The bound has to be above 0 and below {largest:g}.",
                todo="Lower the bound, or take 64 bits.",
            )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of the ring's numbers: unsigned, little-endian."""
        return np.dtype("<u4" if self.bits == 32 else "<u8")

    def encoded(self, numbers: NDArray[np.floating[Any]]) -> Whole:
        """Return numbers, of any form, as a flat array of the ring; those beyond the bound are cut off.

        Raises:
            NumbersUnfit: if one is infinite or none at all (NaN).
        """
        flat = numbers.reshape(-1)
        written = np.empty(flat.size, dtype=self.dtype)
        for start in range(0, flat.size, _PIECE):
            piece = flat[start : start + _PIECE].astype(np.float64)
            if not np.isfinite(piece).all():
                raise NumbersUnfit(
                    "An update holds numbers that are not finite.",
                    why="Training has broken down, or an algorithm divides by zero.",
                    todo="Lower the learning rate, or clip gradients.",
                )
            np.clip(piece, -self.bound, self.bound, out=piece)
            piece *= 2**FRACTION_BITS
            whole = np.rint(piece, out=piece).astype(np.int64)
            written[start : start + _PIECE] = whole.astype(self.dtype)
        return written

    def decoded(self, summed: Whole) -> NDArray[np.float64]:
        """Return a sum of encoded numbers as float64."""
        signed = summed.view("<i4" if self.bits == 32 else "<i8")
        return signed.astype(np.float64) / 2**FRACTION_BITS


# So many numbers are worked on at a time: the pieces stay in the processor's cache.
_PIECE: Final = 1 << 16
