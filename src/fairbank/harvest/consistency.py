"""Settings that should be one for all images of a series, and which of them are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from fairbank.harvest.geometry import tolerance_mm
from fairbank.harvest.header_texts import parts
from fairbank.harvest.headers import InstanceHeader

# Numbers that differ by less are one, written with different rounding: real series differ at 1e-5.
_SAME: Final = 1e-3
# The current of the tube and what follows from it change along the body by design, so they are not among these.
_NUMBERS: Final[dict[str, str]] = {
    "rows": "Rows",
    "columns": "Columns",
    "pixel-spacing": "PixelSpacing",
    "slice-thickness": "SliceThickness",
    "tube-voltage": "KVP",
    "exposure-time": "ExposureTime",
}
_WORDS: Final[dict[str, Callable[[InstanceHeader], str]]] = {"kernel": lambda header: header.kernel}


def mixed_parameters(headers: Sequence[InstanceHeader]) -> tuple[str, ...]:
    """Return which settings have more than one value in a series; what an image does not state is no value."""
    found = []
    for name, keyword in _NUMBERS.items():
        if _several({header.said.get(keyword, "") for header in headers}):
            found.append(name)
    for name, value_of in _WORDS.items():
        if len({value_of(header) for header in headers} - {""}) > 1:
            found.append(name)
    return tuple(found)


def one_thickness(headers: Sequence[InstanceHeader]) -> float | None:
    """Return the slice thickness in mm if all images agree on it."""
    known = sorted({header.slice_thickness for header in headers if header.slice_thickness})
    if not known or known[0] <= 0 or known[-1] - known[0] > tolerance_mm(0.0):
        return None
    return known[0]


def _several(texts: set[str]) -> bool:
    """Tell whether texts of numbers mean more than one value."""
    texts.discard("")
    if len(texts) < 2:
        return False
    numbers = []
    for text in texts:
        try:
            numbers.append(tuple(float(part) for part in parts(text)))
        except ValueError:
            return True
    numbers.sort()
    return any(
        len(one) != len(other)
        or any(abs(a - b) > _SAME * max(abs(a), abs(b)) for a, b in zip(one, other, strict=True))
        for one, other in pairwise(numbers)
    )
