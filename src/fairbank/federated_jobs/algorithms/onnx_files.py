"""A model written as ONNX where torch is: at the requester; kept only if both compute the same.

The hub has no torch and makes no ONNX file. What is written here is checked here, on inputs that a seed makes, and the
figures of the check are written beside it.

Source: torch.onnx, TorchScript-based exporter; ONNX opset 18.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairbank.errors import MissingExtra
from fairbank.federated_jobs.algorithms.registry import algorithm_entry, algorithm_parameters
from fairbank.federated_jobs.training_errors import NoOnnx, OnnxDiffers
from fairbank.signing import file_digest

if TYPE_CHECKING:
    from fairbank.federated_jobs.algorithms.interface import TrainingAlgorithm

TOLERANCE = 1e-4
OPSET = 18
SEEDS = (0, 1, 2)
_NEEDED = ("torch", "monai", "onnx", "onnxruntime")


@dataclass(frozen=True, slots=True)
class OnnxCheck:
    """How far a model as ONNX is from itself in PyTorch.

    Attributes:
        inputs: number of inputs, each made from a seed of its own.
        largest: largest absolute difference of two outputs.
        tolerance: the most that is allowed.
        weights, file: digests of both files.
    """

    inputs: int
    largest: float
    tolerance: float
    weights: str
    file: str
    opset: int
    torch: str
    onnxruntime: str


def write_onnx(name: str, parameters: Mapping[str, object], weights: Path, to: Path) -> OnnxCheck:
    """Write a model as ONNX and the figures of its check beside it (`NAME.onnx.check.json`).

    Args:
        name: of the training algorithm.
        weights: safetensors.

    Raises:
        MissingExtra: if torch, onnx or onnxruntime are not installed.
        NoOnnx: if the algorithm has no network.
        OnnxDiffers: if an output differs by more than the tolerance; no file is left then.
    """
    if any(find_spec(module) is None for module in _NEEDED):
        raise MissingExtra.named("onnx", needed_for="Writing a model as ONNX")
    import onnxruntime
    import torch

    algorithm: TrainingAlgorithm = import_module(algorithm_entry(name).module).ALGORITHM()
    network = algorithm.network(algorithm_parameters(name, parameters))
    if network is None:
        raise NoOnnx(
            f"The models of {name} cannot be written as ONNX.",
            why="The algorithm has no network.",
            todo="Use the weights as they are.",
        )
    _load(network, weights)
    partial = to.with_name(f".{to.name}.part")
    try:
        _export(
            network, algorithm.example_input(algorithm_parameters(name, parameters), seed=SEEDS[0]), partial
        )
        session = onnxruntime.InferenceSession(str(partial), providers=["CPUExecutionProvider"])
        inputs = [
            algorithm.example_input(algorithm_parameters(name, parameters), seed=seed) for seed in SEEDS
        ]
        largest = max(_difference(network, session, one) for one in inputs)
        if not largest <= TOLERANCE:
            raise OnnxDiffers(
                f"The model computes something else as ONNX: outputs differ by {largest:.2g}.",
                why=f"At most {TOLERANCE:g} is allowed between PyTorch and ONNX Runtime.",
                todo="Use the weights as they are; no ONNX file was written.",
            )
        check = OnnxCheck(
            len(inputs),
            largest,
            TOLERANCE,
            file_digest(weights),
            file_digest(partial),
            OPSET,
            torch.__version__,
            onnxruntime.__version__,
        )
        figures = to.with_name(f"{to.name}.check.json")
        figures.write_text(
            json.dumps({"schema": "onnx-check/1", **asdict(check)}, indent=1), encoding="utf-8"
        )
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)
    return check


def _load(network: Any, weights: Path) -> None:
    import torch

    from fairbank.federated_jobs.algorithms.weights import read_weights

    held = read_weights(weights)
    wanted = network.state_dict()
    missing = sorted(set(wanted) - set(held))
    if missing:
        raise NoOnnx(
            "The model's weights are not those of its network.",
            why=f"{len(missing)} tensors are missing, the first is {missing[0]!r}.",
            todo="Layers that stay at the sites are not in the merged model; such a model has no ONNX form.",
        )
    # What travels beside the weights, such as control variates, is no part of the network.
    network.load_state_dict({name: torch.from_numpy(held[name].copy()) for name in wanted})
    network.eval()


def _export(network: Any, example: Any, to: Path) -> None:
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            str(to),
            dynamo=False,
            opset_version=OPSET,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
        )


def _difference(network: Any, session: Any, example: Any) -> float:
    import numpy as np
    import torch

    with torch.no_grad():
        here = network(example).numpy()
    (there,) = session.run(None, {"input": example.numpy()})
    return float(np.abs(here.astype(np.float64) - there.astype(np.float64)).max())
