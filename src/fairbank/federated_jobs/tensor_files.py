"""Safetensors files read and written in pieces, so that neither a model nor an update is ever whole in memory.

What is written has the bytes that the safetensors library would write: equal weights are equal files.

Source: safetensors, README, section "Format", and the order of its `serialize`: by type from the
widest to the narrowest, then by name.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from fairbank.federated_jobs.algorithms.errors import UpdateUnfit
from fairbank.federated_jobs.algorithms.weights import digest_of_file

# In the order in which safetensors lays them out, last first.
_TYPES: Final = {
    "BOOL": np.dtype("?"),
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "I16": np.dtype("<i2"),
    "F16": np.dtype("<f2"),
    "I32": np.dtype("<i4"),
    "U32": np.dtype("<u4"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
}
_ORDER: Final = {name: place for place, name in enumerate(_TYPES)}
_NAMES: Final = {dtype: name for name, dtype in _TYPES.items()}
DTYPE_BYTES: Final = {name: dtype.itemsize for name, dtype in _TYPES.items()}
FLOATS: Final = frozenset({"F64", "F32", "F16"})
# Numbers that are worked on at a time: few enough for the processor's own memory.
PIECE: Final = 1 << 15
_METADATA = "__metadata__"
_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class TensorShape:
    """The form of one tensor; `dtype` as safetensors names it."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Return the number of its values."""
        return math.prod(self.shape)

    @property
    def numpy(self) -> np.dtype[Any]:
        """Return its type as numpy has it."""
        return _TYPES[self.dtype]

    @property
    def is_float(self) -> bool:
        """Tell whether it holds fractions."""
        return self.dtype in FLOATS


Form = tuple[TensorShape, ...]


def form_of(file: Path) -> Form:
    """Return the form of a model or an update from its header alone, sorted by name.

    Raises:
        UpdateUnfit: if the file is not safetensors or holds a type that updates may not have.
    """
    try:
        with safe_open(file, framework="np") as opened:
            return tuple(_form(opened, name) for name in sorted(opened.keys()))
    except (SafetensorError, OSError, TypeError, ValueError, KeyError) as err:
        raise unreadable(err) from err


def form_of_array(name: str, array: NDArray[Any]) -> TensorShape:
    """Return the form that an array has in a file."""
    return TensorShape(name, _NAMES[array.dtype.newbyteorder("<")], tuple(array.shape))


def pieces(size: int) -> Iterator[tuple[int, int]]:
    """Return where the pieces of so many values begin and end.

    >>> list(pieces(40000))
    [(0, 32768), (32768, 40000)]
    """
    for start in range(0, size, PIECE):
        yield start, min(start + PIECE, size)


class TensorFile:
    """One safetensors file, open for reading pieces; the library checks its header first.

    Raises:
        UpdateUnfit: if it is no sound safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self.form = form_of(path)
        self.named = {tensor.name: tensor for tensor in self.form}
        self._file = path.open("rb", buffering=0)
        length = int.from_bytes(self._file.read(8), "little")
        header = json.loads(self._file.read(length))
        header.pop(_METADATA, None)
        self._at = {name: 8 + length + int(entry["data_offsets"][0]) for name, entry in header.items()}

    def piece(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return the values `start` to `stop` of a tensor, read-only, (stop - start,) in the tensor's type."""
        dtype = self.named[name].numpy
        wanted = (stop - start) * dtype.itemsize
        body = os.pread(self._file.fileno(), wanted, self._at[name] + start * dtype.itemsize)
        if len(body) != wanted:
            raise unfit("It is shorter than its header says.")
        return np.frombuffer(body, dtype)

    def whole(self, name: str) -> NDArray[Any]:
        """Return a tensor in its shape, read-only."""
        tensor = self.named[name]
        return self.piece(name, 0, tensor.size).reshape(tensor.shape)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TensorWriter:
    """One safetensors file of a known form, written in pieces in any order; it has its name once it is finished."""

    def __init__(self, path: Path, form: Sequence[TensorShape]) -> None:
        self._path, self._partial = path, path.with_name(f".{path.name}.part")
        ordered = sorted(form, key=lambda tensor: (-_ORDER[tensor.dtype], tensor.name))
        header: dict[str, object] = {}
        at = 0
        for tensor in ordered:
            end = at + tensor.size * DTYPE_BYTES[tensor.dtype]
            header[tensor.name] = {
                "dtype": tensor.dtype,
                "shape": list(tensor.shape),
                "data_offsets": [at, end],
            }
            at = end
        body = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        body += b" " * (-len(body) % _ALIGNMENT)
        head = len(body).to_bytes(8, "little") + body
        self._types = {tensor.name: tensor.numpy for tensor in ordered}
        self._at = {tensor.name: len(head) + header[tensor.name]["data_offsets"][0] for tensor in ordered}  # type: ignore[index]  # just put together
        self._size = len(head) + at
        self._file = self._partial.open("wb", buffering=0)
        self._file.write(head)
        self._file.truncate(self._size)

    def write(self, name: str, start: int, values: NDArray[Any]) -> None:
        """Write values into a tensor from its value number `start` on, converted to the tensor's type."""
        dtype = self._types[name]
        body = np.ascontiguousarray(values, dtype).reshape(-1)
        view, at = body.view(np.uint8).data, self._at[name] + start * dtype.itemsize
        while view:
            written = os.pwrite(self._file.fileno(), view, at)
            view, at = view[written:], at + written

    def finish(self, *, durable: bool = False) -> tuple[str, int]:
        """Give the file its name; return (`sha256:…`, size in bytes).

        Args:
            durable: flush it to the disk; False leaves that to who keeps the file.
        """
        if durable:
            os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._path)
        return digest_of_file(self._path), self._size

    def drop(self) -> None:
        """Remove what was written so far, if it is not finished."""
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()


def copy_tensors(source: Path, into: Path, rename: Callable[[str], str | None]) -> str:
    """Copy the tensors of a file into a new one piece by piece, and return its digest.

    Args:
        rename: returns what a tensor is called there; None leaves it out.

    Raises:
        UpdateUnfit: if the source is no sound safetensors file.
    """
    with TensorFile(source) as opened:
        names = {tensor.name: name for tensor in opened.form if (name := rename(tensor.name)) is not None}
        form = [TensorShape(names[t.name], t.dtype, t.shape) for t in opened.form if t.name in names]
        with TensorWriter(into, form) as writer:
            for old, new in names.items():
                for start, stop in pieces(opened.named[old].size):
                    writer.write(new, start, opened.piece(old, start, stop))
            return writer.finish()[0]


def difference(found: Sequence[TensorShape], wanted: Sequence[TensorShape]) -> str:
    """Say in one sentence how two forms differ."""
    names_found, names_wanted = {t.name for t in found}, {t.name for t in wanted}
    if names_found != names_wanted:
        missing, foreign = len(names_wanted - names_found), len(names_found - names_wanted)
        return f"{missing} tensors are missing and {foreign} are foreign."
    differing = [f.name for f, w in zip(found, wanted, strict=True) if f != w]
    return f"Shape or type differs in {len(differing)} tensors, first in {differing[0]!r}."


def unreadable(err: Exception) -> UpdateUnfit:
    """Return the refusal of what is no safetensors file."""
    return UpdateUnfit(
        "An update cannot be read.",
        why=f"It is no sound safetensors file ({type(err).__name__}).",
        todo="Both sides must run the same version of the algorithm.",
    )


def unfit(why: str) -> UpdateUnfit:
    """Return the refusal of an update for a reason."""
    return UpdateUnfit(
        "An update cannot be merged.",
        why=why,
        todo="All sites of a job must run the same version of the algorithm with the same parameters.",
    )


def _form(opened: Any, name: str) -> TensorShape:
    part = opened.get_slice(name)
    dtype = str(part.get_dtype())
    if dtype not in DTYPE_BYTES:
        raise unfit(f"It holds values of type {dtype}.")
    return TensorShape(name, dtype, tuple(int(n) for n in part.get_shape()))
