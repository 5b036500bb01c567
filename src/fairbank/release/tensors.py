"""Model updates at the gate: the safetensors container read by hand, so that nothing rides along in it.

Source: safetensors, section "Format" of its README: 8 bytes of little-endian header length, a JSON header with dtype,
shape and data offsets per tensor, then the tensors without holes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

_SIZES: Final = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
_FLOATS: Final = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
_BF16_EXPONENT: Final = 0x7F80
# What a module path looks like (`encode.0.conv.weight`), and the numbers that no module path has: dates, UIDs, ids.
_NAME = re.compile(r"(?=.{1,255}\Z)[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*")
_LONG_NUMBER = re.compile(r"\d{6}|\d(?:[._]*\d){7}|\d+(?:\.\d+){4}")
_COUNTER = "num_batches_tracked"
_MAY_LEAVE: Final = frozenset({"F64", "F32", "F16", "BF16"})
_KEY = re.compile(r"n_(?:train|heldout|subjects|steps|unlabelled)|(?:before|after)_[a-z_]{1,32}")
_NUMBER = re.compile(r"-?\d{1,16}(?:\.\d{1,17})?(?:[eE][+-]?\d{1,3})?")
_LARGEST_HEADER_BYTES: Final = 8 << 20
_BLOCK: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class TensorShape:
    """What a tensor must look like: dtype as safetensors writes it (`F32`), and shape."""

    dtype: str
    shape: tuple[int, ...]


def problems(path: Path, expected: Mapping[str, TensorShape] | None, *, encoded: bool = False) -> list[str]:
    """Return what is wrong with a safetensors file; nothing if it holds finite weights under plain names only.

    Args:
        path: the file.
        expected: the tensors that it must hold, no more and no less; None where no model went before.
        encoded: the node itself made it of weights, so whole numbers may leave where they are expected.
    """
    size = path.stat().st_size
    length, header = _opened(path)
    if header is None:
        return ["The update is not a safetensors file."]
    metadata = header.pop("__metadata__", {})
    found = _metadata_problems(metadata) + _layout_problems(header, size - 8 - length)
    if found:
        return found
    may_be_whole = encoded and expected is not None
    found = ([] if may_be_whole else _no_weights(header)) + _foreign(header, expected)
    if found:
        return found
    return [
        f"The tensor {name!r} holds a number that is not finite."
        for name in sorted(header)
        if not _is_finite(path, 8 + length, header[name])
    ]


def form_of(path: Path) -> dict[str, TensorShape]:
    """Return the tensors of a model by name, from its header alone; none if it is not a safetensors file."""
    _, header = _opened(path)
    if header is None:
        return {}
    header.pop("__metadata__", None)
    try:
        return {name: TensorShape(str(at["dtype"]), tuple(at["shape"])) for name, at in header.items()}
    except (KeyError, TypeError):
        return {}


def _opened(path: Path) -> tuple[int, dict[str, Any] | None]:
    size = path.stat().st_size
    with path.open("rb") as opened:
        head = opened.read(8)
        length = int.from_bytes(head, "little") if len(head) == 8 else 0
        if not 2 <= length <= min(_LARGEST_HEADER_BYTES, size - 8):
            return 0, None
        return length, _header(opened.read(length))


def _header(raw: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(raw, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _metadata_problems(metadata: Any) -> list[str]:
    if not isinstance(metadata, dict) or len(metadata) > 64:
        return ["The update's metadata is not a short list of words."]
    for key, value in metadata.items():
        if not _KEY.fullmatch(key) or not isinstance(value, str) or not _is_number(value):
            return ["The update's metadata holds something else than counts and metrics."]
    return []


def _is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and math.isfinite(float(text))


def _layout_problems(header: dict[str, Any], data_bytes: int) -> list[str]:
    spans: list[tuple[int, int]] = []
    for name, entry in header.items():
        if not _NAME.fullmatch(name) or _LONG_NUMBER.search(name):
            return ["A tensor's name is not a plain name."]
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            return [f"The tensor {name!r} is not described as safetensors asks."]
        dtype, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
        if dtype not in _SIZES:
            return [f"The tensor {name!r} has a type that may not leave."]
        if not _are_naturals(shape) or not _are_naturals(span) or len(span) != 2:
            return [f"The tensor {name!r} is not described as safetensors asks."]
        if span[1] - span[0] != math.prod(shape) * _SIZES[dtype]:
            return [f"The tensor {name!r} takes more or fewer bytes than its shape says."]
        spans.append((span[0], span[1]))
    at = 0
    for start, end in sorted(spans):
        if start != at:
            return ["The update has bytes that belong to no tensor."]
        at = end
    return [] if spans and at == data_bytes else ["The update has bytes that belong to no tensor."]


def _are_naturals(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(each) is int and 0 <= each <= 2**48 for each in numbers)


def _no_weights(header: dict[str, Any]) -> list[str]:
    """Return which tensors could carry something else than weights: texts and identifiers fit into whole numbers."""
    for name, entry in sorted(header.items()):
        values = math.prod(entry["shape"])
        if values == 0:
            return ["A tensor of the update holds nothing; only its name would leave."]
        is_counter = entry["dtype"] == "I64" and values == 1 and name.rpartition(".")[2] == _COUNTER
        if entry["dtype"] not in _MAY_LEAVE and not is_counter:
            return ["A tensor of the update holds whole numbers or truth values; only weights may leave."]
    return []


def _foreign(header: dict[str, Any], expected: Mapping[str, TensorShape] | None) -> list[str]:
    if expected is None:
        return []
    if set(header) != set(expected):
        return ["The update does not hold exactly the tensors that the model has."]
    return [
        f"The tensor {name!r} has another type or shape than the model's."
        for name, entry in sorted(header.items())
        if (entry["dtype"], tuple(entry["shape"])) != (expected[name].dtype, tuple(expected[name].shape))
    ]


def _is_finite(path: Path, base: int, entry: dict[str, Any]) -> bool:
    dtype = entry["dtype"]
    if dtype not in _FLOATS and dtype != "BF16":
        return True
    start, end = entry["data_offsets"]
    with path.open("rb") as opened:
        opened.seek(base + start)
        left = end - start
        while left:
            block = opened.read(min(_BLOCK, left))
            if not block:
                return False
            left -= len(block)
            if dtype == "BF16":
                bits = np.frombuffer(block, "<u2")
                if bool(np.any((bits & _BF16_EXPONENT) == _BF16_EXPONENT)):
                    return False
            elif not bool(np.isfinite(np.frombuffer(block, _FLOATS[dtype])).all()):
                return False
    return True
