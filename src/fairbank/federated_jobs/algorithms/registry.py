"""Which training algorithms there are, their parameters and the digest of their code; needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydantic import ValidationError

from fairbank.analysis.code_digest import code_digest
from fairbank.federated_jobs.algorithms.bundle_parameters import BundleParameters
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
from fairbank.federated_jobs.algorithms.training_parameters import (
    ClassificationParameters,
    ImageParameters,
    RegressionParameters,
    SegmentationParameters,
    SklearnParameters,
    TrainingParameters,
)

_ROOM = "fairbank.federated_jobs.algorithms"
_ALWAYS = ("by_group", "interface", "parameters", "partner", "seeds", "session", "several", "weights")
_IMAGES = (
    f"{_ROOM}.images",
    f"{_ROOM}.slices",
    f"{_ROOM}.splits",
    f"{_ROOM}.training_parameters",
    "fairbank.analysis.dicom_frames",
    "fairbank.analysis.staged",
    "fairbank.analysis.volumes",
)
_MASKS = (
    f"{_ROOM}.masks",
    f"{_ROOM}.segmentation",
    f"{_ROOM}.surfaces",
    "fairbank.analysis.drawn_regions",
    "fairbank.analysis.regions",
    "fairbank.analysis.segmentations",
    "fairbank.analysis.structure_sets",
)
_TRAINER = (
    *_IMAGES,
    f"{_ROOM}.ensembles",
    f"{_ROOM}.gradients",
    f"{_ROOM}.local_steps.base",
    f"{_ROOM}.local_steps.contrastive",
    f"{_ROOM}.local_steps.proximal",
    f"{_ROOM}.local_steps.steps",
    f"{_ROOM}.metrics",
    f"{_ROOM}.networks",
    f"{_ROOM}.noise_source",
    f"{_ROOM}.noisy_steps",
    f"{_ROOM}.optimizers",
    f"{_ROOM}.samples",
    f"{_ROOM}.trainer",
    "fairbank.federated_jobs.axes.local_steps",
    "fairbank.federated_jobs.dp.plan",
    "fairbank.federated_jobs.tensor_prefixes",
)


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
                f"{_ROOM}.gradients",
                f"{_ROOM}.slice_autoencoder",
                f"{_ROOM}.slices",
                f"{_ROOM}.splits",
                "fairbank.analysis.dicom_frames",
                "fairbank.analysis.staged",
            ),
        ),
        AlgorithmEntry(
            name="classification",
            version="1.0.0",
            module=f"{_ROOM}.classification",
            parameters=ClassificationParameters,
            sources=(*_TRAINER, f"{_ROOM}.classification", f"{_ROOM}.labelled_images"),
        ),
        AlgorithmEntry(
            name="regression",
            version="1.0.0",
            module=f"{_ROOM}.regression",
            parameters=RegressionParameters,
            sources=(*_TRAINER, f"{_ROOM}.classification", f"{_ROOM}.labelled_images", f"{_ROOM}.regression"),
        ),
        AlgorithmEntry(
            name="segmentation",
            version="1.0.0",
            module=f"{_ROOM}.segmentation",
            parameters=SegmentationParameters,
            sources=(*_TRAINER, *_MASKS),
        ),
        AlgorithmEntry(
            name="monai-bundle",
            version="1.0.0",
            module=f"{_ROOM}.monai_bundle",
            parameters=BundleParameters,
            sources=(
                *_TRAINER,
                *_MASKS,
                f"{_ROOM}.bundle_parameters",
                f"{_ROOM}.bundle_recipe",
                f"{_ROOM}.classification",
                f"{_ROOM}.delegating",
                f"{_ROOM}.labelled_images",
                f"{_ROOM}.monai_bundle",
                "fairbank.analysis.bundle_expressions",
                "fairbank.analysis.bundle_parts",
                "fairbank.analysis.bundle_scan",
                "fairbank.analysis.networks",
            ),
        ),
        AlgorithmEntry(
            name="sklearn-sgd",
            version="1.0.0",
            module=f"{_ROOM}.sklearn_sgd",
            parameters=SklearnParameters,
            sources=(*_IMAGES, f"{_ROOM}.metrics", f"{_ROOM}.samples", f"{_ROOM}.sklearn_sgd"),
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
    return code_digest(algorithm_modules(name))


def algorithm_modules(name: str) -> tuple[str, ...]:
    """Return the modules that the digest of an algorithm covers."""
    return (*(f"{_ROOM}.{module}" for module in _ALWAYS), *algorithm_entry(name).sources)


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


def algorithm_offers(name: str, parameters: AlgorithmParameters) -> frozenset[str]:
    """Return what a local step may need of an algorithm with these parameters and finds; see `LocalStepChoice`."""
    if isinstance(parameters, BundleParameters):
        # Layers, loss and, where the job does not say it, the optimizer are the bundle's, which is not looked at here.
        plain = parameters.optimizer == "sgd" and not parameters.momentum
        return frozenset({"trained-network", "plain-sgd"} if plain else {"trained-network"})
    if not isinstance(parameters, TrainingParameters):
        return frozenset()
    found = {"trained-network"}
    if name in ("classification", "segmentation"):
        found.add("classes")
    if isinstance(parameters, ImageParameters) and parameters.network != "linear":
        found.add("features")
    if parameters.keeps_running_means:
        found.add("batch-norm")
    elif name in ("classification", "regression"):
        # One image of a patient gives one gradient that no other image of the batch changes.
        found.add("per-patient")
    if parameters.optimizer == "sgd" and parameters.momentum == 0:
        found.add("plain-sgd")
    return frozenset(found)
