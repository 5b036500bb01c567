"""Which training algorithms there are, their parameters and the digest of their code; needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydantic import ValidationError

from fairbank.analysis.code_digest import code_digest
from fairbank.federated_jobs.algorithms.errors import (
    AlgorithmDigestMismatch,
    AlgorithmParametersRefused,
    AlgorithmUnknown,
)
from fairbank.federated_jobs.algorithms.parameters import (
    AlgorithmParameters,
    NoopParameters,
    SliceAutoencoderParameters,
)

_ROOM = "fairbank.federated_jobs.algorithms"
_ALWAYS = ("interface", "parameters", "seeds", "session", "weights")


@dataclass(frozen=True, slots=True)
class AlgorithmEntry:
    """One training algorithm.

    Args:
        module: the module whose `ALGORITHM` is the class.
        sources: all modules that its digest covers.
    """

    name: str
    version: str
    module: str
    parameters: type[AlgorithmParameters]
    sources: tuple[str, ...]


_ENTRIES = {
    entry.name: entry
    for entry in (
        AlgorithmEntry(
            name="slice-autoencoder",
            version="1.0.0",
            module=f"{_ROOM}.slice_autoencoder",
            parameters=SliceAutoencoderParameters,
            sources=(
                f"{_ROOM}.slice_autoencoder",
                f"{_ROOM}.slices",
                "fairbank.analysis.dicom_frames",
                "fairbank.analysis.staged",
            ),
        ),
        AlgorithmEntry(
            name="noop",
            version="1.0.0",
            module=f"{_ROOM}.noop",
            parameters=NoopParameters,
            sources=(f"{_ROOM}.noop",),
        ),
    )
}


def algorithm_names() -> tuple[str, ...]:
    """Return the names of all training algorithms."""
    return tuple(sorted(_ENTRIES))


def algorithm_entry(name: str) -> AlgorithmEntry:
    """Return what is known of an algorithm without loading it.

    Raises:
        AlgorithmUnknown: if there is none of that name.
    """
    if name not in _ENTRIES:
        raise AlgorithmUnknown(
            f"There is no training algorithm {name!r}.",
            why=f"This version has: {', '.join(algorithm_names())}.",
            todo="Choose one of these, or update the node.",
        )
    return _ENTRIES[name]


@cache
def algorithm_digest(name: str) -> str:
    """Return the digest of an algorithm's code at this installation."""
    return code_digest((*(f"{_ROOM}.{module}" for module in _ALWAYS), *algorithm_entry(name).sources))


def require_algorithm(name: str, digest: str) -> AlgorithmEntry:
    """Return an algorithm whose code is the code that was approved.

    Raises:
        AlgorithmDigestMismatch: if it is not.
    """
    found = algorithm_digest(name)
    if found != digest:
        raise AlgorithmDigestMismatch(
            f"The code of {name!r} at this site has the digest {found}, approved was {digest}.",
            why="A site runs only the code that was approved, byte for byte.",
            todo="Use one version of fairbank at the requester and the site, and have it approved again.",
        )
    return algorithm_entry(name)


def algorithm_parameters(name: str, values: Mapping[str, object]) -> AlgorithmParameters:
    """Return checked parameters of an algorithm.

    Raises:
        AlgorithmParametersRefused: naming each parameter that is unknown or out of range.
    """
    try:
        return algorithm_entry(name).parameters.model_validate_json(json.dumps(dict(values)))
    except ValidationError as err:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in err.errors())
        raise AlgorithmParametersRefused(
            f"The parameters of {name!r} are refused.",
            why=faults + ".",
            todo="Correct them; `fairbank tool show` prints the schema.",
        ) from err
