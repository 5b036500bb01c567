"""Missing and duplicate slices of a series, worked out from geometry alone.

The rules, in order:
1. A file that is there twice (same SOP Instance UID) counts once. Multi-frame images are not assessed here.
2. Slices are split into stacks: by orientation (tolerance 1e-4), then by their offset in the plane. Each stack is
   judged by itself. The place of a slice is the projection of its position on the normal of its plane.
3. The most frequent number of images per place is the number of volumes. More than that at one place are duplicates,
   unless echo, time, b-value, kind of image or kernel tell them apart.
4. With s the median step between places, a step d > 1.5 s hides round(d / s) - 1 missing slices. Steps are uneven if
   one differs from s by more than max(0.1 mm, 2 % of s), which is above the rounding of positions in real scanners.

Slices missing at either end cannot be seen this way. "Not assessed" is not "none missing".
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from fairbank.harvest.headers import InstanceHeader, Vector

_SAME_ORIENTATION = 1e-4
_SAME_OFFSET_MM = 0.1
_FEWEST_PLACES = 3


@dataclass(frozen=True, slots=True)
class Geometry:
    """What the geometry of a series tells.

    Attributes:
        assessed: whether it could be worked out at all; if not, the rest says nothing.
        missing: slices missing between the first and the last.
        duplicates: images at a place that has more than its share.
        uneven: whether steps differ from each other.
        spacing_mm: the median step of the largest stack.
    """

    assessed: bool
    missing: int = 0
    duplicates: int = 0
    uneven: bool = False
    spacing_mm: float | None = None


def geometry(headers: Sequence[InstanceHeader]) -> Geometry:
    """Work out the geometry of one series."""
    once = list({header.sop_uid: header for header in headers}.values())
    if any(header.is_multiframe or not header.orientation or not header.position for header in once):
        return Geometry(assessed=False)
    stacks = [stack for stack in _stacks(once) if len({place for place, _ in stack}) >= _FEWEST_PLACES]
    if not stacks:
        return Geometry(assessed=False)
    judged = [_judged(stack) for stack in stacks]
    largest = max(zip(stacks, judged, strict=True), key=lambda pair: len(pair[0]))[1]
    return Geometry(
        assessed=True,
        missing=sum(stack.missing for stack in judged),
        duplicates=sum(stack.duplicates for stack in judged),
        uneven=any(stack.uneven for stack in judged),
        spacing_mm=largest.spacing_mm,
    )


_Stack = list[tuple[float, InstanceHeader]]


def _stacks(headers: list[InstanceHeader]) -> list[_Stack]:
    """Split slices by orientation and in-plane offset; each slice comes with its place along the normal, in mm."""
    stacks: list[tuple[Vector, Vector, _Stack]] = []
    for header in headers:
        normal = _cross(header.orientation[:3], header.orientation[3:])
        place = _dot(normal, header.position)
        offset = tuple(p - place * n for p, n in zip(header.position, normal, strict=True))
        for orientation, first_offset, stack in stacks:
            if _near(orientation, header.orientation, _SAME_ORIENTATION) and _in_line(
                offset, first_offset, stack, place
            ):
                stack.append((round(place, 3), header))
                break
        else:
            stacks.append((header.orientation, offset, [(round(place, 3), header)]))
    return [stack for _, _, stack in stacks]


def _in_line(offset: Vector, first: Vector, stack: _Stack, place: float) -> bool:
    """Tell whether a slice continues a stack; a tilted gantry shifts each slice by a share of its step."""
    drift = max(abs(a - b) for a, b in zip(offset, first, strict=True))
    return drift <= _SAME_OFFSET_MM + abs(place - stack[0][0])


def _judged(stack: _Stack) -> Geometry:
    at = Counter(place for place, _ in stack)
    volumes = Counter(at.values()).most_common(1)[0][0]
    duplicates = 0
    for place, count in at.items():
        if count > volumes:
            variants = {header.variant for there, header in stack if there == place}
            duplicates += max(0, count - max(volumes, len(variants)))
    places = sorted(at)
    steps = [after - before for before, after in pairwise(places)]
    step = statistics.median(steps)
    missing = sum(round(one / step) - 1 for one in steps if one > 1.5 * step)
    uneven = any(abs(one - step) > max(0.1, 0.02 * step) for one in steps)
    return Geometry(True, missing, duplicates, uneven, round(step, 4))


def _cross(row: Vector, column: Vector) -> Vector:
    normal = (
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    )
    length = _dot(normal, normal) ** 0.5 or 1.0
    return tuple(part / length for part in normal)


def _dot(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _near(one: Vector, other: Vector, tolerance: float) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))
