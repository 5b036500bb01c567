"""Merge model updates at the hub: numpy only, one tensor in memory per site at a time, the same bits every time.

Updates are read in sorted order of their sites and summed in float64, so the merged model does not depend on who
answered first. Memory is the merged model and one tensor, whatever the number of sites.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from fairbank.federated_jobs.algorithms.errors import NothingToAggregate, UpdateUnfit
from fairbank.federated_jobs.algorithms.weights import digest_of_file, write_weights

DTYPE_BYTES = {"F64": 8, "F32": 4, "F16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_PIECE: Final = 1 << 15  # numbers
MAX_TENSORS = 100_000


@dataclass(frozen=True, slots=True)
class TensorShape:
    """The form of one tensor; `dtype` as safetensors names it."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UpdateDescription:
    """What can be said of an update without its values.

    Args:
        digest: `sha256:…` of the file.
        bytes: size of the file.
        tensors: name, type and shape of each tensor, sorted by name.
        parameters: number of values.
        finite: whether every value is a finite number.
        largest: the largest absolute value, 0 for an empty update.
    """

    digest: str
    bytes: int
    tensors: tuple[TensorShape, ...]
    parameters: int
    finite: bool
    largest: float


@dataclass(frozen=True, slots=True)
class SiteUpdate:
    """One site's update.

    Args:
        site: the site's id; updates are merged in its sorted order.
        file: full weights as safetensors.
        n_samples: number of training samples, >= 1; the weight of the update.
    """

    site: str
    file: Path
    n_samples: int


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The merged model: its file, digest and size, and what went into it, in order."""

    file: Path
    digest: str
    bytes: int
    sites: tuple[str, ...]
    n_samples: int


class Aggregator(Protocol):
    """Turns the updates of one round into the next global model."""

    name: str

    def reduce(self, updates: Sequence[SiteUpdate], *, into: Path, max_bytes: int) -> Aggregate:
        """Merge checked updates into a file."""
        ...


def describe_update(file: Path) -> UpdateDescription:
    """Return the description of an update, reading one tensor at a time.

    Raises:
        UpdateUnfit: if the file is not safetensors or holds a type that updates may not have.
    """
    seen = _look(file)
    return UpdateDescription(
        digest_of_file(file), file.stat().st_size, seen.tensors, seen.parameters, seen.finite, seen.largest
    )


def form_of(file: Path) -> tuple[TensorShape, ...]:
    """Return the form of a model or an update from its header alone.

    Raises:
        UpdateUnfit: if the file is not safetensors.
    """
    try:
        with safe_open(file, framework="np") as opened:
            return tuple(_form(opened, name) for name in sorted(opened.keys()))
    except (SafetensorError, OSError, TypeError, ValueError, KeyError) as err:
        raise _unreadable(err) from err


def check_update(
    file: Path,
    *,
    like: Sequence[TensorShape] | None = None,
    max_bytes: int,
    digest: str | None = None,
    values: bool = True,
) -> tuple[TensorShape, ...]:
    """Return the form of an update that may be merged.

    Args:
        like: the tensors that it must have, such as those of the global model; None accepts any.
        max_bytes: of the file.
        digest: what the file must have been named, None if it has no name yet.
        values: look at every value too; False leaves that to the merging, which finds what is not finite but not whose.

    Raises:
        UpdateUnfit: saying what is wrong with it.
    """
    size = file.stat().st_size
    if size > max_bytes:
        raise _unfit(f"It has {size} bytes, and {max_bytes} are allowed.")
    if digest is not None and digest_of_file(file) != digest:
        raise _unfit("Its bytes do not have the digest that was announced.")
    form = form_of(file)
    if not form or len(form) > MAX_TENSORS:
        raise _unfit(f"It holds {len(form)} tensors.")
    if values and not _look(file).finite:
        raise _unfit("It holds a value that is not a finite number.")
    if like is not None and form != tuple(like):
        raise _unfit(_difference(form, like))
    return form


@dataclass(frozen=True, slots=True)
class FedAvg:
    """The mean of the sites' weights, weighted by their numbers of samples.

    Whole numbers (counters) are averaged and rounded, truth values taken from the first site.

    Source: McMahan et al. 2017, Communication-Efficient Learning of Deep Networks, algorithm 1.
    """

    name: str = "fedavg"

    def reduce(
        self,
        updates: Sequence[SiteUpdate],
        *,
        into: Path,
        max_bytes: int,
        checked: Sequence[TensorShape] | None = None,
    ) -> Aggregate:
        """Merge updates into `into`, checking each first; who keeps the file flushes it to the disk.

        Args:
            checked: the form that the caller has just found all of them to have; None checks them here.

        Raises:
            NothingToAggregate: if there is none.
            UpdateUnfit: if one is unsound, differs in form from the first, or holds a value that is not finite.
        """
        ordered = _in_order(updates)
        form = tuple(checked) if checked is not None else _common_form(ordered, max_bytes)
        total = sum(update.n_samples for update in ordered)
        merged = {tensor.name: _mean(ordered, tensor, total) for tensor in form}
        digest, size = write_weights(merged, into, durable=False)
        return Aggregate(into, digest, size, tuple(update.site for update in ordered), total)


@dataclass(frozen=True, slots=True)
class _Seen:
    tensors: tuple[TensorShape, ...]
    parameters: int
    finite: bool
    largest: float


def _look(file: Path) -> _Seen:
    tensors, finite, largest, parameters = [], True, 0.0, 0
    try:
        with safe_open(file, framework="np") as opened:
            for name in sorted(opened.keys()):
                tensors.append(_form(opened, name))
                values = opened.get_tensor(name)
                parameters += values.size
                if values.dtype.kind == "f" and values.size:
                    # Of values with a NaN both are NaN; no copy of the tensor is made.
                    peak = float(max(values.max(), -values.min()))
                    finite = finite and math.isfinite(peak)
                    largest = max(largest, peak) if math.isfinite(peak) else largest
    except (SafetensorError, OSError, TypeError, ValueError, KeyError) as err:
        raise _unreadable(err) from err
    return _Seen(tuple(tensors), parameters, finite, largest)


def _common_form(ordered: Sequence[SiteUpdate], max_bytes: int) -> tuple[TensorShape, ...]:
    form = check_update(ordered[0].file, max_bytes=max_bytes)
    for update in ordered[1:]:
        check_update(update.file, like=form, max_bytes=max_bytes)
    return form


def _mean(ordered: Sequence[SiteUpdate], tensor: TensorShape, total: int) -> NDArray[Any]:
    first: NDArray[Any] | None = None
    summed = np.zeros(math.prod(tensor.shape), dtype=np.float64)
    # In pieces that stay in the processor's own memory; only the sum is as large as the tensor.
    pieces = [slice(start, start + _PIECE) for start in range(0, summed.size, _PIECE)]
    for update in ordered:
        with safe_open(update.file, framework="np") as opened:
            values = opened.get_tensor(tensor.name).reshape(-1)
        first = values if first is None else first
        for piece in pieces:
            summed[piece] += np.multiply(values[piece], float(update.n_samples), dtype=np.float64)
    assert first is not None
    if first.dtype.kind == "b":
        return first.reshape(tensor.shape)
    merged: NDArray[Any] = np.empty(first.shape, dtype=first.dtype)
    for piece in pieces:
        mean = np.divide(summed[piece], total, out=summed[piece])
        # Whatever is no finite number at one site makes the sum so.
        if first.dtype.kind == "f" and not np.isfinite(mean).all():
            raise _unfit("The mean holds a value that is not a finite number.")
        merged[piece] = np.rint(mean) if first.dtype.kind in "iu" else mean
    return merged.reshape(tensor.shape)


def _in_order(updates: Sequence[SiteUpdate]) -> list[SiteUpdate]:
    if not updates:
        raise NothingToAggregate(
            "There is no update to merge.",
            why="No site finished the round.",
            todo="Wait for the quorum, or lower it in the next job.",
        )
    ordered = sorted(updates, key=lambda update: update.site)
    if len({update.site for update in ordered}) != len(ordered):
        raise _unfit("One site sent two updates for the same round.")
    if any(update.n_samples < 1 for update in ordered):
        raise _unfit("A site names no training samples.")
    return ordered


def _form(opened: Any, name: str) -> TensorShape:
    part = opened.get_slice(name)
    dtype = str(part.get_dtype())
    if dtype not in DTYPE_BYTES:
        raise _unfit(f"It holds values of type {dtype}.")
    return TensorShape(name, dtype, tuple(int(n) for n in part.get_shape()))


def _difference(found: Sequence[TensorShape], wanted: Sequence[TensorShape]) -> str:
    names_found, names_wanted = {t.name for t in found}, {t.name for t in wanted}
    if names_found != names_wanted:
        missing, foreign = len(names_wanted - names_found), len(names_found - names_wanted)
        return f"{missing} tensors are missing and {foreign} are foreign."
    differing = [f.name for f, w in zip(found, wanted, strict=True) if f != w]
    return f"Shape or type differs in {len(differing)} tensors, first in {differing[0]!r}."


def _unreadable(err: Exception) -> UpdateUnfit:
    return UpdateUnfit(
        "An update cannot be read.",
        why=f"It is no sound safetensors file ({type(err).__name__}).",
        todo="Both sides must run the same version of the algorithm.",
    )


def _unfit(why: str) -> UpdateUnfit:
    return UpdateUnfit(
        "An update cannot be merged.",
        why=why,
        todo="All sites of a job must run the same version of the algorithm with the same parameters.",
    )
