"""Weights that somebody else trained, in the form that models of trainings have: float32, sorted, nothing beside them.

Updates of sites are compared with the model that a round started from, so both have to name, type and lay out their
tensors alike: as the trainer writes them.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from fairbank.analysis.bundle_scan import WEIGHTS


def rewrite(source: Path, to: Path) -> bool:
    """Write weights in that form; return False, and write nothing, if they cannot be read."""
    body = _in_one_form(source.read_bytes())
    if body is None:
        return False
    to.write_bytes(body)
    return True


def extract(bundle: Path, to: Path) -> bool:
    """Write the weights of a scanned bundle in that form; return False if it holds none that can be read."""
    body = _of_bundle(bundle)
    if body is None:
        return False
    to.write_bytes(body)
    return True


def digest_in(bundle: Path) -> str | None:
    """Return the digest of a scanned bundle's weights in that form, None if it holds none that can be read."""
    from fairbank.signing import sha256_digest

    body = _of_bundle(bundle)
    return None if body is None else sha256_digest(body)


def _of_bundle(bundle: Path) -> bytes | None:
    with zipfile.ZipFile(bundle) as archive:
        names = [name for name in archive.namelist() if name.endswith(WEIGHTS)]
        return _in_one_form(archive.read(names[0])) if len(names) == 1 else None


def _in_one_form(body: bytes) -> bytes | None:
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from fairbank.federated_jobs.algorithms.weights import serialised

    try:
        found = load(body)
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if not found:
        return None
    return serialised(
        {
            name: np.atleast_1d(tensor.astype(np.float32) if tensor.dtype.kind == "f" else tensor)
            for name, tensor in found.items()
        }
    )
