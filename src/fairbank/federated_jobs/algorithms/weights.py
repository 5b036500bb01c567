"""Weights in safetensors files: written whole or not at all, named by the digest of their bytes.

No metadata is written: the order of several entries would not be the same in every process, and then neither
would the digest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

Weights = dict[str, NDArray[Any]]


def serialised(weights: Mapping[str, NDArray[Any]]) -> bytes:
    """Return weights as safetensors; equal weights give equal bytes."""
    return bytes(save({name: np.asarray(weights[name], order="C") for name in sorted(weights)}))


def write_weights(
    weights: Mapping[str, NDArray[Any]], file: Path, *, durable: bool = True
) -> tuple[str, int]:
    """Write weights durably and return (`sha256:…`, size in bytes).

    Args:
        durable: flush them to the disk; False leaves that to who keeps the file.
    """
    body = serialised(weights)
    partial = file.with_name(f".{file.name}.part")
    with partial.open("wb") as stream:
        stream.write(body)
        stream.flush()
        if durable:
            os.fsync(stream.fileno())
    partial.replace(file)
    return digest_of(body), len(body)


def read_weights(file: Path) -> Weights:
    """Return the weights in a file."""
    weights: Weights = load_file(file)
    return weights


def digest_of(body: bytes) -> str:
    """Return `sha256:…` of bytes.

    >>> digest_of(b"")[:14]
    'sha256:e3b0c44'
    """
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def digest_of_file(file: Path) -> str:
    """Return `sha256:…` of a file's bytes."""
    with file.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def all_finite(weights: Mapping[str, NDArray[Any]]) -> bool:
    """Tell whether no weight is infinite or not a number."""
    return all(bool(np.isfinite(w).all()) for w in weights.values() if w.dtype.kind == "f")
