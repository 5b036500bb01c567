"""The algorithm `monai-bundle`: a network that comes in a MONAI bundle, trained by the trainer of all templates.

A bundle brings network, weights, loss, optimizer and random changes (`bundle_recipe`); the template of its task brings
samples, split, metrics and the loop. MONAI's parser and its `MonaiAlgo` are not used: they evaluate what a bundle
says, keep the optimizer between rounds, count no samples, and write files of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from monai.transforms.compose import Compose
from monai.transforms.transform import Transform
from pydantic import ValidationError
from torch import nn

from fairbank.analysis.bundle_scan import TARGET, TRAINING, member
from fairbank.analysis.networks import LARGEST_BYTES, class_named, made_module, model_file
from fairbank.federated_jobs.algorithms.bundle_parameters import BundleParameters
from fairbank.federated_jobs.algorithms.bundle_recipe import Recipe, recipe_in, untrainable
from fairbank.federated_jobs.algorithms.classification import Classification
from fairbank.federated_jobs.algorithms.delegating import Delegating
from fairbank.federated_jobs.algorithms.errors import AlgorithmParametersRefused, ModelUnfit
from fairbank.federated_jobs.algorithms.interface import SiteTask
from fairbank.federated_jobs.algorithms.networks import batch_norms
from fairbank.federated_jobs.algorithms.samples import IMAGE, SiteSamples
from fairbank.federated_jobs.algorithms.samples import TARGET as LEARNT
from fairbank.federated_jobs.algorithms.segmentation import Segmentation
from fairbank.federated_jobs.algorithms.trainer import NetworkTrainer
from fairbank.federated_jobs.algorithms.training_parameters import (
    ClassificationParameters,
    SegmentationParameters,
    TrainingParameters,
)

# What a bundle calls them, and what samples here do.
_KEYS: Final = {"image": IMAGE, "label": LEARNT}


class _ClassificationOfBundle(ClassificationParameters):
    normalised: bool = False

    @property
    def keeps_running_means(self) -> bool:
        """Tell whether the bundle's network has layers of batch normalisation."""
        return self.normalised


class _SegmentationOfBundle(SegmentationParameters):
    normalised: bool = False

    @property
    def keeps_running_means(self) -> bool:
        """Tell whether the bundle's network has layers of batch normalisation."""
        return self.normalised


# The templates' own networks are not made; these values only satisfy their schemas.
_UNUSED: Final[Mapping[str, Mapping[str, Any]]] = {
    "classification": {"network": "linear"},
    "segmentation": {"channels": [1, 1], "strides": [1]},
}
_SCHEMAS: Final[Mapping[str, type[TrainingParameters]]] = {
    "classification": _ClassificationOfBundle,
    "segmentation": _SegmentationOfBundle,
}


# One that would fetch weights finds no line, so OSError as well.
_RAISED: Final = (
    *(ValueError, RuntimeError, AssertionError, TypeError),
    *(LookupError, AttributeError, ImportError, OSError),
)


class OfBundle(NetworkTrainer):
    """What the templates of both tasks take from a bundle."""

    def __init__(self, file: Path, recipe: Recipe) -> None:
        self._file, self._recipe = file, recipe
        with _explained("its loss cannot be made of what it says"):
            self._loss: nn.Module | None = made_module(recipe.loss, TRAINING) if recipe.loss else None
        self._transforms = _changes(recipe)

    def network(self, parameters: Any) -> nn.Module:
        """Return the bundle's network with its weights, or with fresh ones if it holds none."""
        network = new_network(self._recipe)
        if self._recipe.weights is not None:
            _load(network, self._file, self._recipe.weights)
        self._try(network, parameters)
        return network

    def samples(self, task: SiteTask) -> SiteSamples:
        """Return the samples of the template, with the bundle's random changes on those that are trained on."""
        found = super().samples(task)
        changes = self._changes_for()
        return found if changes is None else replace(found, train=found.train.changed_by(changes))

    def batch_loss(
        self, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the bundle's loss of a batch; that of the template if it names none."""
        if self._loss is None:
            return super().batch_loss(outputs, targets, weights)
        with _explained("its loss does not take what its network gives and the site's labels"):
            loss = self._loss(outputs, targets)
        if not isinstance(loss, torch.Tensor) or loss.ndim:
            raise untrainable("its loss gives no single number")
        return loss

    def _changes_for(self) -> Compose | None:
        return _composed(self._transforms, tuple(_KEYS.values()))

    def _shapes(self, parameters: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shape of an image, with its channel, and of what the network has to give for it."""
        raise NotImplementedError

    def _try(self, network: nn.Module, parameters: Any) -> None:
        """Have the network take one empty image, so that what does not fit is said before anything is read."""
        image, wanted = self._shapes(parameters)
        with _explained(f"its network does not take images of the form {image}"), torch.no_grad():
            given = network.eval()(torch.zeros((1, *image)))
        network.train()
        if not isinstance(given, torch.Tensor) or tuple(given.shape) != (1, *wanted):
            shape = tuple(given.shape)[1:] if isinstance(given, torch.Tensor) else type(given).__name__
            raise untrainable(f"its network gives {shape} for an image, and the job needs {wanted}")


class ClassificationOfBundle(OfBundle, Classification):
    """Trains a bundle's network as a classifier."""

    def _changes_for(self) -> Compose | None:
        # A class is not turned with its image.
        return _composed(self._transforms, (IMAGE,))

    def _shapes(self, parameters: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        side = (parameters.image_size,) * parameters.dimensions
        return (1, *side), (len(parameters.classes),)


class SegmentationOfBundle(OfBundle, Segmentation):
    """Trains a bundle's network to draw structures."""

    def _shapes(self, parameters: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        side = (parameters.patch_size,) * parameters.dimensions
        return (1, *side), (len(parameters.structures) + 1, *side)


_TEMPLATES: Final[Mapping[str, type[OfBundle]]] = {
    "classification": ClassificationOfBundle,
    "segmentation": SegmentationOfBundle,
}


def monai_bundle(task: SiteTask) -> tuple[NetworkTrainer, TrainingParameters]:
    """Return the template of a bundle's task, and the parameters that it trains with.

    Raises:
        ModelMissing: if the bundle did not come with the job.
        BundleRefused, BundleUntrainable: if it says what it may not, or not enough.
        AlgorithmParametersRefused: if bundle and job together ask for what the template cannot do.
    """
    given = task.parameters
    assert isinstance(given, BundleParameters)
    file = model_file(task.models or Path(), given.bundle)
    recipe = recipe_in(file, maximum_bytes=LARGEST_BYTES)
    return _TEMPLATES[given.task](file, recipe), parameters_with(given, recipe)


def parameters_with(given: BundleParameters, recipe: Recipe) -> TrainingParameters:
    """Return a template's parameters: those that the job gives, then what the bundle says, then the defaults.

    Raises:
        AlgorithmParametersRefused: if they do not go together.
    """
    schema = _SCHEMAS[given.task]
    own = {
        name: value
        for name, value in given.model_dump(mode="json").items()
        if name in schema.model_fields and value not in (None, [])
    }
    said = {name: value for name, value in recipe.said.items() if name in schema.model_fields}
    if "optimizer" in own:
        # Rate, momentum and decay of a bundle belong to its own optimizer.
        said = {name: value for name, value in said.items() if name not in ("momentum", "weight_decay")}
    whole = {
        **_UNUSED[given.task],
        **({"dimensions": recipe.dimensions} if recipe.dimensions else {}),
        **said,
        **own,
        "normalised": bool(batch_norms(new_network(recipe))),
    }
    try:
        return schema.model_validate_json(json.dumps(whole))
    except ValidationError as err:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'together'}: {e['msg']}" for e in err.errors())
        raise AlgorithmParametersRefused(
            "Bundle and job together ask for what cannot be trained.",
            why=f"{faults}.",
            todo="Give the parameter yourself; what a job gives stands before what its bundle says.",
        ) from err


def new_network(recipe: Recipe) -> nn.Module:
    """Return the network of a bundle with fresh weights, drawn from torch's seeded source of chance.

    Raises:
        ModelUnusable: if a class that it names is not there.
        BundleUntrainable: if it cannot be made.
    """
    with _explained("its network cannot be made of what it says"):
        network = made_module(recipe.network, TRAINING)
    if not isinstance(network, nn.Module):
        raise untrainable("its network is no module of torch")
    return network


@contextmanager
def _explained(why: str) -> Iterator[None]:
    """Turn what code of MONAI and torch raises into a reason, a part of a sentence; lack of memory stays itself."""
    try:
        yield
    except _RAISED as err:
        if "memory" in str(err).lower():
            raise
        raise untrainable(why) from err


def _load(network: nn.Module, file: Path, name: str) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load

    known = network.state_dict()
    try:
        found = load(member(file, name))
    except (SafetensorError, ValueError, KeyError) as err:
        raise untrainable("its weights are no safetensors that can be read") from err
    form = {key: tuple(tensor.shape) or (1,) for key, tensor in known.items()}
    if {key: tuple(tensor.shape) or (1,) for key, tensor in found.items()} != form:
        raise ModelUnfit(
            "The weights of the bundle are not those of its network.",
            why="They have other names or other shapes.",
            todo="Write them with safetensors.torch.save_file(network.state_dict(), FILE).",
        )
    network.load_state_dict({key: found[key].to(known[key].dtype).reshape(known[key].shape) for key in known})


def _changes(recipe: Recipe) -> tuple[tuple[type[Any], dict[str, Any]], ...]:
    """Return the classes of a bundle's random transforms with their arguments."""
    made = []
    for spec in recipe.changes:
        found = class_named(TRAINING.resolve(spec[TARGET]) or "")
        if not issubclass(found, Transform):
            raise untrainable(f"{found.__name__} is no transform")
        made.append((found, {key: value for key, value in spec.items() if not key.startswith("_")}))
    return tuple(made)


def _composed(found: tuple[tuple[type[Any], dict[str, Any]], ...], known: tuple[str, ...]) -> Compose | None:
    """Return the transforms that work on keys of samples, None for none."""
    steps = []
    for kind, arguments in found:
        named = arguments.get("keys", [])
        keys = [
            _KEYS[key] for key in (named if isinstance(named, list) else [named]) if _KEYS.get(key) in known
        ]
        if not keys:
            continue
        # One mode for each key is cut with the keys.
        own = {
            name: value[: len(keys)]
            if isinstance(value, list) and name in ("mode", "padding_mode")
            else value
            for name, value in arguments.items()
        }
        with _explained(f"the transform {kind.__name__} cannot be made of what it says"):
            steps.append(kind(**{**own, "keys": keys}))
    return Compose(steps) if steps else None


class MonaiBundle(Delegating):
    """Trains the network of a bundle as the template of its task does."""

    def begin(self, task: SiteTask) -> int:
        """Scan the bundle, and begin the template of its task with it."""
        self.inner, parameters = monai_bundle(task)
        return self.inner.begin(replace(task, parameters=parameters))


ALGORITHM = MonaiBundle
