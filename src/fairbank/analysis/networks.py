"""Networks that somebody else trained: an ONNX file, or a MONAI bundle, opened from a file that a digest names.

Whatever the form, a network here is a function from one patch to the scores of its voxels. ONNX is a graph of known
operations; a bundle may only put together networks of a list (`fairbank.analysis.bundle_scan`), with weights as
safetensors. Nothing is unpickled.
"""

from __future__ import annotations

import os
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fairbank.analysis.bundle_scan import NETWORKS, TARGET, Allowed, Bundle, member, scan_bundle
from fairbank.analysis.errors import ModelMissing, ModelUnusable
from fairbank.errors import MissingExtra
from fairbank.signing import file_digest

Patch = NDArray[np.float32]
ModelFormat = Literal["onnx", "monai-bundle"]
LARGEST_BYTES: Final = 8 << 30
_NETWORK: Final = "network_def"
# Batch, channel, and three axes of the image.
_RANK: Final = 5


class Network(Protocol):
    """Scores the voxels of a patch."""

    def __call__(self, patch: Patch) -> Patch:
        """Return scores, (channels, *shape) float32, of a patch, (*shape) float32."""
        ...


def network_in(folder: Path, digest: str, format: ModelFormat) -> Network:
    """Return the network whose file a folder holds under its digest; kept open for the next series.

    Raises:
        ModelMissing: if there is no such file, or it has other bytes.
        BundleRefused: if a bundle says what it may not.
        ModelUnusable: if it cannot be loaded.
        MissingExtra: if what it needs is not installed.
    """
    return _opened(str(model_file(folder, digest)), format)


def model_file(folder: Path, digest: str) -> Path:
    """Return the file that a folder holds under a digest.

    Raises:
        ModelMissing: if there is no such file, or it has other bytes.
    """
    file = folder / file_name(digest)
    if not file.is_file() or file_digest(file) != digest:
        raise ModelMissing(
            "The model that the parameters name is not here.",
            why="Its file did not come with the job, or has other bytes than its digest says.",
            todo="Give the hub the file first: fairbank model import FILE.",
        )
    return file


def file_name(digest: str) -> str:
    """Return the name under which a model lies in a folder.

    >>> file_name("sha256:" + "0" * 64)[:6]
    'model-'
    """
    return f"model-{digest.removeprefix('sha256:')}"


@lru_cache(maxsize=1)
def _opened(file: str, format: ModelFormat) -> Network:
    return _OnnxNetwork(Path(file)) if format == "onnx" else _BundleNetwork(Path(file))


class _OnnxNetwork:
    """A network in ONNX, run by ONNX Runtime."""

    def __init__(self, file: Path) -> None:
        try:
            import onnxruntime
        except ImportError as err:
            raise MissingExtra.named("inference", needed_for="A model in ONNX") from err
        options = onnxruntime.SessionOptions()
        threads = os.environ.get("OMP_NUM_THREADS", "1")
        options.intra_op_num_threads = int(threads) if threads.isdigit() else 1
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        wanted = [one for one in ("CUDAExecutionProvider",) if one in onnxruntime.get_available_providers()]
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=[*wanted, "CPUExecutionProvider"]
            )
        except Exception as err:
            # The library has errors of its own for each kind of fault.
            raise _unusable("ONNX Runtime cannot load it") from err
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != _RANK:
            raise _unusable("it has not exactly one input of the form (1, 1, x, y, z) float32")
        self._input, self._output = inputs[0].name, outputs[0].name

    def __call__(self, patch: Patch) -> Patch:
        try:
            (scores,) = self._session.run([self._output], {self._input: patch[None, None]})
        except Exception as err:
            # As above.
            raise _unusable("it does not take a patch of this size") from err
        return _scores(scores, patch)


class _BundleNetwork:
    """A network of a MONAI bundle, put together here from its configuration; MONAI's own parser is not used."""

    def __init__(self, file: Path) -> None:
        bundle = scan_bundle(file, maximum_bytes=LARGEST_BYTES)
        try:
            import torch
            from safetensors.torch import load
        except ImportError as err:
            raise MissingExtra.named("train", needed_for="A MONAI bundle") from err
        definition = _definition(bundle)
        if len(bundle.weights) != 1:
            raise _unusable("it holds not exactly one file of weights")
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            network = made_module(definition)
            network.load_state_dict(load(member(file, bundle.weights[0])))
        except ModelUnusable:
            raise
        except Exception as err:
            # A constructor may raise anything.
            raise _unusable(
                "its network cannot be made, or the weights are not those of its network"
            ) from err
        self._network = network.to(self._device).eval()

    def __call__(self, patch: Patch) -> Patch:
        torch = self._torch
        try:
            with torch.inference_mode():
                given = torch.from_numpy(np.ascontiguousarray(patch))[None, None].to(self._device)
                scores = self._network(given)
        except Exception as err:
            # As above.
            raise _unusable("it does not take a patch of this size") from err
        # Networks with deep supervision give a list, the finest first.
        if isinstance(scores, list | tuple):
            scores = scores[0]
        return _scores(scores.float().cpu().numpy(), patch)


def _definition(bundle: Bundle) -> dict[str, Any]:
    found = [config[_NETWORK] for config in bundle.configs.values() if _NETWORK in config]
    if len(found) != 1 or not isinstance(found[0], dict) or TARGET not in found[0]:
        raise _unusable(f"its configurations hold not exactly one {_NETWORK!r} with a _target_")
    definition: dict[str, Any] = found[0]
    return definition


def made_module(value: Any, allowed: Allowed = NETWORKS) -> Any:
    """Return a value of a scanned configuration with its networks and losses made, the inner ones first.

    Args:
        value: plain values and objects with a `_target_`; references and expressions are put in already.

    Raises:
        ModelUnusable: if there is no such class, or it is no module of torch.
    """
    if isinstance(value, list):
        return [made_module(one, allowed) for one in value]
    if not isinstance(value, dict):
        return value
    arguments = {key: made_module(inner, allowed) for key, inner in value.items() if not key.startswith("_")}
    if TARGET not in value:
        return arguments
    from torch.nn import Module

    name = allowed.resolve(value[TARGET])
    if name is None:
        raise _unusable("something is named that is not on the list")
    found = class_named(name)
    if not issubclass(found, Module):
        raise _unusable(f"{name[:100]} is no network")
    return found(**arguments)


def class_named(name: str) -> type[Any]:
    """Return a class by its dotted name, which a list of names allowed.

    Raises:
        ModelUnusable: if there is none.
    """
    package, _, last = name.rpartition(".")
    try:
        found = getattr(import_module(package), last)
    except (ImportError, AttributeError) as err:
        raise _unusable(f"there is no class {name[:100]}") from err
    if not isinstance(found, type):
        raise _unusable(f"{name[:100]} is no class")
    return found


def _scores(scores: Any, patch: Patch) -> Patch:
    found = np.asarray(scores, dtype=np.float32)
    if found.ndim != _RANK or found.shape[0] != 1 or found.shape[2:] != patch.shape:
        raise _unusable("it gives no scores of the form (1, channels, x, y, z) for a patch")
    result: Patch = found[0]
    return result


def _unusable(why: str) -> ModelUnusable:
    return ModelUnusable(
        "The model cannot be used.",
        why=f"Of its file {why}.",
        todo="Try it at home first: fairbank job try, with --model FILE.",
    )
