"""The digest of a tool's code: what a site approves is exactly what runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path


def code_digest(modules: Iterable[str]) -> str:
    """Return `sha256:…` over the source text of modules, by name, without importing them.

    The digest covers the modules in sorted order, each as its name, its length and its bytes, so that no two
    different sets of sources give the same input.

    >>> code_digest(["fairbank.clock"]) == code_digest(["fairbank.clock", "fairbank.clock"])
    True
    """
    return digest_of_sources(sources_of(modules))


def sources_of(modules: Iterable[str]) -> dict[str, bytes]:
    """Return the source text of modules, by name, without importing them."""
    return {name: _source(name) for name in sorted(set(modules))}


def digest_of_sources(sources: Mapping[str, bytes]) -> str:
    """Return what `code_digest` says of modules with these sources."""
    total = hashlib.sha256(b"fairbank code digest v1\0")
    for name, source in sorted(sources.items()):
        total.update(f"{name}\0{len(source)}\0".encode())
        total.update(source)
    return f"sha256:{total.hexdigest()}"


def _source(module: str) -> bytes:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source of {module}", name=module)
    return Path(spec.origin).read_bytes()
