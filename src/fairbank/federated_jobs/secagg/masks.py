"""Masks: key streams as long as an update, drawn from keys that two sites, or one, know.

Sources: RFC 7748 (X25519); RFC 5869 (HKDF-SHA256); RFC 8439 (ChaCha20); Bonawitz et al. 2017, section 4 and figure 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fairbank.federated_jobs.secagg.fixed_point import Whole

_KEY_BYTES: Final = 32
_PIECE_BYTES: Final = 1 << 20
_NONCE: Final = bytes(16)


@dataclass(frozen=True, slots=True)
class Mask:
    """One mask: the key of its stream, and whether it is added or taken off."""

    key: bytes
    added: bool


def agreed(private: bytes, public: bytes, *, context: bytes, info: str) -> bytes:
    """Return the 32 bytes that two parties derive from their keys for one purpose of one attempt.

    Args:
        context: digest of the attempt's context.

    Raises:
        ValueError: if the public key is none that gives a secret.
    """
    secret = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    return derived(secret, context=context, info=info)


def derived(secret: bytes, *, context: bytes, info: str) -> bytes:
    """Return the 32 bytes that belong to a secret for one purpose of one attempt."""
    return HKDF(SHA256(), _KEY_BYTES, salt=context, info=info.encode()).derive(secret)


def put_on(numbers: Whole, masks: Sequence[Mask]) -> None:
    """Add masks to numbers of a ring, or take them off, in place."""
    streams = [Cipher(ChaCha20(mask.key, _NONCE), mode=None).encryptor() for mask in masks]
    length = _PIECE_BYTES // numbers.itemsize
    zeros = bytes(_PIECE_BYTES)
    drawn = bytearray(_PIECE_BYTES)
    for start in range(0, numbers.size, length):
        piece = numbers[start : start + length]
        wanted = piece.size * numbers.itemsize
        for mask, stream in zip(masks, streams, strict=True):
            stream.update_into(memoryview(zeros)[:wanted], drawn)
            noise = np.frombuffer(drawn, dtype=numbers.dtype, count=piece.size)
            if mask.added:
                np.add(piece, noise, out=piece)
            else:
                np.subtract(piece, noise, out=piece)
