"""What a person can see of an update of a model: of each tensor its norm, its range, and how much of it is zero.

Values are read a piece at a time from the file; it is never whole in memory.

Source of the format: safetensors, README, section "Format": JSON after eight bytes with its length, then the values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HEADER_BYTES: Final = 8
_MOST_HEADER: Final = 4 << 20
_PIECE: Final = 1 << 20
# Beyond that nobody waits for a page; names and shapes are shown without numbers.
MOST_BYTES: Final = 2 << 30
_TYPES: Final = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "I16": "<i2",
    "U16": "<u2",
    "F16": "<f2",
    "BF16": "<u2",
    "I32": "<i4",
    "U32": "<u4",
    "F32": "<f4",
    "F64": "<f8",
    "I64": "<i8",
    "U64": "<u8",
}


@dataclass(frozen=True, slots=True)
class TensorNumbers:
    """One tensor; the numbers are None where its type is not known, it has no value, or the file is too large.

    Attributes:
        norm: Euclidean, of all values that are finite.
        least, most: the range of these.
        zeros: share that is exactly zero, 0 to 1.
        unfit: how many values are no finite number.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    norm: float | None = None
    least: float | None = None
    most: float | None = None
    zeros: float | None = None
    unfit: int = 0


@dataclass(frozen=True, slots=True)
class Tensors:
    """The tensors of a file, and the notes in its header."""

    tensors: tuple[TensorNumbers, ...]
    notes: tuple[tuple[str, str], ...]


def tensors_of(path: Path) -> Tensors | None:
    """Return the tensors of a safetensors file, in the order of its header; None if it is none that can be read."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_HEADER_BYTES), "little")
            if not 0 < length <= _MOST_HEADER:
                return None
            header = json.loads(file.read(length))
        notes = header.pop("__metadata__", {})
        found = tuple(
            _numbers(path, _HEADER_BYTES + length, name, one, counted=size <= MOST_BYTES)
            for name, one in header.items()
        )
        return Tensors(found, tuple((str(name), str(text)) for name, text in notes.items()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _numbers(path: Path, begins: int, name: str, told: dict[str, Any], *, counted: bool) -> TensorNumbers:
    dtype, shape = str(told["dtype"]), tuple(int(side) for side in told["shape"])
    first, last = (int(offset) for offset in told["data_offsets"])
    bare = TensorNumbers(str(name), dtype, shape, last - first)
    if not counted or dtype not in _TYPES or last <= first:
        return bare
    return _counted(bare, _pieces(path, begins + first, last - first, dtype))


def _counted(bare: TensorNumbers, pieces: Iterator[NDArray[np.float64]]) -> TensorNumbers:
    import numpy as np

    squares, least, most, zeros, unfit, count = 0.0, math.inf, -math.inf, 0, 0, 0
    for values in pieces:
        finite = values[np.isfinite(values)]
        count += values.size
        unfit += values.size - finite.size
        zeros += finite.size - int(np.count_nonzero(finite))
        if finite.size:
            squares += float(np.dot(finite, finite))
            least, most = min(least, float(finite.min())), max(most, float(finite.max()))
    if count == unfit:
        return TensorNumbers(bare.name, bare.dtype, bare.shape, bare.size_bytes, unfit=unfit)
    share = zeros / count
    return TensorNumbers(
        bare.name, bare.dtype, bare.shape, bare.size_bytes, math.sqrt(squares), least, most, share, unfit
    )


def _pieces(path: Path, begins: int, size: int, dtype: str) -> Iterator[NDArray[np.float64]]:
    """Yield the values of a tensor: (n,) float64, at most a million at a time."""
    import numpy as np

    kind = np.dtype(_TYPES[dtype])
    stored = np.memmap(path, dtype=kind, mode="r", offset=begins, shape=(size // kind.itemsize,))
    for at in range(0, stored.size, _PIECE):
        piece = np.asarray(stored[at : at + _PIECE])
        if dtype == "BF16":  # the upper half of a float32
            piece = (piece.astype(np.uint32) << 16).view(np.float32)
        yield piece.astype(np.float64)
