"""Where the frames of an enhanced multi-frame image lie, from its functional groups (DICOM PS3.3, C.7.6.16)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from fairbank.deid.elements import items_of, text_of
from fairbank.harvest.header_texts import parts

SHARED = 0x52009229
PER_FRAME = 0x52009230
_PLANE_POSITION = 0x00209113
_PLANE_ORIENTATION = 0x00209116
_POSITION = 0x00200032
_ORIENTATION = 0x00200037
# (sequence, element) of what may tell two frames at one place apart: stack, temporal index, echo, b-value, direction,
# trigger delay, kind of image.
_VARIANTS = (
    (0x00209111, 0x00209056),
    (0x00209111, 0x00209128),
    (0x00189114, 0x00189082),
    (0x00189117, 0x00189087),
    (0x00189118, 0x00209153),
    (0x00189226, 0x00089007),
    (0x00189329, 0x00089007),
)
_DIFFUSION = 0x00189117
_DIRECTION_SEQUENCE = 0x00189076
_DIRECTION = 0x00189089

Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plane:
    """Where one slice lies, in millimetres.

    Attributes:
        orientation: direction cosines of rows and columns, six numbers.
        position: centre of the first pixel, three numbers.
        variant: what tells it from another slice at the same place.
    """

    orientation: Vector
    position: Vector
    variant: str


def planes_of(dataset: Dataset) -> tuple[Plane, ...]:
    """Return the planes of all frames in their order; none if any frame does not say where it lies."""
    shared = next(iter(items_of(dataset, SHARED)), Dataset())
    common = _vector(shared, _PLANE_ORIENTATION, _ORIENTATION, 6)
    common_position = _vector(shared, _PLANE_POSITION, _POSITION, 3)
    planes = []
    for frame in items_of(dataset, PER_FRAME):
        orientation = _vector(frame, _PLANE_ORIENTATION, _ORIENTATION, 6) or common
        position = _vector(frame, _PLANE_POSITION, _POSITION, 3) or common_position
        if not orientation or not position:
            return ()
        planes.append(Plane(orientation, position, _variant(frame)))
    return tuple(planes)


def group_of(dataset: Dataset, sequence: int) -> Dataset:
    """Return what an image says of all frames or of the first in a functional group, or an empty dataset."""
    for place in (SHARED, PER_FRAME):
        for groups in items_of(dataset, place)[:1]:
            for found in items_of(groups, sequence)[:1]:
                return found
    return Dataset()


def vector(texts: Sequence[str], length: int) -> Vector:
    """Return a vector of the wanted length, or an empty one if any part is missing or no number."""
    try:
        numbers = tuple(float(text) for text in texts)
    except ValueError:
        return ()
    return numbers if len(numbers) == length and all(map(math.isfinite, numbers)) else ()


def _vector(groups: Dataset, sequence: int, element: int, length: int) -> Vector:
    for item in items_of(groups, sequence)[:1]:
        return vector(parts(text_of(item, element)), length)
    return ()


def _variant(frame: Dataset) -> str:
    found = [
        text_of(item, element) for sequence, element in _VARIANTS for item in items_of(frame, sequence)[:1]
    ]
    for diffusion in items_of(frame, _DIFFUSION)[:1]:
        found += [text_of(item, _DIRECTION) for item in items_of(diffusion, _DIRECTION_SEQUENCE)[:1]]
    return "|".join(found)
