"""What a tensor of an update is: a trained weight, a running statistic, a counter, or what a local step adds."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum

from fairbank.federated_jobs.tensor_files import TensorShape
from fairbank.federated_jobs.tensor_prefixes import CONTROL, OPTIMIZER

# What torch calls the running statistics of its batch normalisation.
_STATISTICS = frozenset({"running_mean", "running_var", "num_batches_tracked"})
_MEAN = "running_mean"
# How modules that normalise are called where nothing else tells: MONAI's `N`, torch's and most people's `bn1`, `norm`.
_NORM = re.compile(r"N|(?:batch|instance|group|layer)?_?norm\d*[a-z]?|bn\d*[a-z]?|gn\d*", re.I)


class Role(Enum):
    """What a tensor is, which says how it is merged and whether filters touch it."""

    WEIGHT = "weight"
    STATISTIC = "statistic"
    WHOLE = "whole"
    TRUTH = "truth"
    CONTROL = "control"
    OPTIMIZER = "optimizer"


def role_of(tensor: TensorShape) -> Role:
    """Return what a tensor is, by its name and type.

    >>> role_of(TensorShape("encode.0.bn.running_var", "F32", (4,))).value
    'statistic'
    """
    if tensor.name.startswith(CONTROL):
        return Role.CONTROL
    if tensor.name.startswith(OPTIMIZER):
        return Role.OPTIMIZER
    if tensor.dtype == "BOOL":
        return Role.TRUTH
    if not tensor.is_float:
        return Role.WHOLE
    return Role.STATISTIC if is_statistic(tensor.name) else Role.WEIGHT


def is_statistic(name: str) -> bool:
    """Tell whether a name is that of a running statistic of batch normalisation."""
    return name.rpartition(".")[2] in _STATISTICS


def is_extra(name: str) -> bool:
    """Tell whether a tensor is no part of the model but travels beside it."""
    return name.startswith((CONTROL, OPTIMIZER))


def model_name(name: str) -> str:
    """Return a tensor's name without the prefix of what travels beside the weights.

    >>> model_name("control.head.weight")
    'head.weight'
    """
    for prefix in (CONTROL, OPTIMIZER):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def normalising(names: Collection[str]) -> frozenset[str]:
    """Return the tensors of layers that normalise: those beside a running mean, and those of modules so called.

    >>> sorted(normalising(["a.0.weight", "a.1.weight", "a.1.running_mean", "b.norm2.bias"]))
    ['a.1.running_mean', 'a.1.weight', 'b.norm2.bias']
    """
    with_means = {name.rpartition(".")[0] for name in names if name.rpartition(".")[2] == _MEAN}
    return frozenset(
        name
        for name in names
        if name.rpartition(".")[0] in with_means
        or any(_NORM.fullmatch(part) for part in name.split(".")[:-1])
    )
