"""Optimizers of local training: how they are made, and their state as named tensors that outlive a process."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import torch

from fairbank.federated_jobs.algorithms.training_parameters import Schedule, TrainingParameters
from fairbank.federated_jobs.algorithms.weights import Weights
from fairbank.federated_jobs.tensor_prefixes import OPTIMIZER

_SLOTS = {"adam": ("exp_avg", "exp_avg_sq", "step"), "adamw": ("exp_avg", "exp_avg_sq", "step")}
_MOMENTUM = ("momentum_buffer",)


def rate_of(parameters: TrainingParameters, round_number: int, rounds: int) -> float:
    """Return the learning rate of a round, from 1, of a job with so many rounds."""
    rate, done = float(parameters.learning_rate), round_number - 1
    match parameters.schedule:
        case Schedule.STEP:
            return rate * float(parameters.schedule_factor) ** (done // parameters.schedule_rounds)
        case Schedule.EXPONENTIAL:
            return rate * float(parameters.schedule_factor) ** done
        case Schedule.COSINE:
            return rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done / max(1, rounds))))
    return rate


def new_optimizer(
    parameters: TrainingParameters, trained: Iterable[torch.nn.Parameter], rate: float
) -> torch.optim.Optimizer:
    """Return an optimizer without state."""
    decay = float(parameters.weight_decay)
    if parameters.optimizer == "adam":
        return torch.optim.Adam(trained, lr=rate, weight_decay=decay)
    if parameters.optimizer == "adamw":
        return torch.optim.AdamW(trained, lr=rate, weight_decay=decay)
    return torch.optim.SGD(trained, lr=rate, momentum=float(parameters.momentum), weight_decay=decay)


def slots_of(parameters: TrainingParameters) -> tuple[str, ...]:
    """Return what an optimizer keeps of each tensor."""
    if parameters.optimizer == "sgd":
        return _MOMENTUM if parameters.momentum else ()
    return _SLOTS[parameters.optimizer]


def empty_state(parameters: TrainingParameters, shapes: Mapping[str, tuple[int, ...]]) -> Weights:
    """Return the state of an optimizer that has made no step.

    Args:
        shapes: of the tensors that are trained, by name.
    """
    return {
        f"{OPTIMIZER}{slot}.{name}": np.zeros((1,) if slot == "step" else shape, dtype=np.float32)
        for slot in slots_of(parameters)
        for name, shape in shapes.items()
    }


def state_of(
    optimizer: torch.optim.Optimizer, trained: Mapping[str, torch.nn.Parameter], slots: Iterable[str]
) -> Weights:
    """Return an optimizer's state as tensors `optimizer.SLOT.NAME`; zeros where it has none yet."""
    found: Weights = {}
    for slot in slots:
        for name, parameter in trained.items():
            value = optimizer.state[parameter].get(slot) if parameter in optimizer.state else None
            empty = torch.zeros(()) if slot == "step" else torch.zeros_like(parameter)
            kept = empty if value is None else torch.as_tensor(value)
            found[f"{OPTIMIZER}{slot}.{name}"] = np.atleast_1d(kept.detach().float().cpu().numpy()).copy()
    return found


def restore(
    optimizer: torch.optim.Optimizer, trained: Mapping[str, torch.nn.Parameter], state: Weights
) -> None:
    """Give an optimizer the state that `state_of` returned; tensors that it does not know are passed over."""
    for key, array in state.items():
        slot, _, name = key.removeprefix(OPTIMIZER).partition(".")
        if not key.startswith(OPTIMIZER) or name not in trained:
            continue
        parameter = trained[name]
        # Adam counts its steps on the CPU, whatever the device.
        if slot == "step":
            optimizer.state[parameter][slot] = torch.tensor(float(array.reshape(-1)[0]))
        else:
            optimizer.state[parameter][slot] = torch.from_numpy(array.copy()).to(parameter)
