"""What a scanned MONAI bundle says about training, as plain values: network, loss, optimizer, patches, random changes.

The trainer owns the loop, the samples and the split, so of a bundle's training configuration these parts are taken:

    network_def                            the network, with its weights from the bundle where it has some
    loss, train#loss                       the loss of a batch
    optimizer, train#optimizer             SGD, Adam or AdamW, with rate, momentum and decay
    validate#inferer, inferer              side and overlap of the windows of a segmentation
    train#preprocessing, or else train#deterministic_transforms and train#random_transforms

Of the transforms the random ones are made and applied; those that say how images are read (window, spacing, patch,
size) are read as numbers; those that load and turn images are passed over, since images come read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairbank.analysis.bundle_expressions import GivenHere, NotTaken
from fairbank.analysis.bundle_parts import Parts
from fairbank.analysis.bundle_scan import TARGET, TRAINING, Bundle, scan_bundle
from fairbank.analysis.errors import BundleUntrainable

Spec = dict[str, Any]
_NETWORK: Final = "network_def"
_CONFIG_OF_TRAINING: Final = "train.json"
_OPTIMIZERS: Final = {"torch.optim.SGD": "sgd", "torch.optim.Adam": "adam", "torch.optim.AdamW": "adamw"}
_OPTIMIZER_OPTIONS: Final = {"lr": "learning_rate", "momentum": "momentum", "weight_decay": "weight_decay"}
_PASSED_OVER: Final = frozenset(
    {
        "EnsureChannelFirstd",
        "EnsureTyped",
        "LoadImaged",
        "Orientationd",
        "ScaleIntensityd",
        "SpatialPadd",
        "ToTensord",
    }
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a bundle says about training.

    Args:
        network, loss: as `made_module` takes them; no loss means that of the template.
        said: values for parameters of the template that a job does not give itself.
        changes: random transforms with their arguments, in their order.
        dimensions: of the network's images, where it says so.
        weights: the path of the file of weights in the bundle, None if it holds none.
    """

    network: Spec
    loss: Spec | None
    said: Mapping[str, Any]
    changes: tuple[Spec, ...]
    dimensions: int | None
    weights: str | None


def recipe_in(file: Path, *, maximum_bytes: int) -> Recipe:
    """Scan a bundle and return what it says about training.

    Raises:
        BundleRefused: naming everything in it that is not allowed.
        BundleUntrainable: if what it says cannot be used for training.
    """
    return recipe_of(scan_bundle(file, maximum_bytes=maximum_bytes, allowed=TRAINING))


def recipe_of(bundle: Bundle) -> Recipe:
    """Return what a scanned bundle says about training.

    Raises:
        BundleUntrainable: naming the part that cannot be used.
    """
    place, config = _config(bundle)
    parts = Parts(config)
    if len(bundle.weights) > 1:
        raise untrainable("it holds more than one file of weights")

    def part(*names: str) -> Any:
        try:
            return parts.first(*names)
        except NotTaken as err:
            raise untrainable(f"in {place} the part {names[0]} cannot be put together: {err}") from err

    def plain(*names: str) -> Any:
        return _without_devices(part(*names), names[0])

    network = plain(_NETWORK)
    if not isinstance(network, dict) or TARGET not in network:
        raise untrainable(f"{_NETWORK!r} in {place} has no _target_")
    loss = plain("loss", "train#loss", "loss_function", "train#loss_function")
    if loss is not None and not (isinstance(loss, dict) and TARGET in loss):
        raise untrainable(f"the loss in {place} has no _target_")
    said: dict[str, Any] = {}
    said |= _optimizer(part("optimizer", "train#optimizer"))
    said |= _windows(part("validate#inferer", "inferer", "train#inferer"))
    changes = []
    for transform in _transforms(part):
        read = _READ.get(_last(transform[TARGET]))
        if read is not None:
            said |= read(transform)
        elif _last(transform[TARGET]) not in _PASSED_OVER:
            changes.append(_without_devices(transform, _last(transform[TARGET])))
    dimensions = network.get("spatial_dims", network.get("dimensions"))
    return Recipe(
        network,
        loss,
        said,
        tuple(changes),
        dimensions if dimensions in (2, 3) else None,
        bundle.weights[0] if bundle.weights else None,
    )


def untrainable(why: str) -> BundleUntrainable:
    """Return the error of a bundle that cannot train for a reason, a part of a sentence."""
    return BundleUntrainable(
        "This bundle cannot be trained.",
        why=f"{why[:1].upper()}{why[1:]}.",
        todo="See 'Bundles that train' in docs/how-to/train-a-bundle.md for what is read of a bundle.",
    )


def _config(bundle: Bundle) -> tuple[str, Mapping[str, Any]]:
    """Return the configuration that training is read of, and its name: `train.json`, or the one with a network."""
    found = {name: config for name, config in bundle.configs.items() if _NETWORK in config}
    named = {name: config for name, config in found.items() if name.rpartition("/")[2] == _CONFIG_OF_TRAINING}
    chosen = named or found
    if len(chosen) != 1:
        raise untrainable(
            f"its configurations hold not exactly one {_NETWORK!r}, in {_CONFIG_OF_TRAINING} or elsewhere"
        )
    return next(iter(chosen.items()))


def _optimizer(spec: Any) -> dict[str, Any]:
    if spec is None:
        return {}
    name = TRAINING.resolve(spec.get(TARGET)) if isinstance(spec, dict) else None
    if name not in _OPTIMIZERS:
        raise untrainable(f"its optimizer is none of {', '.join(sorted(_OPTIMIZERS))}")
    given = {key: value for key, value in spec.items() if not key.startswith("_") and key != "params"}
    if odd := sorted(given.keys() - _OPTIMIZER_OPTIONS.keys()):
        raise untrainable(f"options of its optimizer that are not taken: {', '.join(odd)[:200]}")
    found = {_OPTIMIZER_OPTIONS[key]: _decimal(value, key) for key, value in given.items()}
    return {"optimizer": _OPTIMIZERS[name], **found}


def _windows(spec: Any) -> dict[str, Any]:
    if not isinstance(spec, dict) or _last(spec.get(TARGET, "")) != "SlidingWindowInferer":
        return {}
    found: dict[str, Any] = {}
    if "roi_size" in spec:
        found["patch_size"] = _side(spec["roi_size"], "roi_size")
    if "overlap" in spec:
        found["window_overlap"] = _decimal(spec["overlap"], "overlap")
    return found


def _transforms(part: Callable[..., Any]) -> list[Spec]:
    together = part("train#preprocessing", "preprocessing")
    if together is None:
        together = [part("train#deterministic_transforms") or [], part("train#random_transforms") or []]
    return list(_flat(together))


def _flat(value: Any) -> list[Spec]:
    if isinstance(value, list):
        return [spec for one in value for spec in _flat(one)]
    if not isinstance(value, dict) or TARGET not in value:
        raise untrainable("its transforms are no list of objects with a _target_")
    if _last(value[TARGET]) == "Compose":
        return _flat(value.get("transforms", []))
    if (TRAINING.resolve(value[TARGET]) or "").rpartition(".")[0] != "monai.transforms":
        raise untrainable(f"{str(value[TARGET])[:100]} stands among its transforms and is none")
    return [value]


def _read_window(spec: Spec) -> dict[str, Any]:
    if (spec.get("b_min"), spec.get("b_max")) != (0, 1) or spec.get("clip") is not True:
        raise untrainable("ScaleIntensityRanged is taken with b_min 0, b_max 1 and clip true")
    return {
        "window": {"low": _decimal(spec.get("a_min"), "a_min"), "high": _decimal(spec.get("a_max"), "a_max")}
    }


def _read_spacing(spec: Spec) -> dict[str, Any]:
    sides = spec.get("pixdim")
    sides = sides if isinstance(sides, list) else [sides]
    if len({_decimal(side, "pixdim") for side in sides}) != 1:
        raise untrainable("Spacingd is taken with one length for all axes")
    return {"spacing_mm": _decimal(sides[0], "pixdim")}


def _read_patch(spec: Spec) -> dict[str, Any]:
    found = {"patch_size": _side(spec.get("spatial_size", spec.get("roi_size")), "spatial_size")}
    samples = spec.get("num_samples", 1)
    if not isinstance(samples, int):
        raise untrainable("num_samples is no whole number")
    return found | {"patches_per_image": samples}


def _read_size(spec: Spec) -> dict[str, Any]:
    return {"image_size": _side(spec.get("spatial_size"), "spatial_size")}


_READ: Final[Mapping[str, Callable[[Spec], dict[str, Any]]]] = {
    "ScaleIntensityRanged": _read_window,
    "Spacingd": _read_spacing,
    "RandCropByPosNegLabeld": _read_patch,
    "RandSpatialCropd": _read_patch,
    "Resized": _read_size,
}


def _side(value: Any, name: str) -> int:
    sides = value if isinstance(value, list) else [value]
    if not sides or any(type(side) is not int or side != sides[0] for side in sides):
        raise untrainable(f"{name} is taken as one whole number for all axes")
    return int(sides[0])


def _decimal(value: Any, name: str) -> str:
    """Return a number as the text that parameters take."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise untrainable(f"{name} is no number")
    return format(value, ".12g") if isinstance(value, float) else str(value)


def _without_devices(value: Any, name: str) -> Any:
    """Return a value that names no device and no type of numbers."""
    if _holds_given(value):
        raise untrainable(f"{name} names a device or a type of numbers, which are the site's to say")
    return value


def _holds_given(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_given(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_holds_given(one) for one in value)
    return isinstance(value, GivenHere)


def _last(target: object) -> str:
    return str(target).rpartition(".")[2]
