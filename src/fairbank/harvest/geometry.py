"""Where the slices of a series lie: what is missing, what is there twice, uneven or tilted, from positions alone.

The rules, in order:
1. A file that is there twice (same SOP Instance UID) counts once. Frames of an enhanced
   multi-frame image are slices.
2. Slices are split into stacks: by orientation (tolerance 1e-4), then by their offset in the plane. Offsets that lie on
   a line (within 0.5 mm) are one tilted stack; otherwise slices within 1 mm of each other are one. Each stack is judged
   by itself. The place of a slice is the projection of its position on the normal of its plane.
3. The most frequent number of images per place is the number of volumes k. Places with fewer make volumes incomplete;
   more than that are duplicates, unless echo, time, b-value, kind of image or kernel tell them apart.
4. With s the median step between places, a step d > 1.5 s hides round(d / s) - 1 missing slices. Steps are uneven if
   one differs from s, or from a whole number of s where slices are missing, by more than max(0.1 mm, 2 % of s), which
   is above the rounding of positions in real scanners.
5. A stack is tilted if the direction from its first slice to its last leaves the normal by more than 0.1 degrees, and
   by more than 0.25 mm altogether, which rounding does not reach.

Slices missing at either end cannot be seen this way. "Not assessed" is not "none missing".
Source of 2 to 5: measured on real series; 5 after dcm2niix, which trusts positions rather than (0018,1120).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from fairbank.harvest.frames import Plane, Vector
from fairbank.harvest.headers import InstanceHeader

_SAME_ORIENTATION = 1e-4
_ON_A_LINE_MM = 0.5
_SAME_OFFSET_MM = 1.0
_FEWEST_PLACES = 3
_TILT_DEGREES = 0.1
_TILT_MM = 0.25
# Places nearer to each other than this share of the larger steps are one place, written with different rounding.
_SAME_PLACE = 0.1


@dataclass(frozen=True, slots=True)
class Geometry:
    """What the geometry of a series tells.

    Attributes:
        assessed: whether it could be worked out at all; if not, the rest says nothing.
        missing: slices missing between the first and the last.
        duplicates: images at a place that has more than its share.
        incomplete: images that volumes lack at places where others have one.
        volumes: images per place, in the largest stack.
        uneven: whether steps differ from each other.
        spacing_mm: the median step of the largest stack.
        tilt_degrees: by how much the most tilted stack leaves the normal of its slices; 0 if it is within rounding.
        stacks: how many stacks there are, those of one slice or two too.
    """

    assessed: bool
    missing: int = 0
    duplicates: int = 0
    incomplete: int = 0
    volumes: int = 1
    uneven: bool = False
    spacing_mm: float | None = None
    tilt_degrees: float = 0.0
    stacks: int = 0


def geometry(headers: Sequence[InstanceHeader]) -> Geometry:
    """Work out the geometry of one series."""
    once = list({header.sop_uid: header for header in headers}.values())
    per_file = [header.slices for header in once]
    if not per_file or not all(per_file):
        return Geometry(assessed=False)
    every = _stacks([plane for planes in per_file for plane in planes])
    stacks = [stack for stack in every if len({slice.place for slice in stack}) >= _FEWEST_PLACES]
    if not stacks:
        return Geometry(assessed=False, stacks=len(every))
    judged = [_judged(stack) for stack in stacks]
    largest = max(zip(stacks, judged, strict=True), key=lambda pair: len(pair[0]))[1]
    return Geometry(
        assessed=True,
        missing=sum(stack.missing for stack in judged),
        duplicates=sum(stack.duplicates for stack in judged),
        incomplete=sum(stack.incomplete for stack in judged),
        volumes=largest.volumes,
        uneven=any(stack.uneven for stack in judged),
        spacing_mm=largest.spacing_mm,
        tilt_degrees=max(stack.tilt_degrees for stack in judged),
        stacks=len(every),
    )


def tolerance_mm(step: float) -> float:
    """Return by how much a length may differ from a step of slices, in mm.

    >>> tolerance_mm(3.0), tolerance_mm(10.0)
    (0.1, 0.2)
    """
    return max(0.1, 0.02 * step)


@dataclass(frozen=True, slots=True)
class _Slice:
    """A slice: its place along the normal, its offset across it, in mm."""

    place: float
    offset: Vector
    variant: str


_Stack = list[_Slice]


def _stacks(planes: Sequence[Plane]) -> list[_Stack]:
    found: list[_Stack] = []
    for normal, of_orientation in _orientations(planes):
        slices = []
        for plane in of_orientation:
            place = _dot(normal, plane.position)
            offset = tuple(p - place * n for p, n in zip(plane.position, normal, strict=True))
            slices.append(_Slice(round(place, 3), offset, plane.variant))
        found += [slices] if _is_line(slices) else _by_offset(slices)
    return found


def _orientations(planes: Sequence[Plane]) -> list[tuple[Vector, list[Plane]]]:
    groups: list[tuple[Vector, list[Plane]]] = []
    for plane in planes:
        for orientation, group in groups:
            if _near(orientation, plane.orientation, _SAME_ORIENTATION):
                group.append(plane)
                break
        else:
            groups.append((plane.orientation, [plane]))
    return [(_cross(orientation[:3], orientation[3:]), group) for orientation, group in groups]


def _is_line(slices: _Stack) -> bool:
    """Tell whether offsets change in proportion to places: an upright stack, or one of a tilted gantry."""
    centre = statistics.fmean(slice.place for slice in slices)
    spread = sum((slice.place - centre) ** 2 for slice in slices)
    for axis in range(3):
        mean = statistics.fmean(slice.offset[axis] for slice in slices)
        along = sum((slice.place - centre) * (slice.offset[axis] - mean) for slice in slices)
        slope = along / spread if spread else 0.0
        if any(
            abs(slice.offset[axis] - mean - slope * (slice.place - centre)) > _ON_A_LINE_MM
            for slice in slices
        ):
            return False
    return True


def _by_offset(slices: _Stack) -> list[_Stack]:
    stacks: list[_Stack] = []
    for slice in slices:
        for stack in stacks:
            if _near(stack[0].offset, slice.offset, _SAME_OFFSET_MM):
                stack.append(slice)
                break
        else:
            stacks.append([slice])
    return stacks


def _judged(stack: _Stack) -> Geometry:
    at = _by_place(stack)
    counts = Counter(len(of_place) for of_place in at.values())
    volumes = max(counts, key=lambda count: (counts[count], count))
    duplicates = incomplete = 0
    for of_place in at.values():
        incomplete += max(0, volumes - len(of_place))
        duplicates += max(0, len(of_place) - max(volumes, len({slice.variant for slice in of_place})))
    steps = [after - before for before, after in pairwise(sorted(at))]
    step = statistics.median(steps)
    # In how many steps of the usual length the next slice comes.
    whole = [max(1, round(one / step)) if one > 1.5 * step else 1 for one in steps]
    uneven = any(
        abs(one - count * step) > tolerance_mm(step) for one, count in zip(steps, whole, strict=True)
    )
    return Geometry(
        assessed=True,
        missing=sum(whole) - len(whole),
        duplicates=duplicates,
        incomplete=incomplete,
        volumes=volumes,
        uneven=uneven,
        spacing_mm=round(step, 4),
        tilt_degrees=_tilt(stack),
    )


def _by_place(stack: _Stack) -> dict[float, _Stack]:
    """Return the slices at each place."""
    places = sorted({slice.place for slice in stack})
    steps = sorted(after - before for before, after in pairwise(places))
    nearest = _SAME_PLACE * statistics.median(steps[len(steps) // 2 :])
    first: dict[float, float] = {}
    start = previous = places[0]
    for place in places:
        start = start if place - previous < nearest else place
        first[place] = start
        previous = place
    at: dict[float, _Stack] = {}
    for slice in stack:
        at.setdefault(first[slice.place], []).append(slice)
    return at


def _tilt(stack: _Stack) -> float:
    first = min(stack, key=lambda slice: slice.place)
    last = max(stack, key=lambda slice: slice.place)
    drift = math.dist(first.offset, last.offset)
    degrees = math.degrees(math.atan2(drift, last.place - first.place))
    return round(degrees, 2) if degrees > _TILT_DEGREES and drift > _TILT_MM else 0.0


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
