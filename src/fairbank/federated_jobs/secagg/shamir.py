"""Shamir's secret sharing over a prime just above 2^256, so that every secret of 32 bytes is a number below it.

Source: Shamir 1979, How to Share a Secret, Communications of the ACM 22(11), section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

PRIME: Final = 2**256 + 297
SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 33
# 128 bits more than the prime has: what is left of them is even to within 2^-128.
_DRAWN_BYTES: Final = 49


def split(secret: bytes, *, threshold: int, count: int, draw: Callable[[int], bytes]) -> list[bytes]:
    """Return a share for each place 1..count, 33 bytes each (big-endian); any `threshold` of them give the secret.

    Args:
        secret: 32 bytes.
        draw: returns so many random bytes.
    """
    assert len(secret) == SECRET_BYTES and 1 <= threshold <= count
    drawn = (int.from_bytes(draw(_DRAWN_BYTES), "big") % PRIME for _ in range(threshold - 1))
    coefficients = [int.from_bytes(secret, "big"), *drawn]
    shares = []
    for place in range(1, count + 1):
        value = 0
        for coefficient in reversed(coefficients):
            value = (value * place + coefficient) % PRIME
        shares.append(value.to_bytes(SHARE_BYTES, "big"))
    return shares


def joined(shares: Mapping[int, bytes], *, threshold: int) -> bytes | None:
    """Return the secret of some shares by place; None if they are too few, or not all of one secret.

    Shares beyond the threshold are checked against the others.
    """
    if len(shares) < threshold:
        return None
    points = sorted((place, int.from_bytes(share, "big")) for place, share in shares.items())
    known, others = points[:threshold], points[threshold:]
    if any(_at(place, known) != value for place, value in others):
        return None
    secret = _at(0, known)
    return secret.to_bytes(SECRET_BYTES, "big") if secret < 1 << (8 * SECRET_BYTES) else None


def _at(place: int, points: list[tuple[int, int]]) -> int:
    """Return the value of the polynomial through some points at a place (Lagrange)."""
    value = 0
    for here, known in points:
        above, below = known, 1
        for there, _ in points:
            if there != here:
                above = above * (place - there) % PRIME
                below = below * (here - there) % PRIME
        value = (value + above * pow(below, -1, PRIME)) % PRIME
    return value
